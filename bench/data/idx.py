"""idx, the format of MNIST and its kin: images of 28 x 28 bytes, or classes; as they are or compressed."""

import gzip
import hashlib
import zlib
from collections.abc import Mapping, Sequence
from os.path import exists
from pathlib import Path

import numpy as np

from bench.data.declarations import Arrays, Declaration
from bench.data.verified_files import AGAIN, Download, fetch, verify, wrong

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
SIZES = {"train": 50_000, "validation": 10_000, "test": 10_000}


def mnist_like(folder: Path, mirrors: Sequence[str], md5: Sequence[str], sha256: Sequence[str], **more) -> Declaration:
    """A data set of MNIST's four files in a folder, where torchvision puts them.

    `md5` are the published sums of the compressed files, which `mirrors` offer; `sha256` those of their content: files
    that are not compressed, or compressed by others, will do. Training: the first 50,000 images of the training file;
    validation: its last 10,000.
    """
    downloads = [
        Download(tuple(f"{mirror}{name}.gz" for mirror in mirrors), pin, (f"{name}.gz",), name)
        for name, pin in zip(FILES, md5, strict=True)
    ]

    def read(checksums: Mapping[str, str]) -> Arrays:
        fetch(folder, downloads)
        x, y, test_x, test_y = (values(folder, name, checksums) for name in checksums)
        return last_validate(x, y) | {"test": (test_x, test_y)}

    checksums = dict(zip(FILES, sha256, strict=True))
    return Declaration(shape=(1, 28, 28), classes=10, sizes=SIZES, read=read, checksums=checksums, **more)


def last_validate(x: np.ndarray, y: np.ndarray, count: int = 10_000) -> Arrays:
    """The last `count` images validate (of a small file, the last sixth), the others train."""
    cut = len(x) - min(count, len(x) // 6)
    return {"train": (x[:cut], y[:cut]), "validation": (x[cut:], y[cut:])}


def values(folder: Path, name: str, checksums: Mapping[str, str]) -> np.ndarray:
    """A verified file of a folder: images (n, 784) as bytes, or classes (n).

    Raises:
        DataError: another content than that of its checksum.
    """
    if exists(folder / name):
        verify(folder / name, checksums[name])
        return parse((folder / name).read_bytes())
    path = folder / f"{name}.gz"
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise wrong(path, "a readable gzip archive", error, AGAIN) from error
    if (sha256 := hashlib.sha256(content).hexdigest()) != checksums[name]:
        raise wrong(path, f"content of sha256 {checksums[name]}", sha256, AGAIN)
    return parse(content)


def parse(content: bytes) -> np.ndarray:
    """The rows of an idx file whose checksum is right: images as bytes, or classes."""
    dimensions = content[3]
    n = int.from_bytes(content[4:8], "big")
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions)
    return values.astype(np.int64) if dimensions == 1 else values.reshape(n, -1).copy()
