"""Trainings end where they ended before, on this machine or another: the bits may differ, the distribution may not.

Stated tolerance: other seeds than the reference's, Welch's two-sided t-test of each metric of each method, and no p
below a thousandth by Bonferroni's correction over all of them.
"""

import json
from dataclasses import replace

import pytest
from scipy.stats import ttest_ind_from_stats

from bench.data import datasets
from bench.train.objective import Objective
from tests.support import reference_convergence as reference

LEVEL = 1e-3
SEEDS = range(1000, 1006)


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


def moved(method, digits, change=lambda run: run):
    """The metrics of a method that are not distributed as the reference's."""
    stored = json.loads(reference.FILE.read_text())["methods"]
    level = LEVEL / sum(len(metrics) for metrics in stored.values())
    found = reference.spread([change(run) for run in reference.runs(SEEDS)[method]], digits)
    p = {name: ttest_ind_from_stats(*found[name], *stored[method][name], equal_var=False).pvalue for name in found}
    return {name: value for name, value in p.items() if not value > level}


@pytest.mark.parametrize("method", reference.METHODS)
def test_a_method_ends_where_it_ended(method, digits):
    assert not moved(method, digits)


def slower(run):
    """The run at half its rates."""
    halved = {k: o.model_copy(update={"lr": o.lr / 2}) for k, o in run.settings.optimizers.items()}
    return replace(run, settings=run.settings.model_copy(update={"optimizers": halved}))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["mmd", "sliced_wasserstein"])
def test_half_the_learning_rate_is_noticed(method, digits):
    assert moved(method, digits, slower)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["mmd", "sliced_wasserstein"])
def test_a_penalty_of_the_wrong_sign_is_noticed(method, digits, monkeypatch):
    right = Objective.regularization
    monkeypatch.setattr(Objective, "regularization", lambda *arguments: -right(*arguments))
    assert moved(method, digits)
