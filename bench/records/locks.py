"""The right to write into a folder, which dies with the process that holds it."""

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path


class LockHeld(RuntimeError):
    """Another living process works on the same run."""


@contextlib.contextmanager
def run_lock(folder: str | Path) -> Iterator[None]:
    """The right to write into a run's folder; freed by the kernel even after kill -9.

    Raises:
        LockHeld: a living process has it; the message says which.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "run.lock", "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise LockHeld(f"{folder}: held by {file.read().strip() or 'another process'}") from None
        except OSError as error:
            raise OSError(f"{folder}: this file system has no locks ({error}); use a local folder") from None
        file.truncate(0)
        job = os.environ.get("SLURM_JOB_ID", "-")
        file.write(f"pid {os.getpid()} on {socket.gethostname()}, slurm job {job}, since {time.ctime()}\n")
        file.flush()
        yield


def holder(folder: str | Path) -> str | None:
    """Who has the right of `run_lock` now, in the words of the lock; None if nobody that lives."""
    try:
        with open(Path(folder) / "run.lock", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().strip() or "another process"
    except OSError:
        pass
    return None
