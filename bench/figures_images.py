"""Figures made of images: a strip of them, or a montage, for each method."""

from textwrap import fill
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure

from bench.drawing import canvas
from bench.pictures import PAIRS, SIDE, STEPS, STYLES
from bench.schema import Config
from bench.stored_codes import Codes
from bench.tidy import title

SAMPLES = 20


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
