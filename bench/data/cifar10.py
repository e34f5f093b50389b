"""CIFAR-10: 60,000 colour pictures of animals and vehicles, 32 x 32 pixels (Krizhevsky, 2009)."""

import pickle
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from bench.data.declarations import Arrays, Declaration
from bench.data.verified_files import Download, fetch, verify

MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
ARCHIVE = Download(
    ("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",), "c58f30108f718f92721af3b95e74349a", tuple(MD5)
)


def declare(root: Path) -> Declaration:
    """The six batches in `cifar-10-batches-py`: the first four train, the fifth validates."""
    return Declaration(
        shape=(3, 32, 32), classes=10, sizes={"train": 40_000, "validation": 10_000, "test": 10_000}, large=True,
        cite=("krizhevsky2009",), read=partial(read, root / "cifar-10-batches-py"), checksums=MD5,
    )  # fmt: skip


def read(folder: Path, checksums: Mapping[str, str]) -> Arrays:
    """The three splits."""
    fetch(folder, [ARCHIVE])
    *first, validation, test = (batch(folder / name, pin) for name, pin in checksums.items())
    train = tuple(np.concatenate(parts) for parts in zip(*first, strict=True))
    return {"train": train, "validation": validation, "test": test}


def batch(path: Path, md5: str) -> tuple[np.ndarray, np.ndarray]:
    """A verified batch: images (n, 3072) as bytes, red, green, blue, and classes (n)."""
    verify(path, md5)  # first of all: to unpickle is to run what a file says
    content = pickle.loads(path.read_bytes(), encoding="bytes")
    return content[b"data"], np.asarray(content[b"labels"], np.int64)
