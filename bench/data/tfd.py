"""The Toronto Face Database: 48 x 48 faces in seven expressions (Susskind et al., 2010)."""

from collections.abc import Mapping
from functools import partial
from os.path import exists
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from bench.data.declarations import Arrays, Declaration
from bench.data.verified_files import WHERE, Absent, checksum, verify, wrong

FILE = "TFD_48x48.mat"
REMEDY = f"ask the owners of the Toronto Face Database for it, whose licence forbids to pass it on; {WHERE}"


def declare(root: Path, fold: Annotated[int, Field(ge=0, le=4)] = 0) -> Declaration:
    """The owners' file in `TFD` or the root itself; `fold`, 0 to 4, is one of the official ones."""
    return Declaration(
        shape=(1, 48, 48), classes=7, large=True, labelled=False, cite=("susskind2010",),
        read=partial(read, root, fold), found=lambda: {FILE: checksum(find(root))},
    )  # fmt: skip


def find(root: Path) -> Path:
    """Where the file lies.

    Raises:
        Absent: nowhere.
    """
    for path in (root / "TFD" / FILE, root / FILE):
        if exists(path):
            return path
    raise wrong(root / "TFD" / FILE, "the file", "none", REMEDY, Absent)


def read(root: Path, fold: int, checksums: Mapping[str, str]) -> Arrays:
    """The three splits.

    `folds` (n, 5) says of each image and official fold: 0 unlabelled, 1 train, 2 validate, 3
    test. The unlabelled images train too, with class -1. `labs_ex` are classes 1 to 7.
    """
    from scipy.io import loadmat

    path = find(root)
    if FILE in checksums:
        verify(path, checksums[FILE], REMEDY)
    try:
        content = loadmat(path, variable_names=("images", "labs_ex", "folds"))
        images, folds = content["images"], content["folds"]
        y = content["labs_ex"].astype(np.int64).ravel() - 1
    except Exception as error:  # a damaged file makes the parser fail in any way
        raise wrong(path, "a MATLAB file of images, labs_ex and folds", repr(error), REMEDY) from error
    n = len(y)
    if images.shape != (n, 48, 48) or folds.shape != (n, 5):
        found = f"images {images.shape}, folds {folds.shape}"
        raise wrong(path, f"images ({n}, 48, 48) and folds ({n}, 5)", found, REMEDY)
    with np.errstate(invalid="ignore"):
        x = images.astype(np.uint8)
    if (x != images).any():
        raise wrong(path, "whole pixels from 0 to 255", f"{images.min()} to {images.max()}", REMEDY)
    part = folds[:, fold]
    if not np.isin(part, (0, 1, 2, 3)).all() or not ((y >= 0) & (y < 7))[part > 0].all():
        raise wrong(path, "folds of 0 to 3 and labelled expressions of 1 to 7", "others", REMEDY)
    y[part == 0] = -1
    which = {"train": part <= 1, "validation": part == 2, "test": part == 3}
    return {split: (x[mask].reshape(-1, 48 * 48), y[mask]) for split, mask in which.items()}
