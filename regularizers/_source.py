"""A network that learns the codes of a trained autoencoder, and becomes their source."""

import torch
from jaxtyping import Float
from torch import Tensor

from regularizers import Regularizer

BATCH = 256


class LearntSource(Regularizer):
    """`fit` descends the `loss` of 256 standardised codes a step, by Adam with a rate that falls to 0.

    A subclass gives that loss, and `generate`, its samples of standardised codes.
    """

    def __init__(self, prior, steps: int):
        super().__init__(prior)
        self.steps = steps
        self.register_buffer("mean", torch.zeros(prior.dim))
        self.register_buffer("scale", torch.ones(prior.dim))
        self.register_buffer("fitted", torch.tensor(False))

    def loss(self, codes: Float[Tensor, "n D"]) -> Float[Tensor, ""]:
        """What the network descends."""
        raise NotImplementedError

    def generate(self, n: int) -> Float[Tensor, "{n} D"]:
        """`n` standardised codes."""
        raise NotImplementedError

    def fit(self, codes):
        self.mean.copy_(codes.mean(0))
        self.scale.copy_(codes.std(0).clamp(min=1e-6))
        z = (codes.detach() - self.mean) / self.scale
        optimizer = torch.optim.Adam(self.parameters())
        with torch.enable_grad():
            for step in range(self.steps):
                loss = self.loss(z[torch.randint(len(z), (BATCH,), device=z.device)])
                optimizer.param_groups[0]["lr"] = 1e-3 * (1 - step / self.steps)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        self.fitted.fill_(True)

    @torch.no_grad()
    def sample(self, n):
        return self.mean + self.scale * self.generate(n) if self.fitted else self.prior.sample(n)
