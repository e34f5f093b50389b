"""Two-stage variational autoencoder (Dai & Wipf, 2019)."""

import math

import torch
from torch import nn

from regularizers._ranges import Count
from regularizers._source import LearntSource
from regularizers.kl import KL


class TwoStage(LearntSource):
    r"""A VAE whose codes a second VAE learns afterwards, and replaces the prior as their source.

    The penalty is that of `kl`. `fit` maximises the evidence lower bound of the codes $z \sim q(z \mid x)$,
    standardised in each dimension, `steps` times of 256 codes: encoder and decoder have two hidden layers of `width`
    rectified units, as many latents as codes have, and the decoder's variance $\gamma$ is learnt, as in the paper. In
    the first stage it is not: there the reconstruction is the benchmark's, the same for all methods.

    At weight 1: nats, as in the evidence lower bound.
    """

    title = "Two-stage VAE"
    cites = ("dai2019", "kingma2014vae")
    encoders = ("gaussian",)

    def __init__(self, prior, width: Count = 128, steps: Count = 1000):
        super().__init__(prior, steps)
        self.kl, D = KL(prior), prior.dim
        self.encoder, self.decoder = (
            nn.Sequential(nn.Linear(D, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, out))
            for out in (2 * D, D)
        )
        self.log_gamma = nn.Parameter(torch.zeros(()))

    @classmethod
    def unsupported(cls, prior, encoder):
        reason = None if prior.has_density else "its second stage learns continuous codes"
        return KL.unsupported(prior, encoder) or reason

    def forward(self, codes, posterior):
        return self.kl(codes, posterior)

    def loss(self, codes):
        mean, log_variance = self.encoder(codes).chunk(2, dim=1)
        u = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        error = (self.decoder(u) - codes).square() / self.log_gamma.exp() + self.log_gamma + math.log(2 * math.pi)
        return (error + mean.square() + log_variance.exp() - log_variance - 1).sum(1).mean() / 2

    def generate(self, n):
        u, noise = torch.randn(2, n, self.prior.dim, device=self.mean.device)
        return self.decoder(u) + (self.log_gamma / 2).exp() * noise
