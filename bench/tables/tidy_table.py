"""The tidy table, one row for each run and metric: how it is read, and what its rows are called."""

import re
from pathlib import Path
from typing import get_args

import pandas as pd

from bench.config import reading
from bench.config.reading import ConfigError
from bench.config.schema import Config, Settings
from bench.config.values import Family
from bench.records import result_set
from bench.tables.metric_names import initial

RUN = ["experiment", "method", "seed"]
MACHINE = ["device", "machine", "threads"]
FAMILIES = (*get_args(Family), "other")
TYPES = {"seed": int, "value": float, "standard_error": float, "n": float, "epoch": float, "seconds": float,
         "peak_memory_mb": float, "current": bool}  # fmt: skip


def read_metrics(path: Path) -> pd.DataFrame:
    """The tidy table of the result set that a metrics.csv is of: a row for each run and measurement.

    A run without measurements has one row, whose metric is NaN; `current` says whether a number is of present code.

    Raises:
        ConfigError: a file is not there, or not what was written; the message has its line.
    """
    if not path.exists() or not result_set.place(path.parent, "runs.jsonl").exists():
        raise ConfigError(f"{path}: not there with runs.jsonl beside it; `latentbench collect` writes both")
    try:
        table = pd.DataFrame(result_set.tidy(path.parent))
    except result_set.Damaged as error:
        raise ConfigError(str(error)) from None
    if table.empty:
        raise ConfigError(f"{path}: no run has left anything yet")
    return table.astype(TYPES)


def line(text: str) -> str:
    """`text` on one line, without what no file can hold."""
    plain = str(text).encode("utf-8", "replace").decode()
    return re.sub(r"[\x00-\x1f\x7f-\x9f\s]+", " ", plain).strip()


def title(config: Config, name: str, section: str = "methods") -> str:
    """The title of a method or experiment; a row that the config does not have is called by its own name."""
    found = getattr(config, section).get(name) or {}
    return line(found.get("title") or "") or initial(line(name).replace("_", " "))


def short(config: Config, method: str) -> str:
    """What tables and figures call a method: its `short` in the config, else its title."""
    return line((config.methods.get(method) or {}).get("short") or "") or title(config, method)


def family(config: Config, method: str) -> str:
    """The family that the config declares for a method, of `FAMILIES`; rows that have no method are controls."""
    if method not in config.methods:
        return "control"
    return (config.methods[method] or {}).get("family") or "other"


def settings(config: Config, experiment: str, method: str) -> Settings | None:
    """The settings of a cell; None for a row that the config does not have."""
    if method not in config.experiments.get(experiment, {}).get("methods", []):
        return None
    return reading.settings(config, experiment, method)


def methods(config: Config, table: pd.DataFrame, experiment: str) -> list[str]:
    """The methods of an experiment by family, then the rows that have no method, such as controls."""
    declared = list(config.experiments.get(experiment, {}).get("methods", []))
    declared.sort(key=lambda m: FAMILIES.index(family(config, m)))
    present = table.loc[table["experiment"] == experiment, "method"].unique()
    return [*declared, *(m for m in present if m not in declared)]


def experiments(config: Config, table: pd.DataFrame) -> list[str]:
    """The experiments of the config, then others that the table has."""
    return [*config.experiments, *(e for e in table["experiment"].unique() if e not in config.experiments)]


def older(rows: pd.DataFrame) -> int:
    """How many runs have a number of older code."""
    return len(rows[~rows["current"].astype(bool)].drop_duplicates(RUN))


def scores(table: pd.DataFrame, experiment: str, metric: str) -> pd.DataFrame:
    """A metric's values: a row for each seed, a column for each method, NaN where a run has none."""
    rows = table[(table["experiment"] == experiment) & (table["metric"] == metric)]
    return rows.groupby(["seed", "method"], dropna=False)["value"].first().unstack("method")


def timed(table: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """The finished runs whose times compare, a row each: those on the machine that most of the experiment's ran on."""
    runs = _finished(table, experiment)
    machine = runs.groupby(MACHINE, dropna=False, sort=False).ngroup()
    return runs[machine.isin(machine.mode()[:1])]


def elsewhere(table: pd.DataFrame, experiment: str) -> str:
    """How many finished runs `timed` leaves out, as a sentence; empty if none."""
    others = len(_finished(table, experiment)) - len(timed(table, experiment))
    what = "the time of one run" if others == 1 else f"the times of {others} runs"
    return f" Left out, because the machine was another: {what}." if others else ""


def _finished(table: pd.DataFrame, experiment: str) -> pd.DataFrame:
    runs = table[(table["experiment"] == experiment) & (table["status"] == "ok")].drop_duplicates(RUN)
    return runs[runs["seconds"].notna()]


def failure(run: pd.Series | dict) -> str:
    """Why a run has no number: 'diverged at epoch 4: a loss is not finite'."""
    if run["status"] == "missing":
        return "not run"
    at = f" at epoch {int(run['epoch'])}" if run["status"] == "diverged" and pd.notna(run.get("epoch")) else ""
    return f"{run['status']}{at}" + (f": {run['reason']}" if isinstance(run["reason"], str) else "")


def reason(runs: pd.DataFrame) -> str:
    """Why runs have no number, in one line: each reason with its seeds, or without if it is that of all."""
    found = runs.assign(why=[failure(run) for _, run in runs.iterrows()]).groupby("why", sort=False)["seed"]
    parts = {why: ", ".join(str(int(s)) for s in seeds if pd.notna(s)) for why, seeds in found}
    if len(parts) == 1 and set(runs["status"]) <= {"unsupported", "missing"}:
        return next(iter(parts))
    return "; ".join(f"seed{'s' if ',' in seeds else ''} {seeds} {why}" for why, seeds in parts.items())
