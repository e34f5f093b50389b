"""What a trained autoencoder can show: decoded grids, as arrays. Pure; drawn by `bench.figures.drawing`."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import one_hot

from bench.data.datasets import Dataset
from bench.train.autoencoder import Autoencoder
from regularizers import Prior

STYLES = 8  # rows of a style grid
SIDE = 20  # the manifold grid's
PLACES = ("representation", "manifold_axes")

Codes = dict[str, Tensor]


@torch.no_grad
def pictures(autoencoder: Autoencoder, dataset: Dataset, codes: Codes) -> dict[str, np.ndarray]:
    """Every picture that the model can show, by name: images (n, pixels) as bytes, and float32 places.

    `codes` are the posterior means of the test images, by latent, in their order. What does not
    apply is absent: a manifold of more than two dimensions, a style grid without classes. A
    decoder that was never trained shows nothing.
    """
    if "reconstruction" not in autoencoder.settings.terms:
        return {}
    codes = inputs(autoencoder, dataset, codes)
    found = {**manifold(autoencoder, dataset, codes), **styles(autoencoder, dataset, codes)}
    return {name: value.cpu().numpy() if name in PLACES else as_bytes(value) for name, value in found.items()}


def as_bytes(pixels: Float[Tensor, "n pixels"]) -> np.ndarray:
    """Images in [0, 1] as bytes."""
    return (pixels.clamp(0, 1) * 255).round().byte().cpu().numpy()


def inputs(autoencoder: Autoencoder, dataset: Dataset, codes: Codes) -> Codes:
    """The codes that the decoder reads; the label is one where it is given."""
    names = autoencoder.settings.decoder
    if "label" in names:
        codes = codes | {"label": one_hot(dataset.test.y.clamp(min=0), dataset.classes).float()}
    return {name: codes[name] for name in names}


def manifold(autoencoder: Autoencoder, dataset: Dataset, codes: Codes) -> dict[str, Tensor]:
    """Where the decoder reads two dimensions: a grid of SIDE x SIDE decoded points, from the top left.

    The points are quantiles of the prior in each dimension (Kingma & Welling, 2014, Fig. 4). Where it reads
    W y + z, quantiles of that representation of the test images, which is returned too: `representation` (n, 2).
    """
    u = torch.linspace(0.025, 0.975, SIDE, dtype=torch.float64)
    if autoencoder.cluster_heads is not None:
        representation = autoencoder.join(codes)
        if representation.shape[1] != 2:
            return {}
        axes = representation.quantile(u.to(representation), dim=0).T
        extra = {"representation": representation}
    else:
        [name, *others] = autoencoder.settings.decoder
        if others or codes[name].shape[1] != 2:
            return {}
        axes = quantiles(autoencoder.priors[name], u).to(codes[name])
        extra = {}
    x, y = torch.meshgrid(axes[0], axes[1].flip(0), indexing="xy")
    points = torch.stack([x.flatten(), y.flatten()], dim=1)
    logits = autoencoder.decoder(points)
    decoded = logits.sigmoid() if autoencoder.settings.output == "sigmoid" else logits
    return {"manifold": dataset.to_pixels(decoded.float()), "manifold_axes": axes, **extra}


def quantiles(prior: Prior, u: Float[Tensor, " m"]) -> Float[Tensor, "D m"]:
    """The quantiles of each dimension of a Gaussian mixture, by bisection of its distribution function."""
    means, std = prior.means.double().cpu(), prior.covariances.double().diagonal(dim1=-2, dim2=-1).sqrt().cpu()
    weights, u = prior.weights.double().cpu(), u.double().cpu()
    reach = (10 * std + 1e-9).max()
    low = (means.min(0).values - reach)[:, None].expand(-1, len(u)).clone()
    high = (means.max(0).values + reach)[:, None].expand(-1, len(u)).clone()
    for _ in range(80):
        middle = (low + high) / 2
        shift = (middle[..., None] - means.T[:, None]) / std.clamp(min=1e-12).T[:, None]
        below = (torch.special.ndtr(shift) @ weights) < u
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2


def styles(autoencoder: Autoencoder, dataset: Dataset, codes: Codes) -> dict[str, Tensor]:
    """The styles of test images under every class, if the decoder reads a class: the label, or a one-hot code.

    `relabelled`: STYLES rows, each the image itself, then its style under the classes in order (as in Makhzani et
    al., 2015, Fig. 7, whose styles are draws of the prior).
    """
    names = [n for n in codes if n == "label" or autoencoder.settings.latents[n].head == "categorical"]
    rest = [n for n in codes if n not in names]
    if len(names) != 1 or not rest or autoencoder.cluster_heads is not None:
        return {}
    [name] = names
    K = codes[name].shape[1]
    repeated = {n: codes[n][:STYLES].repeat_interleave(K, dim=0) for n in rest}
    classes = torch.eye(K, device=dataset.mean.device).repeat(STYLES, 1)
    decoded = dataset.to_pixels(autoencoder.decode(repeated | {name: classes})).view(STYLES, K, -1)
    test = dataset.to_pixels(dataset.test.x[:STYLES])
    return {"relabelled": torch.cat([test[:, None], decoded], dim=1).flatten(0, 1)}
