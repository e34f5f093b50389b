"""The tidy table, one row for each run and metric: how it is read, and what its rows are called."""

from pathlib import Path

import pandas as pd

from bench.config.reading import ConfigError
from bench.config.schema import Config
from bench.records import result_set

RUN = ["experiment", "method", "seed"]
MACHINE = ["device", "machine", "threads"]


def read_metrics(path: Path) -> pd.DataFrame:
    """The tidy table of a result set, a row for each run and metric; `path` is its metrics.csv.

    Raises:
        ConfigError: the set is not there, or a file of it is damaged.
    """
    try:
        rows = list(result_set.tidy(path.parent))
    except result_set.Damaged as error:
        raise ConfigError(str(error)) from None
    if not rows:
        raise ConfigError(f"{path.parent}: no result set; expected {', '.join(result_set.FILES)}")
    return pd.DataFrame(rows)


def title(config: Config, name: str, section: str = "methods") -> str:
    """The title of a method or experiment; a row that the config does not have is called by its own name."""
    found = getattr(config, section).get(name) or {}
    return found.get("title") or name[:1].upper() + name[1:].replace("_", " ")


def methods(config: Config, table: pd.DataFrame, experiment: str) -> list[str]:
    """The methods of an experiment in the config's order, then the rows that have no method, such as controls."""
    declared = list(config.experiments.get(experiment, {}).get("methods", []))
    present = table.loc[table["experiment"] == experiment, "method"].unique()
    return [*declared, *(m for m in present if m not in declared)]


def experiments(config: Config, table: pd.DataFrame) -> list[str]:
    """The experiments of the config, then others that the table has."""
    return [*config.experiments, *(e for e in table["experiment"].unique() if e not in config.experiments)]


def scores(table: pd.DataFrame, experiment: str, metric: str) -> pd.DataFrame:
    """A metric's values: a row for each seed, a column for each method, NaN where a run has none."""
    rows = table[(table["experiment"] == experiment) & (table["metric"] == metric)]
    return rows.groupby(["seed", "method"], dropna=False)["value"].first().unstack("method")


def timed(table: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """The finished runs whose times compare, a row each: those on the machine that most of the experiment's ran on."""
    runs = _finished(table, experiment)
    known = [c for c in MACHINE if c in runs]
    if runs.empty or not known:
        return runs
    machine = runs.groupby(known, dropna=False, sort=False).ngroup()
    return runs[machine == machine.mode().iloc[0]]


def elsewhere(table: pd.DataFrame, experiment: str) -> str:
    """How many finished runs `timed` leaves out, as a sentence; empty if none."""
    others = len(_finished(table, experiment)) - len(timed(table, experiment))
    what = "the time of one run" if others == 1 else f"the times of {others} runs"
    return f" Left out, because the machine was another: {what}." if others else ""


def _finished(table: pd.DataFrame, experiment: str) -> pd.DataFrame:
    runs = table[(table["experiment"] == experiment) & (table["status"] == "ok")].drop_duplicates(RUN)
    return runs[runs["seconds"].notna()]


def failure(run: pd.Series) -> str:
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
