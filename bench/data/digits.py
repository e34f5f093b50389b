"""The 1,797 digits of 8 x 8 pixels that are bundled with scikit-learn (Alpaydin & Kaynak, 1998)."""

import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from bench.data.declarations import Arrays, Declaration
from bench.data.verified_files import wrong

SHA256 = {  # of the table as bytes
    "digits.csv.gz": "68aea062d35a127749050fa0e52dca09d6569ac08092c925610e0954e172dde2",
}
SIZES = {"train": 1197, "validation": 300, "test": 300}


def declare(root: Path) -> Declaration:
    """The digits, wherever the data root is."""
    return Declaration(
        shape=(1, 8, 8), classes=10, sizes=SIZES, smallest_class=109, white=16, cite=("alpaydin1998",),
        read=read, checksums=SHA256,
    )  # fmt: skip


def read(checksums: Mapping[str, str]) -> Arrays:
    """The three splits.

    The source is ordered by writer, so no split may be a prefix: the images are dealt out by one
    fixed permutation, blind to class and writer, of numpy's legacy generator with seed 0, whose stream is
    frozen for good (NEP 19).
    """
    # Not load_digits: importing scikit-learn takes longer than a quick training.
    path = Path(find_spec("sklearn").origin).parent / "datasets/data/digits.csv.gz"
    table = np.loadtxt(path, delimiter=",").astype(np.uint8)
    if (found := hashlib.sha256(table.tobytes()).hexdigest()) != checksums[path.name]:
        remedy = "reinstall scikit-learn, which bundles it"
        raise wrong(path, f"content of sha256 {checksums[path.name]}", found, remedy)
    table = table[np.random.RandomState(0).permutation(len(table))]
    ends = np.cumsum(list(SIZES.values()))[:-1]
    parts = zip(np.split(table[:, :-1], ends), np.split(table[:, -1].astype(np.int64), ends), strict=True)
    return dict(zip(SIZES, parts, strict=True))
