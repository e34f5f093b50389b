"""Two openings are held against each other: number by number, by the tolerance of its place and precision."""

import math

import pytest

from bench.train.opening import STEPS, compare


def opening(losses=None, after=None):
    own = {"inner": [0.5] * STEPS, "reconstruction": [10.0 - t for t in range(STEPS)]} | (losses or {})
    return {"losses": own, "after": {"gradient_norm": 2.0, "rate reconstruction": 1e-3} | (after or {})}


def stepped(factor, at):
    return {"reconstruction": [(10.0 - t) * (factor if t == at else 1) for t in range(STEPS)]}


@pytest.mark.parametrize(("new", "precision", "difference", "where"), [
    (opening(), "float32", 0, None),
    (opening(stepped(1 + 8e-6, 0)), "float32", 8e-6, None),
    (opening(stepped(1 - 2e-5, 0)), "float32", 2e-5, "step 1, reconstruction: 10 then, 9.9998 now"),
    (opening(stepped(1 - 2e-5, 0)), "bfloat16", 2e-5, None),
    (opening(stepped(1 - 6e-3, 0)), "bfloat16", 6e-3, "step 1, reconstruction: 10 then, 9.94 now"),
    (opening(stepped(1 - 8e-3, 1)), "float32", 8e-3, None),
    (opening(stepped(1.02, STEPS - 1)), "float32", 0.02 / 1.02, f"step {STEPS}, reconstruction: 5 then, 5.1 now"),
    (opening(stepped(1.02, 2)), "bfloat16", 0.02 / 1.02, None),
    (opening(stepped(-1, 3)), "bfloat16", 2, "step 4, reconstruction: 7 then, -7 now"),
    (opening(after={"gradient_norm": 2.01}), "float32", 0.01 / 2.01, None),
    (opening(after={"gradient_norm": 2.2}), "float32", 0.2 / 2.2, "gradient_norm: 2 then, 2.2 now"),
    (opening(after={"rate reconstruction": 1.001e-3}), "bfloat16", 1e-3, "rate reconstruction: 0.001 then, 0.001001"),
    (opening({"inner": []}), "float32", math.inf, "step 1, inner: gone"),
    (opening({"new": [1.0]}), "float32", math.inf, "step 1, new: new"),
    (opening(after={"fit 0 mean": 0.1}), "float32", math.inf, "fit 0 mean: new"),
    (opening(stepped(1.5, 0) | {"new": [1.0]}), "float32", math.inf, "step 1, new: new"),
])  # fmt: skip
def test_the_largest_difference_and_the_first_place_that_is_not_the_same(new, precision, difference, where):
    found = compare(opening(), new, precision)
    assert found.difference == pytest.approx(difference, rel=2e-2)
    assert (found.where or "").startswith(where or "")
    assert bool(found.where) == bool(where)


def test_near_nothing_a_difference_is_of_a_thousandth():
    old, new = opening({"inner": [0.0] * STEPS}), opening({"inner": [5e-9] * STEPS})
    assert compare(old, new, "float32") == (pytest.approx(5e-6), None)
    assert compare(new, old, "float32").difference == pytest.approx(5e-6)


def test_the_first_place_stays_the_first():
    found = compare(opening(), opening(stepped(1.5, 0), {"gradient_norm": 8.0}), "float32")
    assert found == (pytest.approx(0.75), "step 1, reconstruction: 10 then, 15 now")
