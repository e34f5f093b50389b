"""The commands that bring a cell's numbers again, and what no command brings."""

import shlex

from bench.report import explain
from tests.support import tidy


def cell():
    """Three seeds, as a result set has them that grew: of two machines, the last of older code."""
    rows = tidy.tidy({("likelihood", "mmd", "error"): [1.0, 2.0, 3.0]})
    rows["run"] = [f"likelihood/mmd-0a1b2c3d/seed{seed}" for seed in rows["seed"]]
    rows.loc[rows["seed"] == 1, "threads"] = 2
    rows.loc[rows["seed"] == 2, ["current", "commit", "dirty"]] = [False, "f00d" * 10, True]
    return explain.runs_of(rows, "likelihood", "mmd")


def test_the_numbers_of_the_seeds_have_the_decimals_that_they_need():
    rows = tidy.tidy(
        {("likelihood", "mmd", "error"): [10.5, 15.43, 9.0], ("likelihood", "mmd", "nmi"): [1 / 3, 0.5, 1]}
    )
    found = explain.seed_table(explain.runs_of(rows, "likelihood", "mmd"))
    assert [[e.text for e in row[1:]] for row in found.rows[1:]] == [
        ["10.50", "15.43", "9.00"],
        ["0.33333", "0.50000", "1.00000"],
    ]


def test_each_seed_has_the_command_that_brings_it_or_is_said_to_have_none():
    lines = explain.commands("config/tiny.yaml", cell(), "likelihood", "mmd")
    assert lines == [
        "latentbench train config/tiny.yaml likelihood/mmd-0a1b2c3d/seed0 --force --device cpu --threads 1",
        "latentbench evaluate config/tiny.yaml likelihood/mmd-0a1b2c3d/seed0 --force --device cpu --threads 1",
        "latentbench train config/tiny.yaml likelihood/mmd-0a1b2c3d/seed1 --force --device cpu --threads 2",
        "latentbench evaluate config/tiny.yaml likelihood/mmd-0a1b2c3d/seed1 --force --device cpu --threads 2",
        "# seed 2: no command of this checkout brings it; its code is of commit f00df00df00d with uncommitted changes",
        "# by the present code, whose numbers may be others:",
        "latentbench train config/tiny.yaml likelihood/mmd/seed2",
        "latentbench evaluate config/tiny.yaml likelihood/mmd/seed2",
    ]


def test_seeds_that_are_alike_have_one_command():
    runs = cell().loc[[0, 0]].set_axis([0, 1])
    assert explain.commands("c.yaml", runs, "likelihood", "mmd") == [
        "latentbench train c.yaml likelihood/mmd --force --device cpu --threads 1",
        "latentbench evaluate c.yaml likelihood/mmd --force --device cpu --threads 1",
    ]


def test_a_path_with_spaces_is_one_word_of_a_command():
    [train, _] = explain.commands("my own.yaml", cell().loc[[0]], "likelihood", "mmd")
    assert shlex.split(train)[:4] == ["latentbench", "train", "my own.yaml", "likelihood/mmd"]


def test_a_baseline_needs_no_training():
    rows = tidy.tidy({("clustering", "k-means", "error"): [1.0]}, current=False)
    runs = explain.runs_of(rows, "clustering", "k-means")
    assert explain.commands("c.yaml", runs, "clustering", "k-means") == []
