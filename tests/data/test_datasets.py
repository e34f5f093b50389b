"""Data sets by name: options, the loader, the share of labels, the seal; nothing heavy is imported to name them."""

import subprocess
import sys

import pytest

from bench.config import reading
from bench.config.runs import expand
from bench.data import datasets
from bench.data.datasets import DataError, load, loader
from tests.support import small_data
from tests.support.checkout import ROOT


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spec": "mnits"}, "unknown 'mnits'; did you mean 'mnist'"),
        ({"spec": {"digits": {"fold": 1}}}, "digits: fold: unknown 'fold'"),
        ({"spec": {"tfd": {"flod": 1}}}, "tfd: flod: unknown 'flod'; did you mean 'fold'"),
        ({"spec": {"tfd": 5}}, r"tfd: fold: expected at most 4 \(found 5\)"),
        ({"spec": {"svhn": {"extra": 1}}}, r"svhn: extra: expected true or false \(found 1\)"),
        ({"spec": {"digits": 3}}, "digits: expected no options, found 3"),
        ({"spec": {"mnist": {}, "digits": {}}}, "expected one name with its options, found mnist, digits"),
        ({"spec": {}}, "expected one name with its options, found none"),
        ({"spec": "arrays"}, "arrays: path: missing; it has no default"),
    ],
)
def test_unknown_names_and_options_are_named(arguments, message):
    with pytest.raises(DataError, match=message) as error:
        load(**arguments)
    assert "\n" not in str(error.value)


def test_the_share_of_labels_is_of_the_training_images(tmp_path):
    assert load("digits").labelled_share(0) == 0
    assert load("digits").labelled_share(120) == 120 / 1197
    assert load("digits").labelled_share("all") == 1
    small_data.tfd(tmp_path)
    faces = load("tfd", tmp_path)
    assert (len(faces.train.y), faces.labelled_share(7), faces.labelled_share("all")) == (46, 7 / 46, 26 / 46)


def test_a_loader_reads_a_data_set_once_and_says_its_fault_again(monkeypatch, tmp_path):
    settings = expand(reading.load(ROOT / "config/smoke.yaml"))[0].settings
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    load_once = loader()
    assert load_once(settings) is load_once(settings.model_copy(update={"seed": 1}))
    absent = settings.model_copy(update={"dataset": {"arrays": "none.npz"}})
    with pytest.raises(DataError, match=r"none\.npz") as first:
        load_once(absent)
    monkeypatch.setattr(datasets, "load", lambda *_, **__: pytest.fail("asked for it twice"))
    with pytest.raises(DataError) as second:
        load_once(absent)
    assert second.value is first.value


def test_a_sealed_test_split_is_out_of_reach():
    dataset = load("digits")
    assert len(dataset.test.y) == 300
    assert len(dataset.to("cpu").test.y) == 300
    assert dataset.seal() is dataset
    for sealed in (dataset, dataset.to("cpu")):
        with pytest.raises(datasets.TestSplitSealed, match="the test split is sealed while a model is trained"):
            _ = sealed.test
    assert len(load("digits").test.y) == 300


def test_naming_data_sets_is_light():
    program = """
import sys
from bench.config import registry
from bench.data.declarations import declaration
for name in registry.names("datasets"):
    if name not in ("arrays", "folder"):
        declaration(name)
assert not {"torch", "torchvision", "sklearn", "scipy", "pandas", "requests", "pooch", "PIL"} & set(sys.modules)
import bench.data.datasets
assert not {"torchvision", "sklearn", "scipy", "pandas", "requests", "pooch", "PIL"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
