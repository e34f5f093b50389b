"""Adversarial autoencoder (Makhzani et al., 2015) and the critics that adversarial networks have had since."""

from copy import deepcopy
from typing import Annotated, Literal

import torch
from annotated_types import Interval
from torch import nn
from torch.nn.functional import relu, softplus
from torch.nn.utils.parametrizations import spectral_norm

from regularizers import Regularizer
from regularizers._ranges import Amount, Count

# What the critic's outputs of prior samples and codes, real and fake, cost the critic and the encoder.
LOSSES = {
    "non_saturating": (lambda real, fake: softplus(-real) + softplus(fake), lambda fake: softplus(-fake)),
    "hinge": (lambda real, fake: relu(1 - real) + relu(1 + fake), lambda fake: -fake),
    "wasserstein": (lambda real, fake: fake - real, lambda fake: -fake),
    "relativistic": (lambda real, fake: softplus(fake - real), lambda fake, real: softplus(real - fake)),
}


class Adversarial(Regularizer):
    r"""A critic tells codes from prior samples; the encoder learns to fool it.

    $$\min_E \max_D E \log D(y) + E \log (1 - D(z)), \quad z \sim q, \ y \sim p$$

    As in the paper: `loss` "non_saturating" (Goodfellow et al., 2014), two hidden layers of `width` rectified units,
    codes in the latent's own units, `inner_steps` updates of the critic for each of the encoder's. Later:
    "relativistic" pairs (Huang et al., 2024), "hinge" (Miyato et al., 2018), "wasserstein" (Arjovsky et al., 2017).
    `penalty` is γ of γ/2 (E|∇D(y)|² + E|∇D(z)|²), R1 and R2 (Mescheder et al., 2018). `spectral` bounds each layer's
    norm by 1. `noise` is the deviation of noise on all that the critic sees, in those of the prior. The encoder faces
    a mean of the past critics, of which each step keeps the share `average`.

    At weight 1: nats; $\log 2$ where the critic cannot tell codes from prior samples. "hinge" and "wasserstein" have
    the critic's own unit.
    """

    title = "AAE"
    cites = ("makhzani2015", "goodfellow2014", "mescheder2018", "huang2024", "miyato2018", "arjovsky2017", "yazici2019")

    def __init__(
        self,
        prior,
        loss: Literal["non_saturating", "relativistic", "hinge", "wasserstein"] = "non_saturating",
        width: Count = 1000,
        inner_steps: Count = 1,
        penalty: Amount = 0.0,
        spectral: bool = False,
        noise: Amount = 0.0,
        average: Annotated[float | int, Interval(ge=0, lt=1)] = 0.0,
    ):
        super().__init__(prior)
        self.loss, (self.of_critic, self.of_encoder) = loss, LOSSES[loss]
        self.inner_steps, self.penalty, self.average = inner_steps, penalty, average
        self.std = noise * prior.variance**0.5
        bound = spectral_norm if spectral else lambda layer: layer
        self.discriminator = nn.Sequential(
            bound(nn.Linear(prior.dim, width)), nn.ReLU(),
            bound(nn.Linear(width, width)), nn.ReLU(),
            bound(nn.Linear(width, 1)),
        )  # fmt: skip
        self.averaged = deepcopy(self.discriminator) if average else None

    def outputs(self, critic, *codes):
        """The critic's output for each of `codes`, and what it saw."""
        seen = torch.cat(codes)
        seen = seen + self.std * torch.randn_like(seen) if self.std else seen
        return *self.network(critic, seen).chunk(len(codes)), seen

    def inner_loss(self, codes):
        if self.average:
            with torch.no_grad():
                for mean, new in zip(self.averaged.parameters(), self.discriminator.parameters(), strict=True):
                    mean.lerp_(new, 1 - self.average)
        real = self.prior.sample(len(codes)).requires_grad_(self.penalty > 0)
        *outputs, seen = self.outputs(self.discriminator, real, codes)
        loss = self.of_critic(*outputs).mean()
        if self.penalty:
            (slope,) = torch.autograd.grad(sum(out.sum() for out in outputs), seen, create_graph=True)
            loss = loss + self.penalty / 2 * slope.square().sum() / len(codes)
        return loss

    def forward(self, codes, posterior):
        pairs = (self.prior.sample(len(codes)),) if self.loss == "relativistic" else ()
        *outputs, _ = self.outputs(self.averaged or self.discriminator, codes, *pairs)
        return self.of_encoder(*outputs).mean()
