"""From what a page says to HTML: the templates, and the few things that they do with text."""

import re
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.tables.answers import Measure, Row, Verdict, in_cell
from bench.tables.formats import Entry, number
from bench.tables.metric_names import metric as describe

TEMPLATES = Path(__file__).parent / "templates"


def environment() -> Environment:
    """The templates; a name that they do not know is an error."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters |= {
        "minus": minus, "link": link, "method_of": method_of, "slug": slug, "in_families": in_families, "told": told,
    }  # fmt: skip
    found.globals["in_cell"] = in_cell
    return found


def minus(text: str) -> str:
    """`text` with true minus signs."""
    return re.sub(r"(?<![\w.-])-(?=\d)", "−", str(text))


def link(href: str, root: str) -> str:
    """Where a table's `#experiment`, `#cell-experiment-method` or `#method-name` is; the index is at `root`."""
    kind, *rest = href.removeprefix("#").split("-", 2)
    if kind == "cell" and len(rest) == 2:
        return f"{root}experiments/{rest[0]}.html#cell-{rest[1]}"
    if kind == "method" and rest:
        return f"{root}methods/{'-'.join(rest)}.html"
    return f"{root}experiments/{href.removeprefix('#')}.html"


def method_of(row: list[Entry]) -> str:
    """The method that a row of a table is about: the one that its first cell leads to; empty if none does."""
    found = (re.fullmatch(r"#(?:cell-[^-]*|method)-(.+)", entry.href) for entry in row)
    return next((match[1] for match in found if match), "")


def slug(text: str) -> str:
    """A name of a family as a CSS class."""
    return re.sub(r"[^a-z]+", "-", text.lower()).strip("-")


def in_families(rows: Iterable[Any]) -> list[tuple[str, list[Any]]]:
    """Rows or methods by family, in their order."""

    def of(x: Any) -> str:
        return x["family"] if isinstance(x, dict) else x.family

    return [(name, list(own)) for name, own in groupby(rows, key=of)]


def told(verdict: Verdict, measure: Measure, row: Row) -> str:
    """A cell of the picture in words, for who points at it."""
    seeds = f"{verdict.seeds} seed{'s' if verdict.seeds != 1 else ''}"
    mean = number(verdict.mean, describe(measure.metric).digits)
    return f"{row.short}, {measure.label}: {mean} {measure.unit} ({seeds}); {verdict.word}"
