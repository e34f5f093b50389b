"""The codes of the test images in a plane, on the contours of their prior."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from jaxtyping import Float
from matplotlib.figure import Figure

from bench.config.schema import Config
from bench.data.declarations import declaration
from bench.figures.codes import Codes, load, seeds
from bench.figures.style import Drawing, LeftOut, canvas, legend
from bench.tables.tidy_table import title

UNKNOWN = 255  # the class of an image whose class is not known
# Ten hues that colour-blind readers can tell apart (Okabe and Ito's, and two darker ones).
CLASSES = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#8c6b1f", "#222222", "#999999", "#b8b000")


def drawings(config: Config, table: pd.DataFrame, experiment: str, folder: Path) -> list[Drawing | LeftOut]:
    """The codes of an experiment whose decoder reads a plane."""
    name = title(config, experiment, "experiments")
    found, _ = load(config, table, experiment, folder)
    having = [c for c in found if plane(c)]
    if not having:
        return []  # of more dimensions two say little
    if "test_classes" not in having[0].arrays:
        return [LeftOut("codes", f"{name}: no codes, because the result set does not hold the classes to colour them.")]
    n = len(having[0].arrays["test_classes"])
    return [
        Drawing(
            "codes", "Codes of the test images",
            f"Posterior means of {n:,} test images, coloured by class; the lines are contours of the prior's density, "
            "where it is the plane shown and has one. Above a panel: the share of codes beyond its frame. "
            + seeds(having),
            f"{name}, codes by class: {', '.join(c.name for c in having)}.",
            partial(scatters, having, declaration(having[0].settings.dataset).classes),
        )
    ]  # fmt: skip


def plane(codes: Codes) -> tuple[str, str | None] | None:
    """The array to scatter, and the latent whose prior lives in that plane: None if it is another plane."""
    if "representation" in codes.arrays:
        return "representation", None
    for name, latent in codes.settings.latents.items():
        if latent.head == "continuous" and latent.dim == 2 and f"test_{name}" in codes.arrays:
            return f"test_{name}", name
    return None


def levels(density: Float[np.ndarray, "m m"]) -> Float[np.ndarray, " l"]:
    """The heights of the lines at one, two and three standard deviations; none for a density that the grid misses."""
    found = density.max() * np.exp(-0.5 * np.array([3.0, 2.0, 1.0]) ** 2)
    return found if np.isfinite(found).all() and (np.diff(found) > 0).all() else found[:0]


def limits(found: list[Codes]) -> Float[np.ndarray, "2 2"]:
    """The lowest and highest value of both axes: what holds the prior, and nearly all codes of half of the methods."""
    from bench.figures import densities  # torch takes longer to import than all other figures to draw
    from bench.train.autoencoder import prior_of

    places = [(plane(c), c) for c in found]
    ends = [np.percentile(c.arrays[key][:, :2].astype(float), [0.5, 99.5], axis=0) for (key, _), c in places]
    frames = [densities.frame(prior_of(c.settings.latents[latent])) for (_, latent), c in places if latent]
    low = np.min([np.median([e[0] for e in ends], axis=0), *(f[0] for f in frames)], axis=0)
    high = np.max([np.median([e[1] for e in ends], axis=0), *(f[1] for f in frames)], axis=0)
    pad = 0.05 * (high - low) + 1e-6
    return np.stack([low - pad, high + pad])


def scatters(found: list[Codes], classes: int) -> Figure:
    """The codes of each method in the plane of the prior, whose contours are drawn, coloured by class."""
    from bench.figures import densities
    from bench.train.autoencoder import prior_of

    across = min(4, len(found))
    down = -(-len(found) // across)
    figure, axes = canvas(2.3 * across + 0.7, 2.4 * down, down, across, sharex=True, sharey=True)
    low, high = limits(found)
    grid = np.stack([np.linspace(a, b, 150) for a, b in zip(low, high, strict=True)])
    colors = {k: CLASSES[k % len(CLASSES)] for k in range(classes)} | {UNKNOWN: "#dddddd"}
    for ax in axes[len(found) :]:
        ax.set_axis_off()
    for ax, c in zip(axes, found, strict=False):
        key, latent = plane(c)
        z, y = c.arrays[key][:, :2].astype(float), c.arrays["test_classes"]
        sns.scatterplot(
            x=z[:, 0], y=z[:, 1], hue=y, palette=colors, s=3, linewidth=0, rasterized=True, legend=False, ax=ax
        )
        density = densities.contours(prior_of(c.settings.latents[latent]), grid) if latent else np.zeros((1, 1))
        if len(heights := levels(density)):
            ax.contour(*grid, density, levels=heights, colors="#333333", linewidths=0.7)
        ax.set_aspect("equal", adjustable="box")
        ax.set_xlim(*grid[0, [0, -1]])
        ax.set_ylim(*grid[1, [0, -1]])
        outside = ((z < grid[:, 0]) | (z > grid[:, -1])).any(axis=1).mean()
        ax.set_title(c.name + (f", {100 * outside:.0f} % outside" if outside >= 0.01 else ""), fontsize=8)
        ax.locator_params(nbins=4)
    figure.supxlabel("first dimension (latent units)", fontsize=7)
    figure.supylabel("second", fontsize=7)
    for k in range(min(classes, len(CLASSES))):
        axes[0].scatter([], [], color=CLASSES[k], s=14, label=str(k))
    legend(figure, title="class")
    return figure
