"""Kernels of the maximum mean discrepancy: functions of r² = |x - y|² that are mixtures of Gaussians.

Each kernel is known in two ways. `of_block` evaluates it at squared distances. Rates t_m and masses a_m of `mixture`
write it as a mixture of squared exponentials,

    k(r²) = Σ_m a_m e^{-t_m r²}    or, for the energy distance,    k(r²) = Σ_m a_m (e^{-t_m r²} - 1),

so that its expectation over Gaussians has a closed form, term by term (`_mixture.py`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from regularizers import Prior

STEP = 0.5  # of the trapezoid rule in u = log t; its relative error is about 10 exp(-π²/STEP), 3e-8


@dataclass(frozen=True)
class Kernel:
    """k(r²) = Σ_s w_s k_s(r²), over a ladder of scales."""

    scales: tuple[float, ...]
    weights: tuple[float, ...]

    at_zero = 1.0  # k_s(0)
    homogeneous = False  # k is of degree 1 in x - y: it has a kink at 0, and its mixture is of e^{-t r²} - 1

    def each(self) -> list["Kernel"]:
        """The kernels of the ladder one by one, with weight 1."""
        return [replace(self, scales=(s,), weights=(1.0,)) for s in self.scales]

    def ladder(self) -> list[tuple[float, float]]:
        """The scales with their weights, upwards."""
        return sorted(zip(self.scales, self.weights, strict=True))

    @property
    def diagonal(self) -> float:
        """k(0)."""
        return self.at_zero * sum(self.weights)

    @property
    def slope(self) -> float:
        """The factor that the slopes of `of_block` lack, where it would cost a pass over them."""
        return 1.0

    @property
    def finest(self) -> float:
        """The smallest squared distance that matters."""
        return 0.0 if self.homogeneous else min(self.scales)

    def mixture(self) -> tuple[Float[Tensor, " M"], Float[Tensor, " M"]]:
        """Rates t_m and masses a_m of the mixture of squared exponentials, in float64."""
        raise NotImplementedError

    def of_block(
        self, r2: Float[Tensor, "m n"], work: Float[Tensor, "m n"], slope: Float[Tensor, "m n"]
    ) -> tuple[float, Float[Tensor, "m n"]]:
        """Σ k(r²) over a block of squared distances, and the matrix of dk/dr² / `slope`; all three are overwritten.

        Scale after scale in the same memory, which a processor's cache holds.
        """
        raise NotImplementedError

    def values(self, r2: Tensor) -> Tensor:
        """k(r²), elementwise."""
        raise NotImplementedError

    def lazy(self, r2):
        """Both k and dk/dr² of a KeOps LazyTensor of squared distances."""
        raise NotImplementedError


class SquaredExponential(Kernel):
    """k_s(r²) = exp(-r² / 2s): s = l², the squared bandwidth (Gretton et al., 2012)."""

    def mixture(self):
        s = torch.tensor(self.scales, dtype=torch.float64)
        return 0.5 / s, torch.tensor(self.weights, dtype=torch.float64)

    def of_block(self, r2, work, slope):
        total = 0.0
        slope.zero_()
        for s, w in self.ladder():
            e = torch.mul(r2, -0.5 / s, out=work).exp_()
            slope.add_(e, alpha=-0.5 / s * w)
            total += w * float(e.sum())
        return total, slope

    def values(self, r2):
        return sum(w * (-0.5 / s * r2).exp() for s, w in self.ladder())

    def lazy(self, r2):
        terms = [(w, 0.5 / s, (-r2 * (0.5 / s)).exp()) for s, w in self.ladder()]
        return sum(w * e for w, _, e in terms), sum(-w * t * e for w, t, e in terms)


class InverseMultiquadric(Kernel):
    """k_s(r²) = s / (s + r²) (Tolstikhin et al., 2018, sec. 4, where s is written C)."""

    def mixture(self):
        # s/(s + r²) = ∫ s e^{-st} e^{-t r²} dt; the heavy tail lives at t → 0, where Gauss-Laguerre fails
        s, w = (torch.tensor(x, dtype=torch.float64)[:, None] for x in (self.scales, self.weights))
        t = trapezoid(3e-7 / s.max(), 25 / s.min())
        a = STEP * t * (w * s * torch.exp(-s * t)).sum(0)
        a[0] /= 1 - math.exp(-STEP)  # the rest of the geometric series, from t[0] down to 0
        return t, a

    def of_block(self, r2, work, slope):
        total, added = 0.0, 0.0
        slope.zero_()
        for s, w in self.ladder():  # upwards: a sum that only grows keeps its relative error
            b = torch.reciprocal(r2.add_(s - added), out=work)
            slope.addcmul_(b, b, value=-s * w)
            total += s * w * float(b.sum())
            added = s
        return total, slope

    def values(self, r2):
        return sum(w * s / (s + r2) for s, w in self.ladder())

    def lazy(self, r2):
        terms = [(w * s, 1 / (r2 + s)) for s, w in self.ladder()]
        return sum(c * b for c, b in terms), sum(-c * (b * b) for c, b in terms)


class Energy(Kernel):
    """k(r²) = -√r², whose MMD² is the energy distance (Székely & Rizzo, 2013).

    Its one scale is the prior's total variance. The kernel does not depend on it; it places the
    quadrature, which is exact to 1e-7 for distances between 1e-3 and 30 times its square root.
    """

    at_zero = 0.0
    homogeneous = True

    @property
    def slope(self):
        return -0.5 * self.weights[0]

    def mixture(self):
        # √r² = (1 / 2√π) ∫ (1 - e^{-t r²}) t^{-3/2} dt
        [s], [w] = self.scales, self.weights
        t = trapezoid(torch.tensor(1e-8 / s), torch.tensor(1e8 / s))
        a = w * STEP * t.rsqrt() / (2 * math.sqrt(math.pi))
        a[[0, -1]] /= 1 - math.exp(-STEP / 2)  # both tails are geometric series
        return t, a

    def of_block(self, r2, work, slope):
        [w] = self.weights
        r = r2.sqrt_()
        return -w * float(r.sum()), torch.reciprocal(r, out=slope)

    def values(self, r2):
        return -self.weights[0] * r2.sqrt()

    def lazy(self, r2):
        [w] = self.weights
        return -w * r2.sqrt(), (-0.5 * w) * r2.rsqrt()


def trapezoid(low: Tensor, high: Tensor) -> Float[Tensor, " M"]:
    """Nodes t = e^u from `low` to `high`, equally spaced in u by `STEP`, in float64."""
    u = torch.arange(math.log(low), math.log(high) + STEP, STEP, dtype=torch.float64)
    return u.exp()


KERNELS = {"gaussian": SquaredExponential, "imq": InverseMultiquadric, "energy": Energy}
# The first is narrower than that of the WAE code (0.1 to 10). Both tell a shrunk Gaussian or a missing petal equally
# well (MMD² of 2.0 against 1.8, 2.1 against 2.0, in standard deviations under q = p at 100 codes), but only the narrow
# one resolves components: a swiss roll six times too thick (0.72 against 0.10), petals twice too wide (0.16 against 0).
LADDERS = {
    "imq": (0.01, 0.05, 0.25, 1.0, 4.0),
    "gaussian": (0.125, 0.25, 0.5, 1.0, 2.0, 4.0),
    "energy": (1.0,),
}


def ladder(prior: Prior, kernel: str, scales: Sequence[float | int] | None = None) -> Kernel:
    """The kernel of that name with its scales in units of the prior: s = 2Dτ² c for "imq", Dτ² c for the others.

    Raises:
        ValueError: an unknown kernel, a scale that is not positive, or a prior without any spread.
    """
    if kernel not in KERNELS:
        raise ValueError(f"no kernel {kernel!r}; there are {', '.join(KERNELS)}")
    c = LADDERS[kernel] if scales is None else tuple(float(c) for c in scales)
    if kernel == "energy" and c != (1.0,):
        raise ValueError("the energy kernel has no scales")
    if not c or not all(0 < x < math.inf for x in c):
        raise ValueError(f"scales are positive numbers, not {scales}")
    if prior.variance == 0:
        raise ValueError("the prior is a single point and gives the kernel no unit of length")
    unit = prior.dim * prior.variance * (2 if kernel == "imq" else 1)
    return KERNELS[kernel](tuple(x * unit for x in c), (1.0,) * len(c))
