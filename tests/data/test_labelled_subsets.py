"""Labelled subsets: fixed, balanced, nested, and of known images."""

import hashlib
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.data.datasets import DataError, load
from bench.data.labelled_subsets import labelled_subset
from tests.data.test_formats import REAL

# Of the first ten draws, written down once: whoever draws others changes every semi-supervised number.
DRAWS = {
    ("digits", 100): "0abefd4f9d7b4b64b315bbc667bf1c4692d6fbaf871bf062d996e11a960c6167",
    ("mnist", 100): "2936a5e3e7fc82dba434ac781d87b501496d3364024ef7f046e63b378b44ddb1",
    ("mnist", 1000): "8c1ea71bdbb3380272ca1225437e058f8939a3edba5dff8fb0a354a2c17fb6c6",
}


@pytest.mark.parametrize(("name", "count"), DRAWS)
def test_the_draws_are_fixed_and_balanced(name, count):
    if name == "mnist" and not REAL.is_dir():
        pytest.skip("the MNIST files are not in the data root; set DATA_ROOT to the folder that holds them")
    y = load(name).train.y
    draws = [labelled_subset(y, count, draw, 10).tolist() for draw in range(10)]
    assert hashlib.sha256(json.dumps(draws).encode()).hexdigest() == DRAWS[name, count]
    assert all(y[draw].bincount().tolist() == [count // 10] * 10 for draw in draws)


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
