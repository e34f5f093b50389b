"""What a plug-in can be given is read from its own annotations, be it a file or of an installed package."""

import inspect
from typing import Any

import pytest
import torch

import regularizers
from bench.config import plugins, signatures
from bench.config.reading import settings
from bench.train.autoencoder import Autoencoder
from tests.support.configs import extended
from tests.support.plug_ins import forget, installed

FILE = '''
from collections.abc import Sequence
from typing import Annotated, Literal

from annotated_types import Ge, MinLen
from regularizers import Regularizer
from regularizers._family import Family
from regularizers._ranges import Positive

STEPS = 3

class Own(Family):
    """One of a family."""

    def __init__(
        self, prior, blur: Positive = 0.5, kernel: Literal["a", "b"] = "a",
        scales: Annotated[Sequence[Positive], MinLen(1)] | None = None, *,
        steps: Annotated[int, Ge(1)] = STEPS, of_torch: Tensor = None,
    ):
        pass
'''
FAMILY = """
from regularizers import Regularizer

class Family(Regularizer):
    sums_over_categories = True

    def __init__(self, prior, never: int):
        pass

    def inner_loss(self, codes):
        pass
"""
RANGES = "from typing import Annotated\nfrom annotated_types import Gt\nPositive = Annotated[float | int, Gt(0)]\n"
OUTSIDE = '''
from typing import Annotated

import torch
from annotated_types import Interval
from regularizers import Prior, Regularizer


class Ring(Prior):
    """Components on a ring."""

    heads = ("continuous",)

    def __init__(self, dim: int, components: Annotated[int, Interval(ge=3, le=99)], radius: float | int = 1.0):
        if dim != 2:
            raise ValueError("a ring lies in 2 dimensions,\\nas everybody knows")
        angle = 2 * torch.pi * torch.arange(components) / components
        means = radius * torch.stack([angle.cos(), angle.sin()], 1)
        super().__init__(torch.full((components,), 1 / components), means, 0.1 * torch.eye(2).expand(components, 2, 2))


class Square(Regularizer):
    """Squares."""

    def __init__(self, prior, power: Annotated[int, Interval(ge=1, le=4)] = 2):
        super().__init__(prior)
        self.power = power

    def forward(self, codes, posterior):
        return (codes**self.power).mean()
'''
ENTRIES = """\
[latentbench.priors]
outside_ring = outside:Ring
outside_broken = outside:Nothing
[latentbench.regularizers]
outside_square = outside:Square
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that brings two priors and a regularizer."""
    with installed(monkeypatch, tmp_path, "outside", OUTSIDE, ENTRIES):
        yield


def test_a_files_annotations_and_what_it_inherits_are_read_without_importing_it(tmp_path, monkeypatch):
    for name, text in {"own": FILE, "_family": FAMILY, "_ranges": RANGES}.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr(signatures, "FOLDER", tmp_path)
    monkeypatch.setattr(plugins, "FOLDER", tmp_path)
    forget()
    signature = plugins.signature("regularizers", "own")
    assert list(signature.keywords) == ["prior", "blur", "kernel", "scales", "steps", "of_torch"]
    assert signature.defaults["steps"] == 3
    assert "inner_loss" in signature.defines
    assert signature.attributes["sums_over_categories"]
    given = {"blur": 0, "kernel": "c", "scales": [1, -1], "steps": 0, "of_torch": "whatever", "never": 1}
    assert dict(plugins.wrong("regularizers", "own", given)) == {
        ("blur",): "expected greater than 0 (found 0)",
        ("kernel",): "unknown 'c'. Valid: a, b",
        ("scales", 1): "expected greater than 0 (found -1)",
        ("steps",): "expected at least 1 (found 0)",
        ("never",): "unknown 'never'. Valid: blur, kernel, scales, steps, of_torch",
    }
    forget()


BROKEN = {
    "syntax": "def forward(:\n",
    "no class": "x = 1\n",
    "no text": "\0",
    "cites no tuple": "class Own(Regularizer):\n    cites = ('gretton2012')\n",
    "unread no pairs": "class Own(Regularizer):\n    unread = ('scales', 'kernel', 'energy')\n",
    "title no text": "class Own(Regularizer):\n    title = 3\n",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=list(BROKEN))
def test_a_broken_file_is_named_and_a_failure_of_its_runs_and_no_mistake_in_the_config(tmp_path, monkeypatch, text):
    (tmp_path / "own.py").write_text(text)
    monkeypatch.setattr(plugins, "FOLDER", tmp_path)
    forget()
    assert plugins.wrong("regularizers", "own", {"anything": 1}) == []
    with pytest.raises(LookupError, match=r"^own\.py: ") as caught:
        plugins.declared("regularizers", "own")
    assert "\n" not in str(caught.value)
    forget()


@pytest.mark.parametrize("name", regularizers.names())
def test_the_source_says_what_the_class_says(name):
    declared, cls = plugins.declared("regularizers", name), regularizers.load(name)
    assert declared.doc == inspect.getdoc(cls)
    assert declared.attributes.get("cites", ()) == cls.cites
    parameters = inspect.signature(cls).parameters
    assert list(declared.keywords)[1:] == list(parameters)[1:]
    assert declared.defaults == {n: p.default for n, p in parameters.items() if p.default is not p.empty}


def test_a_plug_in_that_is_nowhere_is_named():
    with pytest.raises(LookupError, match="nowhere"):
        plugins.declared("regularizers", "nowhere")


Z = "experiments.density.latents.z"
RING = "experiments: {density: {latents: {z: {prior: outside_ring, dim: %s, settings: {%s}}}}}\n"
SQUARE = "methods: {mmd: {regularizer: outside_square, hyperparameters: {power: %s}}}\n"


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (RING % (2, "components: 2"), [f"{Z}.settings.components: expected at least 3 (found 2)"]),
        (RING % (2, "radius: 2"), [f"{Z}.settings.components: missing; it has no default"]),
        (RING % (3, "components: 5"), [f"{Z}.settings: a ring lies in 2 dimensions,"]),
        (SQUARE % 9, ["methods.mmd.hyperparameters.power: expected at most 4 (found 9)"]),
        (SQUARE % "2, weight: 1", ["methods.mmd.hyperparameters.weight: unknown 'weight'. Valid: power"]),
        ("defaults: {latents: {z: {prior: outside_rin}}}", [
            "defaults.latents.z.prior: unknown 'outside_rin'; did you mean 'outside_ring'? Valid: "]),
    ],
)  # fmt: skip
def test_a_packages_plug_ins_are_judged_by_their_annotations_and_their_prior_is_built(tmp_path, text, lines):
    [line] = extended(tmp_path, text)
    assert line.startswith(f"c.yaml: {lines[0]}")


@pytest.mark.usefixtures("package")
def test_a_packages_prior_is_that_of_the_model(tmp_path):
    config = extended(tmp_path, RING % (2, "components: 20") + SQUARE % 2)
    model = Autoencoder(settings(config, "density", "mmd"), (1, 8, 8), 10)
    assert model.priors["z"].means.shape == (20, 2)
    assert torch.allclose(model.priors["z"].means.norm(dim=1), torch.ones(20))


@pytest.mark.parametrize("path", sorted(signatures.FOLDER.glob("[a-z]*.py")), ids=lambda p: p.stem)
def test_a_hyperparameter_says_which_values_it_may_have(path):
    """No bare text or number: what cannot be is told by the config, and not by a row that failed."""
    signature = signatures.read(path)
    loose = (int, float, str, float | int, Any)
    assert not [name for name, annotation in signature.keywords.items() if name != "prior" and annotation in loose]
