"""Whether this machine is ready: a line for each thing, with the remedy where something is wrong.

Made for broken machines: it needs nothing but Python's own library, looks at what could crash or hang from a
process of its own under a time limit, and what cannot be looked at at all is a line like the others.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from bench import ROOT, SHARE

GOOD, NOTE, WRONG = "ok", "note", "WRONG"
LIMIT = 120.0  # seconds for what is tried in a process of its own
DATA = ("digits", "mnist", "fashion_mnist", "svhn", "tfd")
Finding = tuple[str, str]  # GOOD, NOTE or WRONG, and what was found


def aside(*probe: str, remedy: str, **environment: str) -> Finding:
    """What one of `bench.door.probes` finds in a process of its own: its last line, or that of its error."""
    command = [sys.executable, "-m", "bench.door.probes", *probe]
    place = {"cwd": ROOT, "env": os.environ | environment | {"PYTHONIOENCODING": "utf-8"}, "encoding": "utf-8"}
    try:
        done = subprocess.run(command, capture_output=True, errors="replace", timeout=LIMIT, check=False, **place)
    except subprocess.TimeoutExpired:
        return WRONG, f"no answer within {LIMIT:.0f} s; {remedy}"
    lines = [line for line in (done.stderr if done.returncode else done.stdout).splitlines() if line.strip()]
    text = lines[-1] if lines else f"ended with {done.returncode}"
    if done.returncode:
        return WRONG, f"{text[:300]}; {remedy}"
    return (NOTE if text.startswith("not here") else GOOD), text


def _python() -> Finding:
    found = f"{platform.python_version()} at {sys.executable}"
    if tuple(map(int, platform.python_version_tuple()[:2])) < (3, 11):
        return WRONG, f"{found}; 3.11 or newer is needed: make setup PYTHON=python3.11"
    return GOOD, found


def _lock() -> Finding:
    text = (SHARE / "requirements.lock").read_text(encoding="utf-8")
    pins: dict[str, set[str]] = {}
    elsewhere = set()  # packages that other systems alone may need
    for name, version, marker in re.findall(r"^([\w.-]+)==([^\s;\\]+)([^\\\n]*)", text, re.MULTILINE):
        pins.setdefault(name, set()).add(version)
        elsewhere |= {name} if marker.strip() else set()
    others = []
    for name, versions in pins.items():
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed = None
        if installed not in versions and not (installed is None and name in elsewhere):
            others.append(f"{name} is {installed or 'absent'}, {' or '.join(sorted(versions))} is wanted")
    if others:
        return WRONG, f"not in sync, {len(others)} packages: {', '.join(others[:3])}: make setup"
    return GOOD, f"{len(pins)} packages as requirements.lock has them"


def _keops() -> Finding:
    remedy = "dense PyTorch stands in for it; it wants a C++ compiler: apt-get install g++, or name yours in CXX"
    with tempfile.TemporaryDirectory(prefix="keops-doctor-") as folder:
        return aside("keops", remedy=remedy, KEOPS_CACHE_FOLDER=folder, PYKEOPS_VERBOSE="0")


def _disk() -> Finding:
    folder = (Path("results") if Path("results").exists() else Path()).resolve()
    free = shutil.disk_usage(folder).free / 2**30
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        return WRONG, f"{folder} cannot be written ({error.strerror}); work in a checkout of your own"
    if free < 2:
        return WRONG, f"{free:.1f} GB free at {folder}; a run of a config wants 2: free some"
    return GOOD, f"{free:.0f} GB free at {folder}"


def _memory() -> Finding:
    table = Path("/proc/meminfo")
    if not table.exists():
        return NOTE, "not known on this system; a training wants up to 3 GB"
    found = dict(re.findall(r"^(\w+): +(\d+) kB", table.read_text(encoding="utf-8"), re.MULTILINE))
    total, free = (int(found[key]) / 2**20 for key in ("MemTotal", "MemAvailable"))
    if free < 3:
        return WRONG, f"{free:.1f} of {total:.1f} GB free; a training wants up to 3: close something, or --cores 1"
    return GOOD, f"{free:.0f} of {total:.0f} GB free"


CHECKS: dict[str, Callable[[], Finding]] = {
    "Python": _python,
    "lock": _lock,
    "torch": partial(aside, "torch", remedy="make setup"),
    "KeOps": _keops,
    **{f"data: {name}": partial(aside, "data", name, remedy="DATA_ROOT names the folder") for name in DATA},
    "disk": _disk,
    "memory": _memory,
}


def carefully(check: Callable[[], Finding]) -> Finding:
    """What a check finds; what it dies of is a finding, too, for whatever is broken, the others are worth a look."""
    try:
        return check()
    except Exception as error:
        return WRONG, f"cannot be looked at: {type(error).__name__}: {error}".splitlines()[0]


def findings() -> Iterator[tuple[str, Finding]]:
    """Each check's name and finding, in order; those that take long run at the same time."""
    with ThreadPoolExecutor(4) as pool:
        yield from zip(CHECKS, pool.map(carefully, CHECKS.values()), strict=True)


def doctor() -> int:
    """Print the findings; 1 if something is wrong that results would suffer from, else 0."""
    sick = False
    for name, (state, text) in findings():
        sick = sick or state == WRONG
        print(f"{state:5}  {name:20}  {' '.join(text.split())}", flush=True)
    return int(sick)
