"""SVHN's semi-supervised set-up (Makhzani et al., 2015, App. A.2), trained on small files of the true format."""

import hashlib
import math
import re
import shlex

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from scipy.io import savemat

from bench.config import reading
from bench.config.runs import expand
from bench.data import datasets
from bench.data.svhn import MD5
from bench.evaluate import baselines, measure_baselines, measure_runs
from bench.records import whole_files
from bench.records.freshness import Results, read
from bench.train import train_runs
from bench.train.loop import Training
from tests.support.checkout import ROOT, Checkout

PER_CLASS = {"train": 96, "extra": 40, "test": 20}  # balanced, so that 1,000 labels can be had of so few images
CONFIG = ROOT / "config/svhn.yaml"
METHODS = [run.method for run in expand(reading.load(CONFIG)) if run.seed == 0]


def write_files(folder):
    """The three files as Stanford gives them; the class, 10 for the digit 0, shows in a stripe's place and colour."""
    folder.mkdir()
    rng, pins = np.random.RandomState(0), {}
    for name, count in PER_CLASS.items():
        y = rng.permutation(np.repeat(np.arange(1, 11), count)).astype(np.uint8)
        x = rng.randint(0, 120, (32, 32, 3, len(y))).astype(np.uint8)
        x[0, 0, 0] = 7  # a pixel that never changes
        for i, label in enumerate(y):
            x[3 * (label - 1) + 1 : 3 * label + 1, :, label % 3, i] += 130
        path = folder / f"{name}_32x32.mat"
        savemat(path, {"X": x, "y": y[:, None]}, do_compression=True)
        pins[path.name] = hashlib.md5(path.read_bytes()).hexdigest()
    return pins


@pytest.fixture(scope="module")
def svhn(tmp_path_factory):
    """A folder to run the programs in: the data, and `config/svhn.yaml` made small."""
    folder = tmp_path_factory.mktemp("svhn")
    small = {
        "extends": str(CONFIG),
        "name": "svhn",
        "seeds": 1,
        "defaults": {"width": 32, "epochs": 2},
        "methods": {"aae": {"hyperparameters": {"width": 32}}},
    }
    (folder / "small.yaml").write_text(yaml.safe_dump(small))
    (folder / "data").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DATA_ROOT", str(folder / "data"))
        for file, pin in write_files(folder / "data/SVHN").items():
            patch.setitem(MD5, file, pin)
        yield folder


@pytest.fixture(scope="module")
def trained(svhn):
    """The results after the programs have trained and measured every method, by method."""
    results = Results(read("small.yaml"))
    train_runs.train_all(results, results.runs)
    measure_runs.measure_all(results, results.runs)
    assert all(results.stale(run) is None for run in results.runs)
    return {run.method: (run, results.path(run)) for run in results.runs}


@pytest.fixture
def dataset(svhn):
    return datasets.load("svhn", svhn / "data", "per_pixel")


def test_the_config_is_the_papers_set_up():
    """By the notes on App. A.2: sizes, rates and their drop at epoch 250, dropout, normalisation, linear outputs."""
    config = reading.load(CONFIG)
    assert config.preset == "paper"
    for run in expand(config):
        s = run.settings
        assert (s.dataset, s.normalisation, s.output, s.loss) == ("svhn", "per_pixel", "linear", "squared")
        assert (s.labels, s.latents["y"].dim, s.latents["z"].dim, s.decoder) == (1000, 10, 20, ["y", "z"])
        assert (s.width, s.depth, s.batch_size, s.epochs, s.init) == (1000, 2, 100, 1000, "paper")
        assert (s.batch_norm, s.input_dropout, s.input_noise) == ("all", 0.2, 0)
        rates = {name: (o.name, o.lr, o.momentum, o.decay) for name, o in s.optimizers.items()}
        assert rates == {
            "reconstruction": ("sgd", 1e-4, 0.9, {250: 0.1}),
            "regularization": ("sgd", 0.01, 0.1, {250: 0.1}),
            "classification": ("sgd", 0.1, 0.9, {250: 0.1}),
            "inner": ("sgd", 0.01, 0.1, {250: 0.1}),
        }


def test_training_sees_normalised_images_of_both_files_and_a_balanced_thousand_labels(svhn, dataset):
    run = expand(read("small.yaml"))[0]
    training = Training(run, dataset)
    held_out = 10 * PER_CLASS["train"] // 6
    assert training.x.shape == (10 * (PER_CLASS["train"] + PER_CLASS["extra"]) - held_out, 3 * 32 * 32)
    x = training.x[:]
    constant = (x == 0).all(0)
    assert constant.nonzero().flatten().tolist() == [0]
    torch.testing.assert_close(x.mean(0), torch.zeros(3072), atol=1e-4, rtol=0)
    torch.testing.assert_close(x.std(0, correction=0), (~constant).float(), atol=1e-4, rtol=0)
    assert training.y[training.labelled].bincount().tolist() == [100] * 10
    unlabelled = torch.ones(len(training.y), dtype=torch.bool)
    unlabelled[training.labelled] = False
    assert (training.y[unlabelled] == dataset.classes).all()


def test_batch_norm_is_in_every_layer_but_the_output_and_dropout_at_the_input_alone(svhn, dataset):
    for run in expand(read("small.yaml")):
        autoencoder = Training(run, dataset).objective.autoencoder
        norms = {n: m.num_features for n, m in autoencoder.named_modules() if isinstance(m, torch.nn.BatchNorm1d)}
        assert norms == {
            "trunk.0": 32, "trunk.3": 32, "heads.y.norm": 10, "heads.z.norm": 20, "decoder.1": 32, "decoder.4": 32,
        }  # fmt: skip
        linear = {n: tuple(m.weight.shape) for n, m in autoencoder.named_modules() if isinstance(m, torch.nn.Linear)}
        assert linear["first"] == (32, 3072)
        assert linear["decoder.0"] == (32, 30)
        assert linear["decoder.6"] == (3072, 32)
        dropouts = [(n, m.p) for n, m in autoencoder.named_modules() if isinstance(m, torch.nn.Dropout)]
        assert dropouts == [("input_dropout", 0.2)]


@pytest.mark.slow
def test_the_outputs_are_linear_and_come_back_as_pixels(svhn, trained):
    """Normalised pixels are negative as often as not, which a sigmoid could not say."""
    for method, (run, folder) in trained.items():
        if "reconstruction" not in run.settings.terms:
            continue
        dataset = datasets.load("svhn", svhn / "data", "per_pixel")
        x = dataset.test.x[:50]
        autoencoder = Training(run, dataset).objective.autoencoder
        weights = load_file(folder / "model.safetensors")
        autoencoder.load_state_dict({n: weights[f"autoencoder.{n}"] for n in autoencoder.state_dict()})
        with torch.no_grad():
            out = autoencoder.eval().decode({n: q.mean for n, q in autoencoder.encode(x).items()})
        assert out.shape == x.shape == (50, 3072), method
        assert out.min() < 0, method
        torch.testing.assert_close(dataset.to_pixels(out), out * dataset.std + dataset.mean)
        stored = np.load(folder / "codes.npz")
        assert stored["samples"].shape[1:] == (3072,)
        assert stored["test_y"].shape == (200, 10)
        assert stored["test_z"].shape == (200, 20)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_and_its_test_error_is_measured(method, trained):
    _, folder = trained[method]
    record = whole_files.read_json(folder / "record.json")
    assert (record["status"], record["reason"], record["epoch"]) == ("ok", None, 2)
    metrics = whole_files.read_json(folder / "metrics.json")
    assert metrics["status"] == "ok", metrics["reason"]
    rows = {row["metric"]: row for row in metrics["rows"]}
    assert rows["error"]["n"] == 200
    assert rows["validation_error"]["n"] == 160
    assert math.isfinite(rows["error"]["value"])
    # The stripes tell the classes apart: after two epochs, however few, better than the nine in ten of guessing.
    assert 0 <= rows["error"]["value"] < 50


@pytest.mark.slow
def test_all_methods_start_from_the_same_weights_labels_and_batches(trained):
    hashes = [whole_files.read_json(folder / "record.json")["hashes"] for _, folder in trained.values()]
    for name in ("weights", "labels", "batches"):
        assert len({h[name] for h in hashes}) == 1


@pytest.mark.slow
def test_the_convolutional_config_trains_and_is_measured_too(svhn):
    text = (svhn / "small.yaml").read_text().replace("svhn.yaml", "svhn_conv.yaml").replace("epochs: 2", "epochs: 1")
    (svhn / "conv.yaml").write_text(text.replace("name: svhn", "name: svhn_conv"))
    results = Results(read("conv.yaml"))
    runs = [run for run in results.runs if run.method == "mmd_energy"]
    assert {(run.settings.architecture, run.settings.depth, run.settings.batch_norm) for run in runs} == {
        ("conv", 3, "all")
    }
    train_runs.train_all(results, runs)
    assert measure_runs.measure_all(results, runs) == {run.id: "ok" for run in runs}
    for run in runs:
        assert not results.metrics(run)["failed"]
        sizes = {name: tuple(w.shape) for name, w in load_file(results.path(run, "model.safetensors")).items()}
        assert sizes["autoencoder.first.1.weight"] == (32, 3, 3, 3)
        assert (128 * 4 * 4, 32) in sizes.values()  # back from features to an image of 4 x 4


@pytest.mark.slow
def test_the_commands_that_are_shown_plan_a_job_for_every_run(tmp_path):
    commands = [line for line in (ROOT / "docs/running.md").read_text().splitlines() if "config/svhn.yaml" in line]
    [command] = [shlex.split(line) for line in commands if line.startswith("DATA_ROOT=/data snakemake ")]
    assert "DATA_ROOT=/data make run CONFIG=config/svhn.yaml" in commands
    copy = Checkout(tmp_path / "copy")
    output = copy.run("env", *command, "--dry-run", "--nocolor")
    runs = len(expand(reading.load(CONFIG)))
    for rule in ("train", "evaluate"):
        assert re.search(rf"^{rule} +{runs}$", output, re.MULTILINE), output


def test_control_rows_do_not_need_all_images_as_floats(svhn, monkeypatch):
    """600,000 of them would take 7 GB."""
    seen = []
    original = datasets.Images.__getitem__

    def watched(images, index):
        found = original(images, index)
        seen.append(len(found))
        return found

    monkeypatch.setattr(datasets.Images, "__getitem__", watched)
    monkeypatch.setattr(baselines, "IMAGES", 300)
    rows = measure_baselines.measure(Results(read("small.yaml")))["rows"]
    untrained = "nearest labelled code, random encoder"
    assert {row["method"] for row in rows} == {"nearest labelled image", "label spreading", untrained}
    assert all(0 <= row["value"] < 50 for row in rows if row["method"] != untrained)
    assert max(seen) == 1000  # the labelled images
