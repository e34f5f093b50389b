"""What a plan says of the time that is left: within a factor of two, though nothing like it has run here."""

import statistics
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from bench.records.rehearsal import Unable, rehearse

from bench.config import reading
from bench.config.runs import Run, expand
from bench.data import datasets
from bench.evaluate import measure_runs, prior_mismatch
from bench.records import plan, rehearsal, whole_files
from bench.records.freshness import Results, training_version
from bench.records.provenance import processor
from bench.train import train_runs
from bench.train.loop import Training
from regularizers import Regularizer
from tests.support.checkout import ROOT, TINY

QUICK = {r.cell.split("-")[0]: r for r in expand(reading.load(ROOT / "config/quick.yaml")) if r.seed == 0}
TIMED = ("likelihood/ae", "likelihood/aae", "likelihood/ex_post", "semi_supervised/vae", "clustering/mmd")


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


def other(run, **changes):
    """The run with other settings."""
    return replace(run, settings=run.settings.model_copy(update=changes))


def config_of(text, folder):
    (folder / "tiny.yaml").write_text(text)
    return reading.load(folder / "tiny.yaml")


def test_a_rehearsal_is_within_a_factor_of_two_of_the_training(digits):
    """Both by the process's own clock: the machine that runs the tests has other work too."""
    ratios = {}
    for name in TIMED:
        run = other(QUICK[name], epochs=6)
        estimate = rehearse(run).seconds(run.settings)
        training = Training(run, replace(digits))
        before = time.process_time()
        train_runs.train(training)
        ratios[name] = estimate / (time.process_time() - before)
    assert 0.5 < statistics.median(ratios.values()) < 2, ratios
    assert all(0.25 < ratio < 4 for ratio in ratios.values()), ratios


def test_an_estimate_knows_epochs_images_and_sizes():
    run = QUICK["likelihood/mmd"]
    timing = rehearse(run)
    short, long = (timing.seconds(run.settings.model_copy(update={"epochs": e})) for e in (100, 1000))
    assert long / short == pytest.approx(10, rel=0.2)
    mnist = other(run, dataset="mnist", width=600)
    assert rehearse(mnist).step > 3 * timing.step
    assert rehearse(mnist).seconds(mnist.settings) > 50 * timing.seconds(run.settings)


def test_settings_that_weigh_losses_share_a_rehearsal_and_others_do_not():
    s = QUICK["likelihood/mmd"].settings
    assert rehearsal.kind(s) == rehearsal.kind(s.model_copy(update={"weight": 7.0, "epochs": 3}))
    for change in ({"width": 64}, {"regularizer": "energy"}, {"schedule": "joint"}, {"precision": "bfloat16"}):
        assert rehearsal.kind(s) != rehearsal.kind(s.model_copy(update=change))


def test_a_rehearsal_needs_no_data_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_ROOT", str(tmp_path / "nothing"))
    for dataset in ("mnist", "svhn", "tfd"):
        assert rehearse(other(QUICK["semi_supervised/mmd"], dataset=dataset, labels=0, terms=["reconstruction"])).step
    assert not list(tmp_path.iterdir())


BROKEN = {
    "raises": ("def forward(self, codes, posterior): raise KeyError('z')", "KeyError: 'z'"),
    "exits": ("def forward(self, codes, posterior): raise SystemExit(3)", "SystemExit: 3"),
    "hangs": ("def forward(self, codes, posterior):\n  while True: pass", "no step within 1 s"),
    "is NaN": ("def forward(self, codes, posterior): return codes.sum() * float('nan')", "diverges"),
    "cannot": (
        "@classmethod\n def unsupported(cls, prior, encoder): return 'needs a moon'",
        "unsupported: needs a moon",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_method_that_cannot_begin_says_why(what, monkeypatch):
    body, reason = BROKEN[what]
    scope = {"Regularizer": Regularizer}
    exec(f"class Broken(Regularizer):\n {body}", scope)
    monkeypatch.setattr("bench.train.objective.load", lambda name: scope["Broken"])
    with pytest.raises(Unable) as error:
        rehearse(QUICK["likelihood/ae"], patience=1.0)
    assert str(error.value) == reason


def test_a_method_that_cannot_begin_costs_nothing(tmp_path):
    text = TINY.replace("regularizer: mmd", "regularizer: kl").replace("[ae, mmd]", "[mmd]")
    [row] = plan.Plan(Results(config_of(text, tmp_path), tmp_path)).rows()
    assert row["by"] == "unsupported: needs a gaussian encoder"
    assert row["hours"] == 0


def test_records_of_another_processor_are_no_measure(tmp_path):
    config = config_of(TINY.replace("[ae, mmd]", "[ae]"), tmp_path)
    results = Results(config, tmp_path)
    for machine, by in (("another", "rehearsal"), (processor(), "cell")):
        for run in results.runs:
            record = {"version": "old", "status": "ok", "run": run.to_json(), "id": run.id, "seconds": 1234.0}
            record |= {"device": "cpu", "machine": machine}
            whole_files.write_json(results.path(run, "record.json"), record)
        [row] = plan.Plan(results).rows()
        assert row["by"] == by
        assert (row["seconds a run"] == 1234.0) == (by == "cell")


def test_nothing_is_rehearsed_where_nothing_is_to_be_trained(tmp_path, monkeypatch):
    results = Results(config_of(TINY, tmp_path), tmp_path)
    for run in results.runs:
        record = {"version": training_version(run), "status": "diverged", "run": run.to_json(), "id": run.id}
        whole_files.write_json(results.path(run, "record.json"), record)
    monkeypatch.setattr(rehearsal, "rehearse", lambda *_: pytest.fail("a done cell was rehearsed"))
    assert all(row["hours"] == 0 for row in plan.Plan(results).rows())


def test_the_time_of_evaluations_is_planned_by_samples_pixels_and_images():
    s = expand(reading.load(ROOT / "config/mnist.yaml"))[0].settings
    few, many = (s.model_copy(update={"parzen_samples": n}) for n in ([10_000], [10_000, 1_000_000]))
    assert plan.measuring(many) > 5 * plan.measuring(few)
    assert plan.measuring(s.model_copy(update={"evaluations": ["reconstruction"]})) < 1
    assert plan.measuring(s.model_copy(update={"dataset": "digits"})) < plan.measuring(s) / 10


def test_a_plan_ends_with_the_hours_of_both_stages(tmp_path):
    results = Results(config_of(TINY, tmp_path), tmp_path)
    rows = plan.Plan(results).rows()
    text = plan.describe(rows, jobs=2)
    assert "4 runs: 0 done, 4 to train, 0 to evaluate only." in text
    both = sum(row["hours"] + row["evaluation"] for row in rows)
    assert f"{both / 2:.2g} hours with 2 jobs at once" in text


def test_only_what_must_be_rehearsed_imports_torch(tmp_path):
    """A plan that rests on records starts as fast as the pipeline's."""
    code = "import sys, bench.plan; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_runs_of_a_cell_in_another_folder_count(tmp_path):
    results = Results(config_of(TINY, tmp_path), tmp_path)
    run = results.runs[0]
    record = {"version": "old", "status": "ok", "run": run.to_json(), "id": run.id, "seconds": 77.0}
    whole_files.write_json(tmp_path / "elsewhere/runs" / run.id / "record.json", record)
    found = plan.Plan(results, [results.folder, tmp_path / "elsewhere"])
    assert found.seconds(Run(run.experiment, run.method, 9, run.settings)) == (77.0, "cell")


def test_the_time_of_an_evaluation_is_planned_within_a_factor_of_two(digits, tmp_path, monkeypatch):
    """At one of three tries: the plan goes by the machine's speed of the moment, which others may change meanwhile."""
    runs = {name: other(QUICK[name], epochs=1) for name in ("likelihood/ae", "likelihood/mmd", "latent_2d/mmd")}
    for name, run in runs.items():
        train_runs.record(run, tmp_path / name, lambda: replace(digits))
    tries = []
    for _ in range(3):
        plan.slowness.cache_clear()
        ratios = {}
        for name, run in runs.items():
            planned = plan.measuring(run.settings)
            monkeypatch.setattr(prior_mismatch, "_floors", {})  # others of this process may have paid for them
            before = time.process_time()
            measure_runs.evaluate(run, replace(digits), tmp_path / name)
            ratios[name] = planned / (time.process_time() - before)
        tries.append(ratios)
        if 0.5 < statistics.median(ratios.values()) < 2:
            break
    assert 0.5 < statistics.median(tries[-1].values()) < 2, tries
    assert all(0.25 < ratio < 4 for ratio in tries[-1].values()), tries


def test_an_evaluation_that_was_timed_here_is_planned_by_its_like(tmp_path):
    results = Results(config_of(TINY, tmp_path), tmp_path)
    run = results.runs[0]
    timing = {"device": "cpu", "machine": "another", "parzen_samples": [10_000]}
    timing |= {"seconds": {"codes": 3.0, "reconstruction": 4.0, "likelihood": 50.0}}
    path = results.path(run, "timing.json")
    whole_files.write_json(path, timing)
    assert plan.Plan(results).measuring(run)[1] == "size"
    whole_files.write_json(path, timing | {"machine": processor()})
    found = plan.Plan(results)
    assert found.measuring(run) == (7.0, "cell")
    assert found.measuring(replace(run, seed=9)) == (7.0, "cell")
    more = other(run, evaluations=["reconstruction", "latent"])
    assert plan.measuring(more.settings, timing) == pytest.approx(
        7.0 + plan.measuring(other(run, evaluations=["latent"]).settings), rel=0.5
    )
    longer = other(run, evaluations=["likelihood"], parzen_samples=[10_000, 100_000]).settings
    assert plan.measuring(longer, timing) != 53.0
