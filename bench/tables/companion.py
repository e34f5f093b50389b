"""Do methods keep their order on another data set? Kendall's τ between two result sets, with an interval."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from bench.config.schema import Config
from bench.tables.answers import shown_methods
from bench.tables.metric_names import metric as describe
from bench.tables.tidy_table import read_metrics, scores
from bench.tables.words import words

RESAMPLES = 2000


class Agreement(NamedTuple):
    """Kendall's τ between the orders of `methods` methods in two sets: the mean over measures, and its 95 % interval.

    `each` has the τ of every measure.
    """

    tau: float
    low: float
    high: float
    methods: int
    each: dict[str, float]


def agreement(pairs: dict[str, tuple[pd.DataFrame, pd.DataFrame]]) -> Agreement | None:
    """τ-b of the methods' means (Kendall, 1945), by measure: scores of two sets, seeds down and methods across.

    Only methods that both sets have are compared. The interval is of 2,000 resamplings of each method's seeds.
    None where no measure has three methods.
    """
    rng, each, drawn, count = np.random.default_rng(0), {}, [], 0
    for name, sets in pairs.items():
        both = [m for m in sets[0] if all(m in one and one[m].notna().any() for one in sets)]
        if len(both) < 3:
            continue
        runs = [[one[m].dropna().to_numpy(float) for m in both] for one in sets]
        each[name] = float(kendall(*(np.array([x.mean() for x in side]) for side in runs)))
        again = ([rng.choice(x, (RESAMPLES, len(x))).mean(1) for x in side] for side in runs)
        drawn.append(kendall(*(np.stack(means, 1) for means in again)))
        count = max(count, len(both))
    if not each:
        return None
    low, high = np.quantile(np.mean(drawn, axis=0), [0.025, 0.975])
    return Agreement(float(np.mean([*each.values()])), float(low), float(high), count, each)


def kendall(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """τ-b of a and b (…, methods); 0 where one of them is all ties."""
    i, j = np.triu_indices(a.shape[-1], 1)
    x, y = (np.sign(side[..., i] - side[..., j]) for side in (a, b))
    return np.asarray((x * y).sum(-1) / np.maximum(np.sqrt((x**2).sum(-1) * (y**2).sum(-1)), 1))


def said(config: Config, table: pd.DataFrame, metrics: Path) -> str:
    """What a set says of its companion's order of the methods, in a sentence; empty for one that names none.

    Of the measures that the answer rests on; `metrics` is the path of the set's metrics.csv, and the companion's lies
    beside its folder.
    """
    if config.companion is None:
        return ""
    path = metrics.parent.parent / config.companion / metrics.name
    if not path.exists():
        return (
            f"Whether the methods keep the order that they have in {config.companion} is not known: {path} is absent."
        )
    other, methods = read_metrics(path), shown_methods(config)
    pairs = {
        m["label"]: tuple(scores(t, m["experiment"], m["metric"]).filter(methods) for t in (table, other))
        for m in words()["question"]["measures"]
        if m.get("counts", True) and describe(m["metric"]).higher_is_better is not None
    }
    if (a := agreement(pairs)) is None:
        return f"No measure has three methods that {config.companion} has too, so that their orders cannot be compared."
    each = ", ".join(f"{name} {tau:.2f}" for name, tau in a.each.items())
    return (
        f"The order of the {a.methods} methods beside that of {config.companion}: Kendall's τ {a.tau:.2f} "
        f"[{a.low:.2f}, {a.high:.2f}], the mean of {each}; 1 is the same order, 0 none in common. The interval is of "
        "resampled seeds."
    )
