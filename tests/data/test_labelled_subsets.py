"""Labelled subsets: fixed, balanced, nested, and of known images; an edited file of draws is refused."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.data import labelled_subsets
from bench.data.datasets import DataError, labelled_subset, load
from tests.data.test_formats import REAL, names_file


@pytest.mark.parametrize("path", sorted(labelled_subsets.FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_index_files_hold_ten_balanced_draws(path):
    content = labelled_subsets.read(path)
    assert path.stem == f"{content['dataset']}-{content['count']}"
    assert len(content["draws"]) == len({tuple(draw) for draw in content["draws"]}) == 10
    assert all(len(set(draw)) == content["count"] for draw in content["draws"])
    if content["dataset"] == "mnist" and not REAL.is_dir():
        pytest.skip("the MNIST files are not in the data root; set DATA_ROOT to the folder that holds them")
    dataset = load(content["dataset"])
    y = dataset.train.y
    for draw, subset in enumerate(content["draws"]):
        assert y[subset].bincount().tolist() == [content["count"] // 10] * 10
        assert subset == labelled_subsets.balanced_draw(y.numpy(), content["count"], draw, 10)


def test_index_files_are_what_is_read(tmp_path):
    y = torch.arange(50) % 10
    labelled_subsets.write(tmp_path / "toy-20.json", "toy", y.numpy(), 20, 10)
    content = json.loads((tmp_path / "toy-20.json").read_text())
    content["draws"][0] = list(range(20, 40))
    content["sha256"] = labelled_subsets.seal_of(content)
    (tmp_path / "toy-20.json").write_text(json.dumps(content))
    assert labelled_subset(y, 20, 0, 10, tmp_path).tolist() == list(range(20, 40))
    other = (y + 1) % 10  # other data: the file does not apply
    assert labelled_subset(other, 20, 0, 10, tmp_path).tolist() == labelled_subsets.balanced_draw(
        other.numpy(), 20, 0, 10
    )


@pytest.mark.parametrize(
    "spoil", [lambda t: t.replace("[", "[0,", 1), lambda t: t[:-9], lambda t: "{}", lambda t: "[]"]
)
def test_an_edited_index_file_is_refused(tmp_path, spoil):
    path, y = tmp_path / "toy-20.json", torch.arange(50) % 10
    labelled_subsets.write(path, "toy", y.numpy(), 20, 10)
    labelled_subset(y, 20, 0, 10, tmp_path)
    path.write_text(spoil(path.read_text()))
    with pytest.raises(DataError, match=names_file(path.name)):
        labelled_subset(y, 20, 0, 10, tmp_path)


@given(st.lists(st.integers(-1, 3), min_size=40, max_size=200), st.integers(0, 3), st.integers(0, 30))
def test_subsets_are_balanced_nested_and_of_known_images(y, each, draw):
    y = torch.tensor(y + [0, 1, 2, 3] * 4)
    subset = labelled_subset(y, 4 * each, draw, 4)
    assert y[subset].bincount(minlength=4).tolist() == [each] * 4
    assert subset.dtype == torch.int64
    assert set(subset.tolist()) <= set(labelled_subset(y, 16, draw, 4).tolist())
    assert torch.equal(subset, labelled_subset(y, 4 * each, draw, 4))
    assert y[labelled_subset(y, "all", draw, 4)].tolist() == y[y >= 0].tolist()


def test_impossible_subsets_are_refused():
    y = torch.arange(20) % 10
    for count in (15, -10, "some"):
        with pytest.raises(DataError, match="multiple of 10"):
            labelled_subset(y, count, 0, 10)
    with pytest.raises(DataError, match="3 images of class 0, found 2"):
        labelled_subset(y, 30, 0, 10)
