"""The measurement of the closed form: how often it calls what it times, and that its rivals are the same loss."""

import time
from argparse import Namespace

import pytest
import torch

from bench.perf.mmd import OURS, OWN, autograd, cell, measured, mixture, step
from regularizers import Point
from regularizers.mmd import MMD


def test_what_takes_long_is_called_once_and_the_rest_is_warm_when_timed(monkeypatch):
    calls = []
    jobs = {"quick": lambda: calls.append("quick"), "slow": lambda: calls.append("slow") or time.sleep(0.05)}
    monkeypatch.setattr("bench.perf.mmd.clock", lambda: time.perf_counter)
    monkeypatch.setattr("bench.perf.mmd.median_seconds", lambda jobs: dict.fromkeys(jobs, 7.0))
    rows = measured(jobs, once=0.01, expected={"slow": 1.0})
    assert calls == ["quick", "quick", "slow", "quick"], "the last for its memory"
    assert rows["quick"]["seconds"] == 7
    assert 0.05 < rows["slow"]["seconds"] < 1
    assert rows["slow"]["peak MB"] is None


@pytest.mark.parametrize("kernel", list(OURS))
@pytest.mark.parametrize("components", [1, 10])
def test_the_dense_rival_has_the_value_and_the_gradient_of_ours(kernel, components):
    prior = mixture(3, components)
    mmd, found = MMD(prior, **OURS[kernel]), []
    codes = prior.sample(600) + 0.1
    for loss in (lambda mmd, z: mmd(z, Point(z)), autograd):
        z = codes.double().requires_grad_()
        value = loss(mmd, z)
        step(loss, mmd, z)()
        found.append((value.detach(), z.grad))
    for ours, dense in zip(*found, strict=True):
        torch.testing.assert_close(dense, ours, rtol=1e-4, atol=1e-4 * float(ours.abs().max()))


def test_a_rival_that_would_take_too_long_or_too_much_is_skipped_with_the_reason(monkeypatch):
    monkeypatch.setattr("bench.perf.mmd.rivals", lambda kernel: {"torch dense, autograd": autograd, "KeOps": autograd})
    known = {("KeOps", "gaussian", 2): 1e-2}
    rows = cell(100, 2, 1, "gaussian", Namespace(memory=0.1, limit=60, once=5.0), None, known)
    assert {row["rival"]: row.get("skipped") for row in rows} == {
        OWN: None,
        "torch dense, autograd": "about 0 MB",
        "KeOps": "about 100 s",
    }
