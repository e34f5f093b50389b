"""Compare two result sets, each a metrics.csv or a folder that holds one.

Every cell (experiment, method, metric) whose numbers changed is listed with the change and its 95 % interval.
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from bench.tables.formats import number, table, to_markdown
from bench.tables.metric_names import metric as describe
from bench.tables.statistics import holm, mean_interval
from bench.tables.tidy_table import RUN, failure, read_metrics

CELL = ["experiment", "method", "metric"]
# What a run costs and where it ran is not what it found.
PROVENANCE = [
    "run", "version", "commit", "dirty", "data", "device", "machine", "threads", "backend", "seconds",
    "peak_memory_mb", "versions", "preset",
]  # fmt: skip


class Change(NamedTuple):
    """A cell that changed: the means, B minus A with its interval, how it was tested, p (NaN if it cannot be)."""

    experiment: str
    method: str
    metric: str
    before: float
    after: float
    low: float
    high: float
    test: str
    p: float


def load(path: Path) -> pd.DataFrame:
    """The tidy table at a path, or of the folder at it."""
    return read_metrics(path / "metrics.csv" if path.is_dir() else path)


def change(cell: tuple, a: pd.DataFrame, b: pd.DataFrame) -> Change:
    """What became of a cell, given its rows before and after.

    Same seeds: a paired t-test of the differences. Other seeds: Welch's t-test. One seed: a z-test with the
    standard errors over test images, which know nothing of training; without them there is no test.
    """
    before, after = float(a["value"].mean()), float(b["value"].mean())
    shared = a.set_index("seed")["value"].to_frame("a").join(b.set_index("seed")["value"].rename("b"), how="inner")
    if len(shared) > 1 and len(shared) == len(a) == len(b):
        difference = (shared["b"] - shared["a"]).to_numpy(float)
        low, high = mean_interval(difference)
        constant = np.ptp(difference) <= 1e-12 * np.abs(difference).max()  # but for rounding
        p = float(difference[0] == 0) if constant else float(stats.ttest_1samp(difference, 0).pvalue)
        return Change(*cell, before, after, low, high, "paired t", p)
    if len(a) > 1 and len(b) > 1:
        if np.ptp(a["value"]) == 0 == np.ptp(b["value"]):  # a test has nothing to go by
            p = float(a["value"].iloc[0] == b["value"].iloc[0])
            return Change(*cell, before, after, after - before, after - before, "equal seeds", p)
        found = stats.ttest_ind(b["value"], a["value"], equal_var=False)
        low, high = found.confidence_interval()
        p = float(found.pvalue)
        return Change(*cell, before, after, float(low), float(high), "Welch", p)
    se = math.hypot(a["standard_error"].mean(), b["standard_error"].mean())
    if math.isfinite(se) and se > 0:
        half = stats.norm.ppf(0.975) * se
        p = float(2 * stats.norm.sf(abs(after - before) / se))
        return Change(*cell, before, after, after - before - half, after - before + half, "z over images", p)
    return Change(*cell, before, after, math.nan, math.nan, "none", math.nan)


def changes(a: pd.DataFrame, b: pd.DataFrame) -> list[Change]:
    """The cells that both have and whose numbers are not the same, in the order of A."""
    left, right = (dict(list(t.dropna(subset="metric").groupby(CELL, sort=False))) for t in (a, b))
    found = []
    for cell, rows in left.items():
        if cell in right:
            x, y = (r.sort_values("seed")[["seed", "value"]].to_numpy() for r in (rows, right[cell]))
            if not np.array_equal(x, y):
                found.append(change(cell, rows, right[cell]))
    return found


def lines(table: pd.DataFrame, columns: list[str]) -> set[str]:
    """The rows as text, to the last digit."""
    return set(table[columns].to_csv(index=False, header=False).splitlines())


def missing(a: pd.DataFrame, b: pd.DataFrame) -> list[str]:
    """What one of the two lacks, and the runs that ended in another way."""
    found = []
    cells_a, cells_b = (set(t.dropna(subset="metric")[CELL].itertuples(index=False, name=None)) for t in (a, b))
    found += [f"only in A: {'/'.join(cell)}" for cell in sorted(cells_a - cells_b)]
    found += [f"only in B: {'/'.join(cell)}" for cell in sorted(cells_b - cells_a)]
    left, right = (t.drop_duplicates(RUN).set_index(RUN) for t in (a, b))
    for key in left.index.intersection(right.index):
        x, y = left.loc[key], right.loc[key]
        if x["status"] != y["status"]:
            ends = ("ok" if r["status"] == "ok" else failure(r) for r in (x, y))
            found.append(f"{key[0]}/{key[1]} seed {key[2]}: {' -> '.join(ends)}")
    return found


def diff(a: Path, b: Path) -> tuple[str, bool]:
    """What changed from one result set to another, for the terminal, and whether anything did beyond noise.

    Raises:
        ConfigError: one of them is no tidy table.
    """
    a, b = load(a), load(b)
    shared = [c for c in a.columns if c in b.columns]
    whole = len(lines(a, shared) & lines(b, shared))
    numbers = [c for c in shared if c not in PROVENANCE]
    same = len(lines(a, numbers) & lines(b, numbers))
    said = [
        f"A: {len(a)} rows, B: {len(b)} rows",
        f"byte-identical rows: {whole}; identical but for provenance: {same - whole}",
    ]
    found, lost = changes(a, b), missing(a, b)
    adjusted = holm([c.p for c in found]) if found else []
    beyond = 0
    rows = []
    for c, p in zip(found, adjusted, strict=True):
        noise = not math.isnan(p) and p >= 0.05
        beyond += not noise
        d = describe(c.metric).digits + 1
        ends = f"{number(c.low, d, sign=True)} to {number(c.high, d, sign=True)}" if math.isfinite(c.low) else "–"
        verdict = "within noise" if noise else "changed" if not math.isnan(p) else "changed, no test possible"
        rows.append(
            [c.experiment, c.method, c.metric, number(c.before, d), number(c.after, d),
             number(c.after - c.before, d, sign=True), ends, c.test, number(p, 3), verdict]
        )  # fmt: skip
    if rows:
        head = ["experiment", "method", "metric", "A", "B", "B - A", "95 % interval", "test", "p (Holm)", ""]
        said.append(to_markdown(table("diff", f"{len(rows)} cells with other numbers:", head, rows)))
    said += lost
    if beyond or lost:
        said.append(f"{beyond} cells changed beyond noise, {len(lost)} differences in what there is")
    else:
        said.append("nothing changed" if not found else f"within noise: none of {len(found)} changes passes 5 %")
    return "\n".join(said), bool(beyond or lost)
