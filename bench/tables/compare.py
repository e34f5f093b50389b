"""Two result sets compared: numbers of the same runs with each other, and what only one of them has."""

import math
from pathlib import Path

import numpy as np
import pandas as pd

from bench.tables.formats import Table, entry, number, table, to_markdown
from bench.tables.metric_names import metric as describe
from bench.tables.metric_names import order
from bench.tables.several_tasks import Agreement, agreement
from bench.tables.statistics import compare, holm
from bench.tables.tidy_table import RUN, failure, read_metrics, scores

CELL = ["experiment", "method", "metric"]


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
    pairs = {cell: rows for cell, rows in both[both["side"] == "both"].groupby(CELL, sort=False)}
    found = {
        cell: compare(rows.set_index("seed")["value_b"], rows.set_index("seed")["value_a"])
        for cell, rows in pairs.items()
        if not np.array_equal(rows["value_a"], rows["value_b"])
    }
    rows, beyond = [], 0
    for (cell, c), p in zip(found.items(), holm([c.p for c in found.values()]), strict=True):
        noise = bool(p >= 0.05)  # no test, no noise
        beyond += not noise
        d, before, after = describe(cell[2]).digits + 1, pairs[cell]["value_a"].mean(), pairs[cell]["value_b"].mean()
        ends = f"{number(c.low, d, sign=True)} to {number(c.high, d, sign=True)}" if math.isfinite(c.low) else None
        said = "within noise" if noise else "changed" if not math.isnan(p) else "changed, no test possible"
        rows.append(
            [*cell, c.pairs, number(before, d), number(after, d), number(c.difference, d, sign=True), entry(ends),
             number(p, 3), said]
        )  # fmt: skip
    same = (both["side"] == "both") & (both["value_a"] == both["value_b"])
    said = [f"{same.sum():,} of {(both['side'] == 'both').sum():,} numbers that both have are identical."]
    head = ["experiment", "method", "metric", "seeds", "A", "B", "B - A", "95 % interval", "p (Holm)", ""]
    if rows:
        said.append(to_markdown(table("diff", f"{len(rows)} cells with other numbers:", head, rows)))
    for side, name in (("left_only", "A"), ("right_only", "B")):
        if len(alone := both[both["side"] == side]):
            said.append(to_markdown(_alone(alone, name)))
    if not {*left["data"].dropna()} & {*right["data"].dropna()}:
        said.append(to_markdown(orders(left, right)))
    ended = _ended(left, right)
    lost = bool((both["side"] == "left_only").any())
    changed = bool(beyond or lost or ended)
    said += ended
    if changed:
        gone = ", numbers of A are gone" if lost else ""
        said.append(f"{beyond} cells changed beyond noise, {len(ended)} runs ended otherwise{gone}")
    else:
        said.append(f"within noise: none of {len(found)} changes passes 5 %" if found else "nothing changed")
    return "\n".join(said), changed


def orders(left: pd.DataFrame, right: pd.DataFrame) -> Table:
    """Kendall's τ of the methods on two data sets, by the first measure with a direction of each experiment."""
    rows, tasks = [], []
    for experiment in left["experiment"].unique():
        sides = [t[t["experiment"] == experiment].dropna(subset="value") for t in (left, right)]
        both = sorted({*sides[0]["metric"]} & {*sides[1]["metric"]}, key=order)
        metric = next((m for m in both if describe(m).higher_is_better is not None), None)
        frames = [scores(side, experiment, metric) for side in sides] if metric else []
        if metric and len(shared := [m for m in frames[0] if m in frames[1]]) > 1:
            tasks.append((frames[0][shared], frames[1][shared]))
            rows.append([experiment, describe(metric).label, len(shared), *_tau(agreement(tasks[-1:]))])
    if len(tasks) > 1:
        rows.append(["all", "", "", *_tau(agreement(tasks))])
    return table(
        "orders", "Other data: do they order the methods alike?",
        ["experiment", "measure", "methods", "pairs of methods", "Kendall's τ", "95 % interval"], rows,
    )  # fmt: skip


def _tau(a: Agreement) -> list:
    ends = f"{number(a.low, 2, sign=True)} to {number(a.high, 2, sign=True)}" if math.isfinite(a.low) else None
    return [a.pairs, number(a.tau, 2, sign=True), entry(ends)]


def _alone(rows: pd.DataFrame, name: str) -> Table:
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
