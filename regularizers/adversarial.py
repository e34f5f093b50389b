"""Adversarial autoencoder (Makhzani et al., 2015)."""

import torch
from torch import nn
from torch.nn.functional import softplus

from regularizers import Regularizer
from regularizers._ranges import Count


class Adversarial(Regularizer):
    """A discriminator tells codes from prior samples; the encoder learns to fool it.

    `forward` is the non-saturating generator loss, `inner_loss` the discriminator's (Goodfellow
    et al., 2014). The discriminator has two hidden layers of `width` rectified units, as in the
    paper, and sees codes in the latent's own units; `inner_steps` is its updates for each of
    the encoder's.
    """

    title = "AAE"
    cites = ("makhzani2015", "goodfellow2014")

    def __init__(self, prior, width: Count = 1000, inner_steps: Count = 1):
        super().__init__(prior)
        self.inner_steps = inner_steps
        self.discriminator = nn.Sequential(
            nn.Linear(prior.dim, width), nn.ReLU(),
            nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, 1),
        )  # fmt: skip

    def inner_loss(self, codes):
        both = torch.cat([self.prior.sample(len(codes)), codes])
        real, fake = self.network(self.discriminator, both).chunk(2)
        return softplus(-real).mean() + softplus(fake).mean()

    def forward(self, codes, posterior):
        return softplus(-self.network(self.discriminator, codes)).mean()
