"""Figures from stored codes: samples, reconstructions, styles, manifolds, and the codes on their prior."""

from functools import partial
from pathlib import Path
from textwrap import fill
from typing import NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
import torch
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure
from torch.distributions import MultivariateNormal

from bench import data
from bench.drawing import Drawing, LeftOut, Look, canvas, digest
from bench.model import Autoencoder
from bench.pictures import PAIRS, SIDE, STEPS, STYLES, quantiles
from bench.published import settings
from bench.schema import Config, Settings
from bench.sources import NAMES, DataError
from bench.tables import RUN, methods, title
from regularizers import Prior

SAMPLES = 20
POINTS = 2000  # of a scatter


class Codes(NamedTuple):
    """The stored arrays of a method's first finished seed."""

    method: str
    seed: int
    arrays: dict[str, np.ndarray]
    settings: Settings


class Picture(NamedTuple):
    """A kind of figure made of images: how it is called, and how many columns an image array has."""

    title: str
    columns: int
    caption: str


def pictures(classes: int) -> dict[str, Picture]:
    """What is drawn of the arrays of `bench.pictures`, a panel for each method."""
    return {
        "styles": Picture(
            "Style grid", classes,
            f"Each row is one style, drawn from its prior, under every class in order; {STYLES} styles.",
        ),
        "relabelled": Picture(
            "Test images under every class", classes + 1,
            "Each row begins with a test image; then its own style under every class in order.",
        ),
        "manifold": Picture(
            "Manifold", SIDE,
            f"{SIDE} × {SIDE} decoded points of the plane that the decoder reads, at equal steps of probability "
            "(2.5 to 97.5 %) in each dimension.",
        ),
        "interpolations": Picture(
            "Interpolations", STEPS,
            f"Straight lines between the codes of two test images, in {STEPS} steps; {PAIRS} pairs.",
        ),
    }  # fmt: skip


def drawings(
    config: Config, table: pd.DataFrame, experiment: str, runs: Path, see: dict[str, Look]
) -> list[Drawing | LeftOut]:
    """The figures of an experiment that need stored codes; each left out where a run's codes are not there."""
    name = title(config, experiment, "experiments")
    found, missing, digests = load(config, table, experiment, runs)
    if not found or missing:
        why = "are not kept with the results" if not found else f"of {', '.join(missing)} are not there"
        kinds = ("samples", "reconstructions", *pictures(10), "latents")
        return [LeftOut("pictures", f"{name}: samples, grids and codes are not shown, because the codes {why}.", kinds)]
    source = NAMES[found[0].settings.dataset]
    make = partial(_drawing, name, digests, config)
    items: list[Drawing | LeftOut] = []
    with_samples = [c for c in found if "samples" in c.arrays]
    if with_samples:
        items.append(
            make(
                "samples", "Samples of the model",
                f"Decoded samples, {SAMPLES} for each method: the first ones, not chosen.",
                with_samples, partial(strips, with_samples, "samples", None, source.shape, config),
            )
        )  # fmt: skip
    with_both = [c for c in found if "reconstructions" in c.arrays]
    if with_both:
        items.append(
            make(
                "reconstructions", "Reconstructions",
                "First row: the first test images. Below, each method's reconstruction of them.",
                with_both, partial(strips, with_both, "reconstructions", "originals", source.shape, config),
            )
        )  # fmt: skip
    for kind, picture in pictures(source.classes).items():
        having = [c for c in found if kind in c.arrays]
        if having:
            draw = partial(panels, having, kind, picture.columns, source.shape, config)
            items.append(make(kind, picture.title, picture.caption, having, draw))
    having = [c for c in found if _plane(c)]
    labels = test_labels(config, having[0].settings) if having else None
    if labels is None:
        why = "the data set is not there to colour them by class" if having else "none is continuous"
        items.append(LeftOut("latents", f"{name}: the codes are not shown, because {why}.", ("latents",)))
    else:
        _, shown = _plane(having[0])
        dims = having[0].arrays[_plane(having[0])[0]].shape[1]
        part = "" if dims == 2 else f" The first two of {dims} dimensions."
        items.append(
            make(
                "latents", "Codes of the test images",
                f"Posterior means of {min(POINTS, len(labels)):,} test images, coloured by class; the lines are "
                f"contours of the prior's density{'' if shown else ' where it is the plane shown'}.{part}",
                having, partial(scatters, having, labels, source.classes, config),
            )
        )  # fmt: skip
    return items


def load(
    config: Config, table: pd.DataFrame, experiment: str, runs: Path
) -> tuple[list[Codes], list[str], dict[str, bytes]]:
    """The codes of each method's first finished seed, the methods that lack theirs, and the files' bytes."""
    own = table[table["experiment"] == experiment].drop_duplicates(RUN)
    found, missing, content = [], [], {}
    for method in methods(config, table, experiment):
        finished = own[(own["method"] == method) & (own["status"] == "ok")].sort_values("seed")
        s = settings(config, experiment, method)
        if finished.empty or s is None:
            continue
        run = finished.iloc[0]
        path = runs / str(run["run"]) / "codes.npz"
        if not path.exists():
            missing.append(title(config, method))
            continue
        content[method] = path.read_bytes()
        with np.load(path, allow_pickle=False) as archive:
            found.append(Codes(method, int(run["seed"]), dict(archive), s))
    return found, missing, content


def _drawing(name, content, config, kind, heading, caption, having, draw) -> Drawing:
    seeds = sorted({c.seed for c in having})
    seed = f"Seed {seeds[0]} of each method." if len(seeds) == 1 else "The first finished seed of each method."
    who = ", ".join(title(config, c.method) for c in having)
    made_of = digest(kind, *(content[c.method] for c in having))
    return Drawing(kind, heading, f"{caption} {seed}", f"{name}, {heading.lower()}: {who}.", made_of, draw)


def montage(images: UInt8[np.ndarray, "n pixels"], shape: tuple, columns: int) -> UInt8[np.ndarray, "h w 3"]:
    """Images as one, in rows of `columns`, with white lines between them."""
    c, h, w = shape
    rows = -(-len(images) // columns)
    canvas = np.full((rows * (h + 1) + 1, columns * (w + 1) + 1, 3), 255, np.uint8)
    for i, image in enumerate(images.reshape(-1, c, h, w).transpose(0, 2, 3, 1)):
        y, x = (i // columns) * (h + 1) + 1, (i % columns) * (w + 1) + 1
        canvas[y : y + h, x : x + w] = image  # one channel spreads over three
    return canvas


def _show(ax, image: UInt8[np.ndarray, "h w 3"]) -> None:
    ax.imshow(image, interpolation="nearest")
    ax.set_axis_off()


def strips(found: list[Codes], key: str, first: str | None, shape: tuple, config: Config) -> Figure:
    """A row of images for each method; above them the row `first`, the same for all."""
    rows = [(title(config, c.method), c.arrays[key][:SAMPLES]) for c in found]
    if first:
        rows.insert(0, ("Test images", found[0].arrays[first][:SAMPLES]))
    figure, axes = canvas(8.5, 0.3 + 0.38 * len(rows) * min(20 / len(rows[0][1]), 1.3), len(rows), 1)
    for ax, (label, images) in zip(axes, rows, strict=True):
        _show(ax, montage(images, shape, len(images)))
        ax.set_ylabel(fill(label, 24), rotation=0, ha="right", va="center", fontsize=7)
        ax.set_axis_on()
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    figure.get_layout_engine().set(rect=(0.02, 0, 0.98, 1))  # the layout takes labels for narrower than they are
    return figure


def panels(found: list[Codes], key: str, columns: int, shape: tuple, config: Config) -> Figure:
    """A montage for each method, side by side."""
    across = min(3, len(found))
    down = -(-len(found) // across)
    image = montage(found[0].arrays[key], shape, columns)
    height = image.shape[0] / image.shape[1] * 3.0 + 0.3
    figure, axes = canvas(3.0 * across, height * down, down, across)
    for ax in axes[len(found) :]:
        ax.set_axis_off()
    for ax, c in zip(axes, found, strict=False):
        _show(ax, montage(c.arrays[key], shape, columns))
        ax.set_title(fill(title(config, c.method), 40), fontsize=8)
    return figure


def _plane(codes: Codes) -> tuple[str, str | None] | None:
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
        return data.load(s.dataset, config.data_root).test.y.numpy()
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
    """The lowest and highest value of both axes: what holds the prior, and nearly all codes of each method."""
    low, high = [], []
    for c in found:
        key, latent = _plane(c)
        ends = [np.percentile(c.arrays[key][:, :2], [0.5, 99.5], axis=0)]
        if latent:
            extent = quantiles(prior_of(c.settings, latent), torch.tensor([0.002, 0.998]))[:2].T.numpy()
            reach = extent[1] - extent[0]
            ends = [extent, ends[0].clip(extent[0] - 2 * reach, extent[1] + 2 * reach)]
        low += [e[0] for e in ends]
        high += [e[1] for e in ends]
    low, high = np.min(low, axis=0), np.max(high, axis=0)
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
    for ax, c in zip(axes, found, strict=False):
        key, latent = _plane(c)
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
        ax.set_title(fill(title(config, c.method), 40), fontsize=8)
        ax.set_xlabel("first dimension (latent units)", fontsize=7)
        ax.set_ylabel("second", fontsize=7)
    for k in range(classes):
        axes[0].scatter([], [], color=colors[k], s=14, label=str(k))
    figure.legend(title="class", loc="outside right upper", fontsize=7)
    return figure
