"""Files of data: downloaded whole, verified before they are trusted, with errors that name them."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

AGAIN = "delete it; where it can be downloaded, the next run does that"
WHERE = "the environment variable DATA_ROOT names the folder"
ALGORITHMS = {32: "md5", 64: "sha256"}  # by the digits of a checksum
OFFLINE = False  # who only looks switches it on
SECONDS = 30  # without a byte from a server


class DataError(ValueError):
    """A data set cannot be read: which file, what was expected and found, and how to get it."""


class Absent(DataError):
    """A file that a data set needs is not there."""


class Download(NamedTuple):
    """A file that can be fetched: its addresses, to be tried in order, and the md5 sum that is published of it.

    `names` are the files it gives: itself, or members of the archive that it is. It is not needed where these are
    there, or `instead`, the file that it would unpack to.
    """

    urls: tuple[str, ...]
    md5: str
    names: tuple[str, ...]
    instead: str | None = None


def root_folder(root: str | Path | None = None) -> Path:
    """The data root: the argument, else DATA_ROOT of the environment, else ./data; `~` and `$NAME` are expanded."""
    return Path(os.path.expanduser(os.path.expandvars(root or os.environ.get("DATA_ROOT") or "data")))


def wrong(path: Path, expected: str, found: object, remedy: str, kind: type[DataError] = DataError) -> DataError:
    """The error that names a file, what was expected of it and what was found, in one line."""
    return kind(" ".join(f"{path}: expected {expected}, found {found}; {remedy}".split()))


def checksum(path: Path, algorithm: str = "sha256") -> str:
    """The hex digest of a file, computed once per process unless the file changes.

    Raises:
        Absent: it is not there, or cannot be read.
    """
    try:
        stat = path.stat()
        return _checksum(path, algorithm, (stat.st_ino, stat.st_size, stat.st_mtime_ns))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise wrong(path, "a readable file", reason, WHERE, Absent) from error


@cache
def _checksum(path: Path, algorithm: str, state: tuple[int, ...]) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def verify(path: Path, expected: str, remedy: str = AGAIN) -> None:
    """Hold a file against its checksum, md5 or sha-256.

    Raises:
        DataError: it has another, or cannot be read.
    """
    algorithm = ALGORITHMS[len(expected)]
    if (found := checksum(path, algorithm)) != expected:
        raise wrong(path, f"content of {algorithm} {expected}", found, remedy)


def fetch(folder: Path, downloads: Sequence[Download]) -> None:
    """Download what a folder lacks: each file appears whole and verified, and one process fetches at a time.

    Raises:
        Absent: no network, another file than expected, or the folder cannot be written.
    """

    def there(*names: str) -> bool:
        return all(os.path.exists(folder / name) for name in names)

    def lacking() -> list[Download]:
        return [d for d in downloads if not there(*d.names) and not (d.instead and there(d.instead))]

    if not (wanted := lacking()):
        return
    try:
        if OFFLINE:
            raise OSError("nothing is fetched here")
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left_over in folder.glob(".download-*"):  # of a process that died: the lock is ours
                shutil.rmtree(left_over)
            for download in lacking():  # another process may have fetched some while this one waited
                with TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
                    for path in retrieve(download, Path(temporary)):
                        os.replace(path, folder / path.name)
    except Exception as error:  # the network's, the server's, the disk's, a broken archive's
        names = ", ".join(name for download in wanted for name in download.names)
        remedy = f"the download failed ({str(error)[:200]}): put them there yourself; {WHERE}"
        raise wrong(folder, f"the files {names}", "not all of them", remedy, Absent) from error


def retrieve(download: Download, folder: Path) -> list[Path]:
    """The verified files of a download, in a folder."""
    import pooch

    # A server must not pack what it sends: the checksum is that of the file as it lies there.
    downloader = pooch.HTTPDownloader(timeout=SECONDS, headers={"Accept-Encoding": "identity"}, progressbar=True)
    unpack = pooch.Untar(extract_dir=".") if len(download.names) > 1 else None
    for url in download.urls:  # until one has it
        name = url.rpartition("/")[2]
        try:
            found = pooch.retrieve(url, f"md5:{download.md5}", name, folder, unpack, downloader)
        except (OSError, ValueError):
            if url == download.urls[-1]:
                raise
        else:
            return [path for path in map(Path, found if unpack else [found]) if path.name in download.names]
