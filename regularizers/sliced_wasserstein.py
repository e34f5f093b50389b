"""Sliced Wasserstein distance to prior samples (Kolouri et al., 2019)."""

import torch
from torch.nn.functional import normalize

from regularizers import Regularizer, rms, too_few
from regularizers._ranges import Count


class SlicedWasserstein(Regularizer):
    r"""The squared 2-Wasserstein distance of one-dimensional projections, averaged over random directions.

    $$\frac{1}{L n s^2} \sum_{l=1}^{L} \sum_{i=1}^{n}
    \big(\langle\theta_l, z\rangle_{(i)} - \langle\theta_l, y\rangle_{(i)}\big)^2$$

    where $(i)$ sorts the $n$ codes $z$ and as many fresh prior samples $y$ along each direction,
    and $s$ is the prior's standard deviation per dimension. `projections` is $L$, the number of
    directions, drawn afresh each time: more cost time and make the gradient less noisy, they
    do not change its mean. `forward` raises a ValueError for fewer than 2 codes.

    At weight 1: 1 for codes that are one standard deviation off in every dimension, and right otherwise.
    """

    title = "Sliced Wasserstein"
    cites = ("kolouri2019", "deshpande2018")

    def __init__(self, prior, projections: Count = 50):
        super().__init__(prior)
        self.projections = projections

    def forward(self, codes, posterior):
        too_few(codes)
        theta = normalize(torch.randn(self.prior.dim, self.projections, device=codes.device), dim=0)
        z, y = codes @ theta, self.prior.sample(len(codes)) @ theta
        return (z.sort(dim=0).values - y.sort(dim=0).values).square().mean() / rms(self.prior) ** 2
