"""Figures made of images: a strip of them, or a montage, for each method."""

import math
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from matplotlib.figure import Figure

from bench.config.schema import Config, Settings
from bench.data.declarations import declaration
from bench.figures.codes import Codes, load, seeds
from bench.figures.style import DPI, Drawing, LeftOut, canvas
from bench.tables.tidy_table import title

SAMPLES = 20
PANEL = 330  # pixels that a montage has about
CAPTIONS = {
    "samples": ("Samples", f"Decoded samples, {SAMPLES} of each method: the first ones, not chosen."),
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
    shape = declaration(found[0].settings.dataset).shape
    items: list[Drawing | LeftOut] = []
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
    if kind == "samples":
        return 10
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


def panels(found: list[Codes], key: str, shape: tuple) -> Figure:
    """A montage for each method, side by side."""
    across = 2 if len(found) == 4 else min(3, len(found))
    arrays = [c.arrays[key][: SAMPLES if key == "samples" else None] for c in found]
    sheets = [montage(a, shape, columns(key, c.settings, len(a))) for c, a in zip(found, arrays, strict=True)]
    h, w = (max(image.shape[i] for image in sheets) for i in (0, 1))
    width = max(1, round(PANEL / w)) * w / DPI + 0.1  # whole pixels for a pixel, about
    down = -(-len(found) // across)
    figure, axes = canvas(across * width, down * (width * h / w + 0.25), down, across)
    for ax, c, image in zip(axes, found, sheets, strict=False):
        ax.imshow(image, interpolation="none")
        ax.set_title(c.name, fontsize=8 * max(1, w / PANEL))
    for ax in axes:
        ax.set_axis_off()
    return figure
