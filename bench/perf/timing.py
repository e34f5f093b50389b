"""What every measurement shares: options, timing side by side, a table, and what machine the numbers come from."""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

import click
import pandas as pd
import torch

from bench.records.provenance import processor

Job = Callable[[int], float]  # does so many steps, and returns the mean of their seconds


class Options(argparse.ArgumentParser):
    """A parser whose errors are those of the front door: one line."""

    def error(self, message: str) -> NoReturn:
        """Raise it."""
        raise click.UsageError(message)


def at_least(least: int) -> Callable[[str], int]:
    """The type of an option that is a whole number from `least` on."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected a whole number, at least {least}, found {text!r}")
        return int(text)

    return number


def options(name: str, about: str) -> argparse.ArgumentParser:
    """The options that every measurement has."""
    parser = Options(prog=f"latentbench perf {name}", description=about.splitlines()[0])
    parser.add_argument("--rounds", type=at_least(1), default=10, help="turns of each side, whose median counts")
    parser.add_argument("--threads", type=at_least(1), default=1)
    parser.add_argument("--json", type=Path, help="write the rows here")
    return parser


def machine() -> dict[str, str | int]:
    """The machine and the versions that a measurement depends on."""
    return {
        "processor": processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "pykeops", "geomloss", "numpy")},
    }


def now() -> float:
    """Processor time where one thread does all the work, so that other programs cost nothing; else wall time."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def repeated(call: Callable[[], object]) -> Job:
    """A job of calls of a function, after one more that fills the caches."""

    def job(steps: int) -> float:
        torch.use_deterministic_algorithms(False)
        call()
        start = now()
        for _ in range(steps):
            call()
        return (now() - start) / steps

    return job


def turns(jobs: dict[str, Job], steps: int, rounds: int) -> dict[str, float]:
    """The median seconds of a step of each job. They take turns, so that other load meets all of them."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            times[name].append(job(steps))
    return {name: statistics.median(t) for name, t in times.items()}


def report(rows: list[dict], about: str, path: Path | None) -> None:
    """Print machine and rows; write them as JSON too, if a path is given."""
    print(" | ".join(f"{k} {v}" for k, v in machine().items()))
    print(pd.DataFrame(rows).to_string(index=False, na_rep="", float_format="{:.4g}".format))
    if path:
        content = {"title": about.splitlines()[0], "machine": machine(), "rows": rows}
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
