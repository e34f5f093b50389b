"""Parzen window estimates of the log-likelihood: a Gaussian kernel on each sample of a model.

    log p_σ(x) = log (1/N) Σ_j exp(−‖x − y_j‖² / 2σ²) − D log(σ √(2π))        (Breuleux et al., 2011)

One pass over the samples serves all test points and all bandwidths. With one dominant neighbour the
estimate is, up to constants, the squared distance to the nearest sample; see Theis et al. (2016) and
Wu et al. (2017) for what it does not tell. `bench.evaluate.ais` is the estimate to believe.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

# Tiles of squared distances: large enough for the matrix product, small enough for the passes over them
# to stay in the cache (CPU) or to be few kernel launches (GPU).
TILE = {"cpu": (512, 2048), "cuda": (8192, 16384)}


@dataclass(frozen=True)
class Score:
    """Mean log-likelihood per image in nats, and what is needed to judge it.

    `standard_error` is std / √n over the n test images (ddof 0), the ± of the published tables: it
    contains no sample, training or bandwidth uncertainty. `nearest` is the mean squared distance to
    the nearest sample, per dimension.
    """

    mean: float
    standard_error: float
    sigma: float
    nearest: float


class Parzen:
    """A Parzen window estimate while samples are added; constant memory in their number.

    `test` is (n, D), `sigmas` the bandwidths in data units. Distances have the precision of `test`; sums over samples
    are kept in float64, relative to the nearest sample.
    """

    def __init__(self, test: Float[Tensor, "n D"], sigmas: Sequence[float]):
        self.sigmas = [float(sigma) for sigma in sigmas]
        if not self.sigmas or min(self.sigmas) <= 0:
            raise ValueError(f"bandwidths must be positive, got {self.sigmas}")
        # ‖x‖² + ‖y‖² − 2 x·y cancels less between centred points.
        self.center = test.mean(0)
        self.x = test - self.center
        self.square_norm = self.x.double().square().sum(1)
        self.count = 0
        self.offset = torch.full((len(test),), torch.inf, dtype=torch.float64, device=test.device)
        self.sums = torch.zeros(len(self.sigmas), len(test), dtype=torch.float64, device=test.device)

    def add(self, samples: Float[Tensor, "m D"]) -> "Parzen":
        """Add samples to the sum, on the test points' device."""
        rows, columns = TILE.get(self.x.device.type, TILE["cuda"])
        self.count += len(samples)
        size = min(rows, len(self.x)) * min(columns, len(samples))
        buffers = self.x.new_empty(2, size)  # fresh memory costs page faults
        for y in samples.split(columns):
            y = y.to(self.x) - self.center
            square_norm = y.square().sum(1)
            for start in range(0, len(self.x), rows):
                tile = slice(start, start + rows)
                x = self.x[tile]
                # ‖x − y‖² − ‖x‖²: what is constant in y waits until the end.
                first, second = (b[: len(x) * len(y)].view(len(x), len(y)) for b in buffers)
                distances = torch.addmm(square_norm, x, y.T, alpha=-2, out=first)
                offset = torch.minimum(self.offset[tile], distances.amin(1).double())
                distances.sub_(offset.to(x.dtype)[:, None])
                shift = offset - self.offset[tile]
                self.offset[tile] = offset
                for s, sigma in enumerate(self.sigmas):
                    scale = -0.5 / sigma**2
                    exponents = torch.mul(distances, scale, out=second)
                    # The nearest sample has 0. What is below −80 adds nothing, but underflow takes 20 times as long.
                    kernel = exponents.clamp_(min=-80).exp_().sum(1).double()
                    # A nearer sample has been found: −∞ at first, when there is no sum to rescale.
                    self.sums[s, tile] = self.sums[s, tile] * (-shift * scale).exp() + kernel
        return self

    @property
    def nearest(self) -> Float[Tensor, " n"]:
        """Squared distance from each test point to the nearest sample."""
        return (self.offset + self.square_norm).clamp(min=0)

    @property
    def log_likelihood(self) -> Float[Tensor, "sigmas n"]:
        """Log-density of each test point in nats, float64, one row per bandwidth.

        Raises:
            ValueError: no samples yet, or points that are not finite.
        """
        if not self.count:
            raise ValueError("a Parzen estimate needs at least one sample")
        if not self.sums.isfinite().all() or not self.offset.isfinite().all():
            raise ValueError("the samples or the test points are not all finite")
        sigma = torch.tensor(self.sigmas, dtype=torch.float64, device=self.x.device)[:, None]
        exponent = -(self.offset + self.square_norm) / (2 * sigma**2) + self.sums.log()
        return exponent - math.log(self.count) - self.x.shape[1] * (sigma * math.sqrt(2 * math.pi)).log()

    def scores(self) -> list[Score]:
        """The mean over the test points, for each bandwidth."""
        nearest = self.nearest.mean().item() / self.x.shape[1]
        return [
            Score(ll.mean().item(), ll.std(correction=0).item() / math.sqrt(len(ll)), sigma, nearest)
            for sigma, ll in zip(self.sigmas, self.log_likelihood, strict=True)
        ]


def log_likelihood(test: Float[Tensor, "n D"], samples: Float[Tensor, "m D"], sigma: float) -> Float[Tensor, " n"]:
    """Log-density of each test point in nats, float64, under a kernel of width `sigma` on each sample."""
    return Parzen(test, [sigma]).add(samples).log_likelihood[0]


@dataclass(frozen=True)
class Bandwidth:
    """A bandwidth chosen on validation data, with its mean log-likelihood there.

    `at_edge` if a wider grid might have given a better one.
    """

    sigma: float
    mean: float
    at_edge: bool


@dataclass(frozen=True)
class Protocol:
    """How a bandwidth is chosen: a grid, and how many of the held-out images, the first ones.

    Each of `rounds` adds nine values, even in log σ, between the neighbours of the best so far.
    """

    grid: tuple[float, ...]
    images: int = 1000
    rounds: int = 0

    def select(self, held_out: Float[Tensor, "n D"], samples: Float[Tensor, "m D"]) -> Bandwidth:
        """The bandwidth with the highest mean log-likelihood of the held-out images."""
        means: dict[float, float] = {}
        grid = self.grid
        for _ in range(self.rounds + 1):
            means |= {s.sigma: s.mean for s in Parzen(held_out[: self.images], grid).add(samples).scores()}
            tried = sorted(means)
            best = tried.index(max(tried, key=means.__getitem__))
            low, high = tried[max(best - 1, 0)], tried[min(best + 1, len(tried) - 1)]
            grid = np.geomspace(low, high, 11)[1:-1].tolist()
        sigma = tried[best]
        return Bandwidth(sigma, means[sigma], sigma in (min(self.grid), max(self.grid)))


# "paper": the evaluation program of the GAN paper (Goodfellow et al., 2014), which the AAE paper follows.
# "fine": the optimum itself, which the first grid can miss by over ten nats.
PROTOCOLS = {
    "paper": Protocol(tuple(np.logspace(-1, 0, 10).tolist())),
    "fine": Protocol(tuple(np.geomspace(0.02, 2, 25).tolist()), rounds=2),
}
