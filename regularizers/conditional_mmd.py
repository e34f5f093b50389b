"""Maximum mean discrepancy to the prior of each label, in closed form (Gretton et al., 2012)."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from regularizers import Prior, Regularizer, too_few
from regularizers._gradient import with_gradient
from regularizers._kernels import ladder
from regularizers._mixture import Embedding, normalised
from regularizers._pairs import pair_sum
from regularizers._ranges import Several


class ConditionalMMD(Regularizer):
    r"""Squared MMD to p(z | l) for each label l that codes are given, "unlabelled" being one; averaged over the codes.

    $$\sum_l q(l) \, MMD^2(q(z \mid l), p(z \mid l)) = \sum_l q(l) \left( E k(z, z') - 2 E k(z, y) + E k(y, y') \right),
    \quad z, z' \sim q(z \mid l), \ y, y' \sim p(z \mid l)$$

    Each code is pulled to the prior of its own label, and by the same right. In `mmd` a label is a coordinate like
    others, and what it says counts by its share squared: .0004 for a class that labels 2 % of the images, .64 for the
    80 % without label. Without labels this is `mmd`.

    `kernel`, `scales` and `normalise` are those of `mmd`, in units of p(z) over all labels. The statistic is unbiased;
    a code that is alone with its label in the batch is left out. Posteriors are sampled.

    At weight 1: that of `mmd`, averaged over the codes.
    """

    title = "MMD of each label (closed form)"
    cites = ("gretton2012", "huszar2015", "tolstikhin2018")
    unread = (("scales", "kernel", "energy"),)

    def __init__(
        self,
        prior: Prior,
        kernel: Literal["imq", "gaussian", "energy"] = "imq",
        scales: Several | None = None,
        normalise: bool = False,
    ):
        super().__init__(prior)
        self.D = prior.dim - prior.labels
        label = self.label(prior.means)
        self.present = label.unique().tolist()

        whole = of_codes(prior)
        scaled = ladder(whole, kernel, scales)
        self.kernel, self.used = normalised(whole, scaled) if normalise else scaled, {}
        self.mu = nn.ModuleList(Embedding(of_codes(prior, label == l), self.kernel) for l in self.present)

    @classmethod
    def unsupported(cls, prior, encoder):
        reason = "the prior is one point, which gives no unit of length"
        return super().unsupported(prior, encoder) or (None if of_codes(prior).variance > 0 else reason)

    def label(self, codes: Float[Tensor, "n D"]) -> Int64[Tensor, " n"]:
        """The label that ends each code; 0 where there are no labels."""
        return torch.cat([codes.new_full((len(codes), 1), -1.0), codes[:, self.D :]], 1).argmax(1)

    def forward(self, codes, posterior):
        too_few(codes)
        label = self.label(codes)
        groups = [(label == l).nonzero().flatten() for l in self.present]
        return with_gradient(lambda z: self.of_points(z, groups), codes[:, : self.D])

    def of_points(self, z: Float[Tensor, "n D"], groups: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The penalty of codes whose labels have these `groups` of rows, and its gradient."""
        n = len(z)
        value, gradient = z.new_zeros((), dtype=torch.float64), torch.zeros_like(z, dtype=torch.float64)
        for rows, mu in zip(groups, self.mu, strict=True):
            m = len(rows)
            if m < 2:
                continue
            *pairs, self.used = pair_sum(z[rows], self.kernel, diagonal=False)
            mmd2, gradient[rows] = (a / (n * (m - 1)) - 2 / n * b for a, b in zip(pairs, mu.sum(z[rows]), strict=True))
            value += mmd2 + m / n * mu.self_energy
        return value, gradient

    def describe(self):
        return self.used


def of_codes(prior: Prior, chosen: Tensor | slice = slice(None)) -> Prior:
    """p(z) of the chosen components, without their labels."""
    w, D = prior.weights[chosen], prior.dim - prior.labels
    return Prior(w / w.sum(), prior.means[chosen, :D], prior.scale_tril[chosen, :D, :D])
