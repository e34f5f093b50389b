"""Timing side by side, peak memory, and what machine the numbers come from."""

import json
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")


def machine() -> dict[str, str | int]:
    """The machine and the versions that a measurement depends on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "clock": clock().__name__,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "pykeops", "geomloss", "numpy")},
    }


def clock() -> Callable[[], float]:
    """Processor time where one thread does all the work, so that other programs cost nothing; else wall time."""
    alone = torch.get_num_threads() == 1 and not torch.cuda.is_available()
    return time.process_time if alone else time.perf_counter


def median_seconds(jobs: dict[str, Callable], least: float = 0.5, repeats: int = 5) -> dict[str, float]:
    """The median time of each job, by `clock`. They take turns, so that other load meets all of them.

    At least `repeats` rounds (fewer if a round takes over ten times `least`) and `least` seconds;
    jobs should have run once before. Of what takes less than `least`, the second of two calls is timed:
    a job of milliseconds would pay for the memory and the caches that the one before it used.
    """
    times: dict[str, list[float]] = {name: [] for name in jobs}
    start, rounds = now(), 0
    while True:
        for name, job in jobs.items():
            first = _seconds(job)
            times[name].append(_seconds(job) if first < least else first)
        rounds += 1
        spent = now() - start
        if spent > 10 * least or (rounds >= repeats and spent > least):
            return {name: statistics.median(t) for name, t in times.items()}


def _seconds(job: Callable) -> float:
    start = now()
    job()
    return now() - start


def turns(jobs: dict[str, Callable[[int], float]], steps: int, rounds: int) -> dict[str, float]:
    """The median seconds of a step of each job, over `rounds` turns: a job runs that many steps and returns their mean.

    The jobs time themselves, by `clock`, so that one may be another process.
    """
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            times[name].append(job(steps))
    return {name: statistics.median(t) for name, t in times.items()}


def now() -> float:
    """What `clock` says once all that was asked of a GPU is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock()()


def peak_megabytes(job: Callable) -> float | None:
    """The memory of this process at its highest during the job, above that before it; None where unknown.

    Memory that the allocator kept from before counts as used before, so the figure is a lower bound.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # forget the high-water mark
    except OSError:
        return None

    def read(field):
        [line] = [line for line in STATUS.read_text(encoding="utf-8").splitlines() if line.startswith(field)]
        return int(line.split()[1]) / 1024

    before = read("VmRSS")
    job()
    return read("VmHWM") - before


def write(path: str | None, rows: list[dict], about: str) -> None:
    """Rows and machine as JSON, if a path is given; `about`, whose first line is the title, says what was measured."""
    if path:
        content = {"title": about.splitlines()[0], "machine": machine(), "rows": rows}
        Path(path).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
