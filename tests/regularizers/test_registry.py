"""How regularizers are found, cited and started: files, entry points of other packages, the scaffold."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.distributions import Independent, Normal

import bench
import regularizers
from bench.__main__ import main
from bench.config import new_method
from bench.report.bibliography import entries
from regularizers import Gaussian, Regularizer, load
from tests.support.plug_ins import installed, loaded

pytestmark = pytest.mark.timeout(100)  # a plug-in that never ends is named by the test in which it does not
ROOT = Path(__file__).parents[2]
BIB = (ROOT / "regularizers" / "references.bib").read_text(encoding="utf-8")
DOCUMENT = ROOT / "docs" / "regularizers.md"
ENTRIES = dict(re.findall(r"^@\w+\{(\w+),\n(.*?)^\}", BIB, flags=re.MULTILINE | re.DOTALL))

OUTSIDE = '''
from regularizers import Regularizer


class Outside(Regularizer):
    """Lives in another package."""

    title = "Outside"

    def forward(self, codes, posterior):
        return codes.square().mean()
'''


@pytest.mark.parametrize("name", regularizers.names())
def test_every_regularizer_explains_itself(name):
    kind = load(name)
    assert kind.title
    assert len(kind.title) <= 40
    assert kind.__doc__ is not Regularizer.__doc__
    assert len(kind.__doc__.split()) > 10
    assert set(kind.encoders) <= set(regularizers.ENCODERS)
    does = kind.forward is not Regularizer.forward or kind.fit is not Regularizer.fit
    assert does or name == "unregularized", "it defines neither `forward`, its penalty, nor `fit`"
    for key in (p for p in load(name).__init__.__annotations__ if p not in ("prior", "return")):
        assert f"`{key}`" in kind.__doc__, f"hyperparameter {key} is not explained"


def test_what_weight_1_means_is_said_of_each_penalty_and_in_the_documentation():
    said = {}
    for name, kind in ((n, k) for n, k in loaded().items() if k.__module__.startswith("regularizers.")):
        found = re.search(r"At weight 1: (.+?)\s*(?:\n\s*\n|\Z)", kind.__doc__, re.DOTALL)
        assert bool(found) == (kind.forward is not Regularizer.forward), name
        if found:
            said[name] = kind.title, " ".join(found[1].split())
    lines = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name: (title, meaning) for name, title, meaning in lines} == said


def test_titles_tell_methods_apart():
    titles = [kind.title for kind in loaded().values()]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("name", regularizers.names())
def test_every_regularizer_cites_what_the_bibliography_holds(name):
    """Ours, or that which a package has beside its plug-in."""
    kind = load(name)
    assert set(kind.cites) <= {*ENTRIES, *entries(Path(inspect.getfile(kind)).with_name("references.bib"))}
    z = torch.randn(4, 2)
    penalty = kind(Gaussian(2))(z, Independent(Normal(z, 1.0), 1))
    plain = penalty == 0 and kind.sample is Regularizer.sample
    assert kind.cites or plain  # the autoencoder itself needs no source


@pytest.mark.parametrize("key", ENTRIES)
def test_references_are_complete(key):
    for field in ("author", "title", "year"):
        assert re.search(rf"^\s*{field}\s*= \{{.+", ENTRIES[key], flags=re.MULTILINE), f"{key} has no {field}"
    assert ENTRIES[key].count("{") == ENTRIES[key].count("}")


def test_references_are_all_read():
    assert len(ENTRIES) == BIB.count("\n@") + BIB.startswith("@")


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """An installed distribution with a regularizer, on the path of Python."""
    entries = "[latentbench.regularizers]\noutside = outside_package:Outside\n"
    with installed(monkeypatch, tmp_path, "outside_package", OUTSIDE, entries):
        yield


def test_a_package_can_bring_a_regularizer(outside):
    assert regularizers.names()[-1] == "outside"
    penalty = load("outside")(Gaussian(2))(torch.ones(3, 2), None)
    assert penalty.item() == 1


def test_without_the_package_its_regularizer_is_unknown():
    assert "outside" not in regularizers.names()
    with pytest.raises(LookupError, match=r"no regularizer 'outside'; there are .*unregularized"):
        load("outside")


def test_scaffold_writes_a_regularizer_that_works(tmp_path):
    new_method.begin("my_distance", tmp_path)
    path = tmp_path / "my_distance.py"
    assert 25 <= len(path.read_text().splitlines()) <= 40
    scope = {"__name__": "fresh"}
    exec(compile(path.read_text(), path, "exec"), scope)
    regularizer = scope["MyDistance"](Gaussian(2))
    assert regularizer.title == "My distance"
    near, far = torch.randn(50, 2), torch.randn(50, 2) + 3
    assert regularizer(near, None) < regularizer(far, None)
    with pytest.raises(ValueError, match="at least 2"):
        regularizer(near[:1], None)


def test_scaffold_is_clean_code(tmp_path):
    new_method.begin("my_distance", tmp_path)
    path = tmp_path / "my_distance.py"
    ruff = [sys.executable, "-m", "ruff"]
    config = ["--no-cache", "--config", str(ROOT / "pyproject.toml")]
    subprocess.run([*ruff, "check", *config, path], check=True)
    subprocess.run([*ruff, "format", "--check", *config, path], check=True)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("My-Distance", "a to z"),
        ("../outside", "a to z"),
        ("_private", "a to z"),
        ("", "a to z"),
        ("é", "a to z"),
        ("a" * 41, "a to z"),
        ("lambda", "no word of Python"),
        ("null", "no word of Python or YAML"),
        (regularizers.names()[0], "is taken; there are"),
    ],
)
def test_scaffold_refuses_a_name(name, reason, tmp_path):
    with pytest.raises(ValueError, match=reason):
        new_method.begin(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_scaffold_never_overwrites(tmp_path):
    new_method.begin("my_distance", tmp_path)
    path = tmp_path / "my_distance.py"
    path.write_text("mine")
    with pytest.raises(ValueError, match="is taken"):
        new_method.begin("my_distance", tmp_path)
    assert path.read_text() == "mine"


def test_scaffold_as_a_program_prints_the_config_entry(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    (tmp_path / "regularizers").mkdir()
    assert main(["new", "my_distance"]) == 0
    printed = capsys.readouterr().out
    assert "methods:\n  my_distance:\n    title: My distance\n    regularizer: my_distance\n" in printed
    assert main(["new", "my_distance"]) == 2
    assert "is taken" in capsys.readouterr().err
