"""The protocols of evaluation, on models small enough to check by hand."""

import math

import pytest
import torch
from safetensors.torch import save_file
from sklearn.metrics import normalized_mutual_info_score

from bench.config.runs import Run
from bench.config.schema import Settings
from bench.config.streams import stream
from bench.data import datasets
from bench.door import computing
from bench.evaluate import ais, likelihood, measure_baselines, measure_runs, protocols
from bench.evaluate.measurement import Measurement
from bench.evaluate.trained_run import Trained
from bench.records import whole_files
from bench.records.freshness import Results, read
from bench.train import train_runs
from bench.train.loop import Training
from tests.support import small_data
from tests.support.checkout import TINY

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


def test_a_measured_model_has_the_share_of_labels_that_it_was_trained_with(tmp_path):
    """Where not every image has a label, as of the Toronto faces, "all" is not all."""
    small_data.tfd(tmp_path)
    z = {"prior": "petals", "dim": 2, "given": "label", "settings": {"components": 14}}
    settings = Settings(
        dataset="tfd", regularizer="mmd", epochs=1, width=8, labels="all", latents={"z": z}, decoder=["z"],
        evaluations=["reconstruction"],
    )  # fmt: skip
    run = Run("experiment", "method", 0, settings)
    training = Training(run, datasets.load("tfd", tmp_path))
    save_file(training.weights(), tmp_path / "model.safetensors")
    measured = Trained(run, datasets.load("tfd", tmp_path), tmp_path).objective
    assert training.objective.labelled_share == 26 / 46
    assert measured.labelled_share == 26 / 46


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
    mean, variance = (model.codes["test"][name].double() for name in ("z", "z_variance"))
    expected = 0.5 * (mean.square() + variance - variance.log() - 1).sum(1).mean()  # Kingma & Welling, appendix B
    assert measured("decomposition", model)["average_kl"].value == pytest.approx(expected.item(), rel=1e-6)


def test_a_vaes_aggregated_posterior_has_its_noise(tmp_path):
    model = trained(tmp_path, regularizer="kl", encoder="gaussian", epochs=1)
    drawn, mean, variance = model.aggregated("z"), model.codes["test"]["z"], model.codes["test"]["z_variance"]
    standard = (drawn - mean) / variance.sqrt()
    assert standard.std().item() == pytest.approx(1, abs=0.1)
    assert torch.equal(drawn, model.aggregated("z"))


def test_two_continuous_codes_have_numbers_of_their_own(tmp_path):
    model = trained(
        tmp_path, regularizer="kl", encoder="gaussian", latents={"a": Z, "b": Z}, decoder=["a", "b"], epochs=1
    )
    parts = measured("decomposition", model)
    assert parts["average_kl_a"].value != parts["average_kl_b"].value
    assert len(list(protocols.EVALUATIONS["decomposition"](model))) == len(parts) == 6
    petals = {"prior": "petals", "dim": 2}
    (tmp_path / "petals").mkdir()
    model = trained(tmp_path / "petals", latents={"a": petals, "b": petals}, decoder=["a", "b"], epochs=1)
    assert set(measured("components", model)) == {"own_component_a", "own_component_b"}


def test_the_bandwidth_of_many_samples_is_chosen_on_a_thousand_validation_images(monkeypatch):
    seen, sigmas, streamed = [], [], likelihood.streamed
    kept = lambda x, source, n, grid: (seen.append(x), sigmas.append(grid), streamed(x, source, n, grid))[-1]  # noqa: E731
    monkeypatch.setattr(likelihood, "streamed", kept)
    validation, test = torch.rand(1500, 3), torch.rand(50, 3)
    found = {m.metric: m for m in likelihood.parzen_measurements(validation, test, chunk_of, [10_000, 20_000])}
    fine = found["sigma_fine"].value
    assert (min(sigmas[0]), max(sigmas[0]), len(sigmas[0])) == pytest.approx((0.4 * fine, 1.1 * fine, 12))
    assert sigmas[1] == [found["sigma_20000"].value]
    assert all((m.split == "validation") == ("sigma" in m.metric or "validation" in m.metric) for m in found.values())
    assert [found[m].n for m in ("log_likelihood", "log_likelihood_20000", "validation_log_likelihood")] == [
        50,
        50,
        1000,
    ]
    assert [len(x) for x in seen] == [1000, 50]
    assert torch.equal(seen[0], validation[:1000])


def chunk_of(n, chunk):
    return torch.rand(n, 3, generator=torch.Generator().manual_seed(chunk))


def test_a_stream_is_the_whole():
    test = torch.rand(40, 3)
    [streamed] = likelihood.streamed(test, chunk_of, 30_000, [0.2])
    samples = torch.cat([chunk_of(10_000, i) for i in (1, 2, 3)])
    [whole] = likelihood.parzen.Parzen(test, [0.2]).add(samples).scores()
    assert streamed.mean == pytest.approx(whole.mean, abs=1e-5)


def test_annealing_sees_images_of_the_whole_test_set(tmp_path, monkeypatch):
    model, seen = trained(tmp_path, epochs=1), []

    class Stop(Exception):
        pass

    def stop(self, x):
        seen.append(x)
        raise Stop

    monkeypatch.setattr(likelihood.Annealing, "log_likelihood", stop)
    with pytest.raises(Stop):
        list(likelihood.by_annealing(model))
    chosen = torch.linspace(0, 299, 100).long()
    assert torch.equal(seen[0], model.dataset.test.x[chosen])


@pytest.mark.parametrize("encoder", ["gaussian", "deterministic"])
def test_annealing_is_that_of_the_decoder_with_the_stated_noise_chains_and_leaps(tmp_path, encoder):
    model = trained(tmp_path, encoder=encoder, epochs=1)
    effort = likelihood.Effort(images=3, temperatures=6, simulated=2, draws=4)
    found = {m.metric: m for m in likelihood.by_annealing(model, effort)}
    torch.manual_seed(stream(0, "ais"))
    x = model.dataset.test.x[torch.tensor([0, 149, 299])]
    of = ais.Model(lambda z: model.autoencoder.decode({"z": z}), model.autoencoder.priors["z"], 0.025**0.5)
    annealing = ais.Annealing(of, 6, chains=4, leapfrog=5, steepness=5.0)
    ll = annealing.log_likelihood(x)
    expected = {
        "ais_log_likelihood": (ll.mean().item(), 3, "test"),
        "ais_gap": (annealing.bracket(2).gap, 2, "simulated"),
    }
    if encoder == "gaussian":
        torch.manual_seed(stream(0, "encode"))
        q = model.autoencoder.encode(x)["z"]
        bound = of.importance_weighted(x, q.mean, q.variance, 4)
        expected["importance_weighted_bound"] = bound.mean().item(), 3, "test"
    assert {*found} == {*expected}
    for name, (value, n, split) in expected.items():
        assert (found[name].value, found[name].n, found[name].split) == (pytest.approx(value, rel=1e-4), n, split)
    error = ll.std(correction=0).item() / 3**0.5
    assert found["ais_log_likelihood"].standard_error == pytest.approx(error, rel=1e-4)


def test_tuning_of_clusters_looks_at_validation_images(tmp_path):
    y = {"head": "categorical", "prior": "one_hot", "dim": 12}
    model = trained(tmp_path, latents={"y": y, "z": Z}, decoder=["y", "z"], regularizer="mmd")
    found = measured("clustering", model)["validation_nmi"]
    labels, clusters = model.dataset.validation.y, model.codes["validation"]["y"].argmax(1)
    assert found.value == pytest.approx(normalized_mutual_info_score(labels, clusters))
    assert (found.split, found.n) == ("validation", 300)


# --- what is written --------------------------------------------------------------------------------------

CONFIG = TINY.replace("evaluations: [reconstruction]", "evaluations: [reconstruction, probes]")


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Trained runs that have been measured."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    results = Results(read("tiny.yaml"))
    train_runs.train_all(results, results.runs[:1])
    measure_runs.measure_all(results, results.runs[:1])
    return results


def break_(monkeypatch, name, error):
    def broken(trained):
        raise error

    monkeypatch.setitem(protocols.EVALUATIONS, name, broken)


def test_an_evaluation_that_fails_costs_its_own_numbers_alone_and_is_not_tried_again(results, monkeypatch, capfd):
    run = results.runs[0]
    results.path(run, "metrics.json").unlink()
    break_(monkeypatch, "probes", KeyError("y"))
    assert measure_runs.measure_all(results, [run]) == {run.id: "ok"}
    found = results.metrics(run)
    assert [row["metric"] for row in found["rows"]] == ["reconstruction"]
    assert found["failed"]["probes"]["reason"] == found["reason"].removeprefix("probes: ") == "KeyError: 'y'"
    assert results.stale(run) is None


def test_a_number_that_is_not_finite_is_none(results, monkeypatch, capfd):
    run = results.runs[0]
    results.path(run, "metrics.json").unlink()
    monkeypatch.setitem(protocols.EVALUATIONS, "probes", lambda _: [Measurement("m", float("nan"))])
    measure_runs.measure_all(results, [run])
    assert results.metrics(run)["reason"] == "probes: ArithmeticError: m is nan"


def test_numbers_of_a_protocol_that_fails_now_stay(results, monkeypatch, capfd):
    run = results.runs[0]
    before = results.metrics(run)["rows"]
    break_(monkeypatch, "probes", ValueError("no"))
    measure_runs.measure_all(results, [run], force=True)
    assert results.metrics(run)["rows"] == before


def test_another_protocols_numbers_are_not_measured_again(results, monkeypatch):
    run, path = results.runs[0], results.path(results.runs[0], "metrics.json")
    content = results.metrics(run)
    content["versions"]["reconstruction"] = "older"
    content["rows"][0]["value"] = -1.0
    whole_files.write_json(path, content)
    monkeypatch.setitem(protocols.EVALUATIONS, "probes", lambda _: pytest.fail("measured again"))
    measure_runs.measure_all(results, [run])
    assert results.metrics(run)["rows"][0]["value"] > 0
    assert results.metrics(run)["rows"][1:] == content["rows"][1:]


def test_baselines_are_measured_once_and_an_experiment_more_measures_its_own_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = CONFIG.replace("controls: false\n", "").replace("seeds: 2", "seeds: 1").replace("probes]", "likelihood]")
    (tmp_path / "tiny.yaml").write_text(text)
    results = Results(read("tiny.yaml"))
    first = measure_baselines.measure(results)["rows"]
    scores = {row["method"]: row["value"] for row in first if row["metric"] == "log_likelihood"}
    assert set(scores) == {"training images", "k-means centroids", "PCA + Gaussian mixture"}
    assert all(0 < value < 64 for value in scores.values())
    content = results.baselines()
    changed = [row | {"value": -1.0} for row in content["rows"]]
    whole_files.write_json(results.folder / "baselines.json", content | {"rows": changed})
    more = text + text[text.index("  likelihood:") :].replace("likelihood:", "more:", 1)
    (tmp_path / "tiny.yaml").write_text(more)
    verb = {"device": "cpu", "threads": None, "force": False, "log": None, "controls": True}
    computing.evaluate("tiny.yaml", (), **verb)
    second = Results(read("tiny.yaml")).baselines()["rows"]
    assert second[: len(first)] == changed
    assert [row | {"experiment": "likelihood"} for row in second[len(first) :]] == first
    monkeypatch.setattr(measure_baselines, "measure", lambda _: pytest.fail("measured again"))
    computing.evaluate("tiny.yaml", (), **verb)
