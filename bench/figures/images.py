"""Figures made of images: a strip of them, or a montage, for each method."""

import math
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.config.schema import Config, Settings
from bench.data.declarations import declaration
from bench.figures.codes import Codes, load, seeds
from bench.figures.style import DPI, Drawing, LeftOut
from bench.tables.tidy_table import title

SAMPLES = 20
IMAGE, PANEL = 28, 330  # pixels that an image of a strip, and a montage, have about
LABELS, LINE, GAP = 130, 14, 5  # pixels: of a strip's labels, of a line of words, and between things
CAPTIONS = {
    "relabelled": (
        "Test images under every class",
        "Each row begins with a test image; then its own style under every class or cluster in order.",
    ),
    "manifold": (
        "Manifold",
        "Decoded points of the plane that the decoder reads, at equal steps of probability (2.5 to 97.5 %).",
    ),
}


def drawings(config: Config, table: pd.DataFrame, experiment: str, folder: Path) -> list[Drawing | LeftOut]:
    """The pictures of an experiment that are made of images."""
    name = title(config, experiment, "experiments")
    found, missing = load(config, table, experiment, folder)
    if not found:
        return [LeftOut("images", f"{name}: no samples and grids, because the result set does not hold the images.")]
    shape = declaration(found[0].settings.dataset, config.data_root).shape
    items: list[Drawing | LeftOut] = []
    if having := [c for c in found if "samples" in c.arrays]:
        items.append(
            Drawing(
                "samples", "Samples",
                f"Decoded samples, {SAMPLES} of each method: the first ones, not chosen. {seeds(having)}",
                f"{name}: samples of {', '.join(c.name for c in having)}.", partial(strips, having, shape),
            )
        )  # fmt: skip
    for kind, (heading, caption) in CAPTIONS.items():
        if having := [c for c in found if kind in c.arrays]:
            alt = f"{name}, {heading.lower()}: {', '.join(c.name for c in having)}."
            draw = partial(panels, having, kind, shape)
            items.append(Drawing(kind, heading, f"{caption} {seeds(having)}", alt, draw))
    if missing:
        items.append(LeftOut("images", f"Without images, for the result set does not hold them: {', '.join(missing)}."))
    return items


def columns(kind: str, s: Settings, n: int) -> int:
    """How many images a row of a montage of `n` has."""
    if kind == "manifold":
        return math.isqrt(n)
    heads = [s.latents[name].dim for name in s.decoder if name != "label" and s.latents[name].head == "categorical"]
    return 1 + (heads[0] if heads else declaration(s.dataset).classes)  # the test image, then it under each


def montage(images: UInt8[np.ndarray, "n pixels"], shape: tuple, across: int) -> UInt8[np.ndarray, "h w 3"]:
    """Images as one, `across` in a row, with white lines between them."""
    c, h, w = shape
    rows = -(-len(images) // across)
    canvas = np.full((rows * (h + 1) + 1, across * (w + 1) + 1, 3), 255, np.uint8)
    for i, image in enumerate(images.reshape(-1, c, h, w).transpose(0, 2, 3, 1)):
        y, x = (i // across) * (h + 1) + 1, (i % across) * (w + 1) + 1
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


def strips(found: list[Codes], shape: tuple) -> Figure:
    """A row of samples for each method."""
    images = [montage(c.arrays["samples"][:SAMPLES], shape, SAMPLES) for c in found]
    zoom = max(1, round(IMAGE / shape[2]))
    step, w = max(zoom * images[0].shape[0], LINE) + GAP, zoom * images[0].shape[1]
    figure, axes = sheet(LABELS + w + GAP, step * len(found) + GAP)
    for i, (c, image) in enumerate(zip(found, images, strict=True)):
        top = GAP + i * step
        place(axes, image, LABELS, top, zoom)
        axes.text(LABELS - GAP, top + (step - GAP) / 2, c.name, ha="right", va="center", fontsize=7)
    return figure


def panels(found: list[Codes], key: str, shape: tuple) -> Figure:
    """A montage for each method, side by side."""
    across = min(3, len(found))
    sheets = [montage(c.arrays[key], shape, columns(key, c.settings, len(c.arrays[key]))) for c in found]
    h, w = (max(image.shape[i] for image in sheets) for i in (0, 1))
    zoom = max(1, round(PANEL / w))
    large = max(1, zoom * w / PANEL)  # a wide montage of many pixels has larger words, to be seen from further away
    gap = round(GAP * large)
    head = round(LINE * large) + 2 * gap
    rows = -(-len(found) // across)
    figure, axes = sheet(across * (zoom * w + 2 * gap), rows * (head + zoom * h + gap))
    for i, (c, image) in enumerate(zip(found, sheets, strict=True)):
        left, top = gap + (i % across) * (zoom * w + 2 * gap), head + (i // across) * (head + zoom * h + gap)
        place(axes, image, left, top, zoom)
        axes.text(left + zoom * w / 2, top - gap, c.name, ha="center", va="bottom", fontsize=8 * large)
    return figure
