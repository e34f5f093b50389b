"""Priors of several components: petals, a swiss roll, and any Gaussian mixture that is given."""

import math
from collections.abc import Sequence
from typing import Annotated, Any

import torch
from annotated_types import Gt, Interval, MinLen
from jaxtyping import Float
from torch import Tensor

from regularizers._priors import Length, Prior

Components = Annotated[int, Interval(ge=1, le=1000)]
Plane = Annotated[int, Interval(ge=2, le=2)]


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
