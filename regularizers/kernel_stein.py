"""Kernel Stein discrepancy (Liu et al., 2016; Chwialkowski et al., 2016) with the kernel of Gorham & Mackey (2017)."""

import torch

from regularizers import Regularizer, rms, too_few
from regularizers._ranges import Positive


class KernelStein(Regularizer):
    r"""How far the codes are from having the prior's score $s_p = \nabla \log p$: it needs no expectation over $p$.

    $$\frac{1}{D \, n(n-1)} \sum_{i \neq j} s_i^\top s_j \, k_{ij} + s_i^\top \nabla_{z_j} k_{ij}
    + s_j^\top \nabla_{z_i} k_{ij} + \nabla_{z_i}^\top \nabla_{z_j} k_{ij}, \qquad
    k_{ij} = \Big(1 + \frac{\|z_i - z_j\|^2}{2 D c}\Big)^{-1/2}$$

    for codes divided by the prior's standard deviation per dimension, with the prior's exact score $s_i$ there. `scale`
    is $c$, in units of the mean squared distance $2D$ of two prior samples. Unbiased, therefore sometimes negative.
    Nearly blind to the weights of components that lie apart, where a score hardly depends on them, so it takes priors
    of one component. `forward` raises a ValueError for fewer than 2 codes.

    At weight 1: for a wrong mean alone, the mean squared shift in units of the prior's variance, times $E k$.
    """

    title = "Kernel Stein discrepancy"
    cites = ("liu2016", "chwialkowski2016", "gorham2017", "zimmermann2025")

    def __init__(self, prior, scale: Positive = 1.0):
        super().__init__(prior)
        self.scale = scale
        inverse = torch.cholesky_inverse(prior.scale_tril[0]) * rms(prior) ** 2
        self.register_buffer("inverse", inverse, persistent=False)

    @classmethod
    def unsupported(cls, prior, encoder):
        reason = None if prior.has_density else "the prior has no density, hence no score"
        if reason is None and len(prior.weights) > 1:
            reason = "a score hardly sees the weights of separate components"
        return super().unsupported(prior, encoder) or reason

    def forward(self, codes, posterior):
        too_few(codes)
        z = (codes - self.prior.means[0]) / rms(self.prior)
        n, D = z.shape
        c2, s, r2 = 2 * D * self.scale, -z @ self.inverse, torch.cdist(z, z).square()
        k = (1 + r2 / c2).rsqrt()
        along = s @ z.mT
        slope = along.diagonal() - along
        stein = s @ s.mT * k + (slope + slope.mT + D) / c2 * k**3 - 3 * r2 / c2**2 * k**5
        return (stein.sum() - stein.diagonal().sum()) / (n * (n - 1) * D)
