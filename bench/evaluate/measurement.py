"""A number of a model, as every protocol gives it."""

from typing import NamedTuple

from torch import Tensor


class Measurement(NamedTuple):
    """A number, its standard error over `n` images where it is a mean of them, and the split they are from."""

    metric: str
    value: float
    standard_error: float | None = None
    n: int | None = None
    split: str = "test"


def standard_error(values: Tensor) -> float:
    """Std / √n with ddof 0, as the published tables print it."""
    return values.double().std(correction=0).item() / len(values) ** 0.5
