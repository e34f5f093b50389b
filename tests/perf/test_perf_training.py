"""The measurement of training steps: what it counts as products."""

import json

import pytest
import torch

from bench.__main__ import main
from bench.config import reading
from bench.perf import subcommands, training
from bench.perf.timing import turns
from bench.perf.training import Products, RealSteps, images, products


def cell(method, **changes):
    settings = reading.settings(reading.load("config/full.yaml"), "likelihood", method)
    return settings.model_copy(update={"width": 32, "epochs": 2, "batch_size": 50} | changes)


def test_the_products_of_an_autoencoders_step():
    """Forwards one product a layer; backwards two, but for the first, whose input needs no gradient."""
    real = RealSteps(cell("ae"), images("digits", 500))
    recorded = products(real)
    forward = 64 * 32 + 32 * 32 + 32 * 8 + 8 * 32 + 32 * 32 + 32 * 64
    assert recorded.flop == 2 * 50 * (3 * forward - 64 * 32)
    assert len(recorded.calls) == 6 + 11
    assert real.training.batch == 1


def test_a_product_run_again_is_the_same_product():
    a, b = torch.randn(7, 5), torch.randn(9, 5).bfloat16()
    with Products() as recorded:
        first, second = a.T @ a, torch.addmm(b[:, 0], b, b.T)
    recorded.run()
    (_, _, again, _), (_, operands, last, _) = recorded.calls
    assert torch.equal(again, first)
    assert torch.equal(last, second)
    assert operands[1].data_ptr() == operands[2].data_ptr()  # what shared memory still does
    assert operands[2].stride() == b.T.stride()


def test_a_turn_advances_the_training_by_its_steps_and_one():
    real = RealSteps(cell("mmd"), images("digits", 500))
    assert real.turn(4) > 0
    assert (len(real.training.history), real.training.batch) == (0, 5)
    real.turn(12)  # beyond the end of the epoch, which has ten batches
    assert (len(real.training.history), real.training.batch) == (1, 8)


def test_turns_are_taken_in_order_and_the_median_is_reported():
    log, durations = [], iter([5.0, 1.0, 3.0])
    jobs = {"a": lambda n: log.append(("a", n)) or next(durations), "b": lambda n: log.append(("b", n)) or 2.0}
    assert turns(jobs, 4, 3) == {"a": 3.0, "b": 2.0}
    assert log == [("a", 4), ("b", 4)] * 3


@pytest.mark.parametrize(("given", "said"), [
    (["--methods", "nope"], "--methods: unknown 'nope'. Valid: "),
    (["--methods", "aae/both"], "--methods: aae/: unknown 'both'. Valid: joint, alternating"),
    (["--experiment", "likelihod"], "--experiment: unknown 'likelihod'; did you mean 'likelihood'? Valid: "),
])  # fmt: skip
def test_what_the_config_does_not_have_is_named(given, said, capsys):
    assert main(["perf", "training", "--config", "config/full.yaml", *given]) == 2
    assert said in capsys.readouterr().err


def test_the_program(tmp_path, capsys, monkeypatch):
    assert "training" in subcommands()
    monkeypatch.setattr(training, "IMAGES", 500)
    arguments = ["--config", "config/full.yaml", "--methods", "ae", "aae/joint", "--rounds", "1", "--steps", "1"]
    arguments += ["--batches", "100", "--precisions", "float32"]
    threads = torch.get_num_threads()
    assert main(["perf", "training", *arguments, "--json", str(tmp_path / "rows.json")]) == 0
    assert torch.get_num_threads() == threads == 1
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert [row["method"] for row in rows] == ["ae", "aae/joint"]
    for row in rows:
        assert 0 < row["products"] < 1
        assert row["images/s"] == pytest.approx(100_000 / row["ms"])
