"""The density of a prior in the plane of its latent. Imports torch, and is itself imported where codes are drawn."""

import numpy as np
import torch
from jaxtyping import Float
from torch.distributions import MultivariateNormal

from regularizers import Prior


def contours(prior: Prior, axes: Float[np.ndarray, "2 m"]) -> Float[np.ndarray, "m m"]:
    """The density of a prior on a grid."""
    x, y = torch.meshgrid(*torch.from_numpy(axes), indexing="xy")
    points = torch.stack([x, y], dim=-1)
    density = torch.zeros_like(x)
    for weight, mean, covariance in zip(prior.weights, prior.means.double(), prior.covariances.double(), strict=True):
        component = MultivariateNormal(mean[:2], covariance[:2, :2], validate_args=False)
        density += weight.double() * component.log_prob(points).exp()
    return density.numpy()


def frame(prior: Prior) -> Float[np.ndarray, "2 2"]:
    """The lowest and the highest point that three standard deviations of a component reach."""
    reach = 3 * prior.covariances.diagonal(dim1=-2, dim2=-1).sqrt()
    return np.stack([(prior.means - reach).amin(0)[:2].numpy(), (prior.means + reach).amax(0)[:2].numpy()])
