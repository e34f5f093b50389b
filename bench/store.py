"""Files that are whole or absent: atomic writes, run locks and verified checkpoints."""

import contextlib
import fcntl
import hashlib
import io
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FORMAT = b"latentbench-checkpoint-1\n"
KEPT = 2  # the newest may be corrupt: the one before must still be there


class LockHeld(RuntimeError):
    """Another living process works on the same run."""


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


@contextlib.contextmanager
def run_lock(folder: str | Path) -> Iterator[None]:
    """The right to write into a run's folder; freed by the kernel even after kill -9.

    Raises:
        LockHeld: a living process has it; the message says which.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "run.lock", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise LockHeld(f"{folder}: held by {file.read().strip() or 'another process'}") from None
        except OSError as error:
            raise RuntimeError(f"{folder}: this file system has no locks ({error}); use a local folder") from None
        file.truncate(0)
        job = os.environ.get("SLURM_JOB_ID", "-")
        file.write(f"pid {os.getpid()} on {socket.gethostname()}, slurm job {job}, since {time.ctime()}\n")
        file.flush()
        yield


def holder(folder: str | Path) -> str | None:
    """Who has the right of `run_lock` now, in the words of the lock; None if nobody that lives."""
    try:
        with open(Path(folder) / "run.lock") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().strip() or "another process"
    except OSError:
        pass
    return None


def save_checkpoint(folder: str | Path, step: int, state: dict) -> None:
    """A versioned, hashed checkpoint `ckpt-<step>.pt` of tensors and plain values; keeps the last two."""
    import torch

    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getvalue()
    write(Path(folder) / f"ckpt-{step:09d}.pt", FORMAT + sha256(payload).encode() + b"\n" + payload)
    for old in sorted(Path(folder).glob("ckpt-*.pt"))[:-KEPT]:
        old.unlink(missing_ok=True)


def load_checkpoint(folder: str | Path, fingerprint: str, report: Callable[[str], None] = print) -> dict | None:
    """The newest checkpoint that is whole and of this very run and code; None if there is none.

    A corrupt, foreign or older one is passed over with a message. No code in it is ever run.
    """
    import torch

    for path in sorted(Path(folder).glob("ckpt-*.pt"), reverse=True):
        try:
            content = path.read_bytes()
            if not content.startswith(FORMAT):
                raise ValueError("not a checkpoint of this version")
            digest, _, payload = content[len(FORMAT) :].partition(b"\n")
            if sha256(payload).encode() != digest:
                raise ValueError("its hash does not match its content")
            state = torch.load(io.BytesIO(payload), weights_only=True, map_location="cpu")
            if state.get("fingerprint") != fingerprint:
                raise ValueError("it belongs to other settings or other code")
        except Exception as error:
            report(f"checkpoint {path.name} passed over: {error}")
            continue
        return state
    return None
