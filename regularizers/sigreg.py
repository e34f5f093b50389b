"""Sliced Epps-Pulley test of the characteristic function (Balestriero & LeCun, 2025)."""

from functools import partial
from typing import Annotated

import torch
from annotated_types import Interval
from torch import Tensor
from torch.nn.functional import normalize

from regularizers import Regularizer, rms, too_few
from regularizers._gradient import with_gradient
from regularizers._ranges import Count, Positive


class SIGReg(Regularizer):
    r"""Difference of characteristic functions of one-dimensional projections, averaged over random directions.

    $$\frac1L \sum_{l=1}^{L} \int_{-T}^{T} \Big| \frac1n \sum_{j} e^{i t \langle\theta_l, z_j\rangle / s}
    - \varphi_l(t) \Big|^2 e^{-t^2/2} \, dt, \qquad
    \varphi_l(t) = \sum_k \pi_k \exp\Big(\frac{i t \langle\theta_l, \mu_k\rangle}{s}
    - \frac{t^2 \theta_l^\top \Sigma_k \theta_l}{2 s^2}\Big)$$

    LeJEPA's statistic, whose target is N(0, I), with the exact characteristic function of any
    Gaussian mixture instead, and without its factor $n$, so that the weight does not depend on the
    batch size. `projections` is $L$, drawn afresh each time. `reach` is $T$, the highest frequency
    in units of $1/s$ ($s$: the prior's standard deviation per dimension): structure finer than
    $s/T$ is not seen. `knots` are the points of the trapezoid rule on $[0, T]$; codes farther
    than $2 \pi s$ `knots`/`reach` away look near again. Raises a ValueError for fewer than 2 codes.

    At weight 1: $2\pi$ times the distance of `cramer_wold` at $\gamma = \tfrac12$; LeJEPA's statistic over $n$.
    """

    title = "SIGReg"
    cites = ("balestriero2025",)

    def __init__(
        self,
        prior,
        projections: Count = 256,
        reach: Positive = 3.0,
        knots: Annotated[int, Interval(ge=2, le=20_000)] = 17,
    ):
        super().__init__(prior)
        t = torch.linspace(0, reach, knots)
        trapezoid = torch.ones(knots)
        trapezoid[[0, -1]] = 0.5
        self.projections = projections
        self.register_buffer("t", t, persistent=False)
        self.register_buffer("weight", 2 * reach / (knots - 1) * trapezoid * (-(t**2) / 2).exp(), persistent=False)

    def forward(self, codes, posterior):
        too_few(codes)
        theta = normalize(torch.randn(self.prior.dim, self.projections, device=codes.device), dim=0) / rms(self.prior)
        angle = self.t[:, None, None] * (self.prior.means @ theta)  # (T, K, L)
        variance = (self.prior.scale_tril.mT @ theta).square().sum(1)  # (K, L)
        modulus = self.prior.weights[:, None] * (-(self.t[:, None, None] ** 2) * variance / 2).exp()
        return with_gradient(partial(self.statistic, theta, torch.polar(modulus, angle).sum(1)), codes)

    def statistic(self, theta: Tensor, phi: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """The statistic of `z` and its gradient, which needs the same sines; they are not kept."""
        x = z @ theta
        value, slope = x.new_zeros(()), torch.zeros_like(x)
        at_once = len(self.t) if x.is_cuda else 1  # a frequency fits the processor's cache, all of them do not
        for t, weight, target in zip(*(a.split(at_once) for a in (self.t, self.weight, phi)), strict=True):
            angle = t[:, None, None] * x  # (T, n, L)
            cos, sin = angle.cos(), angle.sin()
            real, imaginary = cos.mean(1) - target.real, sin.mean(1) - target.imag
            value += weight @ (real.square() + imaginary.square()).mean(1)
            w = (2 * t * weight)[:, None]
            slope += cos.mul_((w * imaginary)[:, None]).addcmul_(sin, (w * real)[:, None], value=-1).sum(0)
        return value, slope @ theta.mT / x.numel()
