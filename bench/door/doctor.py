"""Whether this machine is ready: a line for each thing, with the remedy where something is wrong.

Made for broken machines: it needs nothing but Python's own library, looks at what could crash or hang from a
process of its own under a time limit, and what cannot be looked at at all is a line like the others.
"""

from __future__ import annotations

import importlib.metadata
import json
import locale
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from threading import Lock

from bench import ROOT, SHARE

GOOD, NOTE, WRONG = "ok", "note", "WRONG"
LIMIT = 120.0  # seconds for what is tried in a process of its own
ONCE = Lock()
Finding = tuple[str, str]  # GOOD, NOTE or WRONG, and what was found


@cache
def aside(*probe: str, **environment: str) -> str:
    """What one of `bench.door.probes` says, in a process of its own.

    Raises:
        RuntimeError: it failed, crashed or took longer than `LIMIT`; the message is its last line.
    """
    command = [sys.executable, "-m", "bench.door.probes", *probe]
    place = {"cwd": ROOT, "env": os.environ | environment | {"PYTHONIOENCODING": "utf-8"}, "encoding": "utf-8"}
    try:
        done = subprocess.run(command, capture_output=True, errors="replace", timeout=LIMIT, check=False, **place)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"no answer within {LIMIT:.0f} s") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"ended with {done.returncode}"]
        raise RuntimeError(lines[-1][:200])
    return done.stdout.strip().splitlines()[-1]


def _python() -> Finding:
    found = f"{platform.python_version()} at {sys.executable}"
    if platform.python_version_tuple()[:2] < ("3", "11"):
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
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        return WRONG, f"not in sync: {', '.join(others[:3])}{more}: make setup"
    return GOOD, f"{len(pins)} packages as requirements.lock has them"


def _torch_says() -> str:
    with ONCE:
        return aside("torch")


def _torch() -> Finding:
    try:
        return GOOD, json.loads(_torch_says())["version"]
    except RuntimeError as error:
        return WRONG, f"{error}: make setup"


def _cuda() -> Finding:
    try:
        found = json.loads(_torch_says())
    except RuntimeError as error:
        return NOTE, f"not known, for torch does not answer ({error})"
    if not found["devices"]:
        why = "torch was built without it" if not found["cuda"] else f"no device answers to CUDA {found['cuda']}"
        return NOTE, f"none, {why}; everything runs on the processor"
    devices = "; ".join(
        f"{name}, {arch}, {free:,} of {total:,} MB free" for name, arch, free, total in found["devices"]
    )
    return GOOD, f"CUDA {found['cuda']}: {devices}"


def _compiler() -> Finding:
    name = os.environ.get("CXX") or next(filter(shutil.which, ("g++", "c++", "clang++")), "g++")
    remedy = "dense PyTorch stands in for KeOps: apt-get install g++, or name yours in CXX"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "a.cpp"
        source.write_text("#include <cmath>\nint main() { return std::isnan(0.0); }\n", encoding="utf-8")
        try:
            command = [*name.split(), str(source), "-o", f"{folder}/a"]
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return WRONG, f"{name} does not run ({error}); {remedy}"
        if done.returncode:
            return WRONG, f"{name} compiles nothing ({(done.stderr.splitlines() or ['?'])[-1][:120]}); {remedy}"
    return GOOD, f"{shutil.which(name.split()[0])}"


def _keops() -> Finding:
    folder = tempfile.mkdtemp(prefix="keops-doctor-")
    try:
        return GOOD, aside("keops", KEOPS_CACHE_FOLDER=folder, PYKEOPS_VERBOSE="0")
    except RuntimeError as error:
        return WRONG, f"{error}; dense PyTorch stands in for it: see to the compiler, then make setup"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _data(name: str) -> Finding:
    try:
        found = aside("data", name)
    except RuntimeError as error:
        return WRONG, f"{error}; the folder is named by DATA_ROOT, now {os.environ.get('DATA_ROOT') or 'data'}"
    return {"every": GOOD, "here;": GOOD, "not": NOTE}.get(found.split()[0], WRONG), found


def _disk() -> Finding:
    folder = Path("results") if Path("results").exists() else Path()
    free = shutil.disk_usage(folder).free / 2**30
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        return WRONG, f"{folder.resolve()} cannot be written ({error.strerror}); work in a checkout of your own"
    if free < 2:
        return WRONG, f"{free:.1f} GB free at {folder.resolve()}; a run of a config wants 2: free some"
    return GOOD, f"{free:.0f} GB free at {folder.resolve()}"


def _memory() -> Finding:
    found = dict(re.findall(r"^(\w+): +(\d+) kB", Path("/proc/meminfo").read_text(encoding="utf-8"), re.MULTILINE))
    total, free = (int(found[key]) / 2**20 for key in ("MemTotal", "MemAvailable"))
    if free < 3:
        return WRONG, f"{free:.1f} of {total:.1f} GB free; a training wants up to 3: close something, or --cores 1"
    return GOOD, f"{free:.0f} of {total:.0f} GB free"


def _threads() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    named = os.environ.get("OMP_NUM_THREADS")
    if named and not (named.isdigit() and 1 <= int(named) <= 4 * cores):
        return WRONG, f"{cores} cores, and OMP_NUM_THREADS is {named!r}: unset it, or make it 1 to {cores}"
    return GOOD, f"{cores} cores{f', OMP_NUM_THREADS {named}' if named else ''}"


def _locale() -> Finding:
    encoding = locale.getpreferredencoding(False)
    try:
        locale.setlocale(locale.LC_ALL, "")
    except locale.Error:
        named = os.environ.get("LC_ALL") or os.environ.get("LANG")
        return WRONG, f"this machine has no locale {named!r}: export LC_ALL=C.UTF-8"
    if encoding.lower().replace("-", "") != "utf8":
        return NOTE, f"{encoding}, which lacks signs that are printed, such as − and ±: export LC_ALL=C.UTF-8"
    return GOOD, encoding


CHECKS: dict[str, Callable[[], Finding]] = {
    "Python": _python,
    "lock": _lock,
    "torch": _torch,
    "CUDA": _cuda,
    "compiler": _compiler,
    "KeOps": _keops,
    **{
        f"data: {name}": (lambda name=name: _data(name)) for name in ("digits", "mnist", "fashion_mnist", "svhn", "tfd")
    },
    "disk": _disk,
    "memory": _memory,
    "threads": _threads,
    "locale": _locale,
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
        asked = {name: pool.submit(carefully, check) for name, check in CHECKS.items()}
        for name, answer in asked.items():
            yield name, answer.result()


def doctor() -> int:
    """Print the findings; 1 if something is wrong that results would suffer from, else 0."""
    sick = False
    for name, (state, text) in findings():
        sick = sick or state == WRONG
        print(f"{state:5}  {name:12}  {' '.join(text.split())}", flush=True)
    return int(sick)
