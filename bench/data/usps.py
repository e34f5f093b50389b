"""USPS: 9,298 digits of envelopes, 16 x 16 pixels, in LIBSVM's format (Hull, 1994)."""

from collections.abc import Mapping
from functools import partial
from os.path import exists
from pathlib import Path

import numpy as np

from bench.data.declarations import Arrays, Declaration
from bench.data.idx import last_validate
from bench.data.verified_files import Download, fetch, verify

MIRROR = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/"
MD5 = {"usps.bz2": "ec16c51db3855ca6c91edd34d0e9b197", "usps.t.bz2": "8ea070ee2aca1ac39742fdd1ef5ed118"}


def declare(root: Path) -> Declaration:
    """The two files in `USPS` or the root itself; the last sixth of the first validates."""
    return Declaration(
        shape=(1, 16, 16), classes=10, sizes={"train": 6076, "validation": 1215, "test": 2007}, cite=("hull1994",),
        read=partial(read, root if exists(root / "usps.bz2") else root / "USPS"), checksums=MD5,
    )  # fmt: skip


def read(folder: Path, checksums: Mapping[str, str]) -> Arrays:
    """The three splits."""
    fetch(folder, [Download((MIRROR + name,), md5, (name,)) for name, md5 in checksums.items()])
    train, test = (table(folder / name, pin) for name, pin in checksums.items())
    return last_validate(*train) | {"test": test}


def table(path: Path, md5: str) -> tuple[np.ndarray, np.ndarray]:
    """A verified file of lines `class index:value …`: pixels from -1 to 1 as bytes (n, 256), classes 1 to 10 from 0."""
    from sklearn.datasets import load_svmlight_file

    verify(path, md5)
    x, y = load_svmlight_file(str(path), n_features=256)
    return np.rint((x.toarray() + 1) / 2 * 255).astype(np.uint8), y.astype(np.int64) - 1
