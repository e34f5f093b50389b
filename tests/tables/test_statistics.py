"""Statistics on simulated scores whose truth is known, and against textbook numbers."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.tables import several_tasks
from bench.tables import statistics as s


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_students_interval_holds_the_truth_as_often_as_it_says(rng, n):
    intervals = [s.mean_interval(rng.normal(340, 2, n)) for _ in range(2000)]
    assert np.mean([low < 340 < high for low, high in intervals]) == pytest.approx(0.95, abs=0.015)


def test_students_interval_by_hand():
    low, high = s.mean_interval([1.0, 2.0, 3.0])
    assert (low, high) == (
        pytest.approx(2 - 4.302653 / math.sqrt(3), abs=1e-4),
        pytest.approx(2 + 4.302653 / math.sqrt(3)),
    )


def test_one_score_has_no_interval():
    assert all(map(math.isnan, (*s.mean_interval([3.0]), *s.mean_interval([]))))
    one = s.compare(pd.Series({0: 2.0}), pd.Series({0: 1.0}))
    assert (one.difference, one.seeds) == (1.0, None)
    assert all(map(math.isnan, (one.low, one.high, one.p)))
    assert s.word(one, 100.0) == "undecided"


@pytest.mark.parametrize(
    ("a", "b"),
    [([0.2, 0.3, 0.4], [0.1, 0.2, 0.3]), ([30000.1, 1.1], [30000.0, 1.0]), ([2.0, 3.0], [1.0, 2.0])],
)
def test_differences_that_are_equal_but_for_rounding_are_one_difference_without_a_spread(a, b):
    found = s.compare(pd.Series(a), pd.Series(b))
    assert found.difference == pytest.approx(a[0] - b[0])
    assert all(map(math.isnan, (found.low, found.high, found.p)))
    assert found.seeds is None
    assert s.word(found, None) == "undecided"


def test_scores_that_are_missing_are_not_dropped_in_silence():
    with pytest.raises(ValueError, match="finite"):
        s.mean_interval([1.0, math.nan])


def test_the_probability_of_improvement():
    assert s.probability_of_improvement([2, 3], [0, 1]) == 1
    assert s.probability_of_improvement([1, 2, 3], [2]) == 0.5
    x, y = np.random.default_rng(0).integers(9, size=(2, 12))
    u = stats.mannwhitneyu(x, y).statistic
    assert s.probability_of_improvement(x, y) == pytest.approx(u / 144)


def test_holm_by_hand():
    np.testing.assert_allclose(s.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(s.holm([0.5, math.nan, 0.6]), [1, math.nan, 1])
    assert np.isnan(s.holm([math.nan])).all()
    assert s.holm([]).tolist() == []


@pytest.mark.parametrize(("d", "n"), [(0.5, 34), (0.8, 15), (5.0, 3)])
def test_seeds_needed_are_cohens_tables(d, n):
    assert s.seeds_needed(d, 1.0) == n


def test_seeds_needed_find_the_gap_as_often_as_promised(rng):
    n = s.seeds_needed(3.0, 2.0)
    p = stats.ttest_1samp(rng.normal(3, 2, (4000, n)), 0, axis=1).pvalue
    assert 0.8 - 0.02 < (p < 0.05).mean() < 0.95
    p = stats.ttest_1samp(rng.normal(3, 2, (4000, n - 1)), 0, axis=1).pvalue
    assert (p < 0.05).mean() < 0.8


@pytest.mark.parametrize(
    ("gap", "deviation", "n"),
    [(0, 1, None), (1e-9, 1, None), (1, 0, None), (7, 1, 3), (1e6, 1, 3), (-0.5, 1, 34), (2.5e-3, 1, None)],
)
def test_seeds_needed_at_the_ends(gap, deviation, n):
    assert s.seeds_needed(gap, deviation) == n


def test_pairing_by_seed_finds_what_the_seeds_hide(rng):
    seed = rng.normal(0, 10, 10)
    a = pd.Series(seed + 1 + rng.normal(0, 0.3, 10), index=range(10))
    b = pd.Series(seed + rng.normal(0, 0.3, 10), index=range(10)).sample(frac=1, random_state=1)
    found = s.compare(a, b)
    expected = stats.ttest_rel(a, b.sort_index())
    assert found.pairs == 10
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()))
    assert found.p == pytest.approx(expected.pvalue)
    assert found.p < 0.001
    assert stats.ttest_ind(a, b).pvalue > 0.5
    assert found.seeds <= 5
    worse = s.compare(a, b, higher_is_better=False)
    assert (worse.difference, worse.low, worse.high) == pytest.approx((-found.difference, -found.high, -found.low))


def test_a_seed_without_a_score_is_left_out():
    found = s.compare(pd.Series({0: 1.0, 1: 2.0, 2: math.nan, 3: 4.0}), pd.Series({0: 0.0, 1: 2.5, 2: 1.0, 4: 0.0}))
    assert (found.pairs, found.difference) == (2, 0.25)
    with pytest.raises(ValueError, match="share no seed"):
        s.compare(pd.Series({0: 1.0}), pd.Series({1: 1.0}))
    with pytest.raises(ValueError, match="one score"):
        s.compare(pd.Series([1.0, 2.0], index=[0, 0]), pd.Series({0: 1.0}))
    with pytest.raises(ValueError, match="one score"):
        s.compare(pd.Series({0: 1.0}), pd.Series([1.0, 2.0], index=[0, 0]))


@pytest.mark.parametrize(
    ("low", "high", "margin", "word"),
    [
        (0.1, 5.0, 1.0, "better"),
        (-5.0, -0.1, 1.0, "worse"),
        (-0.5, 0.9, 1.0, "level"),
        (0.1, 0.9, 1.0, "level"),
        (-0.5, 1.1, 1.0, "undecided"),
        (-1.1, 0.5, 1.0, "undecided"),
        (-0.5, 0.5, None, "undecided"),
        (0.0, 2.0, None, "undecided"),
        (-2.0, 0.0, None, "undecided"),
        (-1.0, 1.0, 1.0, "level"),
        (math.nan, math.nan, 1.0, "undecided"),
    ],
)
def test_the_rule(low, high, margin, word):
    assert s.word(s.Comparison(3, 0.0, 1.0, low, high), margin) == word


def test_what_is_merely_undecided_is_rarely_called_level(rng):
    """Methods a margin apart are called level in at most 2.5 % of experiments, however few the seeds."""
    draws = rng.normal(1.0, 0.5, (2000, 3))
    words = [s.word(s.compare(pd.Series(x), pd.Series([0.0] * 3)), 1.0) for x in draws]
    assert words.count("level") / 2000 < 0.025 + 0.01


@pytest.mark.parametrize(
    ("interval", "pm", "higher", "word"),
    [
        ((339, 343), 2, True, "reproduced"),
        ((339, 343), math.nan, True, "reproduced"),
        ((335, 345), 2, True, "reproduced"),
        ((325, 338), 2, True, "undecided"),
        ((320, 360), 2, True, "undecided"),
        ((325, 333), 2, True, "short"),
        ((347, 355), 2, True, "above"),
        ((347, 355), 2, False, "short"),
        ((325, 333), 2, False, "above"),
        ((math.nan, math.nan), 2, True, "undecided"),
        ((334, 346), 2, True, "reproduced"),
        ((346, 350), 2, True, "undecided"),
        ((330, 334), 2, True, "undecided"),
    ],
)
def test_verdicts_on_a_published_340_with_a_margin_of_4(interval, pm, higher, word):
    assert s.verdict(interval, 340, pm, 4, higher_is_better=higher) == word


def test_a_published_value_without_a_band_is_a_point():
    assert s.verdict((339.0, 341.0), 340.0) == "undecided"
    assert s.verdict((341.0, 342.0), 340.0) == "above"


def test_two_seeds_cannot_reproduce_by_being_noisy():
    """An interval of two seeds is 9 standard deviations wide on each side: it holds nearly everything."""
    assert s.verdict(s.mean_interval([300.0, 330.0]), 340, 2, 4) == "undecided"


def tasks(rng, gain, n=8):
    return {t: pd.DataFrame(rng.normal([0, gain], 1, (n, 2)), columns=["aae", "mmd"]) for t in ("density", "classes")}


def test_improvement_over_tasks_is_the_mean_of_mann_whitneys(rng):
    found = several_tasks.improvement(tasks(rng, 0.0) | {"other": pd.DataFrame({"aae": [1.0, 2.0]})}, "aae")["mmd"]
    again = tasks(np.random.default_rng(0), 0.0)
    expected = [stats.mannwhitneyu(t["mmd"], t["aae"]).statistic / 64 for t in again.values()]
    assert found.probability == pytest.approx(np.mean(expected))
    assert found.low <= found.probability <= found.high
    assert found.tasks == 2
    assert several_tasks.improvement(tasks(rng, 9.0), "aae")["mmd"][:3] == (1, 1, 1)


def test_the_interval_of_an_improvement_is_that_of_the_bootstrap():
    """Runs that win or lose against one fixed run: their resampled share is binomial, with known quantiles."""
    mixed = pd.DataFrame({"aae": [0.0] + [np.nan] * 39, "mmd": [-1.0, 1.0] * 20, "absent": [np.nan] * 40})
    found = several_tasks.improvement({"a": mixed, "b": mixed[["aae"]]}, "aae")
    ends = stats.binom(40, 0.5).ppf([0.025, 0.975]) / 40
    assert {*found} == {"mmd"}
    assert found["mmd"] == pytest.approx((0.5, *ends, 1))


def test_a_performance_profile_is_the_share_of_runs_that_gain_more(rng):
    one = pd.DataFrame({"aae": [0.0, 2.0], "mmd": [1.0, 3.0]})
    found = several_tasks.profiles({"a": one, "b": one * 2}, "aae", {"a": 1.0, "b": 2.0}, [-2.0, -0.5, 0.5, 2.5])
    assert found.index.tolist() == [-2.0, -0.5, 0.5, 2.5]
    assert found["aae"].tolist() == [1, 0.5, 0.5, 0]
    assert found["mmd"].tolist() == [1, 1, 0.5, 0]
    [at] = several_tasks.profiles({"a": one.assign(absent=np.nan)}, "aae", {"a": 0.5}, [4.0]).to_numpy().tolist()
    assert at == [0, 0]  # a gain of τ itself is no more than τ, and a method without runs has no profile


def test_agreement_is_kendalls_tau_of_the_means(rng):
    """Of scipy where there is one task; pairs of methods count alike where there are several."""
    one, other = (pd.DataFrame(rng.normal(0, 1, (4, 6)), columns=[*"abcdef"]) for _ in range(2))
    found = several_tasks.agreement([(one, other.assign(g=1.0))])
    assert found.tau == pytest.approx(stats.kendalltau(one.mean(), other.mean()).statistic)
    assert found.pairs == 15
    assert -1 <= found.low < found.high <= 1
    both = several_tasks.agreement([(one, other), (one[["a", "b"]], one[["a", "b"]])])
    assert both.tau == pytest.approx((15 * found.tau + 1) / 16)


def test_agreement_is_as_sure_as_its_seeds(rng):
    """Methods further apart than their spread agree for sure, others may not, and of one seed nobody knows."""
    apart = pd.DataFrame(rng.normal([0, 10, 20, 30], 0.1, (3, 4)), columns=[*"abcd"])
    assert several_tasks.agreement([(apart, apart)])[:3] == (1, 1, 1)
    assert several_tasks.agreement([(apart, -apart)])[:3] == (-1, -1, -1)
    noisy = pd.DataFrame(rng.normal([0, 10, 20, 30], 20, (3, 4)), columns=[*"abcd"])
    assert several_tasks.agreement([(noisy, noisy)]).low < 0.5
    many = np.resize([-3.0, 3.0], 10)  # a standard error of 1
    sure = pd.DataFrame({"a": many, "b": many + 10})
    assert several_tasks.agreement([(sure, sure)]).low == 1
    assert np.isnan(several_tasks.agreement([(apart[:1], apart)]).low)
    noisy.loc[1:, "a"] = np.nan  # one seed, as unsure as the others
    assert -1 <= several_tasks.agreement([(noisy, noisy)]).low < 0.5
