"""What hyperparameters may be: names for annotations that are read without importing torch."""

from collections.abc import Sequence
from typing import Annotated

from annotated_types import Gt, Interval, MinLen

Positive = Annotated[float | int, Gt(0)]
Several = Annotated[Sequence[Positive], MinLen(1)]
Count = Annotated[int, Interval(ge=1, le=20_000)]
Amount = Annotated[float | int, Interval(ge=0, le=1e6)]
