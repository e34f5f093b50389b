"""A Gaussian mixture fitted ex post to the codes of a plain autoencoder (Ghosh et al., 2020)."""

import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from regularizers import Prior, Regularizer
from regularizers._ranges import Count


class ExPost(Regularizer):
    """No penalty; afterwards a Gaussian mixture is fitted to the codes, and replaces the prior as their source.

    `components` is their number, each with a full covariance, by expectation maximisation (scikit-learn).
    What a regularizer wins over this needs more than a good model of the codes. `fit` raises a
    ValueError for fewer codes than components, and seeds itself from torch's random state.
    """

    title = "Autoencoder, mixture fitted ex post"
    cites = ("ghosh2020",)

    def __init__(self, prior, components: Count = 10):
        super().__init__(prior)
        K, D = components, prior.dim
        self.mixture = Prior(torch.full((K,), 1 / K), torch.zeros(K, D), torch.zeros(K, D, D))
        self.register_buffer("fitted", torch.tensor(False))
        self.converged = ""

    def fit(self, codes):
        z = codes.detach().double().cpu().numpy()
        floor = 1e-6 * max(z.var(), 1e-6)  # codes on a simplex have a flat direction
        seed = int(torch.randint(2**31 - 1, ()))
        model = GaussianMixture(len(self.mixture.weights), max_iter=200, reg_covar=floor, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # `describe` tells
            model.fit(z)
        self.mixture.weights.copy_(torch.tensor(model.weights_))
        self.mixture.means.copy_(torch.tensor(model.means_))
        self.mixture.scale_tril.copy_(torch.tensor(np.linalg.cholesky(model.covariances_)))
        self.fitted.fill_(True)
        self.converged = str(model.converged_)

    def sample(self, n):
        return (self.mixture if self.fitted else self.prior).sample(n)

    def describe(self):
        return {"converged": self.converged} if self.converged else {}
