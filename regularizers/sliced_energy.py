"""Sliced energy distance to the prior's exact projections, by sorting (Hertrich et al., 2024)."""

import math

import torch
from torch import Tensor

from regularizers import Regularizer, rms, too_few
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
        p, n, L, D = self.prior, len(codes), self.projections, self.prior.dim
        frames = torch.linalg.qr(torch.randn(-(-L // D), D, min(L, D), device=codes.device)).Q
        theta = frames.transpose(0, 1).flatten(1)[:, :L] / rms(p)
        x = (codes @ theta).sort(dim=0).values
        pairs = 2 * (torch.arange(1 - n, n, 2, device=x.device).to(x) @ x) / (n * (n - 1))
        mean, variance = p.means @ theta, (p.scale_tril.mT @ theta).square().sum(1)  # (K, L)
        cross = torch.einsum("nkl,k->l", mean_absolute(x[:, None] - mean, variance), p.weights) / n
        within = mean_absolute(mean[:, None] - mean, variance[:, None] + variance)
        within = torch.einsum("jkl,j,k->l", within, p.weights, p.weights)
        return (2 * cross - pairs - within).mean() / self.unit


def mean_absolute(a: Tensor, v: Tensor) -> Tensor:
    """E|N(a, v)|, and |a| where v is 0."""
    std = (2 * v).clamp(min=1e-12).sqrt()
    return a * (a / std).erf() + std * (-(a / std).square()).exp() / math.sqrt(math.pi)
