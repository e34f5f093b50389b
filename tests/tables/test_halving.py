"""Successive halving: after each seed the worse half of a method's trials is dropped, and says so."""

import math

import pytest
import yaml

from bench.__main__ import main
from bench.config.reading import ConfigError, load
from bench.config.schema import TUNING
from bench.evaluate import measure_runs
from bench.records import collect, integrity, whole_files
from bench.records.freshness import TIMING, Results
from bench.records.snakemake_jobs import Jobs
from bench.tables import halving
from bench.tables.tidy_table import read_metrics
from bench.tables.tuning import ledger, tuned_table
from bench.train import train_runs
from bench.train.verify import verify
from tests.support.checkout import ROOT, TINY

TRIALS = {"ae": [{"width": n} for n in (8, 10, 12, 14, 18)], "mmd": [{"weight": n} for n in (2, 3, 4, 5, 6)]}


def written(folder, **changes):
    content = yaml.safe_load(TINY) | {"seeds": 3, "batch_by": "run", "controls": False}
    content["experiments"]["likelihood"]["evaluations"] = ["likelihood"]
    content["tuning"] = {"experiment": "likelihood", "seeds": 3, "halving": True, "trials": TRIALS}
    for key, value in changes.items():
        (content["tuning"] if key in content["tuning"] else content)[key] = value
    (folder / "c.yaml").write_text(yaml.safe_dump(content))
    return folder / "c.yaml"


@pytest.fixture
def results(tmp_path):
    return Results(load(written(tmp_path)), tmp_path / "results")


def scored(results, scores):
    """The trials of a method with validation scores, by seed; None where a run failed."""
    for run in results.runs:
        if run.experiment == TUNING and run.method.startswith("mmd") and run.seed < len(scores):
            value = scores[run.seed][int(run.method[-1]) - 1]
            row = {"metric": results.config.tuning.metric, "split": "validation", "value": value and float(value)}
            metrics = collect.UNMEASURED | {"status": "ok", "rows": [] if value is None else [row]}
            whole_files.write_json(results.path(run, "metrics.json"), metrics)


def trials(names):
    return [int(name.removeprefix("mmd_trial")) for name in names]


@pytest.mark.parametrize(("scores", "kept"), [
    ([], [[1, 2, 3, 4, 5]]),
    ([[1, 5, 3, 4, 2]], [[1, 2, 3, 4, 5], [2, 4, 3]]),
    ([[1, 5, 3, 4, 2], [9, 1, 8, 4, 9]], [[1, 2, 3, 4, 5], [2, 4, 3], [3, 4]]),  # 5.5 and 4: a mean, and of who is left
    ([[None, None, 3, None, None]], [[1, 2, 3, 4, 5], [3]]),
    ([[1, 5, 3, 4, 2], [9, None, 8, None, 9]], [[1, 2, 3, 4, 5], [2, 4, 3], [3]]),
])  # fmt: skip
def test_the_better_half_goes_on_by_its_mean(results, scores, kept):
    scored(results, scores)
    found = [trials(halving.kept(results, "mmd", rung)) for rung in range(len(scores) + 1)]
    assert found == kept


def test_of_an_error_the_smaller_half_goes_on(tmp_path):
    content = yaml.safe_load(written(tmp_path).read_text())
    y = {"head": "categorical", "prior": "one_hot", "dim": 10}
    labels = {"labels": 100, "terms": ["reconstruction", "regularization", "classification"]}
    content["experiments"]["likelihood"] |= labels | {
        "latents": {"y": y, "z": {"dim": 2}}, "decoder": ["y", "z"], "evaluations": ["classification"]
    }  # fmt: skip
    content["tuning"]["metric"] = "validation_error"
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(content))
    results = Results(load(tmp_path / "c.yaml"), tmp_path / "results")
    scored(results, [[1, 5, 3, 4, 2]])
    assert trials(halving.kept(results, "mmd", 1)) == [1, 5, 3]


@pytest.mark.parametrize(("changes", "said"), [
    ({"batch_by": "method"}, "tuning.halving: needs batch_by: run, for a seed decides what the next one trains"),
    ({"seeds": 1}, "tuning.halving: has no effect with one seed: trials are dropped after each but the last"),
])  # fmt: skip
def test_what_it_cannot_be_is_said(tmp_path, changes, said):
    with pytest.raises(ConfigError, match=said):
        load(written(tmp_path, **changes))


def test_what_is_dropped_says_so_and_is_neither_trained_nor_chosen(results, capsys):
    count = []
    for run in results.runs:  # of older code
        whole_files.write_json(results.path(run, TIMING), {"machine": "old", "seconds": {}})
        whole_files.write(results.path(run, "model.safetensors"), b"old")
    for rung in range(3):
        runs = halving.on_rung(results, rung)
        count.append(len(runs))
        train_runs.train_all(results, runs)
        measure_runs.measure_all(results, runs)
        halving.drop(results, rung)
    assert count == [12, 8, 6]  # five trials, three, two, and the default, of each method
    assert not [run for run in results.runs if results.stale(run)]
    assert not list(integrity.problems(results))
    assert not list(integrity.unfinished(results))
    collect.collect(results)
    rows = read_metrics(results.folder / "metrics.csv")
    frame = ledger(results.config, rows)
    assert sorted(frame["seeds_finished"]) == [1] * 4 + [2] * 2 + [3] * 6
    assert set(frame[frame["dropped"] > 0]["note"]) == {
        "dropped: by halving, after 1 of 3 seeds", "dropped: by halving, after 2 of 3 seeds"
    }  # fmt: skip
    assert (frame[frame["chosen"]]["seeds_finished"] == 3).all()
    table = tuned_table(results.config, frame)
    assert "the worse half dropped after each seed" in table.caption
    assert [row[-1].text for row in table.rows] == ["0 of 13", "0 of 13"]
    [dropped] = {v.word for v in verify(results, [r for r in results.runs if results.record(r)["status"] == "dropped"])}
    assert dropped == "current"
    assert math.isfinite(frame["seconds"].sum())


def test_what_was_trained_all_the_same_keeps_its_numbers(tmp_path):
    path = written(tmp_path, seeds=2, trials={"mmd": TRIALS["mmd"][:2]})
    results = Results(load(path), tmp_path / "results")
    train_runs.train_all(results, results.runs)
    measure_runs.measure_all(results, results.runs)
    assert halving.drop(results, 0) == []
    assert {results.record(run)["status"] for run in results.runs} == {"ok"}


@pytest.mark.slow
def test_the_program_trains_seed_by_seed(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    path = written(tmp_path, seeds=2, trials={"mmd": TRIALS["mmd"][:2]})
    assert main(["tune", str(path.name), "--cores", "1"]) == 0
    out = capfd.readouterr().out
    said = [line for line in out.splitlines() if line.startswith("seed ")]
    assert said == ["seed 0: 3 settings, 1 dropped", "seed 1: 2 settings"]
    assert "ledger: " in out
    jobs = Jobs([str(path.name)])
    jobs.prepare()
    stale = [run for run in jobs.results.runs if jobs.results.stale(run)]
    assert {run.method for run in stale if run.seed < 2} == {"ae"}  # which nobody tunes
