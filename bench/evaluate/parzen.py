"""Parzen window estimates of the log-likelihood: a Gaussian kernel on each sample of a model.

    log p_σ(x) = log (1/N) Σ_j exp(−‖x − y_j‖² / 2σ²) − D log(σ √(2π))        (Breuleux et al., 2011)

One pass over the samples serves all test points and all bandwidths. With one dominant neighbour the
estimate is, up to constants, the squared distance to the nearest sample; see Theis et al. (2016) and
Wu et al. (2017) for what it does not tell. `bench.evaluate.ais` is the estimate to believe.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bench.train.resumable import Loops, Variables

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
    samples: int
    nearest: float


class Parzen:
    """A Parzen window estimate while samples are added; constant memory in their number.

    `test` is (n, D), `sigmas` the bandwidths in data units. `precision` is that of the matrix product:
    "float32", "bfloat16" (inputs rounded, products summed in float32; fast on a GPU only) or "float64".
    Sums over samples are kept in float64, relative to the nearest sample.
    """

    def __init__(self, test: Float[Tensor, "n D"], sigmas: Sequence[float], precision: str = "float32"):
        self.sigmas = [float(sigma) for sigma in sigmas]
        if not self.sigmas or min(self.sigmas) <= 0:
            raise ValueError(f"bandwidths must be positive, got {self.sigmas}")
        self.rounding = getattr(torch, precision)
        self.dtype = torch.float64 if precision == "float64" else torch.float32
        # ‖x‖² + ‖y‖² − 2 x·y cancels less between centred points.
        self.center = test.to(self.dtype).mean(0)
        self.x = self._rounded(test)
        self.square_norm = self.x.double().square().sum(1)
        self.native = self.rounding is torch.bfloat16 and test.is_cuda
        if self.native:
            self.x = self.x.bfloat16()
        self.count = 0
        self.offset = torch.full((len(test),), torch.inf, dtype=torch.float64, device=test.device)
        self.sums = torch.zeros(len(self.sigmas), len(test), dtype=torch.float64, device=test.device)

    def _rounded(self, points: Tensor) -> Tensor:
        return (points.to(self.dtype) - self.center).to(self.rounding).to(self.dtype)

    def _distances(self, x: Tensor, y: Tensor, square_norm: Tensor, buffer: Tensor) -> Tensor:
        """‖x − y‖² − ‖x‖²: what is constant in y waits until the end."""
        if self.native:
            return torch.mm(x, y.T, out_dtype=torch.float32).mul_(-2).add_(square_norm)
        return torch.addmm(square_norm, x, y.T, alpha=-2, out=buffer[: len(x) * len(y)].view(len(x), len(y)))

    def add(self, samples: Float[Tensor, "m D"]) -> "Parzen":
        """Add samples to the sum, on the test points' device."""
        rows, columns = TILE.get(self.x.device.type, TILE["cuda"])
        self.count += len(samples)
        size = min(rows, len(self.x)) * min(columns, len(samples))
        buffers = torch.empty(2, size, dtype=self.dtype, device=self.x.device)  # fresh memory costs page faults
        for y in samples.split(columns):
            y = self._rounded(y.to(self.x.device))
            square_norm = y.square().sum(1)
            y = y.bfloat16() if self.native else y
            for start in range(0, len(self.x), rows):
                tile = slice(start, start + rows)
                distances = self._distances(self.x[tile], y, square_norm, buffers[0])
                offset = torch.minimum(self.offset[tile], distances.amin(1).double())
                distances.sub_(offset.to(self.dtype)[:, None])
                shift = offset - self.offset[tile]
                self.offset[tile] = offset
                for s, sigma in enumerate(self.sigmas):
                    scale = -0.5 / sigma**2
                    exponents = torch.mul(distances, scale, out=buffers[1][: distances.numel()].view_as(distances))
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
            Score(ll.mean().item(), ll.std(correction=0).item() / math.sqrt(len(ll)), sigma, self.count, nearest)
            for sigma, ll in zip(self.sigmas, self.log_likelihood, strict=True)
        ]

    def variables(self) -> Variables:
        """The sums so far."""
        return {"offset": self.offset, "sums": self.sums, "count": torch.tensor(self.count)}

    def restore(self, variables: Variables) -> "Parzen":
        """Take over the sums of `variables`."""
        self.offset, self.sums, self.count = variables["offset"], variables["sums"], int(variables["count"])
        return self


def log_likelihood(
    test: Float[Tensor, "n D"], samples: Float[Tensor, "m D"], sigma: float, precision: str = "float32"
) -> Float[Tensor, " n"]:
    """Log-density of each test point in nats, float64, under a kernel of width `sigma` on each sample."""
    return Parzen(test, [sigma], precision).add(samples).log_likelihood[0]


def stream(
    test: Float[Tensor, "n D"],
    samples: Callable[[int], Tensor],
    chunks: int,
    sigmas: Sequence[float],
    precision: str = "float32",
    loops: Loops | None = None,
    progress: bool = False,
) -> Parzen:
    """The estimate over `chunks` chunks of samples, in constant memory, for 10,000 samples or 10 million.

    `samples` is a function from a chunk's number to its samples, the same each time (seed them by the number). With
    `loops` of a folder a second call continues where a killed one was, to the same bits.
    """
    estimate, loops = Parzen(test, sigmas, precision), loops or Loops(None, "")

    def body(chunk: int, sums: Variables) -> Variables:
        return estimate.restore(sums).add(samples(chunk)).variables()

    return estimate.restore(loops.run("Parzen", chunks, estimate.variables(), body, progress))


@dataclass(frozen=True)
class Bandwidth:
    """A bandwidth chosen on validation data; `at_edge` if a wider grid might have given a better one."""

    sigma: float
    at_edge: bool
    grid: tuple[float, ...] = field(repr=False)
    means: tuple[float, ...] = field(repr=False)


def select_sigma(
    validation: Float[Tensor, "n D"],
    samples: Float[Tensor, "m D"],
    grid: Sequence[float],
    rounds: int = 0,
    precision: str = "float32",
) -> Bandwidth:
    """The bandwidth of `grid` with the highest mean validation log-likelihood.

    Each of `rounds` adds nine values, even in log σ, between the neighbours of the best so far.
    """
    means: dict[float, float] = {}
    ends = min(grid), max(grid)
    for _ in range(rounds + 1):
        means |= {s.sigma: s.mean for s in Parzen(validation, grid, precision).add(samples).scores()}
        tried = sorted(means)
        best = tried.index(max(tried, key=means.__getitem__))
        low, high = tried[max(best - 1, 0)], tried[min(best + 1, len(tried) - 1)]
        grid = np.geomspace(low, high, 11)[1:-1].tolist()
    sigma = tried[best]
    return Bandwidth(sigma, sigma in ends, tuple(tried), tuple(means[s] for s in tried))


@dataclass(frozen=True)
class Protocol:
    """How a paper chose its bandwidth: a grid, and how many of the held-out images, the first or random ones."""

    grid: tuple[float, ...]
    images: int
    seed: int | None = None
    rounds: int = 0

    def validation(self, held_out: Float[Tensor, "n D"]) -> Float[Tensor, "m D"]:
        """The images that choose the bandwidth."""
        if self.seed is None:
            return held_out[: self.images]
        order = np.random.RandomState(self.seed).permutation(len(held_out))[: self.images]
        return held_out[torch.from_numpy(order).to(held_out.device)]

    def select(
        self, held_out: Float[Tensor, "n D"], samples: Float[Tensor, "m D"], precision: str = "float32"
    ) -> Bandwidth:
        """The bandwidth that this protocol chooses."""
        return select_sigma(self.validation(held_out), samples, self.grid, self.rounds, precision)


# "paper": the evaluation program of the GAN paper (Goodfellow et al., 2014), which the AAE paper follows.
# "gmmn": Li et al. (2015). "fine": the optimum itself, which the first grid can miss by over ten nats.
PROTOCOLS = {
    "paper": Protocol(tuple(np.logspace(-1, 0, 10).tolist()), images=1000),
    "gmmn": Protocol(tuple(np.arange(0.1, 0.3, 0.01).tolist()), images=5000, seed=0),
    "fine": Protocol(tuple(np.geomspace(0.02, 2, 25).tolist()), images=1000, rounds=2),
}
