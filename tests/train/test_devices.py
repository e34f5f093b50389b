"""Training and measuring leave no tensor behind on the CPU: what a GPU would refuse, found without one."""

import numpy as np
import pytest
import torch

from bench.config import reading
from bench.config.runs import Run, expand
from bench.data import datasets
from bench.evaluate.likelihood import EFFORT, by_annealing
from bench.evaluate.measure_runs import arrays
from bench.evaluate.protocols import EVALUATIONS
from bench.evaluate.trained_run import Trained
from bench.train import train_runs
from bench.train.loop import Training
from tests.support.checkout import ROOT
from tests.support.elsewhere import ELSEWHERE, There, WrongDevice, elsewhere

# Others are as they are.
ALIKE = (
    "tuning", "clustering_20", "clustering_30", "label_informed_roll", "reduction_10d", "reduction_2d_unsupervised",
    "semi_supervised_1000",
)  # fmt: skip
RUNS = {
    run.cell.split("-")[0]: run
    for run in expand(reading.load(ROOT / "config/smoke.yaml"))
    if run.seed == 0 and run.experiment not in ALIKE
}
# A penalty is not measured: of the methods of an experiment, one with each encoder and prior of its own.
MEASURED = [name for name in RUNS if not name.endswith(("/ae", "/aae", "/sinkhorn", "_all/mmd"))]


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
    run = Run(run.experiment, run.method, 0, run.settings.model_copy(update={"batch_size": 400}))
    with elsewhere(monkeypatch):
        here = Training(run, datasets.Dataset(**vars(digits)), "cpu")
        here.run_epoch(lambda n: None, lambda: False)
        there = Training(run, datasets.Dataset(**vars(digits)), ELSEWHERE)
        there.run_epoch(lambda n: None, lambda: False)
        there.finish()
        assert all(isinstance(t, There) for t in there.objective.state_dict().values())
    for key, value in here.history[0].items():
        assert there.history[0][key] == pytest.approx(value, rel=1e-4), key


@pytest.mark.parametrize("name", MEASURED)
def test_a_measurement_stays_on_its_device_and_comes_to_the_same_numbers(name, digits, tmp_path, monkeypatch):
    run = RUNS[name]
    record = train_runs.record(run, tmp_path, lambda: datasets.Dataset(**vars(digits)))
    assert record["status"] == "ok", record["reason"]
    here = Trained(run, digits, tmp_path)
    expected = {name: list(EVALUATIONS[name](here)) for name in run.settings.evaluations}
    with elsewhere(monkeypatch):
        there = Trained(run, digits, tmp_path, ELSEWHERE)
        for evaluation, known in expected.items():
            found = list(EVALUATIONS[evaluation](there))
            assert [m.metric for m in found] == [m.metric for m in known]
            for one, other in zip(found, known, strict=True):
                assert one.value == pytest.approx(other.value, rel=1e-3, abs=1e-3), one.metric


@pytest.mark.parametrize("name", ["likelihood/mmd", "likelihood/vae"])
def test_annealing_and_the_stored_codes_too(name, digits, tmp_path, monkeypatch):
    run = RUNS[name]
    train_runs.record(run, tmp_path, lambda: datasets.Dataset(**vars(digits)))
    effort = EFFORT._replace(temperatures=5, draws=10)
    expected = {m.metric: m.value for m in by_annealing(Trained(run, digits, tmp_path), effort)}
    with elsewhere(monkeypatch):
        there = Trained(run, digits, tmp_path, ELSEWHERE)
        found = {m.metric: m.value for m in by_annealing(there, effort)}
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-3)
        stored = arrays(there)
    assert len(stored["test_z"]) == len(digits.test.y)
    assert all(isinstance(array, np.ndarray) for array in stored.values())
