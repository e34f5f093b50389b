"""Regularized autoencoder, its penalty of the codes (Ghosh et al., 2020)."""

from regularizers import Regularizer, rms
from regularizers._ranges import Count
from regularizers.ex_post import ExPost


class RAE(Regularizer):
    r"""Short codes; afterwards a Gaussian mixture is fitted to them, and replaces the prior as their source.

    $$\frac{1}{2n} \sum_i \|z_i\|^2 / s^2$$

    with $s$ the prior's standard deviation per dimension. `components` and the fit are those of `ex_post`. It is the
    paper's RAE without an explicit penalty of the decoder (weight decay, gradient penalty or spectral norm): a
    regularizer sees codes, not the decoder. So the decoder can undo it by a factor, and its weight should be small.

    At weight 1: the mean of a VAE's KL divergence, without its variances, in nats for a standard normal prior.
    """

    title = "RAE, mixture fitted ex post"
    cites = ("ghosh2020",)

    def __init__(self, prior, components: Count = 10):
        super().__init__(prior)
        self.source = ExPost(prior, components)

    def forward(self, codes, posterior):
        return (codes / rms(self.prior)).square().sum(1).mean() / 2

    def fit(self, codes):
        self.source.fit(codes)

    def sample(self, n):
        return self.source.sample(n)

    def describe(self):
        return self.source.describe()
