"""The folder in which KeOps compiles, one for each process: the next one removes what a killed one left."""

import atexit
import contextlib
import os
import shutil
import socket
import tempfile
from pathlib import Path

VARIABLE = "KEOPS_CACHE_FOLDER"


def _prefix() -> str:
    # The machine too: temporary folders can be shared between nodes, whose processes have numbers of their own.
    return f"keops-{socket.gethostname()}-"


def claim() -> None:
    """Give this process a folder of its own, removed at exit, and remove those of processes that are no more.

    Before KeOps is imported. A folder that the environment names is left to whoever named it.
    """
    sweep()
    own = f"{_prefix()}{os.getpid()}-"
    if VARIABLE not in os.environ:
        os.environ[VARIABLE] = tempfile.mkdtemp(prefix=own)
    folder = Path(os.environ[VARIABLE])
    if folder.name.startswith(own):  # also where this process has replaced its program
        atexit.register(shutil.rmtree, folder, ignore_errors=True)


def sweep() -> None:
    """Remove the folders of this user's processes that died on this machine."""
    prefix = _prefix()
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        number = folder.name.removeprefix(prefix).partition("-")[0]
        with contextlib.suppress(OSError):  # another process sweeps too
            if number.isdigit() and folder.stat().st_uid == os.getuid() and not _lives(int(number)):
                shutil.rmtree(folder, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
