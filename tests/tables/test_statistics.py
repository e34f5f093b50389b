"""Statistics on simulated scores whose truth is known, and against textbook numbers."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.tables import statistics as s


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_students_interval_holds_the_truth_as_often_as_it_says(rng, n):
    intervals = [s.mean_interval(rng.normal(340, 2, n)) for _ in range(2000)]
    assert np.mean([low < 340 < high for low, high in intervals]) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(("n", "coverage"), [(5, 0.83), (10, 0.90), (30, 0.94)])
def test_the_bootstrap_holds_it_less_often_as_its_docstring_says(rng, n, coverage):
    intervals = [s.bootstrap_interval(rng.normal(340, 2, n), resamples=500) for _ in range(400)]
    assert np.mean([low < 340 < high for low, high in intervals]) == pytest.approx(coverage, abs=0.045)


def test_one_score_has_no_interval():
    assert s.mean_interval([3.0]) is None
    assert s.bootstrap_interval([3.0]) is None
    assert s.mean_interval([]) is None
    one = s.compare(pd.Series({0: 2.0}), pd.Series({0: 1.0}))
    assert (one.interval, one.bootstrap, one.probability_interval, one.seeds) == (None, None, None, None)
    assert math.isnan(one.p_t)
    assert math.isnan(one.p_wilcoxon)


def test_scores_that_are_missing_are_not_dropped_in_silence():
    with pytest.raises(ValueError, match="finite"):
        s.mean_interval([1.0, math.nan])


def test_equal_scores_have_an_interval_of_no_width():
    assert s.mean_interval([2.0] * 4) == s.bootstrap_interval([2.0] * 4) == (2, 2)


def test_the_interquartile_mean():
    assert s.iqm([100, 1, 2, 3, 4, 5, 6, -100]) == 3.5
    assert s.iqm([1, 2, 9]) == 4
    np.testing.assert_allclose(s.iqm(np.arange(16).reshape(2, 8)), [3.5, 11.5])


def test_the_probability_of_improvement():
    assert s.probability_of_improvement([2, 3], [0, 1]) == 1
    assert s.probability_of_improvement([1, 2, 3], [2]) == 0.5
    x, y = np.random.default_rng(0).integers(9, size=(2, 12))
    u = stats.mannwhitneyu(x, y).statistic
    assert s.probability_of_improvement(x, y) == pytest.approx(u / 144)


def test_holm_by_hand():
    np.testing.assert_allclose(s.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(s.holm([0.5, math.nan, 0.6]), [1, math.nan, 1])
    assert len(s.holm([])) == 0


def test_holm_keeps_the_error_of_the_family(rng):
    p = stats.ttest_1samp(rng.normal(size=(1500, 6, 10)), 0, axis=2).pvalue
    assert np.mean([s.holm(row).min() < 0.05 for row in p]) == pytest.approx(0.05, abs=0.017)
    assert np.mean(p.min(1) < 0.05) > 0.2


@pytest.mark.parametrize(("d", "paired", "n"), [(0.5, True, 34), (0.8, True, 15), (0.5, False, 64), (0.8, False, 26)])
def test_seeds_needed_are_cohens_tables(d, paired, n):
    assert s.seeds_needed(d, 1.0, paired=paired) == n


def test_seeds_needed_find_the_gap_as_often_as_promised(rng):
    n = s.seeds_needed(3.0, 2.0)
    p = stats.ttest_1samp(rng.normal(3, 2, (4000, n)), 0, axis=1).pvalue
    assert 0.8 - 0.02 < (p < 0.05).mean() < 0.95
    p = stats.ttest_1samp(rng.normal(3, 2, (4000, n - 1)), 0, axis=1).pvalue
    assert (p < 0.05).mean() < 0.8


def test_seeds_needed_at_the_ends():
    assert s.seeds_needed(0, 1) is None
    assert s.seeds_needed(1e-9, 1) is None
    assert s.seeds_needed(1, 0) == 2
    assert s.seeds_needed(1e6, 1) == 2


def test_pairing_by_seed_finds_what_the_seeds_hide(rng):
    seed = rng.normal(0, 10, 10)
    a = pd.Series(seed + 1 + rng.normal(0, 0.3, 10), index=range(10))
    b = pd.Series(seed + rng.normal(0, 0.3, 10), index=range(10)).sample(frac=1, random_state=1)
    found = s.compare(a, b)
    assert found.pairs == 10
    assert 0 < found.interval.low < 1 < found.interval.high
    assert found.bootstrap.low > 0
    assert found.p_t < 0.001 > stats.ttest_rel(a, b.sort_index()).pvalue
    assert found.p_t == pytest.approx(stats.ttest_rel(a, b.sort_index()).pvalue)
    assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(a, b.sort_index()).pvalue)
    assert stats.ttest_ind(a, b).pvalue > 0.5
    assert found.seeds <= 5
    worse = s.compare(a, b, higher_is_better=False)
    assert worse.difference == pytest.approx(-found.difference)
    assert worse.probability == pytest.approx(1 - found.probability)
    assert found.probability_interval.low <= found.probability <= found.probability_interval.high


def test_a_seed_without_a_score_is_counted():
    found = s.compare(pd.Series({0: 1.0, 1: 2.0, 2: math.nan, 3: 4.0}), pd.Series({0: 0.0, 1: 2.5, 2: 1.0, 4: 0.0}))
    assert (found.pairs, found.unpaired, found.difference) == (2, 3, 0.25)
    with pytest.raises(ValueError, match="share no seed"):
        s.compare(pd.Series({0: 1.0}), pd.Series({1: 1.0}))
    with pytest.raises(ValueError, match="one score"):
        s.compare(pd.Series([1.0, 2.0], index=[0, 0]), pd.Series({0: 1.0}))


def test_equal_methods():
    a = pd.Series([1.0, 2.0, 3.0])
    same = s.compare(a, a)
    assert (same.p_t, same.p_wilcoxon, same.difference, same.seeds) == (1, 1, 0, None)
    assert same.probability == 0.5
    assert s.compare(a + 1, a).p_t == 0


def test_comparisons_with_a_reference(rng):
    scores = pd.DataFrame(rng.normal([0, 5, 0], 1, (8, 3)), columns=["kl", "mmd", "adversarial"])
    scores["nothing"] = math.nan
    table = s.comparisons(scores, "adversarial")
    assert list(table.index) == ["kl", "mmd"]
    np.testing.assert_allclose(table["p_holm"], s.holm(table["p_t"]))
    assert table.loc["mmd", "p_holm"] < 0.01
    assert s.comparisons(scores[["kl", "nothing"]], "kl").empty


def test_the_critical_difference_is_demsars(rng):
    """Five methods have q = 2.728 at 5 % (Demšar, 2006, Table 5a)."""
    blocks = pd.DataFrame(rng.normal([3, 1.5, 0, 0, 0], 1, (12, 5)), columns=list("abcde"))
    ranking = s.rank(blocks)
    assert ranking.refusal is None
    assert ranking.critical_difference == pytest.approx(2.728 * math.sqrt(5 * 6 / (6 * 12)), rel=1e-3)
    assert ranking.ranks.idxmin() == "a"
    assert ranking.p < 0.001
    near = ranking.ranks["e"] - ranking.ranks["a"] >= ranking.critical_difference
    assert (ranking.pairwise.loc["a", "e"] <= 0.05) == near
    assert s.rank(-blocks, higher_is_better=False).ranks.equals(ranking.ranks)


def test_too_few_blocks_are_refused(rng):
    blocks = pd.DataFrame(rng.normal(size=(5, 3)), columns=list("abc"))
    assert s.rank(blocks).refusal is None
    blocks.loc[0, "a"] = math.nan
    assert "4 blocks" in s.rank(blocks).refusal
    assert s.rank(blocks).p is None
    assert "2 methods" in s.rank(pd.DataFrame(rng.normal(size=(9, 2)))).refusal


@pytest.mark.parametrize(
    ("ours", "interval", "pm", "higher", "word"),
    [
        (339, (335, 343), 2, True, "reproduced"),
        (330, (325, 337), 2, True, "short"),
        (330, (325, 338), 2, True, "reproduced"),
        (350, (345, 355), 2, True, "above"),
        (350, (345, 355), 2, False, "short"),
        (330, (325, 337), 2, False, "above"),
        (341, None, 2, True, "reproduced"),
        (343, None, 2, True, "above"),
        (341, None, None, True, "above"),
        (341, (339, 343), math.nan, True, "reproduced"),
        (None, None, 2, True, "not run"),
        (math.nan, None, 2, True, "not run"),
    ],
)
def test_verdicts(ours, interval, pm, higher, word):
    settings = dict(published=340, published_pm=pm, higher_is_better=higher)
    assert s.verdict(ours, interval, **settings, protocol_matches=True, ran=True) == word
    assert word in s.WORDS
    assert s.verdict(ours, interval, **settings, protocol_matches=True, ran=False) == "not run"
    if word != "not run":
        assert s.verdict(ours, interval, **settings, protocol_matches=False, ran=True) == "protocol differs"
