"""Figures made of images: a strip of them, or a montage, for each method."""

from textwrap import fill
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.config.schema import Config
from bench.evaluate.decoded_grids import PAIRS, SIDE, STEPS, STYLES
from bench.figures.codes import Codes
from bench.figures.style import DPI
from bench.tables.tidy_table import title

SAMPLES = 20
IMAGE, PANEL = 35, 330  # pixels that an image of a strip, and a montage, have about
LABELS, LINE, GAP = 175, 14, 5  # pixels: of a strip's labels, of a line of words, and between things


class Picture(NamedTuple):
    """A kind of figure made of images: how it is called, and how many columns it has; None for a row of each style."""

    title: str
    columns: int | None
    caption: str


PICTURES = {  # what is drawn of the arrays of `bench.evaluate.decoded_grids`, a panel for each method
    "styles": Picture(
        "Style grid", None,
        f"Each row is one style, drawn from its prior, under every class or cluster in order; {STYLES} styles.",
    ),
    "relabelled": Picture(
        "Test images under every class", None,
        "Each row begins with a test image; then its own style under every class or cluster in order.",
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


def sheet(width: int, height: int) -> tuple[Figure, Axes]:
    """A figure of so many pixels, whose only axes cover it and count them from the top left."""
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    return figure, axes


def place(axes: Axes, image: UInt8[np.ndarray, "h w 3"], left: int, top: int, zoom: int) -> None:
    """An image at a place of a `sheet`, each of its pixels as wide as `zoom` of the sheet's."""
    h, w = image.shape[:2]
    axes.imshow(image, extent=(left, left + zoom * w, top + zoom * h, top), interpolation="none", aspect="auto")


def strips(found: list[Codes], key: str, first: str | None, shape: tuple, config: Config) -> Figure:
    """A row of images for each method; above them the row `first`, the same for all."""
    rows = [(fill(title(config, c.method), 24), c.arrays[key][:SAMPLES]) for c in found]
    if first:
        rows.insert(0, ("Test images", found[0].arrays[first][:SAMPLES]))
    images = [montage(row, shape, len(row)) for _, row in rows]
    zoom = max(1, round(IMAGE / shape[2]))
    h, w = zoom * images[0].shape[0], zoom * max(i.shape[1] for i in images)
    steps = [max(h, LINE * (1 + label.count("\n"))) + GAP for label, _ in rows]
    figure, axes = sheet(LABELS + w + GAP, sum(steps) + GAP)
    top = GAP
    for (label, _), image, step in zip(rows, images, steps, strict=True):
        place(axes, image, LABELS, top, zoom)
        axes.text(LABELS - GAP, top + (step - GAP) / 2, label, ha="right", va="center", fontsize=7)
        top += step
    return figure


def panels(found: list[Codes], key: str, shape: tuple, config: Config) -> Figure:
    """A montage for each method, side by side."""
    across = min(3, len(found))
    columns = PICTURES[key].columns or len(found[0].arrays[key]) // STYLES
    h, w = montage(found[0].arrays[key], shape, columns).shape[:2]
    zoom = max(1, round(PANEL / w))
    large = max(1, zoom * w / PANEL)  # a wide montage of many pixels has larger words, to be seen from further away
    gap = round(GAP * large)
    titles = [fill(title(config, c.method), 40) for c in found]
    rows = [list(zip(found, titles, strict=True))[i : i + across] for i in range(0, len(found), across)]
    heads = [round(LINE * large * max(1 + words.count("\n") for _, words in row)) + 2 * gap for row in rows]
    figure, axes = sheet(across * (zoom * w + 2 * gap), sum(heads) + len(rows) * (zoom * h + gap))
    top = 0
    for row, head in zip(rows, heads, strict=True):
        top += head
        for i, (c, words) in enumerate(row):
            left = gap + i * (zoom * w + 2 * gap)
            place(axes, montage(c.arrays[key], shape, columns), left, top, zoom)
            axes.text(left + zoom * w / 2, top - gap, words, ha="center", va="bottom", fontsize=8 * large)
        top += zoom * h + gap
    return figure
