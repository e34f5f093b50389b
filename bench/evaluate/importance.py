"""The importance-weighted bound of the log-likelihood, for models that have a Gaussian encoder."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Independent, Normal

from bench.evaluate.ais import Model


@torch.no_grad
def importance_weighted(
    model: Model,
    x: Float[Tensor, "n d"],
    mean: Float[Tensor, "n D"],
    variance: Float[Tensor, "n D"],
    draws: int = 1000,
) -> Float[Tensor, " n"]:
    """Log (1/k) Σ p(x, z) / q(z | x) with k `draws` of a Gaussian encoder (Burda et al., 2016), float64, in nats.

    A lower bound in expectation; with one draw it is the evidence lower bound. One draw for all images
    is held at a time.
    """
    q = Independent(Normal(mean, variance.sqrt(), validate_args=False), 1)
    total = torch.full((len(x),), -torch.inf, dtype=torch.float64, device=x.device)
    for _ in range(draws):
        z = q.sample()
        joint = model.log_likelihood(x, z).double() + model.log_prior(z)[0].double()
        total = torch.logaddexp(total, joint - q.log_prob(z).double())
    return total - math.log(draws)
