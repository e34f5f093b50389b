"""Snakemake, in a copy of the repository: what it runs, and above all what it does not run again."""

import json
import os
import subprocess

import pytest

from tests.support.checkout import Checkout

pytestmark = pytest.mark.slow

FRESH = """\
from regularizers import Regularizer


class Fresh(Regularizer):
    \"\"\"The mean square of the codes.\"\"\"

    def forward(self, codes, posterior):
        return codes.square().mean()
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A copy in which the tiny benchmark has run, in a folder with a space and an umlaut in its name."""
    copy = Checkout(tmp_path_factory.mktemp("a b") / "größe")
    copy.snakemake("--cores", "2")
    return copy


def finished(copy):
    """The runs of the packed set whose record says that they came to an end."""
    lines = (copy.folder / "results/tiny/runs.jsonl").read_text().splitlines()
    return sum("record" in run and run["record"]["status"] == "ok" for run in map(json.loads, lines))


def test_the_tidy_table_holds_every_run(done):
    assert finished(done) == 4


def test_a_second_run_has_nothing_to_do(done):
    assert "Nothing to be done" in done.snakemake("--dry-run")


def test_a_clone_with_its_results_has_nothing_to_do_and_a_new_regularizer_trains_only_its_own_runs(done, tmp_path):
    def git(folder, *arguments):
        subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments],
            cwd=folder,
            check=True,
            capture_output=True,
        )

    git(done.folder, "init")
    git(done.folder, "add", ".")
    git(done.folder, "commit", "-m", "all")
    git(tmp_path, "clone", str(done.folder), "clone")
    clone = object.__new__(Checkout)
    clone.folder, clone.started = tmp_path / "clone", []
    assert not list(clone.folder.glob("results/**/*.safetensors"))
    assert not (clone.folder / ".snakemake").exists()
    # A checkout's file times are those of the clone, in any order.
    for i, path in enumerate(sorted(clone.folder.rglob("*"), reverse=True)):
        os.utime(path, (1e9 + i, 1e9 + i))
    clone.snakemake("--cores", "1")
    assert not list(clone.folder.glob("results/**/*.safetensors"))

    clone.write("regularizers/fresh.py", FRESH)
    clone.edit("config/tiny.yaml", "methods:\n", "methods:\n  fresh: {regularizer: fresh}\n")
    clone.edit("config/tiny.yaml", "[ae, mmd]", "[ae, mmd, fresh]")
    clone.snakemake("--cores", "1")
    assert finished(clone) == 6
    trained = {str(p.relative_to(clone.folder)) for p in clone.folder.glob("results/**/model.safetensors")}
    assert len(trained) == 2
    assert all("/fresh-" in path for path in trained)


def test_a_mistake_in_the_config_is_one_line_and_no_traceback(done):
    done.write("config/wrong.yaml", (done.folder / "config/tiny.yaml").read_text().replace("epochs", "epoch"))
    output = done.snakemake("--dry-run", config="config/wrong.yaml", rc=2)
    lines = [line for line in output.splitlines() if "wrong.yaml" in line]
    assert lines[0].startswith("config/wrong.yaml: defaults.epoch: unknown 'epoch'; did you mean 'epochs'?")
    assert "Traceback" not in output


def test_the_workflow_passes_snakemakes_linter(done):
    assert "good condition" in done.run("snakemake", "--lint", "--configfile", "config/tiny.yaml")


def test_a_plan_of_a_thousand_runs_takes_seconds(done):
    done.write("config/large.yaml", (done.folder / "config/tiny.yaml").read_text().replace("seeds: 2", "seeds: 500"))
    before = os.times()
    output = done.snakemake("--dry-run", config="config/large.yaml")
    after = os.times()
    seconds = sum(after[2:4]) - sum(before[2:4])  # of the children's processors, however busy the machine is
    assert "train likelihood" in output
    assert seconds < 10, f"{seconds:.1f} s"
