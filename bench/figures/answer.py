"""The picture of the answer, methods by measures, as files for a README or a paper; the page has it as a table."""

import math
from pathlib import Path
from textwrap import fill
from typing import NamedTuple

import numpy as np
import seaborn as sns
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from bench.figures.style import COLORS, DPI, MARKERS, cut, own_style, save
from bench.tables.answers import Measure, Picture, Verdict, in_cell


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
WORDS = ("better", "worse", "level", "undecided", "reference")
WIDE, HIGH = 1.12, 0.34  # inches of a cell


def write(found: Picture, folder: Path) -> None:
    """`answer-light.svg` and `answer-dark.svg` in a folder."""
    with own_style():
        for name, theme in THEMES.items():
            save(draw(found, theme), folder / f"answer-{name}", ("svg",))


def draw(found: Picture, theme: Theme) -> Figure:
    """Methods down in their families, measures across, in each cell the difference to the reference."""
    rows, measures = found.rows, found.measures
    size = WIDE * len(measures), HIGH * len(rows)
    figure = Figure(figsize=(size[0] + 1.6, size[1] + 1.1), dpi=DPI, facecolor=theme.paper, layout="constrained")
    ax = figure.subplots()
    words = np.array([[WORDS.index(c.word) if c else np.nan for c in row.cells] for row in rows], dtype=float)
    texts = [[said(c, m) if c else "" for c, m in zip(row.cells, measures, strict=True)] for row in rows]
    sns.heatmap(
        words, annot=np.array(texts), fmt="", cmap=ListedColormap([theme.verdicts[w][0] for w in WORDS]), vmin=-0.5,
        vmax=len(WORDS) - 0.5, cbar=False, linewidths=1.5, linecolor=theme.paper, annot_kws={"fontsize": 7}, ax=ax,
    )  # fmt: skip
    shown = [c for row in rows for c in row.cells if c]
    for text, cell in zip(ax.texts, shown, strict=True):
        text.set(color=theme.verdicts[cell.word][1], weight="normal" if cell.word == "undecided" else "bold")
    ax.set_facecolor(theme.paper)
    ax.grid(visible=False)
    ax.xaxis.tick_top()
    notes = [f"{m.unit}, {m.note}" if m.note else m.unit for m in measures]
    ax.set_xticklabels([f"{m.label}\n{note}" for m, note in zip(measures, notes, strict=True)], color=theme.ink)
    ax.set_yticklabels([f"{cut(row.short)}     " for row in rows], rotation=0, color=theme.ink)
    ax.tick_params(length=0, labelsize=8)
    for y, row in enumerate(rows):
        color = theme.shade(COLORS[row.family])
        ax.plot(-0.08, y + 0.5, MARKERS[row.family], color=color, markersize=5, clip_on=False)
        if y and row.family != rows[y - 1].family:
            ax.axhline(y, color=theme.line, linewidth=1)
    patches = [Patch(color=theme.verdicts[w][0], label=SIGNS.get(w, "") + w) for w in WORDS[:4]]
    figure.legend(handles=patches, loc="outside lower left", ncols=4, fontsize=7, labelcolor=theme.ink)
    ax.set_xlabel(
        fill(found.rule, math.floor(16 * size[0]), max_lines=2, placeholder=" …"), fontsize=6.8, color=theme.muted
    )
    return figure


def said(cell: Verdict, measure: Measure) -> str:
    """The text of a cell: its difference, the interval below."""
    value, interval = in_cell(cell, measure)
    return "\n".join(filter(None, [SIGNS.get(cell.word, "") + value, interval]))
