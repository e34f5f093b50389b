"""A plug-in that breaks its promise is named by its file, in one line, and costs its own runs alone."""

import pytest

from bench.config import reading
from bench.data.verified_files import DataError
from bench.evaluate import measure_runs
from bench.records import integrity
from bench.records.freshness import Results
from bench.train import train_runs
from tests.support.plug_ins import installed

PACKAGE = '''\
from math import prod

import numpy as np
import torch
from torch import nn

from bench.data.declarations import Declaration
from bench.train.architectures import Parts
from regularizers import Prior, Regularizer


class Straight(Regularizer):
    """As it should be."""

    def forward(self, codes, posterior):
        return codes.square().mean()


class Rows(Regularizer):
    def forward(self, codes, posterior):
        return codes.square().mean(1)


class Plain(Regularizer):
    def forward(self, codes, posterior):
        return 0.5


class Alone(Regularizer):
    def __init__(self, prior):
        self.strength = 1.0

    def forward(self, codes, posterior):
        return codes.square().mean()


class Halting(Regularizer):
    def forward(self, codes, posterior):
        return codes @ codes


class Critic(Regularizer):
    inner_steps = 1

    def __init__(self, prior):
        super().__init__(prior)
        self.critic = nn.Linear(prior.dim, 1)

    def inner_loss(self, codes):
        return self.critic(codes)

    def forward(self, codes, posterior):
        return self.critic(codes).mean()


class Sampler(Regularizer):
    def forward(self, codes, posterior):
        return codes.square().mean()

    def sample(self, n):
        return torch.zeros(n)


class Telling(Straight):
    def describe(self):
        return {"scale": torch.ones(1)}


class Mute(Straight):
    def describe(self):
        pass


def nothing(prior):
    return None


def networks(first=None, trunk=None, decoder=None, count=3):
    def build(settings, shape, inputs):
        width, pixels = settings.width, prod(shape)
        parts = [first or nn.Linear(pixels, width), trunk or nn.ReLU(), decoder or nn.Linear(inputs, pixels)]
        return Parts(*parts) if count == 3 else tuple(parts[:count])

    return build


def straight(settings, shape, inputs):
    return networks()(settings, shape, inputs)


def two(settings, shape, inputs):
    return networks(count=2)(settings, shape, inputs)


def narrow(settings, shape, inputs):
    return networks(first=nn.Linear(prod(shape), 3))(settings, shape, inputs)


def cut(settings, shape, inputs):
    return networks(decoder=nn.Linear(inputs, 7))(settings, shape, inputs)


def deaf(settings, shape, inputs):
    return networks(trunk=nn.Linear(5, settings.width))(settings, shape, inputs)


X, Y = np.random.RandomState(0).rand(90, 12).astype(np.float32), np.arange(90) % 3


def data(x=X, y=Y, splits=("train", "validation", "test"), **own):
    thirds = {name: (x[i::3], y[(i + i // 3)::3]) for i, name in enumerate(splits)}
    return Declaration(**({"shape": (1, 3, 4), "classes": 3, "white": 1, "read": lambda _: thirds} | own))


def claiming(**own):
    found = data()
    for name, value in own.items():
        object.__setattr__(found, name, value)  # past beartype, which users do not have
    return found


def thirds(root):
    return data()


def wide(root):
    return data(shape=(1, 4, 4))


def from_one(root):
    return data(y=Y + 1)


def doubles(root):
    return data(x=X.astype(np.float64))


def bright(root):
    return data(x=X * 200)


def holes(root):
    return data(x=np.where(X > 0.99, np.nan, X).astype(np.float32))


def halved(root):
    return data(splits=("train", "test"))


def sudden(root):
    return data(read=lambda _: {}["where"])


def leaving(root):
    return data(read=lambda _: exit("enough"))


def none(root):
    data()


def failing(root):
    return {}["where"]


def vector(root):
    return claiming(shape=(12,))


def word(root):
    return claiming(cite="foo2020")


def texts(root):
    return claiming(sizes={"train": "30"})


class Nowhere(Prior):
    def __init__(self, dim):
        self.weights = torch.ones(1)


class Flat(Prior):
    def __init__(self, dim):
        super().__init__(torch.ones(1), torch.zeros(1, dim + 1), torch.eye(dim + 1)[None])


class Whole(Prior):
    def __init__(self, dim):
        super().__init__(torch.ones(1), torch.zeros(1, dim), torch.eye(dim)[None])
        self.weights = torch.ones(1, dtype=torch.int64)  # past beartype, which users do not have


class Heavy(Prior):
    def __init__(self, dim):
        super().__init__(torch.ones(2), torch.zeros(2, dim), torch.eye(dim).expand(2, dim, dim))
'''
ENTRIES = {
    "regularizers": [
        "Straight", "Rows", "Plain", "Alone", "Halting", "Critic", "Sampler", "Telling", "Mute", "nothing",
    ],
    "architectures": ["straight", "two", "narrow", "cut", "deaf"],
    "datasets": [
        "thirds", "wide", "from_one", "doubles", "bright", "holes", "halved", "sudden", "leaving", "none",
        "failing", "vector", "word", "texts",
    ],
    "priors": ["Nowhere", "Flat", "Whole", "Heavy"],
}  # fmt: skip
CONFIG = """\
name: crooked
seeds: 1
controls: false
defaults: {dataset: %s, architecture: %s, width: 8, epochs: 1, batch_size: 20}
methods:
  own: {regularizer: %s, title: Own}
  mmd: {regularizer: mmd, title: MMD}
experiments:
  density: {methods: [own, mmd], latents: {z: {dim: 2, prior: %s}}, decoder: [z], evaluations: [reconstruction]}
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package whose plug-ins are in one file, `crooked.py`, each named `crooked_` and its own name."""
    lines = []
    for kind, names in ENTRIES.items():
        lines += [f"[latentbench.{kind}]", *(f"crooked_{name.lower()} = crooked:{name}" for name in names)]
    with installed(monkeypatch, tmp_path, "crooked", PACKAGE, "\n".join(lines)):
        yield


def config(folder, dataset="thirds", architecture="straight", regularizer="straight", prior="gaussian"):
    path = folder / "crooked.yaml"
    own = prior if prior == "gaussian" else f"crooked_{prior}"
    path.write_text(CONFIG % (f"crooked_{dataset}", f"crooked_{architecture}", f"crooked_{regularizer}", own))
    return reading.load(path)


def trained(results):
    """Status and reason of each run, each trained as a process of its own would."""
    for _ in results.runs:
        try:
            train_runs.train_all(results, results.runs)
            break
        except train_runs.Tainted:
            continue
    return {run.method: (results.record(run)["status"], results.record(run)["reason"]) for run in results.runs}


@pytest.mark.usefixtures("package")
def test_plug_ins_of_a_package_that_keep_their_promises_train(tmp_path):
    found = trained(Results(config(tmp_path), tmp_path / "results"))
    assert found == {"own": ("ok", None), "mmd": ("ok", None)}


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(("name", "said"), [
    ("rows", "crooked.py: forward returns a tensor (20,), expected one number, a tensor ()"),
    ("plain", "crooked.py: forward returns float, expected one number, a tensor ()"),
    ("alone", "crooked.py: __init__ does not call super().__init__(prior)"),
    ("halting", f" (crooked.py, line {PACKAGE.splitlines().index('        return codes @ codes') + 1})"),
    ("critic", "crooked.py: inner_loss returns a tensor (20, 1), expected one number, a tensor ()"),
    ("telling", "crooked.py: describe returns what no record can hold: Object of type Tensor is not JSON serializable"),
    ("mute", "crooked.py: describe returns what no record can hold: 'NoneType' object has no attribute 'items'"),
    ("nothing", "the entry point crooked_nothing names crooked:nothing, which is no subclass of Regularizer"),
])  # fmt: skip
def test_a_regularizer_that_breaks_its_promise_is_named_and_costs_its_own_runs(tmp_path, name, said):
    found = trained(Results(config(tmp_path, regularizer=name), tmp_path / "results"))
    assert found["mmd"] == ("ok", None)
    status, reason = found["own"]
    assert status == "failed"
    assert reason.removesuffix(".").endswith(said)
    assert "\n" not in reason


@pytest.mark.usefixtures("package")
def test_samples_of_another_shape_cost_the_numbers_that_need_them(tmp_path):
    results = Results(config(tmp_path, regularizer="sampler"), tmp_path / "results")
    trained(results)
    assert set(measure_runs.measure_all(results, results.runs).values()) == {"ok"}
    own, mmd = (results.metrics(run) for run in results.runs)
    assert mmd["failed"] == {}
    [(name, why)] = own["failed"].items()
    assert name == "pictures"
    assert why["reason"].endswith("crooked.py: sample(400) returns a tensor (400,), expected (400, 2)")
    assert own["reason"] == f"pictures: {why['reason']}"
    assert own["rows"]
    assert not results.lacking(results.runs[0])  # it would fail again
    assert not list(integrity.problems(results))


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(("name", "said"), [
    ("two", "build gives tuple, expected Parts(first, trunk, decoder) of three networks"),
    ("narrow", "build gives a first that makes (2, 3) of (2, 12), expected (2, 8)"),
    ("cut", "build gives a decoder that makes (2, 7) of (2, 2), expected (2, 12)"),
    ("deaf", "build gives a trunk that cannot take (2, 8): RuntimeError: mat1 and mat2 shapes cannot be multiplied (2"),
])  # fmt: skip
def test_an_architecture_that_breaks_its_promise_is_named(tmp_path, name, said):
    for status, reason in trained(Results(config(tmp_path, architecture=name), tmp_path / "results")).values():
        assert status == "failed"
        assert f"crooked.py: {said}" in reason


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(("name", "said"), [
    ("wide", "read gives images (30, 12) and classes (30,) of train, expected (n, 16) and (n,), for it declares images "
             "(1, 4, 4)"),
    ("from_one", "read gives classes from 3 to 3 of test, expected 0 to 2"),
    ("doubles", "read gives images of float64 and classes of int64, expected uint8 or float32, and int64"),
    ("bright", "read gives images from"),
    ("holes", "read gives images from nan to nan, expected 0 to 1 (white)"),
    ("sudden", "KeyError: 'where'"),
    ("leaving", "SystemExit: enough"),
    ("halved", "read gives train, test, expected a dictionary of train, validation, test"),
])  # fmt: skip
def test_data_that_are_not_as_declared_are_named(tmp_path, name, said):
    results = Results(config(tmp_path, dataset=name), tmp_path / "results")
    with pytest.raises(DataError) as caught:
        train_runs.train_all(results, results.runs)
    assert str(caught.value).startswith(f"{tmp_path}/crooked.py: {said}")
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(("own", "said"), [
    ({"dataset": "none"}, "crooked.py: TypeError: declare returns NoneType, expected a Declaration"),
    ({"dataset": "failing"}, "crooked.py: KeyError: 'where'"),
    ({"dataset": "vector"}, "crooked.py: declares shape: expected 3 numbers (found (12,))"),
    ({"dataset": "word"}, "crooked.py: declares cite: expected a tuple (found 'foo2020')"),
    ({"dataset": "texts"}, "crooked.py: declares sizes.train: expected a whole number (found '30')"),
    ({"prior": "nowhere"}, "crooked.py: __init__ does not call super().__init__(weights, means, scale_tril)"),
    ({"prior": "flat"}, "crooked.py: means is a tensor (1, 3), expected (1, 2)"),
    ({"prior": "whole"}, "crooked.py: weights is of torch.int64, expected torch.float32"),
    ({"prior": "heavy"}, "crooked.py: weights sum to 2, expected shares that sum to 1"),
])  # fmt: skip
def test_a_declaration_or_a_prior_that_cannot_be_is_a_mistake_in_the_config(tmp_path, own, said):
    with pytest.raises(reading.ConfigError) as caught:
        config(tmp_path, **own)
    [line] = str(caught.value).splitlines()
    assert line.startswith(f"{tmp_path}/crooked.yaml: ")
    assert said in line
