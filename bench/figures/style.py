"""What every figure shares: the suite's own style, a look for each family of methods, a canvas, reproducible files."""

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import matplotlib
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from bench.config.schema import Config
from bench.records import whole_files
from bench.tables.tidy_table import FAMILIES, short

STYLE = {
    "font.size": 9,
    "text.parse_math": False,  # a title may hold any character
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
LONGEST = 26  # characters of a name
METADATA = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
}


# How the methods of a family look in every figure: told apart by mark as well as by colour.
# Okabe and Ito's colours, in the order of the families; the page has the same in assets/page.css.
COLORS = dict(zip(FAMILIES, ("#d55e00", "#0072b2", "#009e73", "#a5488a", "#6b6b6b", "#8a6d00"), strict=True))
MARKERS = dict(zip(FAMILIES, "soD^vP", strict=True))
DASHES = ("", (5, 1.5), (1, 1), (4, 1, 1, 1))  # of lines of one family, in turn


class Drawing(NamedTuple):
    """A figure to be drawn: what it is, and the function that draws it."""

    name: str
    title: str
    caption: str
    alt: str
    draw: Callable[[], Figure]


class LeftOut(NamedTuple):
    """A figure that cannot be drawn, and the sentence that says why."""

    name: str
    why: str


def label(config: Config, method: str) -> str:
    """What a figure calls a method: its short name, cut where a figure has no room for more."""
    return cut(short(config, method))


def cut(text: str) -> str:
    """`text`, or its beginning if it is longer than a figure can hold."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


@contextmanager
def own_style() -> Iterator[None]:
    """The suite's style over matplotlib's defaults, whatever the user's own settings are."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        warnings.filterwarnings("ignore", "Glyph .* missing")  # drawn as a box
        yield


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


def logarithmic(axis: Axis, values: pd.Series) -> None:
    """A logarithmic scale with plain numbers, where the values span more than a factor of three."""
    if values.empty or values.min() <= 0 or values.max() <= 3 * values.min():
        return
    axis.axes.set_yscale("log")
    axis.set_major_formatter(LogFormatter())
    axis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))


def save(figure: Figure, path: Path, formats: Sequence[str] = ("png",)) -> None:
    """`path` with the suffix of each format, the same bytes for the same figure: no dates, no names of programs."""
    for suffix in formats:
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, metadata=METADATA[suffix], dpi=DPI)
        whole_files.write(path.with_suffix(f".{suffix}"), buffer.getvalue())
        figure.set_layout_engine(None)  # laid out once: the same picture in each
