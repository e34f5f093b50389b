"""Files of data: downloaded whole, verified before they are read, and read with errors that name them."""

import fcntl
import gzip
import hashlib
import os
import shutil
import socket
import zlib
from collections.abc import Callable
from functools import cache
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

AGAIN = "delete it, and the next run downloads it again"
WHERE = "the folder is named by the environment variable DATA_ROOT or the config key data_root"


class DataError(ValueError):
    """A data set cannot be read: which file, what was expected and found, and how to get it."""


def root_folder(root: str | Path | None = None) -> Path:
    """The data root: the argument, else DATA_ROOT of the environment, else ./data."""
    return Path(root or os.environ.get("DATA_ROOT") or "data").expanduser()


def checksum(path: Path, algorithm: str = "sha256") -> str:
    """The hex digest of a file, computed once per process unless the file changes."""
    try:
        stat = path.stat()
        return _checksum(path, algorithm, (stat.st_ino, stat.st_size, stat.st_mtime_ns))
    except OSError as error:
        raise DataError(f"{path}: expected a readable file, found {error.strerror}; {WHERE}") from error


@cache
def _checksum(path: Path, algorithm: str, state: tuple[int, ...]) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def wrong(path: Path, expected: str, found: str, remedy: str) -> DataError:
    """The error that names a file, what was expected of it and what was found, in one line."""
    return DataError(" ".join(f"{path}: expected {expected}, found {found}; {remedy}".split()))


def kind(content: bytes) -> str:
    """What a file that is not what it should be seems to be, from its first bytes."""
    if not content:
        return "an empty file"
    if content.lstrip()[:1] == b"<":
        return "an HTML or XML page, probably of a failed download"
    if content[:2] == b"\x1f\x8b":
        return "a gzip archive"
    return f"a file that begins with the bytes {content[:4].hex(' ')}"


def download(folder: Path, missing: Callable[[], list[str]], fetch: Callable[[Path], Path]) -> None:
    """Fetch the missing files of a folder; each appears whole, and one process fetches at a time.

    `fetch` fills a temporary folder and returns where in it the files lie, already verified.

    Raises:
        DataError: no network, or the folder cannot be written.
    """
    names, timeout = missing(), socket.getdefaulttimeout()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not missing():  # another process fetched them while this one waited
                return
            for left_over in folder.glob(".download-*"):  # of a process that died: the lock is ours
                shutil.rmtree(left_over)
            socket.setdefaulttimeout(30)
            with TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
                fetched = fetch(Path(temporary))
                for name in missing():
                    os.replace(fetched / name, folder / name)
    except (OSError, RuntimeError, EOFError, zlib.error) as error:  # urllib's, torchvision's, a broken archive's
        reason = " ".join(str(error).split())[:200]
        remedy = f"the download failed ({reason}): put them there yourself; {WHERE}"
        raise wrong(folder, f"the files {', '.join(names)}", "none of them", remedy) from error
    finally:
        socket.setdefaulttimeout(timeout)


def idx(folder: Path, name: str, pins: dict[str, str]) -> np.ndarray:
    """A verified idx file: images (n, 784) as bytes, or classes (n).

    Raises:
        DataError: a wrong size, magic number, shape, class or checksum.
    """
    path = folder / name if (folder / name).exists() else folder / f"{name}.gz"
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content, packed = b"", content
            content = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        found = kind(packed) if path.suffix == ".gz" and path.is_file() else str(error)
        raise wrong(path, "a readable idx file", f"{found} ({error})", AGAIN) from error
    values = parse_idx(path, content, 3 if "images" in name else 1)
    found = hashlib.sha256(content).hexdigest()
    if found != pins[name]:
        other = "".join(f", which is that of {file}" for file, pin in pins.items() if pin == found)
        raise wrong(path, f"content of sha256 {pins[name]}", found + other, AGAIN)
    return values


def parse_idx(path: Path, content: bytes, dimensions: int) -> np.ndarray:
    """The bytes of an idx file of 28 x 28 images (3 dimensions) or of classes 0 to 9 (1 dimension).

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
    if n and values.max() > 9:
        raise wrong(path, "classes 0 to 9", f"class {values.max()}", AGAIN)
    return values.astype(np.int64)


def matlab(path: Path, keys: tuple[str, ...], remedy: str) -> dict[str, np.ndarray]:
    """The arrays of a MATLAB file by name.

    Raises:
        DataError: it is no such file, or lacks an array.
    """
    from scipy.io import loadmat

    try:
        content = loadmat(path, variable_names=keys)
    except Exception as error:  # a damaged file makes the parser fail in any way
        with path.open("rb") as file:
            found = f"{kind(file.read(64))} ({error!r})"
        raise wrong(path, "a MATLAB file", found, remedy) from error
    if lacking := [key for key in keys if key not in content]:
        raise wrong(path, f"the arrays {', '.join(keys)}", f"no {', '.join(lacking)}", remedy)
    return {key: content[key] for key in keys}
