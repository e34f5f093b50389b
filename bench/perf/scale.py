"""How long it takes to see what is to be done, with thousands of runs: expand, stale check, collect, snakemake -n.

python -m bench.perf scale [--runs 1000 5000] [--batches experiment method run] [--profile] [--json FILE]

A copy of the program gets a config of that many runs (ten methods of the likelihood of digits, as
many seeds as it takes) and, for each run, a record and metrics as a real one leaves them: nothing is
trained. "new" is `snakemake -n` before there are results, "done" after all are there, for each way
to batch runs into jobs. All are processor seconds of one core. `--profile` prints where those
of `snakemake -n` go, for the largest number of runs and the last way to batch them.
"""

import argparse
import json
import pstats
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from bench import config as configs
from bench import provenance
from bench.jobs import Jobs
from bench.perf.clone import Clone
from bench.perf.pipeline import METHODS, content
from bench.perf.timing import machine, write
from bench.runs import Results, Run

METRICS = 40  # of a run of the likelihood experiment, about


def timed(job: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds of a job, and its result."""
    start = time.process_time()
    result = job()
    return time.process_time() - start, result


def write_config(clone: Clone, name: str, runs: int, batch_by: str) -> Path:
    """A config of the clone with that many runs."""
    point = {"methods": len(METHODS), "seeds": -(-runs // len(METHODS)), "images": 0}
    path = clone.folder / "config" / f"{name}.yaml"
    text = content(name, clone.folder, point) | {"batch_by": batch_by}
    path.write_text(yaml.safe_dump(text, sort_keys=False))
    return path


def pretend(results: Results, run: Run) -> None:
    """The files of a run that has been trained and measured, but for models and codes."""
    folder = results.path(run)
    folder.mkdir(parents=True)
    record = {"run": run.to_json(), "id": run.id, "version": run.training_version, "status": "ok", "reason": None}
    record |= {"epoch": run.settings.epochs, "hashes": {}, "facts": {}, "seconds": 1.0, **provenance.describe("cpu")}
    rows = [
        {"metric": f"metric_{i}", "value": i + run.seed / 7, "standard_error": 0.1, "n": 300, "split": "test"}
        for i in range(METRICS)
    ]
    metrics = {"version": run.evaluation_version, "status": "ok", "reason": None, "rows": rows}
    for name, value in (("record.json", record), ("metrics.json", metrics)):
        # Not by `store`: 100,000 syncs of the disk are not what is measured.
        (folder / name).write_text(json.dumps(value, indent=1, sort_keys=True))


def finish(jobs: Jobs) -> None:
    """The files that say that each stage of each batch is done."""
    for path in jobs.done.values():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("{}")


def measure(clone: Clone, runs: int, batches: list[str]) -> dict[str, float]:
    """The row of a number of runs."""
    path = write_config(clone, f"runs_{runs}", runs, batches[0])
    root = clone.folder / "results"
    row: dict[str, float] = {"runs": runs}
    row["config"], config = timed(lambda: configs.load(path))
    row["expand"], results = timed(lambda: Results(config, root))
    row["versions"], _ = timed(lambda: [run.evaluation_version for run in results.runs])
    for batch_by in batches:
        name = f"new_{runs}_{batch_by}"
        write_config(clone, name, runs, batch_by)
        row[f"new, a job a {batch_by}"] = clone.snakemake(f"config/{name}.yaml", "-n", "--cores", "1").processor
    for run in results.runs:
        pretend(results, run)
    row["stale check"], stale = timed(lambda: [results.stale(run) for run in results.runs])
    if any(stale):
        raise RuntimeError("runs that were pretended to be done are stale")
    for batch_by in batches:
        write_config(clone, f"runs_{runs}", runs, batch_by)
        finish(Jobs([str(path)], root=root))
        row[f"done, a job a {batch_by}"] = clone.snakemake(f"config/{path.name}", "-n", "--cores", "1").processor
    out = f"results/{path.stem}/metrics.csv"
    row["collect"] = clone.run("-m", "bench.collect", f"config/{path.name}", out).processor
    return row


def profile(clone: Clone, runs: int, batch_by: str) -> None:
    """Print what takes longest in a dry run of the pipeline without results."""
    name, out = f"new_{runs}_{batch_by}", clone.folder / "profile"
    arguments = ("--configfile", f"config/{name}.yaml", "--quiet", "all", "-n", "--cores", "1")
    clone.run("-m", "cProfile", "-o", str(out), "-m", "snakemake", *arguments)
    pstats.Stats(str(out)).sort_stats("tottime").print_stats(15)
    pstats.Stats(str(out)).sort_stats("cumtime").print_stats(45)


def run(arguments: list[str]) -> None:
    """The program; see the module."""
    parser = argparse.ArgumentParser(prog="python -m bench.perf scale", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--batches", nargs="+", default=["experiment", "method", "run"])
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--json", help="write the rows here")
    a = parser.parse_args(arguments)
    print(" | ".join(f"{k} {v}" for k, v in machine().items()))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        clone = Clone(Path(folder) / "clone")
        for runs in a.runs:
            rows.append(measure(clone, runs, a.batches))
            print(
                "\n".join(f"{k:28}{v:10.2f}" if k != "runs" else f"{v} runs" for k, v in rows[-1].items()), flush=True
            )
        if a.profile:
            profile(clone, max(a.runs), a.batches[-1])
    write(a.json, rows)
