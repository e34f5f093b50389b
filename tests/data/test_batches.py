"""The batches of an epoch, and the named streams that everything random is drawn from."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.config.streams import stream
from bench.data.datasets import batches, labelled_batches


@given(st.integers(2, 300), st.integers(1, 70), st.integers(0, 5), st.integers(0, 5))
def test_an_epoch_sees_each_image_once(n, size, seed, epoch):
    got = list(batches(n, size, seed, epoch))
    seen = torch.cat(got).tolist()
    alone = size > 1 and n % size == 1
    assert len(set(seen)) == len(seen) == n - alone
    assert set(seen) <= set(range(n))
    assert {len(batch) for batch in got[:-1]} <= {size}
    assert size == 1 or len(got[-1]) > 1


def test_batches_depend_on_seed_and_epoch_only():
    def order(*arguments):
        torch.rand(3)  # the global random state plays no part
        return torch.cat(list(batches(100, 10, *arguments))).tolist()

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(seed, epoch)) for seed in range(5) for epoch in range(5)}) == 25
    assert [batch.tolist() for batch in batches(7, 3, 0, 0)] == [[3, 4, 6], [1, 2, 5]]  # golden


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 30))
def test_labelled_batches_cycle(n, size, steps):
    indices = 1000 + torch.arange(n)
    got = list(labelled_batches(indices, size, 0, 0, steps))
    assert [len(batch) for batch in got] == [min(size, n)] * steps
    times = (torch.cat([indices, *got]) - 1000).bincount(minlength=n)
    assert times.max() - times.min() <= 1  # whole passes, and part of one
    assert torch.equal(torch.cat([indices, *got]), torch.cat([indices, *labelled_batches(indices, size, 0, 0, steps)]))


def test_labelled_batches_differ_between_epochs():
    orders = {
        tuple(torch.cat(list(labelled_batches(torch.arange(50), 25, 0, epoch, 4))).tolist()) for epoch in range(9)
    }
    assert len(orders) == 9


def test_no_batches_of_nothing():
    for n, size in ((0, 10), (1, 10), (5, 0)):
        with pytest.raises(ValueError, match=f"no batches of {size} can be made of {n} images"):
            batches(n, size, 0, 0)
    with pytest.raises(ValueError, match="of 0 labelled images"):
        labelled_batches(torch.arange(0), 10, 0, 0, 5)


def test_streams_differ_and_are_fixed():
    names = ("batches", "labels", "model", "noise", "prior", "evaluation")
    assert len({stream(seed, name) for seed in range(100) for name in names}) == 600
    assert stream(0, "batches") == 598306082256072567
    assert stream(1, "model") == 7838490221522719739
    assert all(0 <= stream(seed, "batches") < 2**63 for seed in range(1000))
    with pytest.raises(ValueError, match="negative"):
        stream(-1, "batches")
