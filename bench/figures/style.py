"""What every figure shares: style, a look for each method, a canvas, a digest of its inputs, reproducible files."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import seaborn as sns
from fontTools import subset
from matplotlib.figure import Figure

from bench.config.schema import Config
from bench.records import whole_files
from bench.records.fingerprint import fingerprint

STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "image.composite_image": False,  # each image of a PDF keeps its own pixels
    "svg.hashsalt": "latentbench",
}
DPI = 110
# Matplotlib places each glyph of a PDF itself: to cut the fonts' tables of ligatures and kerning to size, which no
# reader of the file looks at, took a sixth of the time of a figure.
subset.Options._drop_tables_default = [*subset.Options._drop_tables_default, "GDEF", "GPOS", "GSUB"]


class Look(NamedTuple):
    """How a method looks in every figure: colour-blind safe, and told apart without colour too."""

    color: tuple
    marker: str
    dash: tuple | str


class Drawing(NamedTuple):
    """A figure to be drawn: what it is, what it is made of (a digest), and the function that draws it."""

    name: str
    title: str
    caption: str
    alt: str
    made_of: str
    draw: Callable[[], Figure]


class LeftOut(NamedTuple):
    """Figures that cannot be drawn, and the sentence that says why; those of `keeps` that are there stay."""

    name: str
    why: str
    keeps: tuple[str, ...] = ()


def looks(config: Config, table: pd.DataFrame) -> dict[str, Look]:
    """A look for each method of the config, in its order, then for other rows: the same in all figures."""
    names = [*config.methods, *(m for m in table["method"].unique() if m not in config.methods)]
    colors = sns.color_palette("colorblind", 10)
    markers, dashes = "osD^vP", ["-", (0, (4, 1.5)), (0, (1, 1))]
    return {
        name: Look(colors[i % 10], markers[(i + i // 10) % len(markers)], dashes[i // 10 % len(dashes)])
        for i, name in enumerate(names)
    }


def canvas(width: float, height: float, *grid: int, **options) -> tuple[Figure, list]:
    """A figure without global state, and its axes in one list."""
    figure = Figure(figsize=(width, height), layout="constrained", dpi=DPI)
    axes = figure.subplots(*(grid or (1, 1)), squeeze=False, **options)
    return figure, list(axes.flat)


def legend(figure: Figure, *entries, **options) -> None:
    """A legend on the right of a figure, which grows if the legend is taller."""
    found = figure.legend(*entries, loc="outside right upper", fontsize=7, **options)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, max(height, found.get_window_extent().height / figure.dpi + 0.1))


def digest(*parts: bytes | str) -> str:
    """What a figure is made of, as a short hash."""
    found = hashlib.sha256(fingerprint("bench.figures.drawing").encode())
    for part in parts:
        found.update(part.encode() if isinstance(part, str) else part)
        found.update(b"\0")
    return found.hexdigest()[:16]


def save(figure: Figure, path: Path) -> None:
    """`path`.png and .pdf, the same bytes for the same figure: no dates, no names of programs."""
    for suffix, metadata in ((".png", {"Software": None}), (".pdf", {"CreationDate": None, "Producer": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix[1:], metadata=metadata, dpi=DPI)
        whole_files.write(path.with_suffix(suffix), buffer.getvalue())
        figure.set_layout_engine(None)  # laid out once: the same picture in both, in half the time
