"""Latent regularizers: one file per method, one class per file. This file is the contract."""

import math
from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, MixtureSameFamily, MultivariateNormal
from torch.distributions import OneHotCategorical as OneHot

ENCODERS = ("deterministic", "gaussian", "universal")


class Prior(nn.Module):
    """p(z), a Gaussian mixture: weights (K,), means (K, D) and Cholesky factors (K, D, D).

    Zero factors are allowed: a one-hot prior is a mixture of D points, and has no density.
    The last `labels` entries of a code are a one-hot label that is given with the image, not encoded.
    """

    def __init__(
        self,
        weights: Float[Tensor, " K"],
        means: Float[Tensor, "K D"],
        scale_tril: Float[Tensor, "K D D"],
        labels: int = 0,
    ):
        super().__init__()
        self.labels = labels
        self.register_buffer("weights", weights)
        self.register_buffer("means", means)
        self.register_buffer("scale_tril", scale_tril)

    @property
    def dim(self) -> int:
        """D, the number of latent dimensions."""
        return self.means.shape[-1]

    @property
    def covariances(self) -> Float[Tensor, "K D D"]:
        """The components' covariance matrices."""
        return self.scale_tril @ self.scale_tril.mT

    @cached_property
    def has_density(self) -> bool:
        """False if any component is singular: a point, a line, a one-hot vertex."""
        return bool((self.scale_tril.diagonal(dim1=-2, dim2=-1) > 0).all())

    @cached_property
    def variance(self) -> float:
        """Mean variance per dimension, the square of the prior's length scale."""
        w = self.weights.double()
        mean = w @ self.means.double()
        within = self.covariances.double().diagonal(dim1=-2, dim2=-1)
        return float((w @ (within + (self.means.double() - mean) ** 2)).mean())

    @property
    def distribution(self) -> Distribution:
        """The same prior as a torch distribution, for densities; needs `has_density`."""
        components = MultivariateNormal(self.means, scale_tril=self.scale_tril, validate_args=False)
        return MixtureSameFamily(Categorical(probs=self.weights), components, validate_args=False)

    def sample(self, n: int) -> Float[Tensor, "{n} D"]:
        """`n` independent draws, from torch's global random state."""
        k = torch.multinomial(self.weights, n, replacement=True)
        noise = torch.randn(n, self.dim, 1, device=self.means.device)
        return self.means[k] + (self.scale_tril[k] @ noise).squeeze(-1)


class Point(Distribution):
    """A deterministic posterior: all mass on `mean` (n, D). Its sample is the mean itself."""

    def __init__(self, mean: Float[Tensor, "n D"]):
        self.location = mean
        super().__init__(mean.shape[:-1], mean.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Float[Tensor, "n D"]:
        """The point."""
        return self.location

    @property
    def variance(self) -> Float[Tensor, "n D"]:
        """Zero."""
        return torch.zeros_like(self.location)

    def rsample(self, sample_shape=()) -> Float[Tensor, "n D"]:
        """The point."""
        return self.location


class Simplex(OneHot):
    """q(y | x) over one-hot vectors, whose code is the vector of probabilities (Makhzani et al., 2015, sec. 5)."""

    def __init__(self, logits: Float[Tensor, "n D"]):
        super().__init__(logits=logits, validate_args=False)

    @property
    def variance(self) -> Float[Tensor, "n D"]:
        """Zero: the code is the probability vector, not a draw."""
        return torch.zeros_like(self.probs)

    def rsample(self, sample_shape=()) -> Float[Tensor, "n D"]:
        """The probabilities."""
        return self.probs


class Product(Distribution):
    """Independent posteriors side by side: the posterior of their concatenated codes."""

    def __init__(self, parts: Sequence[Distribution]):
        self.parts = tuple(parts)
        dim = sum(part.event_shape[0] for part in parts)
        super().__init__(parts[0].batch_shape, torch.Size([dim]), validate_args=False)

    @property
    def mean(self) -> Float[Tensor, "n D"]:
        """The parts' means, concatenated."""
        return torch.cat([part.mean for part in self.parts], dim=-1)

    @property
    def variance(self) -> Float[Tensor, "n D"]:
        """The parts' variances, concatenated."""
        return torch.cat([part.variance for part in self.parts], dim=-1)

    def rsample(self, sample_shape=()) -> Float[Tensor, "n D"]:
        """The parts' codes, concatenated."""
        return torch.cat([part.rsample() for part in self.parts], dim=-1)


class Regularizer(nn.Module):
    """Pulls the codes of a batch towards the prior.

    A subclass implements `forward`. Hyperparameters are annotated keyword arguments of `__init__`,
    explained in the class docstring in latent units. The rest is declared:

    - `encoders`: the encoders it can work with, the preferred one first.
    - `unsupported`: the reason why it cannot work with a prior or an encoder, or None.
    - `inner_steps`: updates of its own parameters, by `inner_loss`, before each penalty.
    - `sums_over_categories`: a categorical code is summed over, not relaxed (Kingma's M2).
    - `cites`: keys of `references.bib`.
    """

    title: str = ""
    cites: tuple[str, ...] = ()
    encoders: tuple[str, ...] = ENCODERS
    inner_steps: int = 0
    sums_over_categories: bool = False

    def __init__(self, prior: Prior):
        super().__init__()
        self.prior = prior

    @classmethod
    def unsupported(cls, prior: Prior, encoder: str) -> str | None:
        """Why this pair cannot work, in a few words for the tables; None if it can."""
        if encoder not in cls.encoders:
            return f"needs a {' or '.join(cls.encoders)} encoder"
        return None

    def inner_loss(self, codes: Float[Tensor, "n D"]) -> Float[Tensor, ""]:
        """The loss of the regularizer's own parameters, such as a discriminator's, given detached codes."""
        raise TypeError(f"{type(self).__name__} declares inner_steps but no inner_loss")

    def forward(self, codes: Float[Tensor, "n D"], posterior: Distribution) -> Float[Tensor, ""]:
        """The penalty, differentiable in the codes and in the posterior's parameters."""
        raise TypeError(f"{type(self).__name__} has no forward")

    def fit(self, codes: Float[Tensor, "n D"]) -> None:
        """What is fitted to the codes of the training set once the autoencoder is trained."""

    def sample(self, n: int) -> Float[Tensor, "{n} D"]:
        """Codes to decode into samples of the model: the prior's, unless `fit` learnt another source."""
        return self.prior.sample(n)

    def describe(self) -> dict[str, str]:
        """Facts of the last call that belong into the results, such as the backend that computed it."""
        return {}


def names() -> list[str]:
    """The regularizers at hand: the files of this folder, then those of installed packages."""
    own = [path.stem for path in Path(__file__).parent.glob("[!_]*.py")]
    return sorted(own) + sorted({e.name for e in entry_points(group="latentbench.regularizers")} - set(own))


def load(name: str) -> type[Regularizer]:
    """The one regularizer class of `regularizers/<name>.py`, or of the entry point of that name.

    Raises:
        LookupError: no such regularizer, or its file does not define exactly one.
    """
    if (Path(__file__).parent / f"{name}.py").exists():
        module = import_module(f"regularizers.{name}")
        found = [
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, Regularizer) and value.__module__ == module.__name__
        ]
        if len(found) != 1:
            raise LookupError(f"regularizers/{name}.py defines {len(found)} regularizers; it must define one")
        return found[0]
    for entry in entry_points(group="latentbench.regularizers", name=name):
        return entry.load()
    raise LookupError(f"no regularizer {name!r}; there are {', '.join(names())}")


def too_few(codes: Tensor, least: int = 2) -> None:
    """Raise a ValueError if a penalty between codes gets fewer than `least` of them."""
    if len(codes) < least:
        raise ValueError(f"this penalty compares codes with each other and needs at least {least}, got {len(codes)}")


def rms(prior: Prior) -> float:
    """The prior's standard deviation per dimension, the unit of bandwidths and blurs."""
    return math.sqrt(prior.variance)
