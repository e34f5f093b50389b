"""Gather every run's numbers in one tidy table.

One row for each run and metric. A run that failed, or that its method cannot do, has one row with no
metric, its status and its reason: nothing is dropped in silence.
"""

from pathlib import Path

import pandas as pd

from bench.config.runs import Run
from bench.config.schema import Config
from bench.records import whole_files
from bench.records.convergence import convergence

COLUMNS = (
    "preset", "experiment", "method", "seed", "metric", "value", "standard_error", "n", "split", "status",
    "reason", "epoch", "run", "version", "commit", "dirty", "data", "device", "machine", "threads", "backend",
    "seconds", "peak_memory_mb", "versions",
)  # fmt: skip


def rows(config: Config, run: Run, folder: Path) -> list[dict]:
    """The tidy rows of a run, from its record and its metrics."""
    record = whole_files.read_json(folder / "record.json")
    metrics = whole_files.read_json(folder / "metrics.json")
    base = {"preset": config.preset, "experiment": run.experiment, "method": run.method, "seed": run.seed}
    if record is None or metrics is None:
        return [base | {"status": "missing", "reason": "not run", "run": run.id}]
    base |= {
        "status": metrics["status"],
        "reason": metrics["reason"],
        "epoch": record["epoch"],
        "run": run.id,
        "version": record["version"],
        "commit": record["commit"],
        "dirty": record["dirty"],
        "data": record["version"].partition("-")[2],
        "device": record["device"],
        "machine": record["machine"],
        "threads": record["threads"],
        "backend": record["facts"].get("backend", ""),
        "seconds": record["seconds"],
        "peak_memory_mb": record["peak_memory_mb"],
        "versions": " ".join(f"{k}={v}" for k, v in record["versions"].items()),
    }
    found = [base | row for row in metrics["rows"]]
    if metrics["status"] == "ok" and (folder / "history.csv").exists():
        history = pd.read_csv(folder / "history.csv")
        found += [base | {"metric": m, "value": v, "split": "train"} for m, v in convergence(history)]
    return found or [base]


def control_rows(config: Config, results: Path) -> list[dict]:
    """The rows of `bench.evaluate.baseline_rows`, where they were measured."""
    content = whole_files.read_json(results / "controls.json") or {"rows": [], "version": None}
    base = {"preset": config.preset, "status": "ok", "run": "controls", "version": content["version"]}
    return [base | row for row in content["rows"]]


def table(config: Config, runs: list[Run], results: Path) -> pd.DataFrame:
    """All rows of all runs, in the config's order."""
    content = [row for run in runs for row in rows(config, run, results / "runs" / run.id)]
    content += control_rows(config, results)
    return pd.DataFrame(content, columns=list(COLUMNS))


def write(config: Config, runs: list[Run], results: Path, output: Path) -> None:
    """The table as a CSV file."""
    whole_files.write(output, table(config, runs, results).to_csv(index=False))
