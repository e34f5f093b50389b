"""The version of a measurement is what it gives on a frozen problem: other constants make another, of it alone."""

from dataclasses import replace

import numpy as np
import pytest

from bench.evaluate import frozen_problem, likelihood, measure_runs, parzen
from bench.evaluate.baselines import ROWS
from bench.evaluate.decoded_grids import as_bytes
from bench.evaluate.protocols import EVALUATIONS
from bench.records import protocol_versions, whole_files
from bench.records.freshness import PICTURES
from bench.records.result_set import Damaged


@pytest.fixture
def known():
    return whole_files.read_json(protocol_versions.FILE)["protocols"]


def test_every_protocol_has_a_version_that_its_numbers_stand_for(known):
    assert known.keys() == {*EVALUATIONS, PICTURES, *(f"baseline_{kind}" for kind in ROWS)}
    assert all(entry["numbers"] for entry in known.values())


def test_other_constants_are_another_version_of_their_protocols_alone(known, monkeypatch):
    """A point more on Parzen's grid, a temperature more for the annealing, other bytes for figures."""
    paper = replace(parzen.PROTOCOLS["paper"], grid=tuple(np.logspace(-1, 0, 11).tolist()))
    monkeypatch.setitem(parzen.PROTOCOLS, "paper", paper)
    monkeypatch.setattr(frozen_problem, "EFFORT", likelihood.EFFORT._replace(temperatures=601))
    monkeypatch.setattr(measure_runs, "as_bytes", lambda x: 255 - as_bytes(x))
    found = protocol_versions.updated(known, frozen_problem.numbers())
    other = {name for name, entry in found.items() if entry["version"] != known[name]["version"]}
    assert other == {"likelihood", "baseline_likelihood", "ais", PICTURES}


@pytest.mark.parametrize(
    ("numbers", "same"),
    [
        ({"a": 1.0, "b": 0.0}, True),
        ({"a": 1.0001, "b": 1e-6}, True),
        ({"a": 1.0, "b": 0.0, "new": 3.0}, True),
        ({"a": 1.001, "b": 0.0}, False),
        ({"a": 1.0, "b": 1e-5}, False),
        ({"a": 1.0}, False),
    ],
)
def test_a_version_stays_while_its_numbers_do_and_a_metric_that_is_new_is_no_other(numbers, same):
    old = {"p": {"version": "v", "numbers": {"a": 1.0, "b": 0.0}}}
    entry = protocol_versions.updated(old, {"p": numbers})["p"]
    assert (entry["version"] == "v") == same
    assert entry["numbers"].keys() == numbers.keys()
    if same:
        assert entry["numbers"]["a"] == 1.0  # small steps do not add up


def test_known_versions_that_cannot_be_read_are_not_taken_for_none(tmp_path, monkeypatch):
    path = tmp_path / "versions.json"
    path.write_text("<<<<<<< HEAD\n" + protocol_versions.FILE.read_text())
    monkeypatch.setattr(protocol_versions, "FILE", path)
    with pytest.raises(Damaged, match=r"versions\.json: not whole; restore it"):
        protocol_versions.protocol_versions.__wrapped__()
