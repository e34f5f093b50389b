"""What several tasks say together: probability of improvement and performance profiles (Agarwal et al., 2021).

A task is a frame of scores, higher being better: a row for each seed, a column for each method.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from bench.tables.statistics import probability_of_improvement

Tasks = dict[str, pd.DataFrame]


class Improvement(NamedTuple):
    """The probability that a run of a method beats one of the reference, and its 95 % interval, over `tasks`."""

    probability: float
    low: float
    high: float
    tasks: int


def improvement(tasks: Tasks, reference: str, resamples: int = 2000) -> dict[str, Improvement]:
    """P(better than the reference), the mean over the tasks that have both; bootstrapped by task and method."""
    rng, found = np.random.default_rng(0), {}
    for method in dict.fromkeys(m for task in tasks.values() for m in task if m != reference):
        pairs = [
            (t[method].dropna().to_numpy(float), t[reference].dropna().to_numpy(float))
            for t in tasks.values()
            if {method, reference} <= {*t} and len(t[method].dropna()) and len(t[reference].dropna())
        ]
        if not pairs:
            continue
        again = (
            probability_of_improvement(*(rng.choice(side, (resamples, len(side))) for side in pair)) for pair in pairs
        )
        drawn = np.mean(list(again), axis=0)
        mean = float(np.mean([probability_of_improvement(x, y) for x, y in pairs]))
        found[method] = Improvement(mean, *map(float, np.quantile(drawn, [0.025, 0.975])), len(pairs))
    return found


def profiles(tasks: Tasks, reference: str, margins: dict[str, float], taus: Sequence[float]) -> pd.DataFrame:
    """The share of a method's runs that gain more than each τ on the reference's mean; the mean over its tasks.

    Gains are in units of the task's smallest difference that matters, so that tasks with other units can be averaged.
    """
    shares: dict[str, list] = {}
    for name, task in tasks.items():
        gains = (task - task[reference].mean()) / margins[name]
        for method in gains:
            x = gains[method].dropna().to_numpy()
            if len(x):
                shares.setdefault(method, []).append((x[:, None] > np.asarray(taus)).mean(0))
    return pd.DataFrame({m: np.mean(found, axis=0) for m, found in shares.items()}, index=list(taus))
