"""The posteriors that an encoder gives beside Gaussians: torch distributions whose codes can be trained through."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, OneHotCategorical


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


class Simplex(OneHotCategorical):
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
