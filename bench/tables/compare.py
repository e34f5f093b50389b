"""Two result sets compared: numbers of the same runs with each other, and what only one of them has."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from bench.tables.formats import entry, number, table, to_markdown
from bench.tables.metric_names import metric as describe
from bench.tables.statistics import compare, holm
from bench.tables.tidy_table import RUN, failure, read_metrics

CELL = ["experiment", "method", "metric"]


class Change(NamedTuple):
    """A cell whose numbers changed on the seeds that both sets have: the means, B − A with its interval, and a test.

    `p` is NaN where there is none: one seed, or equal differences, of a number that is no mean over images.
    """

    cell: tuple[str, str, str]
    seeds: int
    before: float
    after: float
    low: float
    high: float
    test: str
    p: float


def change(cell: tuple[str, str, str], pairs: pd.DataFrame) -> Change | None:
    """What became of a cell, given a row for each seed that both have; None if nothing.

    A paired t-test of the differences. Where they have no spread, a z-test with the standard errors over test images.
    """
    if np.array_equal(pairs["value_a"], pairs["value_b"]):
        return None
    seeds, before, after = len(pairs), float(pairs["value_a"].mean()), float(pairs["value_b"].mean())
    found = compare(pairs["value_b"], pairs["value_a"])
    if found.deviation:
        return Change(cell, seeds, before, after, found.low, found.high, "paired t", found.p)
    se = math.hypot(pairs["standard_error_a"].mean(), pairs["standard_error_b"].mean())
    if not se > 0:
        return Change(cell, seeds, before, after, math.nan, math.nan, "none", math.nan)
    half, p = stats.norm.ppf(0.975) * se, float(2 * stats.norm.sf(abs(after - before) / se))
    return Change(cell, seeds, before, after, after - before - half, after - before + half, "z over images", p)


def diff(a: Path, b: Path) -> tuple[str, bool]:
    """What changed from one result set to another, for the terminal, and whether anything did but for additions.

    Each is a metrics.csv or the folder of one. Only runs of the same seed are held against each other.

    Raises:
        ConfigError: one of them is no result set.
    """
    left, right = (read_metrics(p / "metrics.csv" if p.is_dir() else p) for p in (a, b))
    keys = [*CELL, "seed"]
    both = left.dropna(subset="metric").merge(
        right.dropna(subset="metric"), "outer", keys, suffixes=("_a", "_b"), indicator="side"
    )
    cells = both[both["side"] == "both"].groupby(CELL, sort=False)
    found = [c for cell, pairs in cells if (c := change(cell, pairs.set_index("seed")))]
    rows, beyond = [], 0
    for c, p in zip(found, holm([c.p for c in found]) if found else (), strict=True):
        noise = p >= 0.05  # no test, no noise
        beyond += not noise
        d = describe(c.cell[2]).digits + 1
        ends = f"{number(c.low, d, sign=True)} to {number(c.high, d, sign=True)}" if math.isfinite(c.low) else None
        said = "within noise" if noise else "changed" if not math.isnan(p) else "changed, no test possible"
        rows.append(
            [*c.cell, c.seeds, number(c.before, d), number(c.after, d), number(c.after - c.before, d, sign=True),
             entry(ends), c.test, number(p, 3), said]
        )  # fmt: skip
    same = (both["side"] == "both") & (both["value_a"] == both["value_b"])
    said = [f"{same.sum():,} of {(both['side'] == 'both').sum():,} numbers that both have are identical."]
    head = ["experiment", "method", "metric", "seeds", "A", "B", "B - A", "95 % interval", "test", "p (Holm)", ""]
    if rows:
        said.append(to_markdown(table("diff", f"{len(rows)} cells with other numbers:", head, rows)))
    for side, name in (("left_only", "A"), ("right_only", "B")):
        if len(alone := both[both["side"] == side]):
            said.append(to_markdown(_alone(alone, name)))
    ended = _ended(left, right)
    lost = (both["side"] == "left_only").any()
    changed = bool(beyond or lost or ended)
    said += ended
    if changed:
        said.append(f"{beyond} cells changed beyond noise, {len(ended)} runs ended otherwise; A's alone: {_yes(lost)}")
    else:
        said.append(f"within noise: none of {len(found)} changes passes 5 %" if found else "nothing changed")
    return "\n".join(said), changed


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"


def _alone(rows: pd.DataFrame, name: str) -> object:
    found = []
    for cell, group in rows.groupby(CELL, sort=False):
        digits = describe(cell[2]).digits
        values = ", ".join(number(v, digits) for v in group[f"value_{name.lower()}"])
        found.append([*cell, ", ".join(map(str, group["seed"])), values])
    return table(f"only-{name}", f"Only in {name}:", [*CELL, "seeds", "values"], found)


def _ended(left: pd.DataFrame, right: pd.DataFrame) -> list[str]:
    a, b = (t.drop_duplicates(RUN).set_index(RUN) for t in (left, right))
    found = []
    for key in a.index.intersection(b.index):
        x, y = a.loc[key], b.loc[key]
        if x["status"] != y["status"]:
            ends = " -> ".join("ok" if r["status"] == "ok" else failure(r) for r in (x, y))
            found.append(f"{key[0]}/{key[1]} seed {key[2]}: {ends}")
    return found
