"""Does a training settle? Numbers from the history of a run, an epoch a row. Free of torch."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

LEAST = 8  # epochs: halves of fewer say nothing


def convergence(history: pd.DataFrame) -> Iterator[tuple[str, float]]:
    r"""(metric, value) of the second half of a training.

    With the penalty $p_t$ of epoch $t$ and $h$ the first epoch of the second half,
    `penalty_oscillation` is $1 - |p_T - p_h| / \sum_{t>h} |p_t - p_{t-1}|$: 0 for a penalty that only falls or only
    rises, 1 for one that ends where it was. `penalty_drift` is the mean of the last quarter over that of the third,
    less 1: 0 for a penalty that has settled. `gradient_norm` is the mean over the last quarter of the norm of the
    penalty's gradient with respect to the codes. Nothing for fewer than 8 epochs, or without a penalty.
    """
    if len(history) < LEAST or "regularization" not in history:
        return
    penalty = history["regularization"].to_numpy(float)
    half = penalty[len(penalty) // 2 :]
    variation = np.abs(np.diff(half)).sum()
    if variation > 0:
        yield "penalty_oscillation", float(1 - abs(half[-1] - half[0]) / variation)
    middle = len(half) // 2
    before, after = half[:middle].mean(), half[middle:].mean()
    if before != 0:
        yield "penalty_drift", float(after / before - 1)
    if "gradient_norm" in history and variation > 0:
        yield "gradient_norm", float(history["gradient_norm"].to_numpy(float)[-(len(half) - middle) :].mean())
