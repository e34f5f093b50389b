"""What every architecture promises, the installed ones too; and that all measurements work on each."""

import numpy as np
import pytest
import torch

from bench.config import reading, registry
from bench.config.schema import Settings
from bench.evaluate import likelihood, measure_runs
from bench.records.freshness import Results
from bench.train import train_runs
from bench.train.autoencoder import Autoencoder
from tests.support.configs import extended
from tests.support.small_data import digits_of, noise

NAMES = registry.names("architectures")
SHAPES = {"digits": (1, 8, 8), "mnist": (1, 28, 28), "svhn": (3, 32, 32), "odd": (1, 9, 13), "vector": (1, 1, 7)}
Z = {"z": {"dim": 3}}
Y = {"head": "categorical", "prior": "one_hot", "dim": 10}


def model(name, shape, **own):
    base = {"dataset": "digits", "regularizer": "mmd", "epochs": 1, "width": 12, "latents": Z, "decoder": ["z"]}
    settings = Settings.model_validate(base | {"architecture": name} | own)
    return Autoencoder(settings, shape, 10).initialise(0)


@pytest.mark.parametrize("own", [
    {}, {"depth": 1}, {"depth": 3}, {"batch_norm": "encoder"}, {"batch_norm": "all"}, {"encoder": "gaussian"},
    {"encoder": "universal"}, {"init": "paper"}, {"decoder": ["y", "z"], "latents": Z | {"y": Y}},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_an_image_of_any_size_becomes_a_code_and_a_code_an_image(name, shape, own):
    found, x = model(name, shape, **own), torch.rand(5, np.prod(shape))
    posteriors = found.train().encode(x)
    codes = {latent: q.rsample() for latent, q in posteriors.items()}
    assert codes["z"].shape == (5, 3)
    out = found.decode(codes)
    assert out.shape == x.shape
    assert torch.isfinite(out).all()
    used = out.square().sum() + sum(q.mean.square().sum() for q in posteriors.values())
    used = used + sum(q.stddev.square().sum() for q in posteriors.values() if own.get("encoder") == "gaussian")
    used.backward()
    idle = {n for n, p in found.named_parameters() if p.grad is None}
    assert idle <= {f"heads.z.{'head.' if 'batch_norm' in own else ''}log_std.{p}" for p in ("weight", "bias")}


@pytest.mark.parametrize("name", NAMES)
def test_an_encoding_does_not_depend_on_the_rest_of_the_batch_or_on_the_method(name):
    x = torch.rand(6, 64)
    one, other = model(name, (1, 8, 8)).eval(), model(name, (1, 8, 8), regularizer="kl", encoder="gaussian").eval()
    with torch.no_grad():
        codes = one.encode(x)["z"].mean
        torch.testing.assert_close(one.encode(x[2:4])["z"].mean, codes[2:4])
        torch.testing.assert_close(other.encode(x)["z"].mean, codes)  # the same first weights


def test_a_convolution_halves_the_image_and_doubles_the_channels():
    found = model("conv", (3, 32, 32), width=12)
    sizes = [m.weight.shape for m in found.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert [tuple(s) for s in sizes][:3] == [(32, 3, 3, 3), (64, 32, 3, 3), (12, 64 * 8 * 8)]


ARRAYS = {
    "vectors": lambda: np.random.RandomState(0).rand(90, 7).astype(np.float32),
    "grey": lambda: noise(90, 9, 8),
    "colours": lambda: noise(90, 6, 8, 3),
}
OWN = """
only: [density, classes]
defaults: {{dataset: {{arrays: own.npz}}, architecture: {name}, batch_size: 20, epochs: 1, parzen_samples: [50]}}
experiments:
  density: {{methods: [vae, mmd], evaluations: [reconstruction, likelihood, ais, probes]}}
  classes: {{methods: [vae, mmd], labels: 10, latents: {{y: {{dim: 5}}}}}}
"""


@pytest.mark.parametrize(("name", "kind"), [*((n, "colours") for n in NAMES), ("mlp", "vectors"), ("conv", "grey")])
def test_a_config_of_ones_own_arrays_gives_every_number_and_picture(tmp_path, monkeypatch, name, kind):
    hasty = {"temperatures": 3, "chains": 2}
    of_model = likelihood.Annealing
    monkeypatch.setattr(likelihood, "Annealing", lambda *given, **own: of_model(given[0], **own | hasty))
    images = ARRAYS[kind]()
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    np.savez(tmp_path / "own.npz", images=images, labels=digits_of(90, 5))
    config = extended(tmp_path, OWN.format(name=name))
    assert not isinstance(config, list), config
    assert reading.settings(config, "density", "mmd").architecture == name
    results = Results(config, tmp_path / "results")
    train_runs.train_all(results, results.runs)
    assert {*measure_runs.measure_all(results, results.runs).values()} == {"ok"}
    for run in results.runs:
        metrics = results.metrics(run)
        assert not metrics["failed"]
        assert {row["protocol"] for row in metrics["rows"]} == {*run.settings.evaluations}
        stored = np.load(results.path(run, "codes.npz"))
        assert stored["samples"].shape[1] == images[0].size
