"""The priors: Gaussian mixtures all, so that expectations over them have closed forms."""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated

import torch
from annotated_types import Interval
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

    def log_joint(self, z: Float[Tensor, "n D"]) -> Float[Tensor, "n K"]:
        """Log wₖ N(z; μₖ, Σₖ) of each component, in z's precision; needs `has_density`."""
        w, means, L = self.weights.to(z), self.means.to(z), self.scale_tril.to(z)
        white = torch.linalg.solve_triangular(L, (z - means[:, None]).mT, upper=False)  # (K, D, n)
        scale = L.diagonal(dim1=1, dim2=2).log().sum(1) + self.dim / 2 * math.log(2 * math.pi)
        return (w.log() - scale)[:, None].sub(white.square().sum(1) / 2).T

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


def rms(prior: Prior) -> float:
    """The prior's standard deviation per dimension, the unit of bandwidths and blurs."""
    return math.sqrt(prior.variance)
