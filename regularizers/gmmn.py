"""Generative moment matching network on the codes of an autoencoder (GMMN+AE, Li et al., 2015)."""

from itertools import pairwise

import torch
from torch import nn

from regularizers import Regularizer
from regularizers._ranges import Count, Several

BATCH = 256


class GMMN(Regularizer):
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
        super().__init__(prior)
        self.noise, self.bandwidths, self.steps = noise, tuple(bandwidths), steps
        layers = [m for a, b in pairwise((noise, 64, 256, 256)) for m in (nn.Linear(a, b), nn.ReLU())]
        self.generator = nn.Sequential(*layers, nn.Linear(256, prior.dim))
        self.register_buffer("mean", torch.zeros(prior.dim))
        self.register_buffer("scale", torch.ones(prior.dim))
        self.register_buffer("fitted", torch.tensor(False))

    def fit(self, codes):
        self.mean.copy_(codes.mean(0))
        self.scale.copy_(codes.std(0).clamp(min=1e-6))
        z = (codes.detach() - self.mean) / self.scale
        optimizer = torch.optim.Adam(self.generator.parameters())
        with torch.enable_grad():
            for step in range(self.steps):
                real = z[torch.randint(len(z), (BATCH,), device=z.device)]
                loss = self.mmd2(real, self.generate(BATCH)).clamp(min=1e-12).sqrt()
                optimizer.param_groups[0]["lr"] = 1e-3 * (1 - step / self.steps)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        self.fitted.fill_(True)

    def generate(self, n):
        """`n` standardised codes."""
        return self.generator(2 * torch.rand(n, self.noise, device=self.mean.device) - 1)

    def mmd2(self, x, y):
        r2 = torch.cdist(torch.cat([x, y]), torch.cat([x, y])).square() / (2 * x.shape[1])
        sign = torch.tensor([1.0, -1.0], device=x.device).repeat_interleave(BATCH) / BATCH
        return sign @ sum((-r2 / h**2).exp() for h in self.bandwidths) @ sign

    @torch.no_grad()
    def sample(self, n):
        return self.mean + self.scale * self.generate(n) if self.fitted else self.prior.sample(n)
