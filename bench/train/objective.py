"""The loss terms that an experiment can name, and the regularizers that serve them."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

from bench.config import registry
from bench.config.registry import PluginError
from bench.train.autoencoder import Autoencoder
from regularizers import Point, Product, Simplex, labelled, load

CERTAIN = 100.0  # a logit whose category has all the mass, to every digit of float32


class Batch(NamedTuple):
    """Images with the labels that training may see (the class count where it may not), and labelled images."""

    x: Float[Tensor, "n pixels"]
    y: Int64[Tensor, " n"]
    labelled_x: Float[Tensor, "m pixels"] | None = None
    labelled_y: Int64[Tensor, " m"] | None = None


class Encoded(NamedTuple):
    """A batch's posteriors and codes, by latent."""

    posteriors: dict[str, Distribution]
    codes: dict[str, Tensor]


class Unsupported(ValueError):
    """The regularizer declares that it cannot work with this prior or encoder."""


class Objective(nn.Module):
    """The terms of the loss, each a method: a scalar of a batch and its codes.

    Each latent has a regularizer of its own.
    """

    def __init__(self, autoencoder: Autoencoder, labelled_share: float):
        super().__init__()
        s = autoencoder.settings
        self.autoencoder, self.settings, self.labelled_share = autoencoder, s, labelled_share
        regularizer = load(s.regularizer)
        self.regularizers = nn.ModuleList()
        for name, latent in s.latents.items():
            prior = autoencoder.priors[name]
            if latent.given:
                prior = labelled(prior, labelled_share, autoencoder.classes)
            reason = regularizer.unsupported(prior, s.encoder)
            if reason:
                raise Unsupported(reason)
            penalty = regularizer(prior, **s.hyperparameters)
            if getattr(penalty, "prior", None) is not prior:
                raise self._broken("__init__ does not call super().__init__(prior)")
            penalty.precision = s.precision
            self.regularizers.append(penalty)
        self.sums = regularizer.sums_over_categories
        self.categorical = [name for name, latent in s.latents.items() if latent.head == "categorical"]

    def _broken(self, what: str) -> PluginError:
        return PluginError(f"{registry.source('regularizers', self.settings.regularizer)}: {what}")

    def _number(self, method: str, value: object) -> Float[Tensor, ""]:
        """What a method of a regularizer returns, if it is what it should be."""
        if not isinstance(value, Tensor) or value.dim():
            found = f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise self._broken(f"{method} returns {found}, expected one number, a tensor ()")
        return value

    def encode(self, batch: Batch, posteriors: dict[str, Distribution] | None = None) -> Encoded:
        """Posteriors, unless they are given, and their codes; the label is a code too where the decoder reads it."""
        posteriors = self.autoencoder.encode(batch.x) if posteriors is None else posteriors
        if self.sums and "y" in self.categorical:
            posteriors = posteriors | {"y": self._known(posteriors["y"], batch.y)}
        codes = {name: posterior.rsample() for name, posterior in posteriors.items()}
        if "label" in self.settings.decoder:
            codes["label"] = one_hot(batch.y, self.autoencoder.classes).to(batch.x.dtype)
        return Encoded(posteriors, codes)

    def _known(self, q: Simplex, y: Int64[Tensor, " n"]) -> Simplex:
        """q(y | x), and where the label is given all of its mass on it.

        So an image with its label contributes its own bound, and one without the expectation under q(y | x), to all
        terms (Kingma et al., 2014, eq. 6, 7 and 8).
        """
        K = q.event_shape[0]
        certain = CERTAIN * one_hot(y.clamp(max=K - 1), K).to(q.logits)
        return Simplex(torch.where((y < self.autoencoder.classes)[:, None], certain, q.logits))

    def reconstruction(self, batch: Batch, encoded: Encoded) -> Float[Tensor, ""]:
        """Half the summed squared error of an image, or its cross-entropy, averaged over the batch.

        Where the method sums over categories, the expectation under q(y | x) (Kingma et al., 2014).
        """
        if not (self.sums and self.categorical):
            return self._error(encoded.codes, batch.x).mean()
        [y] = self.categorical
        q = encoded.posteriors[y].mean
        n, K = q.shape
        codes = {name: code.repeat(K, 1) for name, code in encoded.codes.items()}
        codes[y] = torch.eye(K, device=q.device, dtype=q.dtype).repeat_interleave(n, dim=0)
        error = self._error(codes, batch.x.repeat(K, 1)).view(K, n)
        return (q.T * error).sum(0).mean()

    def _error(self, codes: dict[str, Tensor], x: Float[Tensor, "n pixels"]) -> Float[Tensor, " n"]:
        logits = self.autoencoder.logits(codes)
        if self.settings.loss == "bernoulli":
            return binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
        mean = logits.sigmoid() if self.settings.output == "sigmoid" else logits
        return 0.5 * (mean - x).square().sum(-1)

    def penalised(self, batch: Batch, encoded: Encoded) -> list[tuple[nn.Module, Tensor, Distribution]]:
        """Each regularizer with the codes and the posterior that it sees: with the label, where that is given."""
        found = []
        for regularizer, (name, latent) in zip(self.regularizers, self.settings.latents.items(), strict=True):
            codes, posterior = encoded.codes[name], encoded.posteriors[name]
            if latent.given:
                label = one_hot(batch.y, self.autoencoder.classes + 1).to(batch.x.dtype)
                codes, posterior = torch.cat([codes, label], dim=-1), Product([posterior, Point(label)])
            found.append((regularizer, codes, posterior))
        return found

    def regularization(self, batch: Batch, encoded: Encoded) -> Float[Tensor, ""]:
        """The method's weight times the sum of the penalties, each with its latent's own factor."""
        total = torch.zeros((), device=batch.x.device)
        for name, (regularizer, codes, posterior) in zip(
            self.settings.latents, self.penalised(batch, encoded), strict=True
        ):
            penalty = self._number("forward", regularizer(codes, posterior))
            total = total + self.settings.weights.get(name, 1.0) * penalty
        return self.settings.weight * total

    def inner(self, regularizer: nn.Module, codes: Float[Tensor, "n D"]) -> Float[Tensor, ""]:
        """The loss of a regularizer's own parameters."""
        return self._number("inner_loss", regularizer.inner_loss(codes.detach()))

    def classification(self, batch: Batch, encoded: Encoded) -> Float[Tensor, ""]:
        """The cross-entropy of q(y | x) on labelled images (Kingma et al., 2014, eq. 9)."""
        logits = self.autoencoder.encode(batch.labelled_x)["y"].logits
        return cross_entropy(logits, batch.labelled_y) * self.settings.weights.get("classification", 1.0)

    def separation(self, batch: Batch, encoded: Encoded) -> Float[Tensor, ""]:
        """The cluster heads' pairwise distances below the margin, summed (Makhzani et al., 2015, sec. 7)."""
        short = (self.settings.separation_margin - self.autoencoder.head_distances()).clamp(min=0)
        return self.settings.weights.get("separation", 1.0) * short.sum()

    def sample(self, n: int) -> dict[str, Tensor]:
        """Codes to decode into `n` samples of the model, by latent."""
        codes = {}
        for regularizer, (name, latent) in zip(self.regularizers, self.settings.latents.items(), strict=True):
            sample, shape = regularizer.sample(n), (n, regularizer.prior.dim)
            if sample.shape != shape:
                raise self._broken(f"sample({n}) returns a tensor {tuple(sample.shape)}, expected {shape}")
            codes[name] = sample = sample[:, : latent.dim]  # without the label, where that is given
        if "label" in self.settings.decoder:
            y = torch.randint(self.autoencoder.classes, (n,), device=sample.device)
            codes["label"] = one_hot(y, self.autoencoder.classes).float()
        return codes
