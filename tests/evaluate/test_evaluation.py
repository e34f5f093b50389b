"""The protocols of evaluation, on models small enough to check by hand."""

import math

import pytest
import torch
from safetensors.torch import save_file

from bench.config.runs import Run
from bench.config.schema import Settings
from bench.data import datasets
from bench.evaluate import protocols
from bench.evaluate.baseline_rows import rows as control_rows
from bench.evaluate.trained_run import Trained
from bench.train.loop import Training

Y = {"head": "categorical", "prior": "one_hot", "dim": 10}
Z = {"prior": "gaussian", "dim": 2}


def trained(folder, **own):
    base = {"dataset": "digits", "regularizer": "unregularized", "epochs": 3, "width": 32, "batch_size": 50}
    settings = Settings(**(base | {"latents": {"z": Z}, "decoder": ["z"]} | own))
    run = Run("experiment", "method", 0, settings)
    training = Training(run, datasets.load("digits"))
    for _ in range(settings.epochs):
        training.run_epoch(lambda n: None, lambda: False)
    save_file(training.weights(), folder / "model.safetensors")
    return Trained(run, datasets.load("digits"), folder)


def measured(name, model):
    return {m.metric: m for m in protocols.EVALUATIONS[name](model)}


def test_likelihood_is_the_brute_force_density_of_the_samples(tmp_path):
    model = trained(tmp_path, parzen_samples=[1000])
    found = measured("likelihood", model)
    test, samples = model.dataset.test.x.double(), model.samples(1000).double()
    sigma = found["log_likelihood"], found["sigma"].value
    squares = torch.cdist(test, samples).square()
    ll = torch.logsumexp(-squares / (2 * sigma[1] ** 2), 1) - math.log(1000)
    ll = ll - 64 * math.log(sigma[1] * math.sqrt(2 * math.pi))
    assert found["log_likelihood"].value == pytest.approx(ll.mean().item(), abs=1e-3)
    assert found["log_likelihood"].standard_error == pytest.approx(ll.std(correction=0).item() / 300**0.5, rel=1e-4)
    assert found["log_likelihood_fine"].value >= found["log_likelihood"].value - 1


def test_more_samples_are_streamed_and_score_no_less(tmp_path):
    model = trained(tmp_path, parzen_samples=[10_000, 20_000])
    found = measured("likelihood", model)
    assert found["log_likelihood_20000"].value > found["log_likelihood_fine"].value - 0.5
    splits = model.dataset.validation.x, model.dataset.test.x
    with pytest.raises(ValueError, match="multiple of 10000"):
        list(protocols.parzen_measurements(*splits, model.samples, [100, 150]))


def test_reconstruction_is_that_of_the_posterior_means(tmp_path):
    model = trained(tmp_path, regularizer="kl", encoder="gaussian")
    found = measured("reconstruction", model)["reconstruction"]
    x = model.dataset.test.x
    with torch.no_grad():
        means = {k: p.mean for k, p in model.autoencoder.encode(x).items()}
        errors = 0.5 * (model.autoencoder.decode(means) - x).square().sum(1)
    assert found.value == pytest.approx(errors.mean().item(), rel=1e-5)
    assert found.n == 300


def test_errors_are_per_cent_and_shuffled_test_labels_give_chance(tmp_path):
    model = trained(
        tmp_path, epochs=30, latents={"y": Y, "z": Z}, decoder=["y", "z"], labels=100,
        terms=["reconstruction", "regularization", "classification"],
    )  # fmt: skip
    found = measured("classification", model)
    wrong = model.codes["test"]["y"].argmax(1) != model.dataset.test.y
    assert found["error"].value == pytest.approx(100 * wrong.float().mean().item())
    assert found["error"].value < 40
    y = model.dataset.test.y
    y.copy_(y[torch.randperm(len(y))])
    assert measured("classification", model)["error"].value > 80


def test_own_component_counts_codes_in_their_classs_petal(tmp_path):
    model = trained(tmp_path, latents={"z": {"prior": "petals", "dim": 2}})
    prior, y = model.autoencoder.priors["z"], model.dataset.test.y
    model.codes["test"]["z"] = prior.means[y]
    assert measured("components", model)["own_component"].value == 100
    model.codes["test"]["z"] = prior.means[(y + 1) % 10]
    assert measured("components", model)["own_component"].value == 0


def test_every_other_evaluation_gives_finite_numbers(tmp_path):
    model = trained(tmp_path, regularizer="kl", encoder="gaussian")
    for name in ("latent", "probes", "decomposition"):
        found = measured(name, model)
        assert found
        assert all(math.isfinite(m.value) for m in found.values())
    parts = measured("decomposition", model)
    total = parts["marginal_kl"].value + parts["mutual_information"].value
    assert parts["average_kl"].value == pytest.approx(total, abs=1e-6)


def test_a_vaes_aggregated_posterior_has_its_noise(tmp_path):
    model = trained(tmp_path, regularizer="kl", encoder="gaussian", epochs=1)
    drawn, mean, variance = model.aggregated("z"), model.codes["test"]["z"], model.codes["test"]["z_variance"]
    standard = (drawn - mean) / variance.sqrt()
    assert standard.std().item() == pytest.approx(1, abs=0.1)
    assert torch.equal(drawn, model.aggregated("z"))


def test_controls_are_rows_of_the_experiments_that_need_them():
    from bench.config.reading import check

    content = {
        "name": "t",
        "defaults": {"dataset": "digits", "epochs": 1, "latents": {"z": Z}, "decoder": ["z"]},
        "methods": {"ae": {"regularizer": "unregularized"}},
        "experiments": {"likelihood": {"methods": ["ae"], "evaluations": ["likelihood"]}},
    }
    config = check(content, [("t.yaml", content)])
    first = control_rows(config)
    found = first["rows"]
    scores = {r["method"]: r["value"] for r in found if r["metric"] == "log_likelihood"}
    assert set(scores) == {"training images", "k-means centroids", "PCA + Gaussian mixture"}
    assert all(0 < value < 64 for value in scores.values())
    # An experiment more measures its own rows alone.
    both = content | {"experiments": content["experiments"] | {"more": content["experiments"]["likelihood"]}}
    changed = [row | {"value": -1.0} for row in found]
    second = control_rows(check(both, [("t.yaml", both)]), first | {"rows": changed})
    assert second["rows"][: len(found)] == changed
    assert [row | {"experiment": "likelihood"} for row in second["rows"][len(found) :]] == found
    assert control_rows(config, second) == first | {"rows": changed}
