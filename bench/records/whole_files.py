"""Files that are whole or absent: atomic writes, and how they are read."""

import contextlib
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any


class DiskFull(OSError):
    """There is not enough room to begin."""


def write(path: str | Path, content: bytes | str) -> None:
    """`path` holds `content` or what it held before, whatever happens: temporary file, fsync, rename."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    with contextlib.suppress(OSError):  # not every file system lets a folder be synced
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def clean(folder: str | Path) -> None:
    """Delete the temporary files that killed processes left in a run's folder; its lock must be held."""
    for path in (*Path(folder).glob(".*.tmp"), *Path(folder).glob("*/.*.tmp")):
        path.unlink(missing_ok=True)


def write_json(path: str | Path, content: Any) -> None:
    """`content` as JSON with sorted keys, one value a line: readable, and the same bytes for the same content."""
    write(path, json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any | None:
    """The content of a JSON file; None if it is absent or not whole."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def sha256(content: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()


def require_space(folder: str | Path, megabytes: int = 50) -> None:
    """Raise DiskFull, in one line, if `folder` has less room than a run needs."""
    probe = Path(folder).absolute()
    while not probe.exists():
        probe = probe.parent
    free = shutil.disk_usage(probe).free // 2**20
    if free < megabytes:
        raise DiskFull(f"{folder}: {free} MB free, {megabytes} MB needed; free some and rerun: nothing is lost")
