"""The priors: Gaussian mixtures all, so that expectations over them have closed forms."""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any

import torch
from annotated_types import Gt, Interval, MinLen
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    OneHotCategorical,
)

# In the latent's own units: far from these, single precision is at its end.
Length = Annotated[float | int, Interval(ge=1e-3, le=1e3)]
Components = Annotated[int, Interval(ge=1, le=1000)]
Plane = Annotated[int, Interval(ge=2, le=2)]


class Prior(nn.Module):
    """p(z), a Gaussian mixture: weights (K,), means (K, D) and Cholesky factors (K, D, D).

    Zero factors are allowed: a one-hot prior is a mixture of D points, and has no density.
    The last `labels` entries of a code are a one-hot label that is given with the image, not encoded.
    A subclass takes the dimension and keywords, whose annotations say what they may be, and declares the
    `heads` whose codes it fits: points of R^D, or probabilities of categories.
    """

    heads: tuple[str, ...] = ("continuous", "categorical")

    def __init__(
        self,
        weights: Float[Tensor, " K"],
        means: Float[Tensor, "K D"],
        scale_tril: Float[Tensor, "K D D"],
        labels: int = 0,
    ):
        super().__init__()
        self.labels = labels
        self.register_buffer("weights", weights)
        self.register_buffer("means", means)
        self.register_buffer("scale_tril", scale_tril)

    @property
    def dim(self) -> int:
        """D, the number of latent dimensions."""
        return self.means.shape[-1]

    @property
    def covariances(self) -> Float[Tensor, "K D D"]:
        """The components' covariance matrices."""
        return self.scale_tril @ self.scale_tril.mT

    @cached_property
    def has_density(self) -> bool:
        """False if any component is singular: a point, a line, a one-hot vertex."""
        return bool((self.scale_tril.diagonal(dim1=-2, dim2=-1) > 0).all())

    @cached_property
    def variance(self) -> float:
        """Mean variance per dimension, the square of the prior's length scale."""
        w = self.weights.double()
        mean = w @ self.means.double()
        within = self.covariances.double().diagonal(dim1=-2, dim2=-1)
        return float((w @ (within + (self.means.double() - mean) ** 2)).mean())

    @property
    def distribution(self) -> Distribution:
        """The same prior as a torch distribution, for densities; needs `has_density`."""
        components = MultivariateNormal(self.means, scale_tril=self.scale_tril, validate_args=False)
        return MixtureSameFamily(Categorical(probs=self.weights), components, validate_args=False)

    def sample(self, n: int) -> Float[Tensor, "{n} D"]:
        """`n` independent draws, from torch's global random state."""
        k = torch.multinomial(self.weights, n, replacement=True)
        noise = torch.randn(n, self.dim, 1, device=self.means.device)
        return self.means[k] + (self.scale_tril[k] @ noise).squeeze(-1)


class Gaussian(Prior):
    """N(0, scale² I)."""

    heads = ("continuous",)

    def __init__(self, dim: int, scale: Length = 1.0):
        super().__init__(torch.ones(1), torch.zeros(1, dim), scale * torch.eye(dim)[None])

    @property
    def distribution(self):
        """As independent normals, so that the KL divergence is exact."""
        return Independent(Normal(self.means[0], self.scale_tril[0].diagonal(), validate_args=False), 1)


class OneHot(Prior):
    """The uniform distribution over the vertices of the simplex."""

    heads = ("categorical",)

    def __init__(self, dim: Annotated[int, Interval(ge=2, le=256)]):
        super().__init__(torch.full((dim,), 1 / dim), torch.eye(dim), torch.zeros(dim, dim, dim))

    @property
    def distribution(self):
        """As a categorical distribution."""
        return OneHotCategorical(probs=self.weights, validate_args=False)


class Petals(Prior):
    """Elongated 2-D Gaussians pointing away from the origin, one per class (Makhzani et al., 2015, Figs. 2-4).

    `radius` is the distance of the means from the origin, `length` and `width` the standard
    deviations along and across. The paper shows the geometry in pictures only; the defaults are
    those that the public re-implementations share, times three, so that the variance is near 1.
    """

    heads = ("continuous",)

    def __init__(
        self,
        dim: Plane = 2,
        components: Components = 10,
        radius: Annotated[float | int, Interval(ge=0, le=1e3)] = 4.2,
        length: Length = 1.5,
        width: Length = 0.3,
    ):
        if dim != 2:
            raise ValueError(f"petals lie in 2 dimensions, not {dim}")
        angle = 2 * math.pi * torch.arange(components, dtype=torch.float64) / components
        along = torch.stack([angle.cos(), angle.sin()], dim=-1)
        across = torch.stack([-angle.sin(), angle.cos()], dim=-1)
        axes = torch.stack([length * along, width * across], dim=-1)
        scale_tril = torch.linalg.cholesky(axes @ axes.mT)
        super().__init__(torch.full((components,), 1 / components), (radius * along).float(), scale_tril.float())


class SwissRoll(Prior):
    """A 2-D swiss roll, as a mixture of many tight Gaussians along its arc (Makhzani et al., 2015, Fig. 4).

    r = 3 √u and angle = 4 π √u with u uniform; `components` equal slices of u, the class of a
    slice being its tenth of the roll. A component's standard deviation along the arc is half the
    distance to its neighbour, across it `thickness`: the true curve has none, so this is the
    approximation that a Gaussian mixture makes.
    """

    heads = ("continuous",)

    def __init__(self, dim: Plane = 2, components: Components = 200, thickness: Length = 0.05):
        if dim != 2:
            raise ValueError(f"the swiss roll lies in 2 dimensions, not {dim}")

        def curve(u):
            r, angle = 3 * u.sqrt(), 4 * math.pi * u.sqrt()
            return torch.stack([r * angle.cos(), r * angle.sin()], dim=-1)

        u = (torch.arange(components, dtype=torch.float64) + 0.5) / components
        half = 0.5 / components
        means, step = curve(u), curve(u + half) - curve((u - half).clamp(min=0))
        length = step.norm(dim=-1, keepdim=True)
        along = step / length
        across = torch.stack([-along[:, 1], along[:, 0]], dim=-1)
        axes = torch.stack([along * length / math.sqrt(12), across * thickness], dim=-1)
        scale_tril = torch.linalg.cholesky(axes @ axes.mT)
        super().__init__(torch.full((components,), 1 / components), means.float(), scale_tril.float())


class Mixture(Prior):
    """The Gaussian mixture of the given `means`, `covariances` and `weights`, which are equal unless given.

    A component's covariance is one variance for all dimensions, a list of one for each, or a matrix; 0 makes it a
    point. Raises a ValueError for numbers of another count, weights whose sum is not 1, and matrices that are not
    symmetric and positive definite.
    """

    def __init__(
        self,
        dim: int,
        means: Annotated[Sequence[Sequence[float | int]], MinLen(1)],
        covariances: Sequence[Any],
        weights: Sequence[Annotated[float | int, Gt(0)]] | None = None,
    ):
        K, weights = len(means), [1 / len(means)] * len(means) if weights is None else weights
        if len(weights) != K or len(covariances) != K:
            raise ValueError(
                f"{K} means need as many weights and covariances, not {len(weights)} and {len(covariances)}"
            )
        if abs(sum(weights) - 1) > 1e-3:
            raise ValueError(f"weights: expected a sum of 1, found {sum(weights):g}")
        if short := [mean for mean in means if len(mean) != dim]:
            raise ValueError(f"means: expected {dim} numbers in each, found {len(short[0])}")
        w = torch.tensor(weights, dtype=torch.float64)
        factors = torch.stack([factor(covariance, dim, k) for k, covariance in enumerate(covariances)])
        super().__init__((w / w.sum()).float(), torch.tensor(means, dtype=torch.float32), factors.float())


def factor(covariance: Any, dim: int, k: int) -> Float[Tensor, "{dim} {dim}"]:
    """The Cholesky factor of a covariance as `Mixture` takes it, in float64; `k` is its number in messages."""
    expected = f"covariances.{k}: expected a variance, {dim} variances or a symmetric {dim} x {dim} matrix"
    try:
        given = torch.tensor(covariance, dtype=torch.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{expected}, found {covariance!r}") from None
    if given.dim() < 2 and given.shape in ((), (dim,)):
        given = torch.diag(given.expand(dim))
    if given.shape != (dim, dim) or not given.isfinite().all() or not torch.allclose(given, given.mT):
        raise ValueError(f"{expected}, found {covariance!r}")
    if not given.any():
        return given
    L, failed = torch.linalg.cholesky_ex(given)
    if failed or L.diagonal().min() < 1e-3 or L.abs().max() > 1e3:
        raise ValueError(
            f"covariances.{k}: expected 0, or positive definite and within 1e-6 to 1e6, found {covariance!r}"
        )
    return L


def product(priors: Sequence[Prior]) -> Prior:
    """p(a) p(b) …: the prior of concatenated codes, with one component for each tuple of components."""
    if len(priors) == 1:
        return priors[0]
    weights, means, scale_tril = torch.ones(1), torch.zeros(1, 0), torch.zeros(1, 0, 0)
    for prior in priors:
        K, L, D, E = len(weights), len(prior.weights), means.shape[1], prior.dim
        weights = (weights[:, None] * prior.weights).flatten()
        scale = torch.zeros(K, L, D + E, D + E)
        scale[:, :, :D, :D] = scale_tril[:, None]
        scale[:, :, D:, D:] = prior.scale_tril
        left, right = means[:, None].expand(K, L, D), prior.means.expand(K, L, E)
        means, scale_tril = torch.cat([left, right], dim=-1).flatten(0, 1), scale.flatten(0, 1)
    return Prior(weights, means, scale_tril)


def labelled(prior: Prior, share: float, classes: int = 10) -> Prior:
    """p(z, y) where a one-hot y of `classes` + 1 entries says which class z came from (Makhzani et al., sec. 2.3).

    The components of `prior` belong to the classes in equal, consecutive groups. A `share` of
    the mass carries its class; the rest carries the last entry, 'unlabelled', and is the whole
    mixture. It is one Gaussian mixture, singular in y, with twice the components.
    """
    K, D = prior.means.shape
    if K % classes:
        raise ValueError(f"{K} components cannot be shared out to {classes} classes")
    y = torch.zeros(2 * K, classes + 1)
    y[torch.arange(K), torch.arange(K) * classes // K] = 1
    y[K:, classes] = 1
    scale_tril = torch.zeros(2 * K, D + classes + 1, D + classes + 1)
    scale_tril[:, :D, :D] = prior.scale_tril.repeat(2, 1, 1)
    weights = torch.cat([share * prior.weights, (1 - share) * prior.weights])
    keep = weights > 0
    means = torch.cat([prior.means.repeat(2, 1), y], dim=1)
    return Prior(weights[keep], means[keep], scale_tril[keep], labels=classes + 1)


PRIORS = {"gaussian": Gaussian, "one_hot": OneHot, "petals": Petals, "swiss_roll": SwissRoll, "mixture": Mixture}


def rms(prior: Prior) -> float:
    """The prior's standard deviation per dimension, the unit of bandwidths and blurs."""
    return math.sqrt(prior.variance)
