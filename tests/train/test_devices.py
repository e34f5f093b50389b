"""Training and measuring leave no tensor behind on the CPU: what a GPU would refuse, found without one."""

from functools import partial

import numpy as np
import pytest
import torch

from bench.config import reading
from bench.config.runs import expand
from bench.data import datasets
from bench.evaluate import likelihood, protocols
from bench.evaluate.ais import Annealing
from bench.evaluate.measure_runs import arrays
from bench.evaluate.protocols import EVALUATIONS
from bench.evaluate.trained_run import Trained
from bench.train import train_runs
from bench.train.loop import Training
from tests.support.checkout import ROOT
from tests.support.elsewhere import ELSEWHERE, There, WrongDevice, elsewhere

ALIKE = ("tuning", "clustering_20", "clustering_30", "label_informed_roll", "reduction_10d")  # others are as they are
RUNS = {
    run.cell.split("-")[0]: run
    for run in expand(reading.load(ROOT / "config/smoke.yaml"))
    if run.seed == 0 and run.experiment not in ALIKE
}


@pytest.fixture
def digits():
    return datasets.load("digits")


def test_the_second_device_refuses_what_a_gpu_refuses(monkeypatch):
    with elsewhere(monkeypatch):
        here, there = torch.ones(3, 3), torch.ones(3, 3, device=ELSEWHERE)
        index = torch.tensor([0, 2])
        generator = torch.Generator()
        for refused in (
            lambda: here + there,
            lambda: there @ here,
            lambda: torch.cat([here, there]),
            lambda: here[index.to(ELSEWHERE)],
            lambda: torch.randn(2, device=ELSEWHERE, generator=generator),
            lambda: torch.nn.functional.linear(there, torch.nn.Linear(3, 3).weight),
        ):
            with pytest.raises(WrongDevice):
                refused()
        with pytest.raises(RuntimeError, match="numpy"):
            np.asarray(there)
        assert (there + torch.tensor(1.0)).sum().item() == 18
        assert torch.equal(there[index].cpu(), here[index])
        assert isinstance(there.new_tensor(2.0), There)
        there.copy_(here * 5)
        assert there.to("cpu").max() == 5
        weight = there.clone().requires_grad_()
        (weight @ weight).sum().backward()
        assert isinstance(weight.grad, There)
        assert weight.grad.cpu().max() == 30


@pytest.mark.parametrize("name", RUNS)
def test_a_training_stays_on_its_device_and_comes_to_the_same_losses(name, digits, monkeypatch):
    run = RUNS[name]
    with elsewhere(monkeypatch):
        here = Training(run, datasets.Dataset(**vars(digits)), "cpu")
        here.run_epoch(lambda n: None, lambda: False)
        there = Training(run, datasets.Dataset(**vars(digits)), ELSEWHERE)
        there.run_epoch(lambda n: None, lambda: False)
        there.finish()
        assert all(isinstance(t, There) for t in there.objective.state_dict().values())
    for key, value in here.history[0].items():
        assert there.history[0][key] == pytest.approx(value, rel=1e-4), key


@pytest.mark.parametrize("name", RUNS)
def test_a_measurement_stays_on_its_device_and_comes_to_the_same_numbers(name, digits, tmp_path, monkeypatch):
    run = RUNS[name]
    record = train_runs.record(run, tmp_path, lambda: datasets.Dataset(**vars(digits)))
    assert record["status"] == "ok", record["reason"]
    with elsewhere(monkeypatch):
        here, there = (Trained(run, digits, tmp_path, device) for device in ("cpu", ELSEWHERE))
        for evaluation in run.settings.evaluations:
            expected = list(EVALUATIONS[evaluation](here))
            found = list(EVALUATIONS[evaluation](there))
            assert [m.metric for m in found] == [m.metric for m in expected]
            for one, other in zip(found, expected, strict=True):
                assert one.value == pytest.approx(other.value, rel=1e-3, abs=1e-3), one.metric


@pytest.mark.parametrize("name", ["likelihood/mmd", "likelihood/vae"])
def test_annealing_and_the_stored_codes_too(name, digits, tmp_path, monkeypatch):
    run = RUNS[name]
    train_runs.record(run, tmp_path, lambda: datasets.Dataset(**vars(digits)))
    short = partial(Annealing, temperatures=5)
    monkeypatch.setattr(protocols, "Annealing", lambda model, temperatures, **options: short(model, **options))
    with elsewhere(monkeypatch):
        here, there = (Trained(run, digits, tmp_path, device) for device in ("cpu", ELSEWHERE))
        expected = {m.metric: m.value for m in likelihood.by_annealing(here)}
        assert {m.metric: m.value for m in likelihood.by_annealing(there)} == pytest.approx(
            expected, rel=1e-3, abs=1e-3
        )
        stored = arrays(there)
    assert len(stored["test_z"]) == len(digits.test.y)
    assert all(isinstance(array, np.ndarray) for array in stored.values())
