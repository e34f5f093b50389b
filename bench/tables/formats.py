"""One table in every form: CSV, Markdown, LaTeX; the report's template makes it HTML. Free of torch."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from numbers import Real
from string import ascii_lowercase
from typing import NamedTuple

import pandas as pd
from pylatexenc.latexencode import UnicodeToLatexEncoder
from tabulate import tabulate

DASH = "–"


class Entry(NamedTuple):
    """A cell: its text, a smaller detail beside it, the value it sorts by, a footnote's mark, where it leads.

    `bold` is the best number, `level` one that is shown to be as good.
    """

    text: str
    detail: str = ""
    value: float | None = None
    bold: bool = False
    mark: str = ""
    href: str = ""
    level: bool = False

    @property
    def plain(self) -> str:
        """Text and detail."""
        return f"{self.text} ({self.detail})" if self.detail else self.text


@dataclass
class Table:
    """Rows of entries under a head; the first entry of a row names it. Notes are footnotes by mark."""

    name: str
    caption: str
    head: list[str]
    rows: list[list[Entry]] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)

    def note(self, text: str) -> str:
        """The mark of a footnote; equal texts share one."""
        for mark, known in self.notes.items():
            if known == text:
                return mark
        i = len(self.notes)
        mark = ascii_lowercase[i % 26] * (i // 26 + 1)
        self.notes[mark] = text
        return mark


def anchor(experiment: str, method: str) -> str:
    """The place in the report that tells all of a cell."""
    return f"cell-{experiment}-{method}"


def table(name: str, caption: str, head: Sequence[str], rows: Iterable[Sequence]) -> Table:
    """A table of plain values."""
    entries = [[v if isinstance(v, Entry) else entry(v) for v in row] for row in rows]
    return Table(name, caption, list(head), entries)


def entry(value: object) -> Entry:
    """A plain value as a cell; nothing is a dash."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Entry(DASH)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Entry(number(value, 3 if isinstance(value, float) else 0), value=float(value))
    return Entry(str(value))


def number(value: Real | None, digits: int, sign: bool = False) -> str:
    """`value` with as many decimals, or three significant digits where those would all be zero."""
    if value is None or not math.isfinite(value):
        return DASH
    rounded = round(value, digits) + 0.0  # no -0.0
    if rounded == 0 and value != 0:
        return f"{value:{'+' if sign else ''}.2e}"
    return f"{rounded:{'+' if sign else ''}.{digits}f}"


def spread(mean: Real, sd: Real | None, digits: int) -> str:
    """'mean ± sd', or the mean alone if there is no sd."""
    if sd is None or not math.isfinite(sd):
        return number(mean, digits)
    if sd < 1e-6 * abs(mean):  # the same numbers, summed in another order
        sd = 0.0
    if 0 < sd < 0.5 * 10**-digits:  # a zero would look like no spread at all
        digits_of_sd = min(-math.floor(math.log10(sd)), 9)
        return f"{number(mean, digits)} ± {number(sd, digits_of_sd)}"
    return f"{number(mean, digits)} ± {number(sd, digits)}"


def seconds(value: Real | None) -> str:
    """A duration for humans."""
    if value is None or not math.isfinite(value):
        return DASH
    if value < 120:
        return f"{value:.1f} s"
    return f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.1f} h"


def to_csv(content: Table) -> str:
    """As comma-separated values, a line for each row; footnotes are told in full."""
    rows = [[flat(e.plain + (f" [{content.notes[e.mark]}]" if e.mark else "")) for e in row] for row in content.rows]
    return pd.DataFrame(rows, columns=[*map(flat, content.head)]).to_csv(index=False, lineterminator="\n")


def flat(text: str) -> str:
    """`text` on one line."""
    return " ".join(text.split())


def literal(text: str) -> str:
    """`text` on one line of Markdown that shows it as it is: what would be markup is escaped."""
    text = re.sub(r"[\\`*\[\]<>|~$]|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", text)
    return flat(text)


def to_markdown(content: Table) -> str:
    """As a Markdown table with its caption and footnotes."""

    def cell(e: Entry) -> str:
        text = literal(e.plain)
        text = f"**{text}**" if e.bold else f"*{text}*" if e.level else text
        return text + (f"<sup>{e.mark}</sup>" if e.mark else "")

    rows, head = [[cell(e) for e in row] for row in content.rows], [*map(literal, content.head)]
    align = ("left", *["right"] * (len(head) - 1))
    body = tabulate(rows, head, "pipe", colalign=align, disable_numparse=True) if rows else "No rows."
    notes = "".join(f"<sup>{mark}</sup> {literal(text)}\n\n" for mark, text in content.notes.items())
    return f"{literal(content.caption)}\n\n{body}\n\n{notes}".rstrip() + "\n"


FITTED = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
LATEX = UnicodeToLatexEncoder(unknown_char_policy="unihex", unknown_char_warning=False)


def escape(text: str) -> str:
    """`text` as LaTeX, on one line."""
    text = re.sub("([?!])`", r"\1{}`", LATEX.unicode_to_latex(flat(text)))  # together they are another letter
    return text.replace(" -", " $-$").replace("(-", "($-$")


def to_latex(content: Table) -> str:
    """As a LaTeX table environment, for the packages booktabs and graphicx; never wider than the line."""

    def cell(e: Entry) -> str:
        text = escape(e.text)
        text = "$-$" + text[1:] if text.startswith("-") and text[1:2].isdigit() else text
        text = rf"\textbf{{{text}}}" if e.bold else rf"\emph{{{text}}}" if e.level else text
        text = "{}" + text if text[:1] in ("[", "*") else text  # which would be an argument of the line before
        detail = rf" {{\footnotesize({escape(e.detail)})}}" if e.detail else ""
        return text + detail + (rf"\textsuperscript{{{e.mark}}}" if e.mark else "")

    rows = [[cell(e) for e in row] for row in content.rows]
    text = pd.DataFrame(rows, columns=[*map(escape, content.head)]).style.hide().to_latex(
        column_format="l" + "r" * (len(content.head) - 1), position_float="centering", hrules=True,
        caption=escape(content.caption) or r"\null", label=f"tab:{content.name}",
    )  # fmt: skip
    notes = " ".join(rf"\textsuperscript{{{mark}}}~{escape(text)}." for mark, text in content.notes.items())
    below = f"\n\\par\\smallskip\\footnotesize {notes}" if notes else ""
    text = text.replace(r"\begin{tabular}", f"{FITTED}\n\\begin{{tabular}}")
    return "% Needs \\usepackage{booktabs,graphicx}.\n" + text.replace(r"\end{tabular}", r"\end{tabular}}" + below)
