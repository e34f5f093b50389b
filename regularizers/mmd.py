"""Maximum mean discrepancy to the prior, in closed form (Gretton et al., 2012; Rustamov, 2019)."""

from collections.abc import Sequence
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from regularizers import Prior, Regularizer, too_few
from regularizers._gradient import with_gradient
from regularizers._kernels import ladder
from regularizers._mixture import Embedding, gaussian_pair_sum, is_gaussian, normalised
from regularizers._pairs import BACKENDS, pair_sum
from regularizers._ranges import Amount, Several


class MMD(Regularizer):
    r"""Squared MMD between the aggregated posterior q(z) and the prior p(z).

    $$E k(z, z') - 2 E k(z, y) + E k(y, y'), \quad z, z' \sim q, \ y, y' \sim p$$

    The prior is a Gaussian mixture, so both expectations over it are Gaussian integrals: it is
    never sampled. So is the first one, if posteriors are Gaussian and `integrate` is true.

    `kernel` is "imq" (inverse multiquadric), "gaussian" or "energy"; `scales` its ladder, in units
    of the prior's variance τ² and dimension D: C = 2Dτ² c, or l² = Dτ² c. `statistic` "u" drops
    the pairs i = j and is unbiased, "v" keeps them. `normalise` divides each scale by its E k(y, y').
    `backend` is that of `pair_sum`.

    `norm` is λ of a term λ s(z) s(z') in the kernel, s(z) = |z|² / E|y|², hence of a penalty λ (E s(z) - 1)², where the
    prior is one of points: k alone balances the categories of a one-hot code first, this lets them decide first.

    Of a Gaussian prior and "gaussian" it is the classical test of normality (Baringhaus & Henze, 1988; Henze & Zirkler,
    1990), of a mixture SeGMA's penalty (Śmieja et al., 2021), with "imq" the best of KerJEPA (Zimmermann et al., 2025).

    At weight 1: the MMD² summed over the scales, each below 2, or below 2 / E k(y, y') if `normalise`; "energy" has the
    latent's own unit of length.
    """

    title = "MMD (closed form)"
    cites = (
        "gretton2012", "huszar2015", "tolstikhin2018", "rustamov2019", "baringhaus1988", "henze1990", "smieja2021",
        "zimmermann2025",
    )  # fmt: skip
    unread = (("scales", "kernel", "energy"),)

    def __init__(
        self,
        prior: Prior,
        kernel: Literal["imq", "gaussian", "energy"] = "imq",
        scales: Several | None = None,
        statistic: Literal["u", "v"] = "u",
        normalise: bool = False,
        integrate: bool = True,
        norm: Amount = 0.0,
        backend: Literal["auto", "dense", "keops"] = "auto",
    ):
        super().__init__(prior)
        if statistic not in ("u", "v"):
            raise ValueError(f"no statistic {statistic!r}; there are u and v")
        if backend not in BACKENDS:
            raise ValueError(f"no backend {backend!r}; there are {', '.join(BACKENDS)}")
        self.v, self.integrate, self.backend, self.used = statistic == "v", integrate, backend, {}
        scaled = ladder(prior, kernel, scales)
        self.kernel = normalised(prior, scaled) if normalise else scaled
        self.mu, self.norm = Embedding(prior, self.kernel), 0.0 if prior.scale_tril.any() else norm
        self.register_buffer("unit", prior.weights @ prior.means.square().sum(1), persistent=False)

    @classmethod
    def unsupported(cls, prior, encoder):
        reason = "the prior is one point, which gives no unit of length"
        return super().unsupported(prior, encoder) or (None if prior.variance > 0 else reason)

    def forward(self, codes, posterior):
        n = len(codes)
        too_few(codes, 1 if self.v else 2)
        if self.integrate and is_gaussian(posterior):
            mmd2 = with_gradient(self.of_gaussians, posterior.mean, posterior.variance)
        else:
            mmd2 = with_gradient(self.of_points, codes)
        if self.norm:
            excess = codes.square().sum(1) / self.unit - 1
            pairs = excess.mean().square() if self.v else (excess.sum() ** 2 - excess.square().sum()) / (n * (n - 1))
            mmd2 = mmd2 + self.norm * pairs
        return mmd2

    def of_points(self, z: Float[Tensor, "n D"]) -> tuple[Tensor, ...]:
        """MMD² of the empirical measure of `z`, and its gradient."""
        *pairs, self.used = pair_sum(z, self.kernel, self.v, self.backend)
        return self.combine(len(z), pairs, self.mu.sum(z))

    def of_gaussians(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, ...]:
        """MMD² of the mixture of the posteriors N(mean_i, diag variance_i), and its gradients in both."""
        pairs = gaussian_pair_sum(mean, variance, self.kernel, self.v)
        self.used = {"backend": "dense"}
        return self.combine(len(mean), pairs, self.mu.sum_of_gaussians(mean, variance))

    def combine(self, n: int, pairs: Sequence[Tensor], cross: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Σ k(z, z') / count - 2 Σ μ(z) / n + E k(y, y'), and the gradients that follow."""
        value, *gradients = (a / (n * (n if self.v else n - 1)) - 2 / n * b for a, b in zip(pairs, cross, strict=True))
        return value + self.mu.self_energy, *gradients

    def describe(self):
        return self.used
