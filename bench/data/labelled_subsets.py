"""The labelled subsets of semi-supervised runs: fixed, balanced draws."""

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from bench.config.streams import stream
from bench.data.verified_files import DataError


def labelled_subset(y: Int64[Tensor, " n"], count: int | str, draw: int, classes: int) -> Int64[Tensor, " labelled"]:
    """The indices, ascending, of `count` labelled training images, equally many of each class.

    `count` is a number, 0, or "all": every image whose class is known (y ≥ 0). The first of a permutation of each class
    are drawn. The permutations come from numpy's legacy generator, whose stream is frozen for good (NEP 19), seeded by
    stream (draw, "labels"). They do not depend on `count`: the subset of 100 of a draw lies within its subset of 1,000.

    Raises:
        DataError: `count` is not a multiple of `classes` or asks for more than there are.
    """
    if count == "all":
        return (y >= 0).nonzero().flatten()
    if isinstance(count, str) or count < 0 or count % classes:
        raise DataError(f"{count} labels: {classes} classes need 'all', 0 or a multiple of {classes}")
    known, each = y.cpu().numpy(), count // classes
    rng = np.random.RandomState(stream(draw, "labels") % 2**32)
    subset = []
    for label in range(classes):
        members = np.flatnonzero(known == label)
        if len(members) < each:
            raise DataError(f"{count} labels need {each} images of class {label}, found {len(members)}")
        subset += rng.permutation(members)[:each].tolist()
    return torch.tensor(sorted(subset), dtype=torch.int64, device=y.device)
