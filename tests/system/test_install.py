"""`pip install .` into an empty environment: the command works there, without a checkout, with a plug-in of others."""

import os
import shutil
import subprocess
import sys
import sysconfig

import pytest

import regularizers
from tests.support.checkout import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("uv"), reason="needs uv, which the lock brings"),
]

PACKAGE = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "elsewhere"
version = "2.5"

[project.entry-points."latentbench.regularizers"]
pull = "elsewhere.pull:Pull"

[project.entry-points."latentbench.datasets"]
stripes = "elsewhere.stripes:declare"

[project.entry-points."latentbench.architectures"]
narrow = "elsewhere.narrow:build"

[project.entry-points."latentbench.priors"]
ring = "elsewhere.ring:Ring"

[tool.setuptools]
packages = ["elsewhere"]
package-data = {elsewhere = ["*.bib"]}
"""
PLUGIN = '''\
"""A pull to the origin."""

from regularizers import Regularizer


class Pull(Regularizer):
    """The mean square of the codes, times `strength`."""

    title = "Pull"
    cites = ("somebody2031",)

    def __init__(self, prior, strength: float = 1.0):
        super().__init__(prior)
        self.strength = strength

    def forward(self, codes, posterior):
        return self.strength * codes.square().mean()
'''
STRIPES = '''\
"""Two classes of vectors: low first or high first."""

import numpy as np

from bench.data.declarations import Declaration


def read(checksums):
    rng = np.random.RandomState(0)
    y = np.arange(300) % 2
    x = (rng.rand(300, 12) / 4 + np.linspace(0, 0.7, 12) * (y[:, None] * 2 - 1) % 1).clip(0, 1).astype(np.float32)
    return {"train": (x[:100], y[:100]), "validation": (x[100:200], y[100:200]), "test": (x[200:], y[200:])}


def declare(root):
    """They are made here."""
    sizes = {"train": 100, "validation": 100, "test": 100}
    return Declaration(shape=(1, 1, 12), classes=2, sizes=sizes, smallest_class=50, white=1, read=read)
'''
NARROW = '''\
"""One layer each."""

from math import prod

from torch import nn

from bench.train.architectures import Parts


def build(settings, shape, inputs):
    """A linear decoder."""
    return Parts(nn.Linear(prod(shape), settings.width), nn.Tanh(), nn.Linear(inputs, prod(shape)))
'''
RING = '''\
"""A ring."""

from math import pi
from typing import Annotated

import torch
from annotated_types import Ge

from regularizers import Prior


class Ring(Prior):
    """Components on a circle."""

    heads = ("continuous",)

    def __init__(self, dim, components: Annotated[int, Ge(3)] = 8):
        angle = 2 * pi * torch.arange(components) / components
        means = torch.stack([angle.cos(), angle.sin()], 1)
        super().__init__(torch.ones(components) / components, means, 0.1 * torch.eye(2).expand(components, 2, 2))
'''
REFERENCES = (
    "@article{somebody2031,\n  author = {Some Body},\n  title = {Pulls},\n  journal = {J},\n  year = {2031},\n}\n"
)
CONFIG = """\
name: mine
seeds: 1
controls: false
batch_by: all
defaults: {dataset: digits, width: 16, epochs: 1, batch_size: 100}
methods:
  pull: {title: Pull, regularizer: pull, weight: 2, hyperparameters: {strength: 0.5}}
  mmd: {title: MMD, regularizer: mmd}
experiments:
  likelihood: {methods: [pull, mmd], latents: {z: {dim: 4}}, decoder: [z], evaluations: [reconstruction]}
  outside:
    methods: [mmd]
    dataset: stripes
    architecture: narrow
    batch_size: 20
    latents: {z: {prior: ring, dim: 2, settings: {components: 6}}}
    decoder: [z]
    evaluations: [reconstruction, latent, components]
"""


# What is stale after each edit, in processes of its own that share the import of torch.
STALE = """
import os, sys
from pathlib import Path
import elsewhere, torch
from bench.records.freshness import Results, read
edits = [edit.split("|") for edit in sys.argv[1:]]
for name, old, new in [*edits, edits[0][:2] + edits[0][1:2]]:
    path = Path(elsewhere.__path__[0]) / f"{name}.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    if not os.fork():
        results = Results(read("mine.yaml"))
        print(name, *(f"{r.experiment}/{r.method}" for r in results.runs if results.stale(r) == "train"), flush=True)
        os._exit(0)
    os.wait()
    path.write_text(text)
"""


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """Runs `latentbench` of an environment with this package and a plug-in's, in a folder that holds a config."""
    folder = tmp_path_factory.mktemp("install")
    source, package, work = folder / "source", folder / "elsewhere", folder / "work"
    work.mkdir()
    shutil.copytree(
        ROOT, source, ignore=shutil.ignore_patterns(".git", ".venv", "results", "__pycache__", ".snakemake")
    )
    (package / "elsewhere").mkdir(parents=True)
    for name, text in {
        "pyproject.toml": PACKAGE, "elsewhere/__init__.py": "", "elsewhere/pull.py": PLUGIN,
        "elsewhere/references.bib": REFERENCES, "elsewhere/stripes.py": STRIPES, "elsewhere/narrow.py": NARROW,
        "elsewhere/ring.py": RING,
    }.items():  # fmt: skip
        (package / name).write_text(text)
    (work / "mine.yaml").write_text(CONFIG)
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    # What the package depends on, without a network: the packages that run this test, found last.
    site = next(environment.glob("lib/python*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def run(*command, rc=0, **more):
        done = subprocess.run(command, cwd=work, env=clean | more, capture_output=True, text=True)
        assert done.returncode == rc, done.stdout + done.stderr
        return done.stdout + done.stderr

    install = ("uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--no-build-isolation")
    run(*install, "--python", environment / "bin/python", source, package)
    return lambda *arguments, program="latentbench", **options: run(
        environment / "bin" / program, *arguments, **options
    )


def test_the_doctor_finds_itself_at_home(empty):
    # Without a compiler: another test compiles a formula.
    lines = empty("doctor", rc=1, PATH="/nowhere", CXX="/bin/false").splitlines()
    states = {line[7:19].strip(): line[:5].strip() for line in lines}
    assert states["lock"] == "ok"
    assert states["torch"] == states["data: digits"] == "ok"


def test_the_regularizers_serve_a_training_loop_of_ones_own(empty):
    empty("-c", regularizers.__doc__.split("```")[1].removeprefix("python"), program="python")


def test_configs_that_come_with_the_package_are_known_by_name(empty):
    assert "likelihood/mmd" in empty("plan", "quick")
    assert "did you mean 'smoke'" in empty("plan", "smok", rc=2)


def test_plug_ins_of_another_package_run_from_the_config_to_the_page_and_an_edit_makes_their_own_runs_stale(empty):
    """A regularizer, a data set, an architecture and a prior."""
    output = empty("run", "mine.yaml", "--cores", "2")
    assert "3 of 3 cells" in output
    assert "failed" not in output
    assert "somebody2031" in empty("cite", "mine.yaml")
    assert "nothing changed" in empty("diff", "results/mine", "results/mine")
    edits = (
        "stripes|RandomState(0)|RandomState(1)",
        "narrow|Tanh|ReLU",
        "ring|0.1 *|0.2 *",
        "pull|self.strength *|2 *",
    )
    assert empty("-c", STALE, *edits, program="python").splitlines() == [
        "stripes outside/mmd", "narrow outside/mmd", "ring outside/mmd", "pull likelihood/pull", "stripes",
    ]  # fmt: skip
