"""Sliced energy distance to the prior's exact projections, by sorting (Hertrich et al., 2024)."""

import math
from functools import partial

import torch
from torch import Tensor

from regularizers import Regularizer, rms, too_few
from regularizers._gradient import with_gradient
from regularizers._ranges import Count


class SlicedEnergy(Regularizer):
    r"""The energy distance along random directions, which is the energy distance in all of space on average.

    $$\frac{1}{c_D L} \sum_{l=1}^{L} 2\,\mathbb{E}|x - y| - \mathbb{E}|x - x'| - \mathbb{E}|y - y'|, \quad
    x = \langle\theta_l, z\rangle / s, \quad c_D = \frac{\Gamma(D/2)}{\sqrt\pi \, \Gamma((D+1)/2)}$$

    with $s$ the prior's standard deviation per dimension. A direction sees the prior as a mixture of normal
    distributions and points, so both expectations over $y$ are exact: $\mathbb{E}|\mathcal{N}(a, v)| =
    a \operatorname{erf}(a / \sqrt{2v}) + \sqrt{2v/\pi}\, e^{-a^2/2v}$. Pairs of codes $x \neq x'$ are summed by
    sorting, in $O(n \log n)$. `projections` is $L$; as many directions as dimensions are orthogonal, drawn afresh each
    time. Unbiased, also in the directions. `forward` raises a ValueError for fewer than 2 codes.

    At weight 1: the energy distance in units of $s$, as `energy` has it.
    """

    title = "Sliced energy distance"
    cites = ("hertrich2024", "szekely2013")

    def __init__(self, prior, projections: Count = 50):
        super().__init__(prior)
        self.projections, D = projections, prior.dim
        self.unit = math.exp(math.lgamma(D / 2) - math.lgamma((D + 1) / 2)) / math.sqrt(math.pi)

    def forward(self, codes, posterior):
        too_few(codes)
        L, D = self.projections, self.prior.dim
        frames = torch.linalg.qr(torch.randn(-(-L // D), D, min(L, D), device=codes.device)).Q
        theta = frames.transpose(0, 1).flatten(1)[:, :L] / rms(self.prior)
        return with_gradient(partial(self.distance, theta), codes)

    def distance(self, theta: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """The distance along the directions, and its gradient: an error function and a rank for each code."""
        p, n = self.prior, len(z)
        x, mean, variance = z @ theta, p.means @ theta, (p.scale_tril.mT @ theta).square().sum(1)  # (K, L)
        rank = 2 * x.argsort(dim=0).argsort(dim=0) + 1 - n
        cross, side = mean_absolute(x[:, None] - mean, variance)
        within, _ = mean_absolute(mean[:, None] - mean, variance[:, None] + variance)
        value = 2 * torch.einsum("nkl,k->l", cross, p.weights) / n - 2 * (rank * x).sum(0) / (n * (n - 1))
        value = (value - torch.einsum("jkl,j,k->l", within, p.weights, p.weights)).mean() / self.unit
        slope = 2 / n * torch.einsum("nkl,k->nl", side, p.weights) - 2 / (n * (n - 1)) * rank
        return value, slope @ theta.mT / (theta.shape[1] * self.unit)


def mean_absolute(a: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """E|N(a, v)|, which is |a| where v is 0, and its derivative in a."""
    std = (2 * v).clamp(min=1e-12).sqrt()
    ratio = a / std
    side = ratio.erf()
    return a * side + std * (-ratio.square()).exp() / math.sqrt(math.pi), side
