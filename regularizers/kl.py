"""Kullback-Leibler divergence of each posterior to the prior (Kingma & Welling, 2014)."""

from torch.distributions import MixtureSameFamily, kl_divergence

from regularizers import Regularizer
from regularizers._ranges import Amount


class KL(Regularizer):
    r"""$\frac1n \sum_i \mathrm{KL}(q(z \mid x_i) \,\|\, p(z))$: the variational autoencoder's regularizer.

    Matches every posterior to the prior, not only their average; codes are therefore sampled.
    Exact for a Gaussian or categorical prior; for a mixture, one-sample Monte Carlo with the
    exact densities. In an autoencoder with a categorical code this is Kingma's M2: the
    category is summed over. `beta` > 1 makes a β-VAE (Higgins et al., 2017).

    At weight 1: nats, as in the evidence lower bound.
    """

    title = "VAE"
    cites = ("kingma2014vae", "kingma2014m2", "higgins2017")
    encoders = ("gaussian",)
    sums_over_categories = True

    def __init__(self, prior, beta: Amount = 1.0):
        super().__init__(prior)
        self.beta = beta

    @classmethod
    def unsupported(cls, prior, encoder):
        if not prior.has_density and not hasattr(prior.distribution, "probs"):
            return "the prior has no density"
        return super().unsupported(prior, encoder)

    def forward(self, codes, posterior):
        p = self.prior.distribution
        if isinstance(p, MixtureSameFamily):
            return self.beta * (posterior.log_prob(codes) - p.log_prob(codes)).mean()
        return self.beta * kl_divergence(posterior, p).mean()
