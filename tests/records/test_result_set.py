"""A result set is whole, the same bytes for the same runs, and what was packed is what a clone reads."""

import io
import json
import random
import re
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from bench.records import result_set
from bench.records.collect import collect, shown
from bench.records.freshness import Results, read
from bench.records.merge import Contradiction, merge
from bench.records.result_set import FILES, Damaged
from tests.support import result_sets


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A config and its packed results."""
    folder = tmp_path_factory.mktemp("set")
    path, metrics = result_sets.write(folder)
    return path, metrics.parent


def content(folder):
    return {name: (folder / name).read_bytes() for name in FILES}


def clone(made, folder):
    """What git has of a result set."""
    (folder / "tiny").mkdir(parents=True)
    for name in FILES:
        shutil.copy(made[1] / name, folder / "tiny" / name)
    return Results(read(made[0]), folder)


def test_a_clone_reads_what_was_packed_and_packs_it_to_the_same_bytes(made, tmp_path):
    here, there = Results(read(made[0]), made[1].parent), clone(made, tmp_path)
    before = content(made[1])
    for run in here.runs:
        assert there.record(run) == here.record(run)
        rows = [{k: v for k, v in row.items() if k != "current"} for row in there.metrics(run)["rows"]]
        assert rows == here.metrics(run)["rows"]
        assert there.stale(run) == (None if here.record(run)["status"] == "ok" else here.stale(run))
    collect(there)
    assert content(tmp_path / "tiny") == before
    collect(here)
    assert content(made[1]) == before


def test_a_run_that_is_new_joins_what_was_packed(made, tmp_path):
    there = clone(made, tmp_path)
    run = there.runs[0]
    shutil.copytree(made[1] / "runs" / run.id, there.path(run))
    record = there.record(run)
    (there.path(run) / "record.json").write_text(
        json.dumps(record | {"version": "0" * 16 + "-feedface"}), encoding="utf-8"
    )
    collect(there)
    rows = list(result_set.tidy(tmp_path / "tiny"))
    assert {row["run"] for row in rows} == {row["run"] for row in result_set.tidy(made[1])}
    assert {row["run"] for row in rows if not row["current"]} == {run.id}


def test_numbers_of_every_size_and_sign_come_back_as_they_were(made, tmp_path):
    from bench.records import packing

    values = [0.1, -1e-300, 3.0, 1 / 3, 1e22, -0.0]
    rows = [
        {"protocol": "p", "metric": f"m{i}", "value": v, "standard_error": e, "n": 3, "split": "test", "current": True}
        for i, (v, e) in enumerate(zip(values, map(abs, values), strict=True))
    ]
    metrics = {"model": None, "status": "ok", "reason": "a\u2028b\x85", "versions": {}, "failed": {}, "rows": rows}
    of = {"experiment": "a", "method": "m", "seed": 0, "version": "1-2"}
    line = {"id": 'a, "b"/m/seed0', "baseline": of, "metrics": metrics, "current": True}
    for name, data in packing.packed([line], {}, {"x/y": np.arange(3)}, "n").items():
        (tmp_path / name).write_bytes(data)
    [back] = result_set.runs(tmp_path)
    assert [row["value"] for row in back["metrics"]["rows"]] == values
    assert back["id"] == line["id"]
    assert (result_set.arrays(tmp_path, "x")["y"] == np.arange(3)).all()


def npy():
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    return buffer.getvalue()


def but(old, new):
    return lambda b: re.sub(old, new, b, count=1)


DAMAGE = {
    "a seed in words": ("runs.jsonl", but(rb'"seed": 0', b'"seed": "0"'), "a run; .*seed: expected a whole"),
    "a time in words": ("runs.jsonl", but(rb'"seconds": [.\d]+, "s', b'"seconds": "1", "s'), "a run; record.seconds"),
    "a key missing": ("runs.jsonl", but(rb'"current": true, ', b""), r"\d+: expected a run; current: missing"),
    "no record": ("runs.jsonl", but(rb'"record": {.*', b'"record": null}'), r"\d+: expected a run; record: exp"),
    "a run twice": ("runs.jsonl", lambda b: b + b.splitlines(True)[0], r"runs.jsonl:\d+: .* that stands here once"),
    "two settings": ("runs.jsonl", lambda b: b + but(rb"aae-", b"aae-f")(b.splitlines(True)[0]), "its method and se"),
    "a number twice": ("metrics.csv", lambda b: b + b.splitlines(True)[1], "metrics.csv: .* stands there twice"),
    "an array alone": ("arrays.npz", lambda b: npy(), "arrays.npz: not a whole file of arrays"),
    "a line that is cut off": ("runs.jsonl", lambda b: b[:-30], r"runs.jsonl:\d+: expected a run"),
    "other columns": ("metrics.csv", lambda b: b.replace(b"metric", b"metre", 1), "csv:1: expected the columns"),
    "an infinite number": ("metrics.csv", lambda b: b + b"x,p,m,inf,,,test,1\n", r"metrics.csv:\d+: expected a mea"),
    "commas alone": ("metrics.csv", lambda b: b + b",,,,,,,\n", r"metrics.csv:\d+: expected a measurement, found ',,,"),
    "a number in words": ("metrics.csv", lambda b: b + b'x,p,m,"-31,31",,,test,1\n', r"csv:\d+: expected a mea"),
    "a run that is not there": ("metrics.csv", lambda b: b + b"x,p,m,1.0,,,test,1\n", "run 'x' is not in"),
    "a history without numbers": ("history.csv", lambda b: b + b"x,one,two\n", "history.csv: not the history of runs"),
    "a history that is cut off": ("history.csv", lambda b: b + b"x,1", "history.csv: .* not as many fields"),
    "a history with a nan": ("history.csv", but(rb",[.\d]+\n", b",nan\n"), "history.csv: not the"),
    "a truncated archive": ("arrays.npz", lambda b: b[: len(b) // 2], "arrays.npz: not a whole file of arrays"),
    "a page in its place": ("arrays.npz", lambda b: b"<html>", "arrays.npz: not a whole file of arrays"),
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_file_is_named(what, made, tmp_path):
    name, change, expected = DAMAGE[what]
    clone(made, tmp_path)
    path = tmp_path / "tiny" / name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(Damaged, match=expected):
        (list(result_set.tidy(path.parent)), result_set.history(path.parent), result_set.arrays(path.parent))


def test_a_set_without_its_runs_is_damaged_and_not_collected_as_an_empty_one(made, tmp_path):
    there = clone(made, tmp_path)
    (tmp_path / "tiny/runs.jsonl").unlink()
    before = (tmp_path / "tiny/metrics.csv").read_bytes()
    with pytest.raises(Damaged, match=r"runs\.jsonl: missing"):
        collect(there)
    assert (tmp_path / "tiny/metrics.csv").read_bytes() == before


def test_what_figures_show_is_small():
    rng = np.random.default_rng(0)
    stored = {
        "test_z": rng.normal(size=(10_000, 8)).astype(np.float32) * 1e6,
        "test_classes": np.arange(10_000).astype(np.uint8),
        "samples": rng.integers(0, 255, (400, 64), dtype=np.uint8),
        "validation_z": np.zeros((5, 8)),
    }
    found = shown(stored)
    assert {name: (a.shape, a.dtype.name) for name, a in found.items()} == {
        "test_z": ((2000, 8), "float16"), "test_classes": ((2000,), "uint8"), "samples": ((200, 64), "uint8"),
    }  # fmt: skip
    assert np.isfinite(found["test_z"]).all()
    chosen = np.linspace(0, 9999, 2000).astype(int)
    assert (found["test_classes"] == stored["test_classes"][chosen]).all()


def test_a_damaged_file_of_codes_or_epochs_leaves_what_was_packed_of_it(made, tmp_path):
    there = clone(made, tmp_path)
    before = content(tmp_path / "tiny")
    shutil.copytree(made[1] / "runs", tmp_path / "tiny/runs")
    for path in (tmp_path / "tiny/runs").rglob("codes.npz"):
        path.write_bytes(path.read_bytes()[:1000])
    for path in (tmp_path / "tiny/runs").rglob("history.csv"):
        path.write_text("epoch,reconstruction\n1,many\n")
    collect(there)
    assert content(tmp_path / "tiny") == before


# --- merge ------------------------------------------------------------------------------------------------


def part(made, folder, wanted):
    """The result set of some of the runs, as another machine would have it."""
    results = Results(read(made[0]), folder)
    results.runs = [run for run in results.runs if wanted(run)]
    for run in results.runs:
        shutil.copytree(made[1] / "runs" / run.id, results.path(run))
    collect(results)
    return results.folder


def test_the_merge_of_two_halves_is_the_whole_byte_for_byte(made, tmp_path):
    by_seed = [part(made, tmp_path / f"s{n}", lambda run, n=n: run.seed % 2 == n) for n in (0, 1)]
    by_method = [part(made, tmp_path / f"m{n}", lambda run, n=n: (run.method == "aae") == n) for n in (0, 1)]
    for i, sources in enumerate((by_seed, by_seed[::-1], by_method, [made[1], *by_seed])):
        said = merge(sources, tmp_path / f"whole{i}")
        assert content(tmp_path / f"whole{i}") == content(made[1])
        assert str(sources[0]) in said


def test_the_time_that_a_measurement_took_is_no_contradiction(made, tmp_path):
    half = part(made, tmp_path, lambda run: run.seed == 0)
    path = half / "runs.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line["metrics"]["seconds"] = {"reconstruction": 999.5}
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert ", 0 of them new" in merge([made[1], half], tmp_path / "whole")


def changed(line, **changes):
    return line | {"record": line["record"] | changes}


def other_value(line):
    rows = [dict(row) for row in line["metrics"]["rows"]]
    rows[0]["value"] += 1e-9
    return line | {"metrics": line["metrics"] | {"rows": rows}}


def settings(line, **changes):
    run = line["record"]["run"]
    return changed(line, run=run | {"settings": run["settings"] | changes})


CONTRADICTIONS = {
    "a number": (other_value, r"seed0: reconstruction is [\d.]+ and [\d.]+ \("),
    "the code": (lambda x: changed(x, version="1" * 16 + "-" + x["record"]["version"].split("-")[1]), "other code"),
    "the data": (lambda x: changed(x, version=x["record"]["version"].split("-")[0] + "-feedface"), "other code"),
    "the settings": (lambda x: settings(x, width=17), "other settings"),
    "the status": (lambda x: changed(x, status="diverged"), "other status"),
    "the model": (lambda x: changed(x, hashes={"model": "cd" * 32}), "other weights, batches, labels or model"),
    "the first batches": (lambda x: changed(x, hashes=x["record"]["hashes"] | {"batches": "1"}), "other weights"),
    "the protocol": (lambda x: x | {"metrics": x["metrics"] | {"versions": {"reconstruction": "2"}}}, "er protocols"),
}  # fmt: skip


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_what_contradicts_is_refused_in_a_line(what, made, tmp_path):
    from bench.records import packing

    change, expected = CONTRADICTIONS[what]
    lines = result_set.runs(made[1])
    lines = [change(line) if line["id"].endswith("seed0") and "mmd" in line["id"] else line for line in lines]
    (tmp_path / "other").mkdir()
    for name, data in packing.packed(lines, {}, {}, "tiny").items():
        (tmp_path / "other" / name).write_bytes(data)
    with pytest.raises(Contradiction, match=expected) as error:
        merge([made[1], tmp_path / "other"], tmp_path / "out")
    assert all(len(line) < 300 for line in str(error.value).splitlines())
    assert not (tmp_path / "out" / "runs.jsonl").exists()


def test_seeds_of_a_cell_that_are_of_other_code_and_sets_of_other_configs_are_not_joined(made, tmp_path):
    halves = [part(made, tmp_path / f"s{n}", lambda run, n=n: run.seed % 2 == n) for n in (0, 1)]
    text = (halves[1] / "runs.jsonl").read_text()
    version = result_set.runs(halves[1])[0]["record"]["version"]
    (halves[1] / "runs.jsonl").write_text(text.replace(version, "1" * 16 + version[16:]))
    with pytest.raises(Contradiction, match="of other code or data than"):
        merge(halves, tmp_path / "out")
    (halves[1] / "runs.jsonl").write_text(text)
    (halves[1] / "README.md").write_text("# another\n")
    with pytest.raises(Contradiction, match=r"other configs: .* is of tiny, .* is of another"):
        merge(halves, tmp_path / "out")
    with pytest.raises(Damaged, match="nowhere: no result set"):
        merge([halves[0], tmp_path / "nowhere"], tmp_path / "out")


def test_two_settings_of_a_method_are_not_joined(made, tmp_path):
    halves = [part(made, tmp_path / f"s{n}", lambda run, n=n: run.seed % 2 == n) for n in (0, 1)]
    for path in (halves[1] / "runs.jsonl", halves[1] / "metrics.csv"):
        path.write_text(re.sub(r"likelihood/mmd-\w{8}", "likelihood/mmd-0123abcd", path.read_text()))
    with pytest.raises(Contradiction, match=r"likelihood/mmd-0123abcd/seed1: of other settings than likelihood/mmd-"):
        merge(halves, tmp_path / "out")


# --- kill -9 ----------------------------------------------------------------------------------------------

PACK = """
import pathlib, sys
from bench.records import packing
folder = pathlib.Path(sys.argv[1])
print("ready", flush=True)
for i in range(10_000):
    with packing.packing(folder):
        packing.replace(folder, {name: f"{i}\\n".encode() * 20_000 for name in packing.FILES})
"""


MERGE = """
import pathlib, sys
from bench.records.merge import merge
folder = pathlib.Path(sys.argv[1])
print("ready", flush=True)
for i in range(10_000):
    merge([folder / "part0", folder / f"part{1 + i % 2}"], folder / "whole")
"""
VERIFY = """
import pathlib, sys
from bench.records.freshness import Results, read
from bench.records import whole_files
results = Results(read(sys.argv[2]), pathlib.Path(sys.argv[1]))
print("ready", flush=True)
for i in range(10_000):
    for run in results.runs:
        whole_files.write_json(results.path(run, "record.json"), results.record(run) | {"evidence": {"difference": i}})
"""


def killed(program, *arguments):
    """Kill -9 a program at work, twenty times; yields after each."""
    dice = random.Random(0)
    for _ in range(20):
        command = [sys.executable, "-c", program, *map(str, arguments)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "ready\n"
            time.sleep(dice.uniform(0.05, 0.4))
            assert process.poll() is None
            process.kill()
        yield


def seen(folder):
    """What a reader sees, before anybody repairs anything: nothing, or a whole set."""
    paths = [result_set.place(folder, name) for name in FILES]
    return [path.read_bytes() for path in paths] if any(path.exists() for path in paths) else []


@pytest.mark.faults
def test_kill_9_while_a_set_is_packed_leaves_the_old_or_the_new_whole(tmp_path):
    sets = [seen(tmp_path) for _ in killed(PACK, tmp_path)]
    assert all(len(set(found)) <= 1 for found in sets)
    assert len({found[0] for found in sets if found}) > 1


@pytest.mark.faults
def test_kill_9_while_sets_are_merged_leaves_the_old_or_the_new_whole(made, tmp_path):
    for n in range(3):
        part(made, tmp_path / str(n), lambda run, n=n: run.seed == n).rename(tmp_path / f"part{n}")
    wholes = [[]]
    for n in (1, 2):
        merge([tmp_path / "part0", tmp_path / f"part{n}"], tmp_path / "expected")
        wholes.append(seen(tmp_path / "expected"))
    found = [seen(tmp_path / "whole") for _ in killed(MERGE, tmp_path)]
    assert all(one in wholes for one in found)
    assert wholes[1] in found
    assert wholes[2] in found


@pytest.mark.faults
def test_kill_9_while_packed_records_are_written_out_leaves_each_whole(made, tmp_path):
    """A clone has a run's folder only where `verify` has given its record a version."""
    there = clone(made, tmp_path)
    for _ in killed(VERIFY, tmp_path, made[0]):
        there.__dict__.pop("packed", None)
        for run in there.runs:
            assert there.record(run) is not None
            path = there.path(run, "record.json")
            assert not path.exists() or json.loads(path.read_text())["id"] == run.id
