"""The autoencoder: encoder, priors and decoder. The same for every regularizer."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from bench.config.schema import Latent, Settings
from bench.config.streams import stream
from bench.train.architectures import assembled
from regularizers import Point, Prior, Simplex, prior, rms


class ContinuousHead(nn.Module):
    """q(z | x): a point, or N(mean, diag(std²)) for the Gaussian encoder, whose std is learnt unless it is given.

    All have the same parameters, so that the initial weights do not depend on the method.
    """

    def __init__(self, width: int, dim: int, gaussian: bool, std: float | None = None):
        super().__init__()
        self.gaussian, self.std = gaussian, std
        self.mean = nn.Linear(width, dim)
        self.log_std = nn.Linear(width, dim)

    def forward(self, features: Float[Tensor, "n width"]) -> Distribution:
        mean = self.mean(features)
        if not self.gaussian:
            return Point(mean)
        std = self.log_std(features).exp() if self.std is None else torch.full_like(mean, self.std)
        return Independent(Normal(mean, std, validate_args=False), 1)


class CategoricalHead(nn.Module):
    """q(y | x) over one-hot vectors; the code is its vector of probabilities."""

    def __init__(self, width: int, dim: int, batch_norm: bool):
        super().__init__()
        self.logits = nn.Linear(width, dim)
        self.norm = nn.BatchNorm1d(dim) if batch_norm else nn.Identity()

    def forward(self, features: Float[Tensor, "n width"]) -> Distribution:
        return Simplex(self.norm(self.logits(features)))


class NormedHead(nn.Module):
    """A continuous head with batch normalisation of its mean (Makhzani et al., 2015, App. A.3)."""

    def __init__(self, head: ContinuousHead, dim: int):
        super().__init__()
        self.head, self.norm = head, nn.BatchNorm1d(dim)

    def forward(self, features: Float[Tensor, "n width"]) -> Distribution:
        posterior = self.head(features)
        mean = self.norm(posterior.mean)
        if not self.head.gaussian:
            return Point(mean)
        return Independent(Normal(mean, posterior.stddev, validate_args=False), 1)


class Autoencoder(nn.Module):
    """Posteriors q(z | x), priors p(z) and a decoder of the codes, as the settings describe them."""

    def __init__(self, settings: Settings, shape: tuple[int, int, int], classes: int):
        """Of images of `shape` (channels, height, width), given as rows of pixels, in so many classes."""
        super().__init__()
        s, norm = settings, settings.batch_norm != "none"
        self.settings, self.classes = s, classes
        self.input_noise, self.input_dropout = s.input_noise, nn.Dropout(s.input_dropout)
        dims = {name: latent.dim for name, latent in s.latents.items()} | {"label": classes}
        # Representation W y + z (Makhzani et al., 2015, sec. 7): the decoder sees the sum alone.
        inputs = dims[s.decoder[1]] if s.merge == "add" else sum(dims[name] for name in s.decoder)
        self.first, self.trunk, self.decoder = assembled(s, shape, inputs)
        # The universal approximator posterior: noise enters beside the image (Makhzani et al., 2015, sec. 2).
        self.noise = nn.Linear(s.noise_dim, s.width, bias=False) if s.encoder == "universal" else None
        self.heads, self.priors = nn.ModuleDict(), nn.ModuleDict()
        for name, latent in s.latents.items():
            self.priors[name] = prior_of(latent)
            if latent.head == "categorical":
                self.heads[name] = CategoricalHead(s.width, latent.dim, norm)
            else:
                std = None if s.posterior_std is None else s.posterior_std * rms(self.priors[name])
                head = ContinuousHead(s.width, latent.dim, s.encoder == "gaussian", std)
                self.heads[name] = NormedHead(head, latent.dim) if norm else head
        self.cluster_heads = nn.Linear(dims[s.decoder[0]], inputs, bias=False) if s.merge == "add" else None

    def initialise(self, seed: int) -> "Autoencoder":
        """Draw each parameter from a stream of its own, so that one more layer changes no other.

        'default' is PyTorch's uniform(±1/√fan_in); 'paper' is N(0, 0.01²) and zero biases.
        """
        for name, parameter in sorted(self.named_parameters()):
            module = self.get_submodule(name.rpartition(".")[0])
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                continue  # ones and zeros
            generator = torch.Generator().manual_seed(stream(seed, f"init/{name}"))
            with torch.no_grad():
                if self.settings.init == "paper":
                    parameter.normal_(0, 0.01, generator=generator)
                    if name.endswith("bias"):
                        parameter.zero_()
                else:
                    bound = 1 / math.sqrt(module.weight[0].numel())
                    parameter.uniform_(-bound, bound, generator=generator)
                if name.startswith("cluster_heads"):
                    parameter.normal_(0, 1, generator=generator)
        return self

    def freeze_encoder(self) -> None:
        """Leave the encoder as it is: from here on only the decoder learns."""
        for module in (self.first, self.noise, self.trunk, self.heads):
            if module is not None:
                module.requires_grad_(False)

    def encode(self, x: Float[Tensor, "n pixels"]) -> dict[str, Distribution]:
        """The posterior of each latent. While training, of the noisy input."""
        if self.training:
            if self.input_noise:
                x = x + self.input_noise * torch.randn_like(x)
            x = self.input_dropout(x)
        with self._autocast(x):
            features = self.first(x)
            if self.noise is not None:
                features = features + self.noise(torch.randn(len(x), self.noise.in_features, device=x.device))
            features = self.trunk(features)
        features = features.float()
        return {name: head(features) for name, head in self.heads.items()}

    def _autocast(self, x: Tensor) -> torch.autocast:
        # The wide layers alone: heads, penalties and losses stay in float32 under either precision.
        return torch.autocast(x.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16")

    def join(self, codes: dict[str, Float[Tensor, "n _"]]) -> Float[Tensor, "n inputs"]:
        """What the decoder reads: the codes side by side, or W y + z."""
        if self.cluster_heads is not None:
            y, z = self.settings.decoder
            return self.cluster_heads(codes[y]) + codes[z]
        return torch.cat([codes[name] for name in self.settings.decoder], dim=-1)

    def logits(self, codes: dict[str, Float[Tensor, "n _"]]) -> Float[Tensor, "n pixels"]:
        """The decoder's output before its last non-linearity."""
        inputs = self.join(codes)
        with self._autocast(inputs):
            return self.decoder(inputs).float()

    def decode(self, codes: dict[str, Float[Tensor, "n _"]]) -> Float[Tensor, "n pixels"]:
        """The mean image of each code."""
        out = self.logits(codes)
        return out.sigmoid() if self.settings.output == "sigmoid" else out

    def head_distances(self) -> Float[Tensor, " pairs"]:
        """The distances between all pairs of cluster heads, the columns of W."""
        return torch.pdist(self.cluster_heads.weight.T)


def prior_of(latent: Latent) -> Prior:
    """The prior of a latent."""
    return prior(latent.prior)(latent.dim, **latent.settings)
