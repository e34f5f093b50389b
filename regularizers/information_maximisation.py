"""Information maximisation of categorical codes (Hu et al., 2017; Krause et al., 2010)."""

from torch.distributions import Distribution

from regularizers import Regularizer, Simplex, rms, too_few
from regularizers._ranges import Amount
from regularizers.mmd import MMD


class InformationMaximisation(Regularizer):
    r"""Categories that are decided in each image and balanced over the batch.

    $$\mathrm{KL}\big(\bar q \,\|\, p\big) + \lambda \, \frac1n \sum_i H\big(q(y \mid x_i)\big), \qquad
    \bar q = \frac1n \sum_i q(y \mid x_i)$$

    At $\lambda = 1$ and a uniform prior over $K$ categories it is $\log K - I(x; y)$. `entropy` is $\lambda$; its
    default is the one to four of IMSAT, whose augmentation is left out. Dual-AAE uses both terms in an adversarial
    autoencoder (Ge et al., 2020). `norm` of `mmd` is the quadratic cousin of the entropy. Codes that are no
    probabilities of categories have no entropy: they get the energy distance in closed form, divided by the prior's
    standard deviation per dimension. `forward` raises a ValueError for fewer than 2 codes.

    At weight 1: nats; at most $(1 + \lambda) \log K$.
    """

    title = "Information maximisation"
    cites = ("hu2017", "krause2010", "ge2020", "szekely2013")

    def __init__(self, prior, entropy: Amount = 0.25):
        super().__init__(prior)
        self.entropy, self.otherwise = entropy, MMD(prior, kernel="energy")

    @classmethod
    def unsupported(cls, prior, encoder):
        return super().unsupported(prior, encoder) or MMD.unsupported(prior, encoder)

    def forward(self, codes, posterior: Distribution):
        too_few(codes)
        if not isinstance(posterior, Simplex):
            return self.otherwise(codes, posterior) / rms(self.prior)
        q, p = posterior.probs.mean(0), self.prior.weights @ self.prior.means
        imbalance = q @ (q.clamp(min=1e-30).log() - p.log())
        return imbalance - self.entropy * (posterior.probs * posterior.logits).sum(1).mean()

    def describe(self):
        return self.otherwise.describe()
