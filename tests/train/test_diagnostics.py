"""A diagnostic leaves the model, its statistics, the generators and the optimizers as they were, bit for bit."""

import copy
from dataclasses import replace

import pytest
import torch

from bench.config import reading
from bench.config.runs import expand
from bench.data import datasets
from bench.train.diagnostics import gradient_norm
from bench.train.loop import Training
from tests.support.checkout import ROOT

RUNS = {run.cell.split("-")[0]: run for run in expand(reading.load(ROOT / "config/smoke.yaml")) if run.seed == 0}
NAMES = ("likelihood/vae", "likelihood/aae", "likelihood/ex_post", "semi_supervised/vae", "clustering/aae", "style/mmd")
DIAGNOSTICS = {
    "gradient norm": lambda training, batch: gradient_norm(training.objective, batch),
    "opening": lambda training, batch: training.probe(batch),
    "rates": lambda training, batch: training.rates(),
    "weights": lambda training, batch: training.weights(),
    "facts": lambda training, batch: training.facts(),
}


def begun(name, **changes):
    """A training after its first epoch, and a batch of it."""
    run = replace(RUNS[name], settings=RUNS[name].settings.model_copy(update=changes))
    training = Training(run, datasets.load("digits"))
    training.run_epoch(lambda n: None, lambda: False)
    training.objective.train()
    return training, training._batch(torch.arange(37))


def everything(training):
    state = copy.deepcopy(training.state())
    gradients = [None if p.grad is None else p.grad.clone() for p in training.objective.parameters()]
    modes = [module.training for module in training.objective.modules()]
    needed = [p.requires_grad for p in training.objective.parameters()]
    return state, gradients, modes, needed


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.parametrize("name", NAMES)
def test_a_diagnostic_moves_nothing(name):
    training, batch = begun(name, batch_norm="encoder", input_dropout=0.2)
    before = everything(training)
    for what, diagnostic in DIAGNOSTICS.items():
        diagnostic(training, batch)
        assert same(everything(training), before), what


def test_an_epoch_moves_the_statistics_of_batch_normalisation_once_a_batch_and_encoding():
    training, _ = begun("clustering/aae", schedule="joint")
    [tracked] = {int(m.num_batches_tracked) for m in training.objective.modules() if hasattr(m, "num_batches_tracked")}
    assert tracked == training.count


def test_the_gradient_norm_of_a_divergence_of_posteriors_is_with_respect_to_their_parameters():
    training, batch = begun("likelihood/vae")
    training.objective.eval()
    with torch.no_grad():
        q = training.objective.encode(batch).posteriors["z"]
    mean, std, n = q.mean, q.stddev, len(q.mean)
    expected = (mean.square().sum() + (std - 1 / std).square().sum()).sqrt() / n  # of KL to N(0, I)
    assert gradient_norm(training.objective, batch) == pytest.approx(expected.item(), rel=1e-4)


def test_the_gradient_norm_of_a_categorical_code_is_with_respect_to_its_logits():
    training, batch = begun("clustering/mmd")
    training.objective.eval()
    with torch.no_grad():
        encoded = training.objective.encode(batch)
    logits, z = encoded.posteriors["y"].logits.clone().requires_grad_(), encoded.codes["z"].clone().requires_grad_()
    codes = {**encoded.codes, "y": logits.softmax(1), "z": z}
    training.objective.regularization(batch, encoded._replace(codes=codes)).backward()
    expected = (logits.grad.square().sum() + z.grad.square().sum()).sqrt().item()
    assert gradient_norm(training.objective, batch) == pytest.approx(expected, rel=1e-3)


def test_a_probe_is_the_same_whatever_was_drawn_before():
    training, batch = begun("likelihood/vae")
    first = training.probe(batch)
    torch.rand(3)
    assert training.probe(batch) == first


def test_what_is_fitted_in_the_end_is_probed_by_the_moments_of_its_samples():
    training, batch = begun("likelihood/ex_post")
    found = training.probe(batch)
    codes = training.objective.eval().encode(training.held_out(256)).codes["z"]
    assert found["fit 0 mean"] == pytest.approx(codes.mean().item(), abs=0.2 * codes.std().item())
    assert found["fit 0 square"] == pytest.approx(codes.square().mean().item(), rel=0.25)
    training, batch = begun("style/mmd")
    assert not [name for name in training.probe(batch) if name.startswith("fit")]


def test_the_gradient_norm_of_a_penalty_on_codes_is_with_respect_to_them():
    training, batch = begun("style/mmd")
    training.objective.eval()
    encoded = training.objective.encode(batch)
    z = encoded.codes["z"].detach().requires_grad_()
    codes = {**encoded.codes, "z": z}
    training.objective.regularization(batch, encoded._replace(codes=codes)).backward()
    assert gradient_norm(training.objective, batch) == pytest.approx(z.grad.norm().item(), rel=1e-4)


def test_a_penalty_of_the_means_alone_has_a_gradient_too(monkeypatch):
    training, batch = begun("likelihood/vae")
    half = lambda self, codes, posterior: posterior.mean.square().sum() / 2  # noqa: E731
    monkeypatch.setattr(type(training.objective.regularizers[0]), "forward", half)
    training.objective.eval()
    with torch.no_grad():
        expected = training.settings.weight * training.objective.encode(batch).posteriors["z"].mean.norm()
    assert gradient_norm(training.objective, batch) == pytest.approx(float(expected), rel=1e-5)
