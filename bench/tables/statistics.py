"""What few seeds can tell: intervals, paired comparisons, rankings, and verdicts on published numbers.

Nothing here makes up an uncertainty: with fewer than two numbers an interval is None. A seed is a
repetition, not a data set: rankings over blocks take one number per data set and task (Demšar, 2006).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

Numbers = Sequence[Real] | np.ndarray | pd.Series
WORDS = ("reproduced", "short", "above", "protocol differs", "not run")


class Interval(NamedTuple):
    """The ends of a confidence interval."""

    low: float
    high: float


def mean_interval(values: Numbers, confidence: float = 0.95) -> Interval | None:
    """Student's interval of the mean; right for any number of normal values, two included."""
    values = _finite(values)
    if len(values) < 2:
        return None
    half = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * stats.sem(values)
    return Interval(float(values.mean() - half), float(values.mean() + half))


def bootstrap_interval(
    values: Numbers,
    statistic: Callable = np.mean,
    confidence: float = 0.95,
    method: str = "BCa",
    resamples: int = 9999,
    seed: int = 0,
) -> Interval | None:
    """Bootstrap interval of any statistic of one sample (Efron, 1987, for `method` "BCa"; or "percentile").

    It knows only the values it is given: of normal samples, 95 % intervals of the mean hold the truth for
    about 83 % of samples of five and 90 % of ten. `statistic` takes `axis`. Equal values give an
    interval of no width.
    """
    values = _finite(values)
    if len(values) < 2:
        return None
    if np.ptp(values) == 0:
        return Interval(float(values[0]), float(values[0]))
    found = stats.bootstrap(
        (values,), statistic, confidence_level=confidence, method=method, n_resamples=resamples, rng=seed
    ).confidence_interval
    return Interval(float(found.low), float(found.high))


def iqm(values, axis: int = -1):
    """Interquartile mean: the mean of the middle half (Agarwal et al., 2021); fewer than four lose nothing."""
    return stats.trim_mean(np.asarray(values, dtype=float), 0.25, axis=axis)


def probability_of_improvement(x, y, axis: int = -1):
    """P(X > Y) + ½ P(X = Y) over all pairs of one run of each (Agarwal et al., 2021; Mann & Whitney, 1947)."""
    x, y = np.moveaxis(np.asarray(x, float), axis, -1), np.moveaxis(np.asarray(y, float), axis, -1)
    difference = x[..., :, None] - y[..., None, :]
    return ((difference > 0) + 0.5 * (difference == 0)).mean((-2, -1))


def holm(p: Numbers) -> np.ndarray:
    """p-values adjusted for their number by Holm's step-down (1979); NaN stays NaN and does not count."""
    p = np.asarray(p, dtype=float)
    adjusted, tested = np.full(len(p), np.nan), np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def seeds_needed(
    gap: Real, deviation: Real, power: float = 0.8, alpha: float = 0.05, paired: bool = True
) -> int | None:
    """The number of seeds of each method with which a two-sided t-test finds a gap with probability `power`.

    `deviation` is that of the differences if paired, of each method's scores if not. Exact, by the
    noncentral t distribution (Cohen, 1988). None for no gap, or if it takes more than a million.
    """
    if deviation < 0 or not 0 < alpha < power < 1:
        raise ValueError("the deviation must not be negative, and 0 < alpha < power < 1")
    if gap == 0 or not math.isfinite(gap) or not math.isfinite(deviation):
        return None
    if deviation == 0:
        return 2

    def found(n: int) -> float:
        df, scale = (n - 1, n) if paired else (2 * n - 2, n / 2)
        shift = min(abs(gap) / deviation * math.sqrt(scale), 30.0)  # above, the power is 1 to all digits
        return float(stats.nct.sf(stats.t.ppf(1 - alpha / 2, df), df, shift))

    high = 2
    while found(high) < power:
        high *= 2
        if high > 1_000_000:
            return None
    low = max(high // 2, 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if found(middle) >= power else (middle, high)
    return high


@dataclass(frozen=True)
class Comparison:
    """Method a against b on the seeds that both have; positive differences are improvements of a.

    `unpaired` counts the seeds of either that the other lacks or diverged on. `probability` is P(a better
    than b). `seeds` is the number of pairs that would resolve the observed difference.
    """

    pairs: int
    unpaired: int
    difference: float
    interval: Interval | None
    bootstrap: Interval | None
    p_t: float
    p_wilcoxon: float
    probability: float
    probability_interval: Interval | None
    seeds: int | None


def compare(a: pd.Series, b: pd.Series, higher_is_better: bool = True, resamples: int = 9999) -> Comparison:
    """Scores of two methods, indexed by seed, paired by seed; NaN is a run without a score.

    Raises:
        ValueError: a seed occurs twice, or the methods share none.
    """
    if not a.index.is_unique or not b.index.is_unique:
        raise ValueError("each seed must have one score")
    both = pd.concat([a, b], axis=1, keys=["a", "b"], join="outer")
    paired = both.dropna()
    n = len(paired)
    if n == 0:
        raise ValueError("the methods share no seed with a score")
    sign = 1 if higher_is_better else -1
    x, y = sign * paired["a"].to_numpy(float), sign * paired["b"].to_numpy(float)
    difference = x - y
    p_t = p_wilcoxon = math.nan
    probability_interval = seeds = None
    if n > 1:
        constant = np.ptp(difference) == 0
        p_t = (1.0 if difference[0] == 0 else 0.0) if constant else float(stats.ttest_1samp(difference, 0).pvalue)
        p_wilcoxon = float(stats.wilcoxon(difference).pvalue) if difference.any() else 1.0
        # Each method's runs on their own, as rliable does: pairs kept together would meet themselves too often.
        i, j = np.random.default_rng(0).integers(n, size=(2, resamples, n))
        found = np.quantile(probability_of_improvement(x[i], y[j]), [0.025, 0.975])
        probability_interval = Interval(float(found[0]), float(found[1]))
        seeds = seeds_needed(float(difference.mean()), float(difference.std(ddof=1)))
    return Comparison(
        pairs=n,
        unpaired=len(both) - n,
        difference=float(difference.mean()),
        interval=mean_interval(difference),
        bootstrap=bootstrap_interval(difference, resamples=resamples),
        p_t=p_t,
        p_wilcoxon=p_wilcoxon,
        probability=float(probability_of_improvement(x, y)),
        probability_interval=probability_interval,
        seeds=seeds,
    )


def comparisons(scores: pd.DataFrame, reference: str, higher_is_better: bool = True) -> pd.DataFrame:
    """Each method against the reference: a row of `Comparison` per method, with p_t adjusted as `p_holm`.

    `scores` has a row per seed and a column per method, NaN for runs without a score. Methods that
    share no seed with the reference are left out.
    """
    rows = {
        method: vars(compare(scores[method], scores[reference], higher_is_better))
        for method in scores.columns
        if method != reference and len(scores[[method, reference]].dropna())
    }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")
    if len(table):
        table["p_holm"] = holm(table["p_t"])
    return table


def verdict(
    ours: Real | None,
    interval: Interval | tuple[Real, Real] | None,
    published: Real,
    published_pm: Real | None = None,
    *,
    protocol_matches: bool,
    ran: bool,
    higher_is_better: bool = True,
) -> str:
    """One of `WORDS`: what our number says about a published one.

    "reproduced" if our interval and published ± published_pm have a value in common; otherwise "short" if ours
    is worse, "above" if it is better. Without an interval (one seed) our mean alone must lie within
    the ±; without a ± the published value alone within our interval. A number that is None
    or NaN has not been run.
    """
    if not ran or ours is None or math.isnan(ours):
        return "not run"
    if not protocol_matches:
        return "protocol differs"
    low, high = interval if interval is not None else (ours, ours)
    pm = 0.0 if published_pm is None or math.isnan(published_pm) else published_pm
    if low <= published + pm and published - pm <= high:
        return "reproduced"
    return "above" if (ours > published) == higher_is_better else "short"


def _finite(values: Numbers) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if not np.isfinite(values).all():
        raise ValueError("scores must be finite; leave out the runs that have none, and say how many")
    return values
