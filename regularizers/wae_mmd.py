"""Sampled maximum mean discrepancy of the Wasserstein autoencoder (Tolstikhin et al., 2018)."""

import torch

from regularizers import Regularizer, rms, too_few
from regularizers._ranges import Several


class WAEMMD(Regularizer):
    r"""MMD² between the codes $z$ and as many fresh prior samples $y$, with inverse multiquadric kernels.

    $$k(a, b) = \sum_C \frac{C}{C + \|a - b\|^2}, \qquad
    \frac{1}{n(n-1)} \sum_{i \neq j} \big[k(z_i, z_j) + k(y_i, y_j)\big] - \frac{2}{n^2} \sum_{i,j} k(z_i, y_j)$$

    The U-statistic of the authors' code: unbiased, therefore sometimes negative. `scales` are
    the $C$, the squared distances at which a kernel has fallen to one half, in units of the mean
    squared distance $2 D s^2$ of two prior samples ($s^2$ is the prior's variance per dimension);
    the defaults are the code's seven. `forward` raises a ValueError for fewer than 2 codes.

    At weight 1: the MMD² summed over the scales, each below 2.
    """

    title = "WAE-MMD (sampled)"
    cites = ("tolstikhin2018", "gretton2012")

    def __init__(self, prior, scales: Several = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)):
        super().__init__(prior)
        self.scales = tuple(scales)

    def forward(self, codes, posterior):
        too_few(codes)
        z, y = codes, self.prior.sample(len(codes))
        return self.off_diagonal(z) + self.off_diagonal(y) - 2 * self.kernel(z, y).mean()

    def off_diagonal(self, x):
        """The mean of $k(x_i, x_j)$ over pairs $i ≠ j$."""
        n = len(x)
        return (self.kernel(x, x).sum() - n * len(self.scales)) / (n * (n - 1))

    def kernel(self, a, b):
        """The sum of the kernels over the scales, for all pairs; differences first, for small distances."""
        unit = 2 * self.prior.dim * rms(self.prior) ** 2
        r2 = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square() / unit
        return sum(C / (C + r2) for C in self.scales)
