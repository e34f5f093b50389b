"""Generative moment matching network on the codes of an autoencoder (GMMN+AE, Li et al., 2015)."""

from itertools import pairwise

import torch
from torch import nn

from regularizers._ranges import Count, Several
from regularizers._source import BATCH, LearntSource


class GMMN(LearntSource):
    r"""No penalty; afterwards a generator network learns the codes, and replaces the prior as their source.

    `fit` minimises $\sqrt{\mathrm{MMD}^2_V}$ between 256 codes and as many generated ones, `steps` times, with
    $k(a, b) = \sum_h \exp(-\|a - b\|^2 / 2 D h^2)$. The codes are first standardised in each dimension:
    the `bandwidths` $h$ are in units of their standard deviation. The generator has the paper's widths
    (64, 256, 256) and rectified units; its noise is uniform on $[-1, 1]$ in `noise` dimensions.
    The paper trains eighty times longer, with batches of 1000 and momentum instead of Adam.
    """

    title = "GMMN+AE"
    cites = ("li2015gmmn",)

    def __init__(self, prior, noise: Count = 10, bandwidths: Several = (0.2, 0.5, 1.0), steps: Count = 500):
        super().__init__(prior, steps)
        self.noise, self.bandwidths = noise, tuple(bandwidths)
        layers = [m for a, b in pairwise((noise, 64, 256, 256)) for m in (nn.Linear(a, b), nn.ReLU())]
        self.generator = nn.Sequential(*layers, nn.Linear(256, prior.dim))

    def loss(self, codes):
        x = torch.cat([codes, self.generate(BATCH)])
        r2 = torch.cdist(x, x).square() / (2 * x.shape[1])
        sign = torch.tensor([1.0, -1.0], device=x.device).repeat_interleave(BATCH) / BATCH
        mmd2 = sign @ sum((-r2 / h**2).exp() for h in self.bandwidths) @ sign
        return mmd2.clamp(min=1e-12).sqrt()

    def generate(self, n):
        return self.generator(2 * torch.rand(n, self.noise, device=self.mean.device) - 1)
