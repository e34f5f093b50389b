"""idx, the format of MNIST and its kin: images of 28 x 28 bytes, or classes; as they are or compressed."""

import gzip
import hashlib
import zlib
from collections.abc import Mapping, Sequence
from math import prod
from os.path import exists
from pathlib import Path

import numpy as np

from bench.data.declarations import Arrays, Declaration
from bench.data.verified_files import AGAIN, WHERE, Absent, Download, fetch, kind, verify, wrong

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
SIZES = {"train": 50_000, "validation": 10_000, "test": 10_000}


def mnist_like(
    folder: Path, mirrors: Sequence[str], md5: Sequence[str], sha256: Sequence[str] = (), **more
) -> Declaration:
    """A data set of MNIST's four files in a folder, where torchvision puts them.

    `md5` are the published sums of the compressed files, which `mirrors` offer; `sha256` those of their content,
    where they are known: then files that are not compressed, or compressed by others, will do. Training: the first
    50,000 images of the training file; validation: its last 10,000.
    """
    packed = [f"{name}.gz" for name in FILES]
    downloads = [
        Download(tuple(mirror + file for mirror in mirrors), pin, (file,), name if sha256 else None)
        for name, file, pin in zip(FILES, packed, md5, strict=True)
    ]

    def read(checksums: Mapping[str, str]) -> Arrays:
        fetch(folder, downloads)
        x, y, test_x, test_y = (values(folder, name, checksums) for name in checksums)
        return last_validate(x, y) | {"test": (test_x, test_y)}

    checksums = dict(zip(FILES, sha256, strict=True)) if sha256 else dict(zip(packed, md5, strict=True))
    return Declaration(shape=(1, 28, 28), classes=10, sizes=SIZES, read=read, checksums=checksums, **more)


def last_validate(x: np.ndarray, y: np.ndarray, count: int = 10_000) -> Arrays:
    """The last `count` images validate (of a small file, the last sixth), the others train."""
    cut = len(x) - min(count, len(x) // 6)
    return {"train": (x[:cut], y[:cut]), "validation": (x[cut:], y[cut:])}


def values(folder: Path, name: str, checksums: Mapping[str, str]) -> np.ndarray:
    """A verified file of a folder: images (n, 784) as bytes, or classes (n) from 0 to 9.

    Raises:
        DataError: a wrong size, magic number, shape, class or checksum.
    """
    path = folder / name if exists(folder / name) else folder / f"{name}.gz"
    try:
        content = packed = path.read_bytes()
    except OSError as error:
        raise wrong(path, "a readable idx file", str(error), WHERE, Absent) from error
    if path.suffix == ".gz":
        content = unpacked(path, packed)
    found = parse(path, content, 3 if "images" in name else 1)
    if path.name == name:
        verify(path, checksums[name], others=checksums)
    elif (sha256 := hashlib.sha256(content).hexdigest()) != checksums[name]:
        raise wrong(path, f"content of sha256 {checksums[name]}", sha256, AGAIN)
    return found


def unpacked(path: Path, content: bytes) -> bytes:
    """The content of a gzip archive, which `path` names in errors."""
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise wrong(path, "a readable idx file", f"{kind(content)} ({error})", AGAIN) from error


def parse(path: Path, content: bytes, dimensions: int, classes: range = range(10)) -> np.ndarray:
    """The bytes of an idx file of 28 x 28 images (3 dimensions), or its classes (1 dimension), counted from 0.

    Raises:
        DataError: it is no such file.
    """
    magic, header = bytes([0, 0, 8, dimensions]), 4 + 4 * dimensions
    if content[:4] != magic or len(content) < header:
        raise wrong(path, f"an idx file with the magic number {magic.hex(' ')}", kind(content), AGAIN)
    n, *image = (int(size) for size in np.frombuffer(content, ">u4", dimensions, offset=4))
    if image not in ([], [28, 28]):
        raise wrong(path, "images of 28 x 28 pixels", " x ".join(map(str, image)), AGAIN)
    if len(content) != header + n * prod(image):
        raise wrong(path, f"{header + n * prod(image):,} bytes, as its header says", f"{len(content):,}", AGAIN)
    values = np.frombuffer(content, np.uint8, offset=header)
    if image:
        return values.reshape(n, 784).copy()
    if others := sorted(set(values.tolist()) - set(classes)):
        raise wrong(path, f"classes {classes[0]} to {classes[-1]}", f"class {others[0]}", AGAIN)
    return values.astype(np.int64) - classes[0]
