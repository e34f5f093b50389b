"""What a training begins with, as its record keeps it: the evidence by which later code is held to the same numbers."""

import math
from collections.abc import Mapping
from typing import NamedTuple

STEPS = 6  # whose losses are kept: each step makes of a rounding difference a larger one
IMAGES = 256  # of the validation split
# Of the first step, and of what follows. The same code with other instructions (AVX2 or none), other orders of sums
# and two threads instead of one differed by 4e-7, then 3e-3 in float32, and by 2e-3, then 8e-3 in bfloat16, the most
# in eleven cells of MNIST: Adam turns the sign of a gradient near 0 into a whole step.
TOLERANCE = {"float32": (1e-5, 1e-2), "bfloat16": (5e-3, 3e-2)}


class Comparison(NamedTuple):
    """The largest relative difference of two openings, and the first place that differs by more than is allowed."""

    difference: float
    where: str | None


def compare(old: Mapping, new: Mapping, precision: str) -> Comparison:
    """An opening that a record holds against the one that the present code gives."""
    at_first, later = TOLERANCE[precision]
    largest, first = 0.0, None
    numbers = []
    for t in range(STEPS):
        for term in sorted({*old["losses"], *new["losses"]}):
            a, b = (opening["losses"].get(term, []) for opening in (old, new))
            if t < max(len(a), len(b)):
                numbers.append((f"step {t + 1}, {term}", a[t : t + 1], b[t : t + 1], later if t else at_first))
    for name in sorted({*old["after"], *new["after"]}):
        pair = ([o["after"][name]] if name in o["after"] else [] for o in (old, new))
        numbers.append((name, *pair, 1e-6 if name.startswith("rate") else later))
    for where, a, b, allowed in numbers:
        if not a or not b:
            return Comparison(math.inf, first or f"{where}: {'new' if b else 'gone'}")
        difference = abs(a[0] - b[0]) / max(abs(a[0]), abs(b[0]), 1e-3)
        largest = max(largest, difference)
        if difference > allowed and first is None:
            first = f"{where}: {a[0]:.6g} then, {b[0]:.6g} now"
    return Comparison(largest, first)
