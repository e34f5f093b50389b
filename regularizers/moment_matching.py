"""Mean and covariance, as the control of all finer discrepancies (the loss of Sun & Saenko, 2016, and a mean)."""

from regularizers import Regularizer, rms, too_few


class MomentMatching(Regularizer):
    r"""Squared differences of the codes' mean $m$ and covariance $C$ from the prior's own $\mu$ and $\Sigma$.

    $$\frac{1}{D} \Big( \|m - \mu\|^2 / s^2 + \|C - \Sigma\|_F^2 / s^4 \Big)$$

    with $s$ the prior's standard deviation per dimension. Blind to all else: what it achieves
    on a mixture is what needs no distribution matching. Nothing is sampled and it has no
    hyperparameter. $C$ is the unbiased estimate; `forward` raises a ValueError for fewer than 2 codes.

    At weight 1: 1 for codes that are one standard deviation off in every dimension, and right otherwise.
    """

    title = "Moment matching"
    cites = ("sun2016",)

    def __init__(self, prior):
        super().__init__(prior)
        w, means = prior.weights, prior.means
        mean = w @ means
        between = (w[:, None] * (means - mean)).mT @ (means - mean)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("covariance", (w[:, None, None] * prior.covariances).sum(0) + between, persistent=False)

    def forward(self, codes, posterior):
        too_few(codes)
        s, m = rms(self.prior), codes.mean(0)
        C = (codes - m).mT @ (codes - m) / (len(codes) - 1)
        mismatch = ((m - self.mean) / s).square().sum() + ((C - self.covariance) / s**2).square().sum()
        return mismatch / self.prior.dim
