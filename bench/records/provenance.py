"""Where a result comes from: the code's commit, the machine, the versions, hashes of tensors."""

import hashlib
import os
import platform
import resource
import socket
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

from bench import ROOT

DISTRIBUTIONS = ("torch", "numpy", "scipy", "scikit-learn", "pykeops", "geomloss", "pandas")


def tensor_hash(*tensors) -> str:
    """SHA-256 over the bytes of tensors, in order."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@cache
def commit() -> tuple[str | None, bool | None]:
    """The commit of the code and whether the working tree differs from it; None outside a repository."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True, timeout=20
        ).stdout

    try:
        if Path(git("rev-parse", "--show-toplevel").strip()) != ROOT:
            return None, None
        status = git("status", "--porcelain", "--", "bench", "regularizers", "Snakefile", "requirements.lock")
        return git("rev-parse", "HEAD").strip(), bool(status.strip())
    except (OSError, subprocess.SubprocessError):
        return None, None


@cache
def versions() -> dict[str, str]:
    """The installed versions of what computes the numbers."""
    return {"python": platform.python_version()} | {name: version(name) for name in DISTRIBUTIONS}


def processor() -> str:
    """The CPU's model name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def machine(device: str) -> str:
    """The model name of what computes on a device, "cpu" or "cuda"."""
    if device != "cuda":
        return processor()
    import torch

    return torch.cuda.get_device_name()


def describe(device: str) -> dict:
    """Machine, versions, commit and peak memory of this process, for a record."""
    import torch

    sha, dirty = commit()
    if device == "cuda":
        peak = torch.cuda.max_memory_allocated()
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "commit": sha,
        "dirty": dirty,
        "versions": versions(),
        "device": device,
        "machine": machine(device),
        "host": socket.gethostname(),
        "threads": torch.get_num_threads(),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
        "peak_memory_mb": round(peak / 2**20),
    }
