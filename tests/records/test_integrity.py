"""The check of results finds what is missing, altered, or does not belong together."""

import json
import re
import shutil

import numpy as np
import pytest

from bench.__main__ import main
from bench.evaluate import measure_runs
from bench.records import collect, whole_files
from bench.records.freshness import Results, read
from bench.train import train_runs
from tests.support.checkout import TINY


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished result set of two methods and two seeds."""
    folder = tmp_path_factory.mktemp("done")
    (folder / "tiny.yaml").write_text(TINY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        results = Results(read("tiny.yaml"))
        train_runs.train_all(results, results.runs)
        measure_runs.measure_all(results, results.runs)
        collect.collect(results)
    return folder


@pytest.fixture
def results(done, tmp_path, monkeypatch):
    """A copy of it to spoil, the working folder."""
    shutil.copytree(done, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return Results(read("tiny.yaml"))


def checked(capsys, *arguments):
    code = main(["check", "tiny.yaml", *arguments])
    return code, capsys.readouterr().out


def edit(path, change):
    content = whole_files.read_json(path)
    change(content)
    path.write_text(json.dumps(content))


def test_sound_results_have_no_problems(results, capsys):
    assert checked(capsys, "--strict") == (0, "4 runs: 0 not finished, 0 problems\n")


@pytest.mark.parametrize("key", ["version", "status", "run", "hashes"])
def test_a_record_without_a_key_is_named(key, results, capsys):
    runs, folder = results.runs, results.folder
    path = folder / "runs" / runs[1].id / "record.json"
    edit(path, lambda content: content.pop(key))
    code, output = checked(capsys)
    assert code == 1
    assert f"{path}: not whole, or without the keys that it must have" in output


ALTERED = {
    "epoch": (1, "record.json: epoch: 1 of 2, and yet its status is 'ok'"),
    "id": ("likelihood/other/seed0", "record.json: id: not that of "),
    "status": ("diverged", "record.json: reason: missing for the status 'diverged'"),
    "seconds": (-1.0, "runs.jsonl: not what the runs say"),
    "device": ("tpu", "runs.jsonl: not what the runs say"),
    "colour": ("red", "runs.jsonl: not what the runs say"),
}


@pytest.mark.parametrize("key", ALTERED)
def test_an_altered_record_is_found(key, results, capsys):
    value, expected = ALTERED[key]
    runs, folder = results.runs, results.folder
    path = folder / "runs" / runs[0].id / "record.json"
    edit(path, lambda content: content.update({key: value}))
    code, output = checked(capsys)
    assert code == 1
    assert expected in output


@pytest.mark.parametrize("name", ["weights", "batches"])
def test_methods_that_did_not_start_alike_are_found(name, results, capsys):
    runs, folder = results.runs, results.folder
    other = next(run for run in runs if run.seed == 1 and run.method != runs[0].method)
    edit(folder / "runs" / other.id / "record.json", lambda content: content["hashes"].update({name: "0" * 64}))
    code, output = checked(capsys)
    assert code == 1
    assert f"hashes.{name}: {other.id} did not start like " in output


def test_seeds_that_started_alike_are_found(results, capsys):
    runs, folder = results.runs, results.folder
    zero, one = ([folder / "runs" / run.id / "record.json" for run in runs if run.seed == seed] for seed in (0, 1))
    weights = whole_files.read_json(zero[0])["hashes"]["weights"]
    for path in one:
        edit(path, lambda content: content["hashes"].update(weights=weights))
    code, output = checked(capsys)
    assert code == 1
    assert "started from the weights of" in output


def test_measurements_that_are_not_numbers_twice_there_or_of_another_record_are_found(results, capsys):
    runs, folder = results.runs, results.folder
    first, second, third = (folder / "runs" / run.id / "metrics.json" for run in runs[:3])
    edit(first, lambda content: content["rows"][0].update(value="much"))
    edit(second, lambda content: content["rows"].append(content["rows"][0]))
    edit(third, lambda content: content.update(model="0" * 64))
    code, output = checked(capsys)
    assert code == 1
    assert f"{folder}: cannot be collected: " in output
    assert f"{second}: rows: reconstruction of test twice" in output
    assert f"{third}: model: not that of the record beside it" in output


def test_a_model_a_table_and_a_file_that_were_changed_are_found(results, capsys):
    runs, folder = results.runs, results.folder
    model = folder / "runs" / runs[0].id / "model.safetensors"
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    table = folder / "metrics.csv"
    table.write_text(table.read_text().replace(",test,", ",validation,", 1))
    code, output = checked(capsys)
    assert code == 1
    assert f"{model}: not the file whose hash its record has" in output
    assert f"{table}: not what the runs say" in output
    broken = folder / "runs" / runs[1].id / "metrics.json"
    broken.write_text(broken.read_text()[:-20])
    assert f"{broken}: not whole, or without the keys" in checked(capsys)[1]


def test_codes_that_were_cut_off_are_named_and_those_of_the_set_are_kept(results, capsys):
    """As an interrupted copy leaves them."""
    before = (results.folder / "arrays.npz").read_bytes()
    path = results.path(results.runs[0], "codes.npz")
    path.write_bytes(path.read_bytes()[:2000])
    code, output = checked(capsys)
    assert code == 1
    assert f"{path}: not a whole file of arrays" in output
    assert f"`latentbench evaluate` of {results.runs[0].id} with --force makes it again" in output
    collect.collect(results)
    assert (results.folder / "arrays.npz").read_bytes() == before


def test_strict_wants_every_run_finished(results, capsys):
    config, runs, folder = results.config, results.runs, results.folder
    for name in ("runs.jsonl", "metrics.csv"):
        (folder / name).unlink()
    shutil.rmtree(folder / "runs" / runs[0].id)
    change = {"status": "diverged", "reason": "a loss is not finite"}
    for name in ("record.json", "metrics.json"):
        edit(folder / "runs" / runs[1].id / name, lambda content: content.update(change))
    edit(folder / "runs" / runs[2].id / "record.json", lambda content: content.update(version="0" * 16 + "-absent"))
    edit(folder / "runs" / runs[3].id / "metrics.json", lambda content: content["versions"].update(reconstruction="1"))
    collect.collect(Results(config))
    code, output = checked(capsys)
    assert code == 0
    said = [
        "not run",
        "diverged, a loss is not finite",
        "of older code or data; `verify` says whether it is still true",
    ]
    said.append("not measured by the present reconstruction")
    assert output.splitlines()[:4] == [f"{run.id}: {words}" for run, words in zip(runs, said, strict=True)]
    assert checked(capsys, "--strict")[0] == 3


def without(content, line):
    """A file without one of its lines."""
    lines = content.splitlines(True)
    return b"".join(lines[:line] + lines[line + 1 :])


LOST = {
    "history.csv": (None, "history.csv: missing"),
    "history.csv, a line": (lambda content: without(content, 2), "seed0: expected its epochs, 1 to 2"),
    "history.csv, a column": (
        lambda content: content.replace(b"epoch", b"era", 1),
        "seed0: expected its epochs, 1 to 2",
    ),
    "arrays.npz": (None, "arrays.npz: missing"),
    "README.md": (None, "README.md: missing"),
    "metrics.csv, a line": (lambda content: without(content, 3), "README.md: not what the runs say"),
}


@pytest.mark.parametrize("what", LOST)
def test_what_a_clone_lacks_is_named_with_both_remedies(what, results, capsys):
    shutil.rmtree(results.folder / "runs")
    assert checked(capsys)[0] == 0
    change, expected = LOST[what]
    path = results.folder / what.partition(",")[0]
    if change:
        path.write_bytes(change(path.read_bytes()))
    else:
        path.unlink()
    code, output = checked(capsys)
    assert code == 1
    [line, *_] = [line for line in output.splitlines() if expected in line]
    assert "latentbench collect" in line
    assert "git checkout" in line


def test_an_array_that_figures_need_is_missed(results, capsys):
    shutil.rmtree(results.folder / "runs")
    path = results.folder / "arrays.npz"
    with np.load(path) as archive:
        kept = {name: array for name, array in archive.items() if not name.endswith("/test_z")}
    np.savez_compressed(path, **kept)
    code, output = checked(capsys)
    assert code == 1
    assert re.search(r"arrays\.npz: \S+seed0: lacks test_z; ", output)


def test_baselines_of_another_form_are_named(results, capsys):
    (results.folder / "baselines.json").write_text("[1]")
    assert main(["collect", "tiny.yaml"]) == 2
    assert "baselines.json: expected cells and rows; delete it" in capsys.readouterr().err
