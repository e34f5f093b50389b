"""The measurement of the closed form: that its rivals are the same loss, and which of them are left out."""

import pytest
import torch

from bench.perf import mmd as mmd_module
from bench.perf.mmd import OURS, OWN, autograd, cell, mixture, step
from regularizers import Point
from regularizers.mmd import MMD


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


def test_more_codes_than_dense_matrices_fit_are_timed_without_them(monkeypatch):
    monkeypatch.setattr(mmd_module, "DENSE", 50)
    monkeypatch.setattr(mmd_module, "keops", autograd)
    for codes, dense in ((50, True), (51, False)):
        rows = cell("energy", 2, 1, codes, 1)
        assert {row["loss"]: row["ms"] > 0 for row in rows}.keys() >= {OWN, "geomloss energy, sampled"}
        assert any(row["loss"] == "torch dense, autograd" for row in rows) is dense
        assert [row["times ours"] for row in rows if row["loss"] == OWN] == [1.0]
