"""What a run is, which runs a config has, and exactly which are stale after which edit."""

import os
import sys
from pathlib import Path

import pytest
import yaml

from bench.config import reading
from bench.config.runs import Run, batches, expand, select
from bench.records import fingerprint, locks, plan, result_set, whole_files
from bench.records.collect import collect
from bench.records.freshness import Results, measurement_versions, read, training_version
from bench.records.result_set import Damaged
from bench.records.snakemake_jobs import SHOWN, Jobs
from tests.support.checkout import ROOT, TINY, Checkout


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return reading.load(path)


def test_the_id_says_experiment_method_settings_and_seed_and_round_trips(config):
    runs = expand(config)
    assert [run.id.split("-")[0] for run in runs] == [
        "likelihood/ae",
        "likelihood/ae",
        "likelihood/mmd",
        "likelihood/mmd",
    ]
    assert [run.seed for run in runs] == [0, 1, 0, 1]


def test_only_what_a_training_depends_on_is_in_its_id(config):
    [run, *_] = expand(config)

    def cell(**changes):
        return Run(run.experiment, run.method, 7, run.settings.model_copy(update=changes)).cell

    assert cell() == run.cell
    assert cell(evaluations=["likelihood"], parzen_samples=[5], timeout=3.0) == run.cell
    assert cell(epochs=3) != run.cell
    assert cell(weight=2.0) != run.cell


def test_a_runs_id_does_not_depend_on_what_else_is_in_the_config(config):
    alone = config.model_copy(update={"methods": {"mmd": config.methods["mmd"]}})
    alone = alone.model_copy(
        update={"experiments": {"likelihood": config.experiments["likelihood"] | {"methods": ["mmd"]}}}
    )
    assert {run.id for run in expand(alone)} < {run.id for run in expand(config)}


def test_batches_hold_every_run_once_however_they_are_cut(config):
    runs = expand(config)
    for by, count in {"all": 1, "experiment": 1, "method": 2, "run": 4, 1: 1, 2: 2, 9: 2}.items():
        grouped = batches(config.model_copy(update={"batch_by": by}), runs)
        assert len(grouped) == count
        assert sorted(run.id for batch in grouped.values() for run in batch) == sorted(run.id for run in runs)


def test_a_number_of_batches_are_of_about_equal_size():
    quick = reading.load(ROOT / "config" / "full.yaml")
    for n in (2, 4, 6):
        sizes = [len(b) for b in batches(quick.model_copy(update={"batch_by": n}), expand(quick)).values()]
        assert len(sizes) == n
        assert max(sizes) - min(sizes) <= 6


@pytest.mark.parametrize("batch_by", ["all", "experiment", "method", "run", 2])
def test_a_job_is_told_to_do_its_own_runs_whatever_an_experiment_is_called(tmp_path, batch_by):
    content = yaml.safe_load(TINY)
    content |= {"batch_by": batch_by, "experiments": {"all": content["experiments"]["likelihood"]}}
    content["experiments"]["more"] = content["experiments"]["all"] | {"title": "More"}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(content))
    jobs = Jobs([str(tmp_path / "c.yaml")], root=tmp_path)
    for name, own in jobs.batches.items():
        assert select(jobs.results.runs, jobs.selection(name)) == own


def test_what_another_process_has_done_is_left_to_it(tmp_path):
    (tmp_path / "c.yaml").write_text(TINY)
    ours, theirs = (Jobs([str(tmp_path / "c.yaml")], root=tmp_path) for _ in range(2))
    ours.prepare()
    done = Path(ours.done["results", "collect"])
    done.write_text("")
    with locks.run_lock(ours.results.folder):
        theirs.prepare()
        assert done.exists()
    theirs.prepare()
    assert not done.exists()


def test_measurements_that_lack_a_key_are_none(tmp_path):
    (tmp_path / "c.yaml").write_text(TINY)
    results = Results(read(tmp_path / "c.yaml"), tmp_path)
    written(results, results.runs[0])
    path = results.path(results.runs[0], "metrics.json")
    whole_files.write_json(path, {k: v for k, v in whole_files.read_json(path).items() if k != "failed"})
    assert results.stale(results.runs[0]) == "evaluate"


def test_another_configs_broken_set_costs_no_plan(tmp_path):
    (tmp_path / "c.yaml").write_text(TINY)
    results = Results(read(tmp_path / "c.yaml"), tmp_path)
    whole_files.write(tmp_path / "other/metrics.csv", "half\n")
    with pytest.raises(Damaged):
        result_set.runs(tmp_path / "other")
    assert plan.Plan(results, [results.folder, tmp_path / "other"]).rows()[0]["to train"]


def test_patterns_choose_runs_and_a_wrong_one_is_named(config):
    runs = expand(config)
    assert len(select(runs, ["likelihood"])) == 4
    assert len(select(runs, ["likelihood/mmd"])) == 2
    assert select(runs, [runs[3].id]) == [runs[3]]
    with pytest.raises(reading.ConfigError, match="unknown 'likelihod'"):
        select(runs, ["likelihod"])


# --- staleness, in a copy that may be edited --------------------------------------------------------------

FINISH = """
import sys
from bench.records import whole_files
from bench.records.freshness import measurement_versions, training_version
from bench.records.snakemake_jobs import Jobs
jobs = Jobs([sys.argv[1]])
for run in jobs.results.runs:
    whole_files.write(jobs.results.path(run, "model.safetensors"), "a model")
    model = {"model": whole_files.sha256(b"a model")}
    record = {"id": run.id, "version": training_version(run), "status": "ok", "run": run.to_json(), "hashes": model}
    whole_files.write_json(jobs.results.path(run, "record.json"), record | {"seconds": 1.0})
    metrics = {"status": "ok", "reason": None, "versions": measurement_versions(run), "failed": {}, "rows": []}
    whole_files.write_json(jobs.results.path(run, "metrics.json"), model | metrics)
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A copy whose runs are all done, as far as records can tell."""
    copy = Checkout(tmp_path_factory.mktemp("copy"))
    copy.run("python", "-c", FINISH, "config/tiny.yaml")
    assert copy.stale()["None"] == {run.id for run in expand(reading.load(copy.folder / "config/tiny.yaml"))}
    return copy


@pytest.fixture
def edited(finished, monkeypatch):
    """Edit files of the copy, say what is stale, and take the edits back afterwards."""
    known = finished.folder / "bench/evaluate/versions.json"
    originals = {known: known.read_bytes()}  # or the code of before would be measured anew, too

    def edit(*changes):
        for name, change in changes:
            path = finished.folder / name
            before = path.read_bytes()
            originals.setdefault(path, before)
            assert change(before) != before, f"{name} is as it was"
            path.write_bytes(change(before))
        return {stage: {run.split("/")[1].split("-")[0] for run in runs} for stage, runs in finished.stale().items()}

    yield edit
    for path, content in originals.items():
        path.write_bytes(content)


ALL = {"ae", "mmd"}
EDITS = {
    "a regularizer": ("regularizers/mmd.py", lambda s: s + b"\nX = 1\n", {"mmd"}, set()),
    "the sums it imports": ("regularizers/_pairs.py", lambda s: s + b"\nX = 1\n", {"mmd"}, set()),
    "the model": ("bench/train/autoencoder.py", lambda s: s + b"\nX = 1\n", ALL, set()),
    "a setting of one method": (
        "config/tiny.yaml",
        lambda s: s.replace(b"{regularizer: mmd}", b"{regularizer: mmd, weight: 2}"),
        {"mmd"},
        set(),
    ),
    "a default of the program": (
        "bench/config/schema.py",
        lambda s: s.replace(b"momentum: values.Share = 0.9", b"momentum: values.Share = 0.8").replace(
            b"separation_margin: values.Amount = 1.0", b"separation_margin: values.Amount = 2.0"
        ),
        ALL,
        set(),
    ),
    "which evaluations": (
        "config/tiny.yaml",
        lambda s: s.replace(b"evaluations: [reconstruction]", b"evaluations: [reconstruction, likelihood]"),
        set(),
        ALL,
    ),
    "the version of torch": ("requirements.lock", lambda s: s.replace(b"torch==2.14.0", b"torch==2.15.0"), ALL, set()),
    "numpy for one Python": ("requirements.lock", lambda s: s.replace(b"numpy==", b"numpy==9", 1), ALL, set()),
    "the data's pinned checksum": ("bench/data/digits.py", lambda s: s.replace(b"68aea062", b"78aea062"), ALL, set()),
}


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_makes_exactly_the_right_runs_stale(edited, what):
    name, change, train, evaluate = EDITS[what]
    stale = edited((name, change))
    assert (stale["train"], stale["evaluate"]) == (train, evaluate)


def test_edits_that_move_no_number_make_nothing_stale(edited):
    stale = edited(
        ("regularizers/kl.py", lambda s: s + b"\nX = 1\n"),  # which no run uses
        ("regularizers/mmd.py", lambda s: s.replace(b"Squared MMD", b"The squared MMD")),  # a docstring
        ("regularizers/mmd.py", lambda s: s.replace(b"too_few(codes", b"too_few(\n codes")),
        ("regularizers/mmd.py", lambda s: b"# why\n" + s + b"\n\n# and so on\n"),
        ("bench/evaluate/parzen.py", lambda s: s + b"\nX = 1\n"),  # measures as before
        ("bench/tables/experiment_tables.py", lambda s: s + b"\nX = 1\n"),
        ("requirements.lock", lambda s: s.replace(b"ruff==", b"ruff==9")),
    )
    assert (stale["train"], stale["evaluate"]) == (set(), set())


def test_a_touched_file_makes_nothing_stale(finished):
    for name in ("regularizers/mmd.py", "bench/train/autoencoder.py", "config/tiny.yaml"):
        os.utime(finished.folder / name)
    assert not finished.stale()["train"]


def test_a_data_file_without_a_pinned_checksum_is_watched_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    (tmp_path / "TFD_48x48.mat").write_bytes(b"one")
    settings = expand(reading.load(ROOT / "config/smoke.yaml"))[0].settings.model_copy(update={"dataset": "tfd"})

    def version():
        return training_version(Run("likelihood", "ae", 0, settings))

    first = version()
    assert version() == first
    (tmp_path / "TFD_48x48.mat").write_bytes(b"two!")
    assert version() != first
    (tmp_path / "TFD_48x48.mat").unlink()
    assert version().endswith("-absent")  # a plan can be made; training names the file


def test_a_module_that_cannot_be_found_is_an_error_and_no_empty_hash(finished):
    finished.edit("bench/records/fingerprint.py", '"records.locks"', '"records.locked"')
    try:
        said = finished.run("python", "-m", "bench", "plan", "config/tiny.yaml", rc=2)
        assert "bench.records.locked: no source file" in said
    finally:
        finished.edit("bench/records/fingerprint.py", '"records.locked"', '"records.locks"')


def test_the_code_of_a_training_holds_the_initialisers_of_its_packages_and_nothing_that_is_neutral():
    found = {*fingerprint.closure("bench.train.train_runs")[0]}
    assert {"bench", "bench.train", "bench.data", "regularizers", "bench.train.loop"} <= found
    assert not found & fingerprint.NEUTRAL


def written(results, run, model=b"weights", status="ok", **versions):
    """A record and measurements of a run."""
    whole_files.write(results.path(run, "model.safetensors"), b"weights")
    hashes = {"model": whole_files.sha256(model)}
    record = {"version": training_version(run), "status": status, "run": run.to_json(), "id": run.id, "hashes": hashes}
    whole_files.write_json(results.path(run, "record.json"), record | {"reason": None, "seconds": 1.0})
    metrics = {"status": status, "reason": None, "versions": measurement_versions(run) | versions}
    metrics |= {"failed": {}, "rows": []}
    whole_files.write_json(results.path(run, "metrics.json"), hashes | metrics)


def test_a_measurement_by_an_older_protocol_is_made_again_and_without_its_model_the_run_trains(jobs):
    run, results = jobs.results.runs[0], jobs.results
    written(results, run)
    assert results.stale(run) is None
    written(results, run, reconstruction="older")
    assert (results.stale(run), results.lacking(run)) == ("evaluate", ["reconstruction"])
    results.path(run, "model.safetensors").unlink()
    assert results.stale(run) == "train"


def test_a_measurement_that_is_only_new_is_missing_and_makes_nothing_stale_without_a_model(jobs):
    run, results = jobs.results.runs[0], jobs.results
    written(results, run)
    metrics = results.metrics(run)
    del metrics["versions"]["reconstruction"]
    whole_files.write_json(results.path(run, "metrics.json"), metrics)
    assert results.stale(run) == "evaluate"
    results.path(run, "model.safetensors").unlink()
    assert results.stale(run) is None


def test_a_model_with_a_flipped_bit_is_trained_again_before_it_is_measured(jobs):
    run = jobs.results.runs[0]
    written(jobs.results, run, reconstruction="older")
    whole_files.write(jobs.results.path(run, "model.safetensors"), b"weighus")
    assert jobs.results.stale(run) == "train"


def test_a_record_of_an_older_form_is_stale_and_breaks_nothing(jobs):
    run = jobs.results.runs[0]
    whole = {"id": run.id, "version": "1-2", "status": "ok", "run": run.to_json(), "hashes": {}}
    for content in ({"status": "ok"}, [], {"version": "1"}, "text", whole, whole | {"seconds": "1"}):
        whole_files.write_json(jobs.results.path(run, "record.json"), content)
        assert jobs.results.stale(run) == "train"
        plan.describe(plan.Plan(jobs.results).rows(), 1)
        collect(jobs.results)


# --- what Snakemake is told -------------------------------------------------------------------------------


@pytest.fixture
def jobs(tmp_path, config):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY.replace("batch_by: experiment", "batch_by: method"))
    return Jobs([str(path)], root=tmp_path / "results")


def test_a_jobs_done_file_is_named_by_what_it_is_of(jobs, tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(path.read_text().replace("{regularizer: mmd}", "{regularizer: mmd, weight: 2}"))
    other = Jobs([str(path)], root=tmp_path / "results")
    changed = {os.path.basename(p) for p in set(other.done.values()) - set(jobs.done.values())}
    assert {name.split("-")[0].split(".")[0] for name in changed} == {"likelihood", "results"}
    assert not [name for name in changed if name.startswith("likelihood.ae")]


def test_another_order_of_the_methods_makes_the_tables_anew_and_nothing_else(jobs, tmp_path):
    content = yaml.safe_load((tmp_path / "tiny.yaml").read_text())
    methods = content["experiments"]["likelihood"]["methods"]
    content["experiments"]["likelihood"]["methods"] = methods[::-1]
    turned = tmp_path / "turned" / "tiny.yaml"
    turned.parent.mkdir()
    turned.write_text(yaml.safe_dump(content, sort_keys=False))
    other = Jobs([str(turned)], root=tmp_path / "results")
    changed = {os.path.basename(p) for p in set(other.done.values()) - set(jobs.done.values())}
    assert {name.split("-")[0] for name in changed} == {"results.collect", "results.report"}
    assert other.file != jobs.file


def test_done_files_say_what_the_records_say(jobs):
    for run in jobs.results.runs:
        written(jobs.results, run)
    jobs.prepare()
    stages = {key for key, path in jobs.done.items() if os.path.exists(path)}
    assert stages == set(jobs.done) - {("results", "collect"), ("results", "report")}
    for stage in ("collect", "report"):
        whole_files.write(jobs.done["results", stage], "")
    lost = jobs.results.runs[-1]
    jobs.results.path(lost, "record.json").unlink()
    jobs.prepare()
    left = {key for key, path in jobs.done.items() if os.path.exists(path)}
    assert left == {key for key in jobs.done if key[0].startswith("likelihood.ae")} | {("results", "controls")}


def test_a_plan_judges_by_the_records_of_the_same_cell_and_says_where_there_is_none(jobs):
    results = jobs.results
    for run in results.runs:
        if run.seed == 0 and run.method == "ae":
            written(results, run, reconstruction="older")
    rows = {row["cell"].split("/")[1].split("-")[0]: row for row in plan.Plan(results).rows()}
    assert (rows["ae"]["to train"], rows["ae"]["to evaluate"]) == (1, 1)
    assert rows["ae"]["hours"] * 3600 == 1.0
    said = plan.describe(list(rows.values()), jobs=2)
    assert "4 runs: 0 done, 3 to train, 1 to evaluate only." in said
    assert "By the records" not in said
    assert "No run of 2 of these cells was timed on this processor" in said
    assert "By the records, about 0.00028 hours" in plan.describe([rows["ae"] | {"evaluation": 0.0}], jobs=2)
    assert plan.Plan(results).hint() == []
    for run in results.runs:
        if run.seed == 0 and run.method == "ae":
            path = results.path(run, "record.json")
            whole_files.write_json(path, whole_files.read_json(path) | {"version": "older"})
    assert "1 have records of other code" in plan.Plan(results).hint()[0]


def test_progress_counts_what_is_begun_and_what_failed(jobs):
    results = jobs.results
    begun, failed = results.runs[0], results.runs[-1]
    whole_files.write_json(results.path(begun, "checkpoints/attempts.json"), {})
    written(results, failed, status="diverged")
    rows = plan.Plan(results).rows()
    assert sum(row["begun"] for row in rows) == 1
    assert [row["not ok"] for row in rows] == ["", "1 diverged"]


def test_the_copy_of_a_config_reads_as_the_config(jobs):
    jobs.prepare()
    assert read(jobs.file) == jobs.config
    assert [run.id for run in Results(read(jobs.file)).runs] == [run.id for run in jobs.results.runs]


def test_a_timed_out_run_is_tried_again_only_with_other_time(jobs):
    results: Results = jobs.results
    run = results.runs[0]
    limited = Run(run.experiment, run.method, run.seed, run.settings.model_copy(update={"timeout": 5.0}))
    written(results, limited, status="timeout")
    assert results.trained(limited)
    assert not results.trained(run)


def test_an_edit_of_what_the_page_shows_makes_it_anew(tmp_path, monkeypatch):
    for name in SHOWN:
        path = tmp_path / name.replace("*", "some")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("before")
    monkeypatch.setattr("bench.records.snakemake_jobs.ROOT", tmp_path)

    def done():
        return Jobs([str(ROOT / "config/smoke.yaml")], root=tmp_path / "results").done

    before = done()
    assert done() == before
    for path in tmp_path.rglob("*.*"):
        path.write_text("after")
        after = done()
        assert after.pop(("results", "report")) != before[("results", "report")]
        assert after == {key: name for key, name in before.items() if key != ("results", "report")}
        before = done()


@pytest.mark.parametrize(
    "line",
    [
        "from pack.scales import S", "from pack import scales", "from .scales import S", "from . import scales",
        "import pack.scales", "from .deeper import T",
    ],
)  # fmt: skip
def test_what_a_plug_in_imports_of_its_own_package_counts_and_its_other_plug_ins_do_not(tmp_path, monkeypatch, line):
    files = {"__init__": "from pack import other", "foo": line, "other": "X = 1", "scales": "S = 1",
             "deeper/__init__": "from ..scales import S as T"}  # fmt: skip
    for name, text in files.items():
        (tmp_path / "pack" / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / f"pack/{name}.py").write_text(text + "\n")
    monkeypatch.syspath_prepend(tmp_path)

    def version():
        for cached in (fingerprint._read, fingerprint.source, fingerprint.closure, fingerprint.fingerprint):
            cached.cache_clear()
        return fingerprint.fingerprint("pack.foo")

    try:
        before = version()
        (tmp_path / "pack/other.py").write_text("X = 2\n")
        assert version() == before
        (tmp_path / "pack/scales.py").write_text("S = 2\n")
        assert version() != before
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "pack"]:
            del sys.modules[name]
