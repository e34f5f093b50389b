"""What several tasks say together, and whether two data sets order the methods alike.

Probability of improvement and performance profiles are those of Agarwal et al. (2021). A task is a frame of scores,
higher being better: a row for each seed, a column for each method.
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


class Agreement(NamedTuple):
    """Kendall's τ of two orders of the methods, its 95 % interval, and how many pairs of methods it counts."""

    tau: float
    low: float
    high: float
    pairs: int


def agreement(tasks: Sequence[tuple[pd.DataFrame, pd.DataFrame]], draws: int = 10_000) -> Agreement:
    """Do two data sets order the methods alike, over all `tasks`, each given on both?

    τ is the share of pairs of methods in the same order less the share in the opposite one (Kendall, 1938, by means
    over seeds). The interval draws each mean from the t distribution that its seeds give it; a method with one seed has
    the mean spread of the others, and it is NaN where all have one.
    """
    rng, alike = np.random.default_rng(0), []
    for sides in tasks:
        methods = [m for m in sides[0] if all(m in side and side[m].notna().any() for side in sides)]
        i, j = np.triu_indices(len(methods), 1)
        means = [_means(side[methods], draws, rng) for side in sides]
        alike.append(np.prod([np.sign(x[:, i] - x[:, j]) for x in means], axis=0))
    tau = np.concatenate(alike, axis=1)
    low, high = np.quantile(tau[1:].mean(1), [0.025, 0.975])
    return Agreement(float(tau[0].mean()), float(low), float(high), tau.shape[1])


def _means(task: pd.DataFrame, draws: int, rng: np.random.Generator) -> np.ndarray:
    """The methods' means, (1 + draws, methods): as measured, then with the noise that so few seeds leave."""
    seeds, mean, sd = task.count().to_numpy(), task.mean().to_numpy(), task.std().to_numpy()
    sd = np.where(np.isnan(sd), np.nanmean(sd) if np.isfinite(sd).any() else np.nan, sd)
    noise = rng.standard_t(np.maximum(seeds - 1, 1), (draws, len(mean))) * sd / np.sqrt(seeds)
    return np.vstack([mean, mean + noise])
