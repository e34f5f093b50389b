"""The measurement of evaluations: what it times is what is evaluated, and its rows say so."""

import json

import torch

from bench.perf.__main__ import main
from bench.perf.evaluation import judgements, rivals
from bench.priors import Gaussian
from bench.referees import applicable


def test_the_program(tmp_path):
    threads = torch.get_num_threads()
    sizes = ["--images", "4", "--codes", "300", "--points", "100", "--centres", "10"]
    assert main(["evaluation", *sizes, "--json", str(tmp_path / "rows.json")]) == 0
    assert torch.get_num_threads() == threads == 1
    rows = {row["evaluation"]: row for row in json.loads((tmp_path / "rows.json").read_text())["rows"]}
    [step] = [row for name, row in rows.items() if name.startswith("annealing")]
    assert 0 < step["products"] < 1
    assert all(row["ms"] > 0 for row in rows.values())
    assert {f"referee {name}, 300 codes" for name in applicable(Gaussian(8))} < set(rows)
    assert rows["10 centroids of 100 images"]["times ours"] == 1


def test_floors_cost_more_than_the_judgement_that_needs_them():
    torch.manual_seed(0)
    *_, known, with_floors = judgements(300)
    assert known["times ours"] == 1
    assert with_floors["times ours"] > 2, "four draws of the floor and one of the codes"


def test_rivals_are_in_times_of_ours():
    rows = rivals("sums", {"another": 9.0, "ours": 2.0, "slow": 3.0}, "ours")
    assert [(row["evaluation"], row["times ours"]) for row in rows] == [("sums", 1.0), ("sums: slow", 1.5)]
