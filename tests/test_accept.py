"""Results of older code are accepted only on request, with a trace."""

import pytest

from bench import accept, control_rows, store
from bench.runs import read
from tests.checkout import TINY


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return "tiny.yaml"


def test_a_stale_record_is_accepted_with_its_reason_and_a_missing_one_is_not_made_up(config):
    _, runs, results = read(config)
    first, second = (results / "runs" / run.id / "record.json" for run in runs[:2])
    store.write_json(first, {"version": "old", "status": "ok", "seconds": 1.0})
    assert accept.main([config, "--reason", "renamed a variable"]) == 0
    record = store.read_json(first)
    assert record["version"] == runs[0].training_version
    assert record["accepted"][0]["version"] == "old"
    assert record["accepted"][0]["reason"] == "renamed a variable"
    assert not second.exists()


def test_measurements_are_accepted_only_when_asked_and_only_of_accepted_records(config):
    _, runs, results = read(config)
    for run, trained in zip(runs, ("old", "older"), strict=False):
        store.write_json(results / "runs" / run.id / "record.json", {"version": trained})
        store.write_json(results / "runs" / run.id / "metrics.json", {"version": "old-measured", "rows": []})
    first, second = (results / "runs" / run.id / "metrics.json" for run in runs[:2])
    accept.main([config, "--reason", "layout", "--measurements"])
    assert store.read_json(first)["version"] == runs[0].evaluation_version
    assert store.read_json(second)["version"] == "old-measured"


def test_controls_are_accepted_with_all_measurements_where_only_code_has_changed(config):
    content, runs, results = read(config)
    path = results / "controls.json"
    present = {name: control_rows.version(run) for name, run in control_rows.cells(content).items()}
    first, second = list(present)[:2]
    of_code = "old-" + present[first].partition("-")[2]
    old = {"version": "old", "cells": {first: of_code, second: "old-othersettings", "gone 0": "old-x"}, "rows": []}
    for arguments in (["--reason", "layout"], ["--reason", "layout", "--measurements", runs[0].cell]):
        store.write_json(path, old)
        accept.main([config, *arguments])
        assert store.read_json(path) == old, "not asked for, or only for some runs"
    accept.main([config, "--reason", "layout", "--measurements"])
    found = store.read_json(path)
    assert found["cells"] == old["cells"] | {first: present[first]}
    assert found["accepted"][0]["cells"] == {first: of_code}
    assert found["accepted"][0]["reason"] == "layout"
    assert control_rows.rows(content.model_copy(update={"controls": False}), found)["accepted"] == found["accepted"]


def test_accepting_needs_a_reason(config, capsys):
    with pytest.raises(SystemExit):
        accept.main([config])
    assert "--reason" in capsys.readouterr().err


def test_a_current_record_is_left_as_it_is(config):
    _, runs, results = read(config)
    path = results / "runs" / runs[0].id / "record.json"
    store.write_json(path, {"version": runs[0].training_version})
    before = path.read_bytes()
    accept.main([config, "--reason", "nothing"])
    assert path.read_bytes() == before
