"""The picture of the answer, methods by measures, as files for a README or a paper; the page has it as a table."""

import math
from itertools import groupby
from pathlib import Path
from textwrap import fill
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bench.figures.style import DPI, LOOKS, OF_FAMILY, cut, own_style, save
from bench.tables.answers import Picture, Verdict, in_cell


class Theme(NamedTuple):
    """Colours of a page: ink, muted ink, lines, paper, and (fill, ink) of each verdict; `lift` lightens families."""

    ink: str
    muted: str
    line: str
    paper: str
    verdicts: dict[str, tuple[str, str]]
    lift: float = 0.0

    def shade(self, color: str) -> tuple[float, ...]:
        """A family's colour on this paper."""
        return tuple(c + self.lift * (1 - c) for c in to_rgb(color))


# Those of the page, report/assets/page.css. Better is darker than worse on light paper, lighter on dark: also in grey.
THEMES = {
    "light": Theme("#1a1d21", "#565d66", "#aab2bb", "#ffffff", {
        "better": ("#0b4f9c", "#ffffff"), "worse": ("#f5b46b", "#2b1700"), "level": ("#dfe6ee", "#1a1d21"),
        "undecided": ("#f0f1f3", "#5b626b"), "reference": ("#ffffff", "#1a1d21"),
    }),
    "dark": Theme("#e6e8eb", "#a3abb5", "#5a626b", "#0d1117", {
        "better": ("#8bbcf5", "#06182c"), "worse": ("#8f4d0f", "#fff2e2"), "level": ("#3a4552", "#e6e8eb"),
        "undecided": ("#24282d", "#a3abb5"), "reference": ("#0d1117", "#e6e8eb"),
    }, lift=0.35),
}  # fmt: skip
SIGNS = {"better": "▲ ", "worse": "▼ ", "level": "= "}
NAMES, WIDE, HIGH, HEAD = 1.5, 1.12, 0.34, 0.5  # inches: of the column of names, a cell's width and height, the head


def write(found: Picture, folder: Path) -> None:
    """`answer-light.svg` and `answer-dark.svg` in a folder."""
    with own_style():
        for name, theme in THEMES.items():
            save(draw(found, theme), folder / f"answer-{name}", ("svg",))


def draw(found: Picture, theme: Theme) -> Figure:
    """Methods down in their families, measures across, in each cell the difference to the reference."""
    rows, measures = found.rows, found.measures
    width, height = NAMES + WIDE * len(measures) + 0.06, HEAD + HIGH * len(rows) + 0.62
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor=theme.paper)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    ax.set(xlim=(0, width), ylim=(height, 0))
    for i, m in enumerate(measures):
        x = NAMES + WIDE * (i + 0.5)
        ax.text(x, HEAD - 0.28, m.label, ha="center", va="bottom", fontsize=9, weight="bold", color=theme.ink)
        note = f"{m.unit}, {m.note}" if m.note else m.unit
        ax.text(x, HEAD - 0.1, note, ha="center", va="bottom", fontsize=7, color=theme.muted)
    top = HEAD
    for family, own in groupby(rows, key=lambda r: r.family):
        ax.plot([0.05, width - 0.05], [top, top], color=theme.line, linewidth=1)
        look = OF_FAMILY.get(family, LOOKS[-1])
        for row in own:
            ax.plot(0.14, top + HIGH / 2, look.marker, color=theme.shade(look.color), markersize=5)
            ax.text(0.28, top + HIGH / 2, cut(row.short), va="center", fontsize=9, color=theme.ink)
            for i, cell in enumerate(row.cells):
                if cell is not None:
                    _cell(ax, NAMES + WIDE * i, top, cell, *in_cell(cell, measures[i]), theme)
            top += HIGH
    _key(ax, top + 0.1, found.rule, theme, width)
    return figure


def _cell(ax: Axes, left: float, top: float, cell: Verdict, value: str, interval: str, theme: Theme) -> None:
    """A verdict: its colour, its difference, the interval below."""
    fill_, ink = theme.verdicts[cell.word]
    ax.add_patch(Rectangle((left + 0.015, top + 0.015), WIDE - 0.03, HIGH - 0.03, color=fill_, linewidth=0))
    strong = cell.word in (*SIGNS, "reference")
    y = top + HIGH / 2 - (0.07 if interval else 0)
    ax.text(left + WIDE / 2, y, SIGNS.get(cell.word, "") + value, ha="center", va="center", fontsize=8.5,
            weight="bold" if strong else "normal", color=ink)  # fmt: skip
    ax.text(left + WIDE / 2, top + HIGH / 2 + 0.09, interval, ha="center", va="center", fontsize=6.5, color=ink)


def _key(ax: Axes, top: float, rule: str, theme: Theme, width: float) -> None:
    """The colours' words, and the rule."""
    left = 0.08
    for word in ("better", "worse", "level", "undecided"):
        fill_, ink = theme.verdicts[word]
        ax.add_patch(Rectangle((left, top), 0.8, 0.17, color=fill_, linewidth=0))
        ax.text(left + 0.4, top + 0.085, SIGNS.get(word, "") + word, ha="center", va="center", fontsize=7, color=ink)
        left += 0.86
    characters = math.floor((width - 0.16) * 16)
    said = fill(rule, characters, max_lines=2, placeholder=" …")
    ax.text(0.08, top + 0.24, said, va="top", fontsize=6.8, color=theme.muted, linespacing=1.3)
