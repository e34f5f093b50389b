"""What the programs of the two computing stages share: arguments, threads and device, exit codes."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from bench.config.reading import ConfigError
from bench.data.sources import DataError
from bench.records import locks, whole_files


def parser(doc: str, done: str, force: str) -> argparse.ArgumentParser:
    """The arguments of both; `done` and `force` say what these two mean here."""
    found = argparse.ArgumentParser(description=doc)
    found.add_argument("job", help="a config (.yaml) or a job file (.json) of the pipeline")
    found.add_argument("select", nargs="*", help="only runs whose id starts so, such as likelihood/mmd")
    found.add_argument("--done", type=Path, help=done)
    found.add_argument("--threads", type=int, default=None, help="threads for each process (default: torch's)")
    found.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    found.add_argument("--force", action="store_true", help=force)
    return found


def device(arguments: argparse.Namespace) -> str:
    """The device to use; torch is given its threads."""
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    # cuBLAS reads it once, when it starts; older versions of PyTorch refuse to be deterministic without it
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if arguments.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return arguments.device


def carry_out(work: Callable[[], dict[str, str]], done: Path | None) -> int:
    """Do the work, which returns the status of each run, and write `done` with it.

    0, or with a line on stderr: 2 for a bad config or data, 75 if a run is held, 1 for a fault of the machine.
    """
    try:
        statuses = work()
        if done:
            whole_files.write_json(done, statuses)
    except (ConfigError, DataError) as error:
        print(error, file=sys.stderr)
        return 2
    except locks.LockHeld as error:
        print(f"{error}; wait for it, or stop it, and rerun", file=sys.stderr)
        return 75
    except OSError as error:
        print(f"{error}; nothing half-written is left, rerun to continue", file=sys.stderr)
        return 1
    return 0
