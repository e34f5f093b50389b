"""Flow matching on the codes of a plain autoencoder (Lipman et al., 2023)."""

import torch
from torch import nn

from regularizers._ranges import Count
from regularizers._source import LearntSource

MIDPOINTS = 50  # steps from noise to a sample


class FlowMatching(LearntSource):
    r"""No penalty; afterwards a flow from noise to the codes is fitted, and replaces the prior as their source.

    $$\mathbb{E} \, \|v(x_t, t) - (z - y)\|^2, \quad x_t = (1 - t)\, y + t z, \quad y \sim \mathcal{N}(0, I), \
    t \sim U(0, 1)$$

    for codes $z$ that are standardised in each dimension, `steps` times 256 of them. The velocity $v$ has two hidden
    layers of `width` units. A sample is $x_1$ of $\dot x = v(x, t)$, from noise at $t = 0$, in 50 steps of the midpoint
    rule. What a regularizer wins over this needs more than a good model of the codes.
    """

    title = "Autoencoder, flow matching ex post"
    cites = ("lipman2023", "ghosh2020")

    def __init__(self, prior, width: Count = 128, steps: Count = 1000):
        super().__init__(prior, steps)
        D = prior.dim
        self.v = nn.Sequential(
            nn.Linear(D + 1, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, D)
        )

    def velocity(self, x, t):
        """v(x, t)."""
        return self.v(torch.cat([x, t], dim=1))

    def loss(self, codes):
        y, t = torch.randn_like(codes), torch.rand(len(codes), 1, device=codes.device)
        return (self.velocity(torch.lerp(y, codes, t), t) - (codes - y)).square().mean()

    def generate(self, n):
        x, h = torch.randn(n, self.prior.dim, device=self.mean.device), 1 / MIDPOINTS
        for t in torch.arange(MIDPOINTS, device=x.device) * h:
            t = t.expand(n, 1)
            x = x + h * self.velocity(x + h / 2 * self.velocity(x, t), t + h / 2)
        return x
