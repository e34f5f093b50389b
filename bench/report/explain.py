"""Where a table's cell comes from.

Its seeds, run folders, settings, commit, data, device and times, and the commands that reproduce it.
"""

from pathlib import Path

import pandas as pd

from bench.config import reading
from bench.config.reading import ConfigError
from bench.config.schema import ROOT, Config, unknown
from bench.records import collect
from bench.records.freshness import read
from bench.tables.formats import Entry, Table, entry, number, seconds, table, to_markdown
from bench.tables.metric_names import metric as describe
from bench.tables.metric_names import order
from bench.tables.published import settings
from bench.tables.tidy_table import RUN, failure, title

FACTS = {
    "run": "run folder", "status": "status", "seconds": "training", "device": "device", "machine": "machine",
    "threads": "threads", "backend": "backend", "peak_memory_mb": "peak memory (MB)", "commit": "commit",
    "dirty": "uncommitted changes", "version": "code version", "data": "data sha256 (start)",
}  # fmt: skip


def config_path(path: str | Path, config: Config, root: Path | None = None) -> str:
    """The config file to name in a command: the readable one of that name if it says the same, else `path`."""
    name = f"config/{config.name}.yaml"
    try:
        if reading.load((root or ROOT) / name) == config:
            return name
    except (ConfigError, OSError):
        pass
    return str(path)


def runs_of(rows: pd.DataFrame, experiment: str, method: str) -> pd.DataFrame:
    """One row for each seed of a cell: its facts, then its metrics."""
    own = rows[(rows["experiment"] == experiment) & (rows["method"] == method)]
    runs = own.drop_duplicates(RUN).set_index("seed")
    facts = runs[[c for c in (*FACTS, "reason", "epoch", "versions") if c in runs]]
    values = own.dropna(subset="metric").pivot(index="seed", columns="metric", values="value")
    return facts.join(values[sorted(values.columns, key=order)])


def commands(path: str, runs: pd.DataFrame, experiment: str, method: str) -> list[str]:
    """What a shell must be told to come to the numbers of these runs again; a lone run is named alone."""
    run, seed = runs["run"].iloc[0], runs.index[0]
    what, only = (run, f" {seed}") if len(runs) == 1 and isinstance(run, str) else (f"{experiment}/{method}", "")
    commit = first(runs, "commit")
    how = "".join(f" --{flag} {value}" for flag in ("device", "threads") if (value := first(runs, flag)))
    return [
        *([f"git checkout {commit}"] if commit else []),
        f"latentbench train {path} {what}{how}",
        f"latentbench evaluate {path} {what}{how}",
        f"latentbench explain {path} {experiment} {method}{only}",
    ]


def first(runs: pd.DataFrame, name: str) -> str:
    """The fact of the first run that has it; empty if none does."""
    found = [fact(name, v) for v in runs.get(name, []) if pd.notna(v)]
    return found[0] if found else ""


def fact(name: str, value: object, folder: str = "") -> str:
    """A fact of a run, for readers."""
    if name == "seconds":
        return seconds(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return f"{folder}{entry(value).text}" if name == "run" else entry(value).text


def state(run: pd.Series) -> str:
    """'ok', or what went wrong with a run."""
    return "ok" if run["status"] == "ok" else failure(run)


def hyperparameters(config: Config, experiment: str, method: str) -> dict:
    """The settings of a cell that differ from the defaults, one value a line."""
    s = settings(config, experiment, method)
    return flat(s.model_dump(mode="json", exclude_defaults=True)) if s else {}


def flat(content: dict, prefix: str = "") -> dict:
    """Nested keys joined by dots."""
    found = {}
    for key, value in content.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + str(key)] = value
    return found


def seed_table(runs: pd.DataFrame) -> Table:
    """The numbers of a cell by seed."""
    metrics = [c for c in runs.columns if c not in FACTS and c not in ("reason", "epoch", "versions")]
    rows = [[str(s), state(r), *(_measured(r[m], describe(m).digits + 2) for m in metrics)] for s, r in runs.iterrows()]
    return table("seeds", "Numbers by seed.", ["seed", "status", *(describe(m).label for m in metrics)], rows)


def _measured(value: float, digits: int) -> Entry:
    return Entry(number(value, digits), value=float(value)) if pd.notna(value) else entry(None)


def fact_table(config: Config, runs: pd.DataFrame) -> Table:
    """Where the numbers of a cell come from, by seed."""
    folder = f"results/{config.name}/runs/"
    rows = [[FACTS[f], *(fact(f, r[f], folder) for _, r in runs.iterrows())] for f in runs.columns if f in FACTS]
    return table("facts", "Where they come from.", ["", *(f"seed {s}" for s in runs.index)], rows)


def explain(config: Config, rows: pd.DataFrame, path: str, experiment: str, method: str, seed: int | None) -> str:
    """All of a cell, as Markdown.

    Raises:
        ConfigError: no such experiment, method or seed.
    """
    methods = rows.loc[rows["experiment"] == experiment, "method"].unique()
    if experiment not in rows["experiment"].unique():
        raise ConfigError(f"experiment: {unknown(experiment, rows['experiment'].unique())}")
    if method not in methods:
        raise ConfigError(f"method: {unknown(method, methods)}")
    runs = runs_of(rows, experiment, method)
    if seed is not None:
        if seed not in runs.index:
            raise ConfigError(f"seed: {unknown(seed, [int(s) for s in runs.index])}")
        runs = runs.loc[[seed]]
    own = hyperparameters(config, experiment, method)
    return "\n".join(
        [
            f"# {title(config, experiment, 'experiments')}: {title(config, method)}",
            "",
            to_markdown(seed_table(runs)),
            to_markdown(fact_table(config, runs)),
            f"Versions: {first(runs, 'versions')}",
            "",
            "Settings that differ from the defaults:",
            "",
            *(f"    {k}: {v}" for k, v in own.items()),
            "",
            "To reproduce:",
            "",
            *(f"    {step}" for step in commands(path, runs, experiment, method)),
        ]
    )


def explain_cell(path: str, experiment: str, method: str, seed: int | None = None) -> str:
    """All of a cell of a config's results, as Markdown.

    Raises:
        ConfigError: a bad config, or a cell that it does not have.
    """
    config, runs, results = read(path)
    wanted = [r for r in runs if r.experiment == experiment and r.method == method]
    rows = collect.table(config, wanted or runs, results)
    return explain(config, rows, config_path(path, config), experiment, method, seed)
