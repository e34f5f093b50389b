"""A number is only ever replaced by a number: what the machine or its data are at fault for leaves all as it was."""

import shutil

import pytest
import torch

from bench.config import reading
from bench.data.verified_files import DataError
from bench.evaluate import measure_runs, protocols
from bench.records import whole_files
from bench.records.freshness import Results
from bench.train import train_runs
from tests.support.checkout import TINY


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    path = folder / "tiny.yaml"
    path.write_text(TINY.replace("seeds: 2", "seeds: 1"))
    found = Results(reading.load(path), folder / "results")
    assert set(train_runs.train_all(found, found.runs).values()) == {"ok"}
    measure_runs.measure_all(found, found.runs)
    return found


@pytest.fixture
def results(finished, tmp_path):
    """Two cells of one seed, trained and measured."""
    shutil.copytree(finished.folder.parent, tmp_path / "results")
    return Results(finished.config, tmp_path / "results")


def files(results):
    return {
        str(path.relative_to(results.folder)): path.read_bytes()
        for path in results.folder.glob("runs/**/*")
        if path.is_file() and path.name != "run.lock" and "checkpoints" not in path.parts
    }


FAULTS = {
    "no memory": MemoryError("cannot hold it"),
    "no memory, in torch's words": RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    "no memory on the GPU": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    "no driver": RuntimeError("Found no NVIDIA driver on your system."),
    "a GPU that fell off the bus": RuntimeError("CUDA error: unspecified launch failure"),
    "a full disk": OSError(28, "No space left on device"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_training_that_the_machine_ends_leaves_every_old_file_as_it_was(what, results, monkeypatch):
    before = files(results)

    def fail(*_, **__):
        raise FAULTS[what]

    monkeypatch.setattr("bench.train.loop.Training.finish", fail)  # after the last epoch: all but done
    with pytest.raises(OSError, match=str(FAULTS[what]).split("]")[-1].strip()[:10]):
        train_runs.train_all(results, results.runs, force=True)
    assert files(results) == before


@pytest.mark.parametrize("what", FAULTS)
def test_a_measurement_that_the_machine_ends_leaves_every_old_file_as_it_was(what, results, monkeypatch):
    before = files(results)

    def fail(trained):
        raise FAULTS[what]

    monkeypatch.setitem(protocols.EVALUATIONS, "reconstruction", fail)
    with pytest.raises(OSError, match=r"likelihood/ae.*\n.*likelihood/mmd"):  # each run has had its turn
        measure_runs.measure_all(results, results.runs, force=True)
    assert files(results) == before


def test_a_disk_that_fills_up_while_the_results_are_written_leaves_the_old_ones(results, monkeypatch):
    before, write = files(results), whole_files.write
    for name in ("model.safetensors", "history.csv", "record.json"):

        def full(path, content, name=name):
            if path.name == name:
                raise OSError(28, "No space left on device")
            write(path, content)

        monkeypatch.setattr(whole_files, "write", full)
        with pytest.raises(OSError, match="No space"):
            train_runs.train_all(results, results.runs, force=True)
        assert files(results) == before


def test_a_run_whose_data_are_wrong_is_named_and_costs_no_other_one_its_turn(results, monkeypatch):
    ae, mmd = results.runs
    training = train_runs.Training

    def refuse(run, *rest):
        if run == ae:
            raise DataError("20 labels need 2 images of class 3, found 1")
        return training(run, *rest)

    monkeypatch.setattr(train_runs, "Training", refuse)
    trained = results.path(mmd, "record.json").stat().st_mtime_ns
    with pytest.raises(DataError, match=rf"^{ae.id}: 20 labels need 2 images of class 3, found 1$"):
        train_runs.train_all(results, [ae, mmd], force=True)
    assert results.path(mmd, "record.json").stat().st_mtime_ns > trained


def test_data_that_cannot_be_read_are_read_once_and_said_once(results, monkeypatch):
    calls = []

    def absent(*_, **__):
        calls.append(1)
        raise DataError("digits: not there")

    monkeypatch.setattr("bench.data.datasets.load", absent)
    for start in (train_runs.train_all, measure_runs.measure_all):
        calls.clear()
        with pytest.raises(DataError, match=r"^digits: not there$"):
            start(results, results.runs, force=True)
        assert len(calls) == 1


def test_a_run_that_is_not_trained_is_named_after_the_others_are_measured(results):
    ae, mmd = results.runs
    results.path(ae, "record.json").unlink()
    results.path(mmd, "metrics.json").unlink()
    with pytest.raises(measure_runs.NotTrained, match=ae.id):
        measure_runs.measure_all(results, results.runs)
    assert results.path(mmd, "metrics.json").exists()


def test_what_was_to_be_trained_again_still_is_after_a_failure_in_the_same_batch(results, monkeypatch):
    ae, mmd = results.runs
    record, begun = train_runs.record, []

    def counted(run, *rest):
        begun.append(run)
        return {"status": "failed"} if len(begun) == 1 else record(run, *rest)

    monkeypatch.setattr(train_runs, "record", counted)
    with pytest.raises(train_runs.Tainted):
        train_runs.train_all(results, results.runs, force=True)
    (results.path(ae, "checkpoints") / train_runs.FORCED).unlink()  # as its record would have
    train_runs.train_all(results, results.runs)
    assert begun == [ae, mmd]


def test_the_same_model_keeps_its_measurements_and_another_does_not(results, monkeypatch):
    run = results.runs[0]
    train_runs.train_all(results, [run], force=True)
    assert not results.lacking(run)
    monkeypatch.setattr("bench.train.loop.Training.weights", lambda self: {"w": torch.zeros(1)})
    train_runs.train_all(results, [run], force=True)
    assert not results.path(run, "metrics.json").exists()
    assert not results.path(run, "codes.npz").exists()
