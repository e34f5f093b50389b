"""Street View House Numbers, cropped to 32 x 32 pixels (Netzer et al., 2011)."""

from collections.abc import Mapping
from functools import partial
from os.path import exists
from pathlib import Path

import numpy as np

from bench.data.declarations import Arrays, Declaration
from bench.data.idx import last_validate
from bench.data.verified_files import Download, fetch, verify

MIRROR = "http://ufldl.stanford.edu/housenumbers/"
MD5 = {
    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
    "extra_32x32.mat": "a93ce644f1a588dc4d68dda5feec44a7",
}


def declare(root: Path, extra: bool = True) -> Declaration:
    """The files in `SVHN` or the root itself; `extra`: the 531,131 extra images train, too.

    Training: all but the last 10,000 images of the training file, then the extra images; validation: those 10,000.
    A suffix and not a draw, for the digits of one house stand next to each other.
    """
    folder = root if exists(root / "train_32x32.mat") else root / "SVHN"
    return Declaration(
        shape=(3, 32, 32), classes=10, large=True, cite=("netzer2011",), checksums=MD5,
        sizes={"train": 63_257 + 531_131 * extra, "validation": 10_000, "test": 26_032},
        read=partial(read, folder, extra),
    )  # fmt: skip


def read(folder: Path, extra: bool, checksums: Mapping[str, str]) -> Arrays:
    """The three splits."""
    wanted = {name: md5 for name, md5 in checksums.items() if extra or not name.startswith("extra")}
    fetch(folder, [Download((MIRROR + name,), md5, (name,)) for name, md5 in wanted.items()])
    arrays = {name.split("_")[0]: file(folder / name, md5) for name, md5 in wanted.items()}
    splits = last_validate(*arrays["train"]) | {"test": arrays["test"]}
    if extra:
        pool = zip(splits["train"], arrays.pop("extra"), strict=True)
        splits["train"] = tuple(np.concatenate(pair) for pair in pool)
    return splits


def file(path: Path, md5: str) -> tuple[np.ndarray, np.ndarray]:
    """A verified .mat file of images X (32, 32, 3, n) and classes y (n, 1), where 10 means the digit 0."""
    from scipy.io import loadmat

    verify(path, md5)
    content = loadmat(path, variable_names=("X", "y"))
    images = np.ascontiguousarray(content["X"].transpose(3, 2, 0, 1))  # (n, 3, 32, 32)
    y = content["y"].astype(np.int64).ravel()
    return images.reshape(len(y), -1), y % 10
