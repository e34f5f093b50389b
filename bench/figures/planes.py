"""The codes of the test images in a plane, on the contours of their prior."""

from textwrap import fill

import numpy as np
import seaborn as sns
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch.distributions import MultivariateNormal

from bench.config.schema import Config, Settings
from bench.data import datasets
from bench.data.sources import DataError
from bench.evaluate.decoded_grids import quantiles
from bench.figures.codes import Codes
from bench.figures.style import canvas, legend
from bench.tables.tidy_table import title
from bench.train.autoencoder import Autoencoder
from regularizers import Prior

POINTS = 2000  # of a scatter


def plane(codes: Codes) -> tuple[str, str | None] | None:
    """The array to scatter, and the latent whose prior lives in that plane: None if it is another plane."""
    if "representation" in codes.arrays:
        return "representation", None
    for name, latent in codes.settings.latents.items():
        if latent.head == "continuous" and latent.dim > 1 and f"test_{name}" in codes.arrays:
            return f"test_{name}", name
    return None


def test_labels(config: Config, s: Settings) -> np.ndarray | None:
    """The classes of the test images, in their order; None if the data set is not there."""
    try:
        return datasets.load(s.dataset, config.data_root).test.y.numpy()
    except (DataError, OSError):
        return None


test_labels.__test__ = False  # pytest takes the name for a test


def prior_of(s: Settings, name: str) -> Prior:
    """The prior of a latent. Narrow layers make the rest of the model cheap."""
    return Autoencoder(s.model_copy(update={"width": 1, "depth": 1}), 1, 10).priors[name]


def contours(prior: Prior, axes: Float[np.ndarray, "2 m"]) -> Float[np.ndarray, "m m"]:
    """The density of a prior on a grid, in its first two dimensions."""
    x, y = torch.meshgrid(*torch.from_numpy(axes).float(), indexing="xy")
    points = torch.stack([x, y], dim=-1)
    density = torch.zeros(x.shape)
    for weight, mean, covariance in zip(prior.weights, prior.means, prior.covariances, strict=True):
        component = MultivariateNormal(mean[:2], covariance[:2, :2], validate_args=False)
        density += weight * component.log_prob(points).exp()
    return density.numpy()


def limits(found: list[Codes]) -> Float[np.ndarray, "2 2"]:
    """The lowest and highest value of both axes: what holds the prior, and nearly all codes of half of the methods."""
    low, high, frames = [], [], []
    for c in found:
        key, latent = plane(c)
        ends = np.percentile(c.arrays[key][:, :2], [0.5, 99.5], axis=0)
        if latent:
            frames.append(quantiles(prior_of(c.settings, latent), torch.tensor([0.002, 0.998]))[:2].T.numpy())
        low.append(ends[0])
        high.append(ends[1])
    low = np.min([np.median(low, axis=0), *(f[0] for f in frames)], axis=0)
    high = np.max([np.median(high, axis=0), *(f[1] for f in frames)], axis=0)
    pad = 0.05 * (high - low) + 1e-6
    return np.stack([low - pad, high + pad])


def scatters(found: list[Codes], labels: np.ndarray, classes: int, config: Config) -> Figure:
    """The codes of each method in the plane of the prior, whose contours are drawn, coloured by class."""
    across = min(3, len(found))
    down = -(-len(found) // across)
    figure, axes = canvas(2.9 * across + 0.7, 2.9 * down, down, across)
    low, high = limits(found)
    grid = np.stack([np.linspace(a, b, 150) for a, b in zip(low, high, strict=True)])
    colors = np.array(sns.color_palette("colorblind", 10))[np.arange(classes) % 10]
    for ax in axes[len(found) :]:
        ax.set_axis_off()
    for i, (ax, c) in enumerate(zip(axes, found, strict=False)):
        key, latent = plane(c)
        z = c.arrays[key][:POINTS, :2]
        y = labels[: len(z)]
        ax.scatter(z[:, 0], z[:, 1], s=3, c=colors[y.clip(0)], linewidths=0, rasterized=True)
        if latent:
            density = contours(prior_of(c.settings, latent), grid)
            levels = density.max() * np.exp(-0.5 * np.array([3.0, 2.0, 1.0]) ** 2)
            ax.contour(*grid, density, levels=levels, colors="#333333", linewidths=0.7)
        ax.set_aspect("equal", adjustable="box")
        ax.set_xlim(*grid[0, [0, -1]])
        ax.set_ylim(*grid[1, [0, -1]])
        outside = ((z < grid[:, 0]) | (z > grid[:, -1])).any(axis=1).mean()
        beyond = f"\n{100 * outside:.0f} % outside" if outside >= 0.01 else ""
        ax.set_title(fill(title(config, c.method), 40) + beyond, fontsize=8)
        left, lowest = i % across == 0, i + across >= len(found)
        ax.locator_params(nbins=4)
        ax.tick_params(labelleft=left, labelbottom=lowest)
        ax.set_xlabel("first dimension (latent units)" if lowest else "", fontsize=7)
        ax.set_ylabel("second" if left else "", fontsize=7)
    for k in range(classes):
        axes[0].scatter([], [], color=colors[k], s=14, label=str(k))
    legend(figure, title="class")
    return figure
