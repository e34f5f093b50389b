"""The measurement of Gaussian posteriors. KeOps compiles for half a minute: here torch differentiates in its place."""

import json

import pytest
import torch

from bench.perf import posteriors
from regularizers._mixture import expectation


def by_torch(mean, variance, kernel):
    """The gradients in mean and variance of Σ E k(z_i, z_j), by autograd through each pair's expectation."""
    m, v = mean.clone().requires_grad_(), variance.clone().requires_grad_()
    delta, both = (m[:, None] - m).flatten(0, 1), (v[:, None] + v).flatten(0, 1)
    expectation(delta, both, kernel)[0].sum().backward()
    return m.grad, v.grad


@pytest.mark.parametrize("kernel", ["imq", "gaussian", "energy"])
def test_the_rows_say_how_long_and_how_far_apart(kernel, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(posteriors, "keops", by_torch)
    path, threads = tmp_path / "rows.json", torch.get_num_threads()
    posteriors.run(["--codes", "12", "--dims", "2", "--kernels", kernel, "--json", str(path)])
    torch.set_num_threads(threads)
    ours, theirs = json.loads(path.read_text())["rows"]
    assert ours["times ours"] == 1
    assert ours["ms"] > 0
    assert theirs["ms"] == pytest.approx(theirs["times ours"] * ours["ms"])
    assert 0 < theirs["differs"] < 1e-5
    assert "closed form" in capsys.readouterr().out
