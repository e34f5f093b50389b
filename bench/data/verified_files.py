"""Files of data: downloaded whole, verified before they are trusted, with errors that name them."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import NamedTuple

AGAIN = "delete it, and the next run downloads it again"
WHERE = "the folder is named by the environment variable DATA_ROOT or the config key data_root"
ALGORITHMS = {32: "md5", 64: "sha256"}  # by the digits of a checksum
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


def wrong(path: Path, expected: str, found: str, remedy: str, kind: type[DataError] = DataError) -> DataError:
    """The error that names a file, what was expected of it and what was found, in one line."""
    return kind(" ".join(f"{path}: expected {expected}, found {found}; {remedy}".split()))


def kind(content: bytes) -> str:
    """What a file that is not what it should be seems to be, from its first bytes."""
    if not content:
        return "an empty file"
    if content.lstrip()[:1] == b"<":
        return "an HTML or XML page, probably of a failed download"
    if content[:2] == b"\x1f\x8b":
        return "a gzip archive"
    return f"a file that begins with the bytes {content[:4].hex(' ')}"


def kind_of(path: Path) -> str:
    """The same of a file."""
    with path.open("rb") as file:
        return kind(file.read(64))


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


def verify(path: Path, expected: str, remedy: str = AGAIN, others: Mapping[str, str] = MappingProxyType({})) -> None:
    """Hold a file against its checksum, md5 or sha-256; `others` are those of files that it may be instead.

    Raises:
        DataError: it has another, or cannot be read.
    """
    algorithm = ALGORITHMS[len(expected)]
    if (found := checksum(path, algorithm)) != expected:
        other = "".join(f", which is that of {name}" for name, pin in others.items() if pin == found)
        raise wrong(path, f"content of {algorithm} {expected}", f"{found}{other or f', {kind_of(path)}'}", remedy)


def fetch(folder: Path, downloads: Sequence[Download]) -> None:
    """Download what a folder lacks: each file appears whole and verified, and one process fetches at a time.

    Nothing is made before a server has answered, and what is empty after a failure is removed again.

    Raises:
        Absent: no network, another file than expected, or the folder cannot be written.
    """

    def lacking() -> list[Download]:
        return [d for d in downloads if not (there(d.names) or (d.instead and there([d.instead])))]

    def there(names: Sequence[str]) -> bool:
        return all(os.path.exists(folder / name) for name in names)

    if not (wanted := lacking()):
        return
    made = [path for path in (folder, *folder.parents) if not os.path.exists(path)]
    try:
        answers(wanted[0])
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left_over in folder.glob(".download-*"):  # of a process that died: the lock is ours
                shutil.rmtree(left_over)
            for download in lacking():  # another process may have fetched some while this one waited
                with TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
                    for path in _download(download, Path(temporary)):
                        os.replace(path, folder / path.name)
    except Exception as error:  # the network's, the server's, the disk's, a broken archive's
        with suppress(OSError, ValueError):  # another process has put something there; or there is no such place
            if folder in made and set(os.listdir(folder)) <= {".lock"}:
                (folder / ".lock").unlink(missing_ok=True)
                for path in made:
                    path.rmdir()
        names = ", ".join(name for download in wanted for name in download.names)
        reason = " ".join(str(error).split())[:200]
        remedy = f"the download failed ({reason}): put them there yourself; {WHERE}"
        raise wrong(folder, f"the files {names}", "not all of them", remedy, Absent) from error


def answers(download: Download) -> None:
    """Ask the servers of a download for it; OSError if none has it."""
    import requests

    for last, url in enumerate(download.urls, 1 - len(download.urls)):
        try:
            with requests.get(url, stream=True, timeout=SECONDS) as answer:
                return answer.raise_for_status()
        except requests.RequestException:
            if last == 0:
                raise


def _download(download: Download, folder: Path) -> list[Path]:
    """The verified files of a download, in a folder."""
    import pooch

    # A server must not pack what it sends: the checksum is that of the file as it lies there.
    downloader = pooch.HTTPDownloader(timeout=SECONDS, headers={"Accept-Encoding": "identity"}, progressbar=True)
    unpacks = len(download.names) > 1
    for last, url in enumerate(download.urls, 1 - len(download.urls)):
        try:
            found = pooch.retrieve(
                url,
                f"md5:{download.md5}",
                fname=url.rpartition("/")[2],
                path=folder,
                downloader=downloader,
                processor=pooch.Untar(extract_dir=".") if unpacks else None,
            )
        except (OSError, ValueError):
            if last == 0:
                raise
        else:
            return [path for path in map(Path, found if unpacks else [found]) if path.name in download.names]
