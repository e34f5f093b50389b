"""What few seeds can tell: intervals, paired differences, and the words for them.

Nothing here makes up an uncertainty: numbers without a spread, one or many equal ones, have no interval and no test.
"""

import math
from collections.abc import Sequence
from numbers import Real
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

Numbers = Sequence[Real] | np.ndarray | pd.Series
ROUNDING = 1e-12  # of the largest number that entered a difference: what is less is no spread
RULE = (
    "Level: the whole 95 % interval of the paired difference lies within the smallest difference that matters. Better "
    "or worse: it does not, and excludes zero. Undecided: neither."
)


def mean_interval(values: Numbers, scale: float = 0.0) -> tuple[float, float]:
    """Student's 95 % interval of the mean; NaN where nothing but rounding, relative to `scale` or the values, varies.

    Raises:
        ValueError: a value is not finite.
    """
    values = np.asarray(values, dtype=float)
    if not np.isfinite(values).all():
        raise ValueError("scores must be finite; leave out the runs that have none, and say how many")
    if len(values) < 2 or np.ptp(values) <= ROUNDING * max(scale, np.abs(values).max()):
        return math.nan, math.nan
    half = special.stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / math.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def holm(p: Numbers) -> np.ndarray:
    """p-values adjusted for their number by Holm's step-down (1979); NaN stays NaN and does not count."""
    adjusted = np.array(p, dtype=float)
    known = np.isfinite(adjusted)
    adjusted[known] = multipletests(adjusted[known], method="holm")[1]
    return adjusted


def seeds_needed(gap: Real, deviation: Real) -> int | None:
    """The number of pairs with which a two-sided paired t-test at 5 % finds a gap with a probability of 80 %.

    `deviation` is that of the differences. None for no gap or no deviation, or if it takes more than a million.
    """
    if not (gap and deviation > 0 and 2e-3 < abs(gap / deviation) < math.inf):
        return None
    effect = min(abs(gap / deviation), 5.0)  # above, the power of so few pairs is not computed reliably
    pairs = math.ceil(TTestPower().solve_power(effect, power=0.8, alpha=0.05))
    return pairs if pairs <= 1_000_000 else None


class Comparison(NamedTuple):
    """Method a against b on the seeds that both have; a positive difference, low and high favour a.

    The ends of the 95 % interval and the p-value are NaN where the differences have no spread; `deviation` is their
    standard deviation.
    """

    pairs: int
    difference: float
    deviation: float
    low: float
    high: float

    @property
    def p(self) -> float:
        """The two-sided p-value of the paired t-test."""
        t = self.difference / self.deviation * math.sqrt(self.pairs) if self.deviation else math.nan
        return float(2 * special.stdtr(self.pairs - 1, -abs(t)))

    @property
    def seeds(self) -> int | None:
        """The number of pairs that would resolve the observed difference."""
        return seeds_needed(self.difference, self.deviation)


def compare(a: pd.Series, b: pd.Series, higher_is_better: bool = True) -> Comparison:
    """Scores of two methods, indexed by seed, paired by seed; NaN is a run without a score.

    Raises:
        ValueError: a seed occurs twice, or the methods share none.
    """
    if not a.index.is_unique or not b.index.is_unique:
        raise ValueError("each seed must have one score")
    paired = a.dropna().index.intersection(b.dropna().index)
    if paired.empty:
        raise ValueError("the methods share no seed with a score")
    x, y = (side[paired].to_numpy(float) for side in (a, b))
    differences = (x - y) * (1 if higher_is_better else -1)
    mean, interval = float(differences.mean()), mean_interval(differences, scale=np.abs([x, y]).max())
    deviation = 0.0 if math.isnan(interval[0]) else float(differences.std(ddof=1))
    return Comparison(len(paired), mean, deviation, *interval)


def word(found: Comparison, margin: float | None) -> str:
    """What a difference says by `RULE`: "better", "worse", "level" or "undecided"."""
    # An interval that is NaN compares false throughout: undecided.
    if margin is not None and max(-found.low, found.high) <= margin:
        return "level"
    return "better" if found.low > 0 else "worse" if found.high < 0 else "undecided"


def verdict(
    interval: tuple[Real, Real],
    published: Real,
    published_pm: Real | None = None,
    margin: Real | None = None,
    higher_is_better: bool = True,
) -> str:
    """What the 95 % interval of our mean says about a published value, whose band is its ± and the margin wide.

    "reproduced" if the whole interval lies in the band, "short" or "above" if it lies outside on the worse or the
    better side, else "undecided", as it is with one that is NaN.
    """
    known = (x for x in (published_pm, margin) if x is not None and not math.isnan(x))
    (low, high), band = interval, sum(known)
    if published - band <= low and high <= published + band:
        return "reproduced"
    if low > published + band or high < published - band:
        return "above" if (low > published) == higher_is_better else "short"
    return "undecided"


def probability_of_improvement(x: Numbers, y: Numbers) -> np.ndarray | np.float64:
    """P(X > Y) + ½ P(X = Y) over all pairs of one run of each (Mann & Whitney, 1947; Agarwal et al., 2021).

    The runs are the last axis; those before it are resamples.
    """
    difference = np.asarray(x, float)[..., :, None] - np.asarray(y, float)[..., None, :]
    return ((difference > 0) + 0.5 * (difference == 0)).mean((-2, -1))
