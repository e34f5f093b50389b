"""What an average KL divergence is made of: a mismatch of the codes, and information about the images."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from regularizers import Prior


class Decomposition(NamedTuple):
    """In nats: average_kl = marginal_kl + mutual_information, with the latter's standard error over images."""

    average_kl: float
    marginal_kl: float
    mutual_information: float
    standard_error: float


def decompose(
    mean: Float[Tensor, "N D"], variance: Float[Tensor, "N D"], prior: Prior, chunk: int = 2**22
) -> Decomposition:
    r"""The average KL of Gaussian posteriors, split as Hoffman & Johnson (2016) do.

    $$\frac1N \sum_n KL(q(z|x_n) \| p(z)) = KL(q(z) \| p(z)) + I_q(n; z), \quad q(z) = \frac1N \sum_n q(z|x_n)$$

    I is the mutual information of an image's index and its code, at most log N. It is estimated with
    a code z of every posterior as the mean of log q(z|x_n) − log q(z), where q(z) is the
    full sum over all N posteriors, never a minibatch's: unbiased, exact where posteriors do not
    overlap. The average KL is exact for a Gaussian prior with one component, otherwise the mean of
    log q(z|x_n) − log p(z) of the same codes. Codes come from torch's global random state;
    `chunk` is the number of densities held at once. All sums are in float64.

    Raises:
        ValueError: a prior without a density, or variances that are not positive and finite.
    """
    if not prior.has_density:
        raise ValueError("the prior has no density: its KL divergence to any Gaussian is infinite")
    mean, variance = mean.double(), variance.double()
    if not (variance > 0).all() or not variance.isfinite().all() or not mean.isfinite().all():
        raise ValueError("a KL divergence needs finite means and positive, finite variances")
    N = len(mean)
    posterior = Independent(Normal(mean, variance.sqrt()), 1)
    z = posterior.sample()
    own = posterior.log_prob(z)
    information = own - torch.cat([log_aggregate(part, mean, variance) for part in z.split(max(1, chunk // N))])
    if len(prior.weights) == 1:
        component = MultivariateNormal(prior.means[0].double(), scale_tril=prior.scale_tril[0].double())
        average = kl_divergence(MultivariateNormal(mean, scale_tril=variance.sqrt().diag_embed()), component)
    else:
        average = own - prior.log_joint(z).logsumexp(1)
    average_kl, mi = average.mean().item(), information.mean().item()
    error = information.std(correction=0).item() / math.sqrt(N)
    return Decomposition(average_kl, average_kl - mi, mi, error)


def log_aggregate(
    z: Float[Tensor, "n D"], mean: Float[Tensor, "N D"], variance: Float[Tensor, "N D"]
) -> Float[Tensor, " n"]:
    """Log (1/N) Σ_m N(z; mean_m, variance_m), the density of the aggregated posterior; no chunks."""
    precision = 1 / variance
    exponent = torch.cat([z.square(), z], 1) @ torch.cat([precision, -2 * mean * precision], 1).mT  # (n, N)
    constant = (mean.square() * precision + (2 * math.pi * variance).log()).sum(1)
    return torch.logsumexp(-0.5 * (exponent + constant), 1) - math.log(len(mean))
