"""Later code is held to the numbers that a record began with: the same stays current, another is named."""

import re

import pytest

from bench.records import whole_files
from bench.records.freshness import Results, read
from bench.train import opening, verify
from tests.support.checkout import ROOT, Checkout

CONFIG = """\
name: tiny
seeds: 1
controls: false
defaults: {dataset: digits, width: 16, epochs: 2, batch_size: 100}
methods:
  ae: {regularizer: unregularized}
  aae: {regularizer: adversarial, schedule: alternating, hyperparameters: {width: 16}}
  mmd: {regularizer: mmd, schedule: alternating}
  ex_post: {regularizer: ex_post}
experiments:
  likelihood:
    {methods: [ae, aae, mmd, ex_post], latents: {z: {dim: 4}}, decoder: [z], evaluations: [reconstruction, likelihood],
     parzen_samples: [500]}
  petals: {methods: [mmd], latents: {z: {prior: petals, dim: 2}}, decoder: [z], evaluations: [reconstruction]}
"""
ALL = {"likelihood/ae", "likelihood/aae", "likelihood/mmd", "likelihood/ex_post", "petals/mmd"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A copy of the repository with trained runs, and what their records say."""
    copy = Checkout(tmp_path_factory.mktemp("copy"))
    copy.write("config/tiny.yaml", CONFIG)
    copy.run("python", "-m", "bench", "train", "config/tiny.yaml", "--threads", "1")
    return copy, {path: path.read_bytes() for path in copy.folder.glob("results/tiny/runs/**/record.json")}


@pytest.fixture
def done(trained):
    """The copy; what a test changes of its sources and records is taken back."""
    copy, records = trained
    sources = {path: path.read_bytes() for path in copy.folder.glob("bench/**/*.py")}
    sources |= {path: path.read_bytes() for path in copy.folder.glob("regularizers/*.py")}
    yield copy
    for path in copy.folder.glob("bench/**/*.py"):
        if path not in sources:
            path.unlink()
    for path, content in (sources | records).items():
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)


def stale(text):
    return {line.split("-")[0] for line in text.splitlines() if ": stale" in line}


# What is edited, and the cells whose numbers it changes.
EDITS = {
    "the sign of a penalty, and a name that nobody reads": (
        {"likelihood/mmd", "petals/mmd"},
        ("regularizers/mmd.py", "return value + self.mu", "return -value + self.mu"),
        ("bench/train/objective.py", "import torch\n", "import torch\nA_NAME = 1\n"),
    ),
    "a prior's scale, what is fitted last, a discriminator's loss": (
        {"petals/mmd", "likelihood/ex_post", "likelihood/aae"},
        ("regularizers/_mixture_priors.py", "le=1e3)] = 4.2", "le=1e3)] = 4.0"),
        ("regularizers/ex_post.py", "means_))", "means_) + 1)"),
        ("regularizers/adversarial.py", "(-real) + softplus(fake)", "(-real) + 1.1 * softplus(fake)"),
    ),
    "a rate in a default": (ALL, ("bench/config/schema.py", "lr: values.Rate = 1e-3", "lr: values.Rate = 5e-4")),
    "the rates of later epochs": (
        ALL, ("bench/train/optimizers.py", "found = spec.lr\n", "found = spec.lr * (1 + epoch)\n")
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("what", EDITS)
def test_exactly_what_an_edit_changes_is_stale_and_the_first_difference_is_named(done, what):
    expected, *edits = EDITS[what]
    for edit in edits:
        done.edit(*edit)
    said = done.run("python", "-m", "bench", "verify", "config/tiny.yaml", "--jobs", "1", rc=3)
    assert stale(said) == expected
    assert f"5 records: 0 of the present code, {5 - len(expected)} repeated and the same" in said
    for line in said.splitlines():
        if ": stale" in line:
            assert " then, " in line


# Three get other names, ten other rooms.
MOVES = {
    f"bench.{old}": f"bench.{new}"
    for old, new in {
        "train.autoencoder": "train.network", "train.objective": "train.loss", "data.labelled_subsets": "data.labels",
        "config.streams": "data.streams", "train.diagnostics": "evaluate.diagnostics",
        "train.crashes": "door.crashes", "train.interruptions": "records.interruptions", "data.idx": "records.idx",
        "config.cells": "records.cells", "config.layers": "records.layers", "config.messages": "records.messages",
        "config.signatures": "records.signatures", "config.new_method": "door.new_method",
    }.items()
}  # fmt: skip


@pytest.mark.slow
def test_modules_that_are_renamed_and_moved_make_nothing_stale_and_every_record_holds_the_evidence(done):
    def file(module):
        return done.folder / f"{module.replace('.', '/')}.py"

    for path in done.folder.glob("bench/**/*.py"):
        text = path.read_text()
        for old, new in MOVES.items():
            text = re.sub(rf"{re.escape(old)}\b", new, text)
        path.write_text(text)
    for old, new in MOVES.items():
        file(old).rename(file(new))
    said = done.run("python", "-m", "bench", "verify", "config/tiny.yaml", "--jobs", "2")
    assert not stale(said)
    assert "5 records: 0 of the present code, 5 repeated and the same" in said
    left = done.stale()
    assert len(left["evaluate"]) == 5
    assert not left["train"]
    for path in done.folder.glob("results/tiny/runs/**/record.json"):
        evidence = whole_files.read_json(path)["evidence"]
        assert evidence["difference"] <= opening.TOLERANCE["float32"][0]
        assert evidence.keys() == {"commit", "dirty", "difference", "machine", "torch", "version"}


def test_a_run_of_each_cell_comes_first(monkeypatch):
    results = Results(read(ROOT / "config/rivals_tuned.yaml"))
    monkeypatch.setattr(verify, "verify_run", lambda run, record: verify.Verdict(run.id, "stale", "for a test"))
    monkeypatch.setattr(Results, "record", lambda self, run: {"status": "ok"})
    found = verify.verify(results, results.runs, say=lambda line: None)
    cells = [verdict.run.rpartition("/")[0] for verdict in found]
    assert len(cells) == len(results.runs)
    assert len({*cells[: len({*cells})]}) == len({*cells})
