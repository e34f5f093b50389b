"""Where a cell comes from: its seeds, runs, settings, code, data, machine, and the commands that reproduce it."""

import shlex
from pathlib import Path

import pandas as pd

from bench import ROOT
from bench.config import reading
from bench.config.reading import ConfigError
from bench.config.schema import Config, unknown
from bench.records.freshness import Results, read
from bench.tables.formats import Entry, Table, entry, number, seconds, table, to_markdown
from bench.tables.metric_names import metric as describe
from bench.tables.metric_names import order
from bench.tables.tidy_table import RUN, failure, read_metrics, settings, title

FACTS = {
    "run": "run", "status": "status", "seconds": "training", "device": "device", "machine": "machine",
    "threads": "threads", "backend": "backend", "peak_memory_mb": "peak memory (MB)", "commit": "commit",
    "dirty": "uncommitted changes", "version": "code version", "data": "data sha256 (start)",
}  # fmt: skip
OTHER = ("reason", "epoch", "versions", "current")


def config_path(path: str | Path, config: Config) -> str:
    """The config file to name in a command: the readable one of that name if it says the same, else `path`."""
    name = f"config/{config.name}.yaml"
    try:
        if reading.load(ROOT / name) == config:
            return name
    except (ConfigError, OSError):
        pass
    return str(path)


def runs_of(rows: pd.DataFrame, experiment: str, method: str) -> pd.DataFrame:
    """One row for each seed of a cell: its facts, then its metrics."""
    own = rows[(rows["experiment"] == experiment) & (rows["method"] == method)]
    runs = own.drop_duplicates(RUN).set_index("seed")
    facts = runs[[*FACTS, *OTHER]]
    values = own.dropna(subset="metric").pivot(index="seed", columns="metric", values="value")
    return facts.join(values[sorted(values.columns, key=order)]).sort_index()


def commands(path: str, runs: pd.DataFrame, experiment: str, method: str) -> list[str]:
    """What a shell must be told to come to the numbers of a cell again, and which seeds no command brings.

    The present code brings the seeds whose evidence says that they are of it; of the others it trains new ones.
    """
    path = shlex.quote(path)
    own = runs[runs["run"].astype(str).str.contains(r"-[0-9a-f]{8}/seed")]  # no baseline, which nobody trains
    now, options, lines = own[own["current"].astype(bool)], ["device", "threads"], []
    for known, group in now.groupby(options, sort=False, dropna=False):
        which = f"{experiment}/{method}" if len(group) == len(runs) else " ".join(group["run"])
        how = "".join(f" --{k} {fact(k, v)}" for k, v in zip(options, known, strict=True) if pd.notna(v))
        lines += [f"latentbench {verb} {path} {which} --force{how}" for verb in ("train", "evaluate")]
    old = own.drop(now.index)
    for seed, run in old.iterrows():
        commit = f"commit {fact('commit', run['commit'])}" if pd.notna(run["commit"]) else "a commit not recorded"
        dirty = " with uncommitted changes" if run["dirty"] in (True, "True") else ""
        lines.append(f"# seed {seed}: no command of this checkout brings it; its code is of {commit}{dirty}")
    if len(old):
        which = [f"{experiment}/{method}{'' if len(old) == len(runs) else f'/seed{seed}'}" for seed in old.index]
        which = " ".join(dict.fromkeys(which))
        lines.append("# by the present code, whose numbers may be others:")
        lines += [f"latentbench {verb} {path} {which}" for verb in ("train", "evaluate")]
    return lines


def fact(name: str, value: object) -> str:
    """A fact of a run, for readers."""
    if name == "seconds":
        return seconds(value)
    if name == "commit" and isinstance(value, str):
        return value[:12]
    return str(int(value)) if isinstance(value, float) and value.is_integer() else entry(value).text


def hyperparameters(config: Config, experiment: str, method: str) -> dict:
    """The settings of a cell that differ from the defaults, nested keys joined by dots."""
    s = settings(config, experiment, method)
    return pd.json_normalize(s.model_dump(mode="json", exclude_defaults=True)).to_dict("records")[0] if s else {}


def seed_table(runs: pd.DataFrame) -> Table:
    """The numbers of a cell, a column for each seed."""
    rows = [["status", *("ok" if run["status"] == "ok" else failure(run) for _, run in runs.iterrows())]]
    for m in (c for c in runs.columns if c not in FACTS and c not in OTHER):
        d = describe(m)
        name = d.label + (f" ({d.unit})" if d.unit else "")
        most = runs[m].round(d.digits + 2)
        digits = next(k for k in range(d.digits + 3) if runs[m].round(k).equals(most))
        rows.append([name, *(Entry(number(v, digits), value=v) if v == v else entry(None) for v in runs[m])])
    return table("seeds", "Numbers by seed.", ["", *(f"seed {s}" for s in runs.index)], rows)


def fact_table(runs: pd.DataFrame) -> Table:
    """Where the numbers of a cell come from, a column for each seed."""
    rows = [
        [FACTS[f], *(fact(f, value) for value in runs[f])] for f in FACTS if f != "status"
    ]  # the seeds' table has it
    return table("facts", "Where they come from.", ["", *(f"seed {s}" for s in runs.index)], rows)


def explain_cell(path: str | Path, experiment: str, method: str, seed: int | None = None) -> str:
    """All of a cell of the result set of a config, as Markdown.

    Raises:
        ConfigError: a bad config or result set, or no such experiment, method or seed.
    """
    config = read(path)
    rows, path = read_metrics(Results(config).folder / "metrics.csv"), config_path(path, config)
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
    steps = commands(path, runs, experiment, method)
    return "\n".join(
        [
            f"# {title(config, experiment, 'experiments')}: {title(config, method)}",
            "",
            to_markdown(seed_table(runs)),
            to_markdown(fact_table(runs)),
            f"Versions: {next(iter(runs['versions'].dropna()), '')}",
            "",
            "Settings that differ from the defaults:",
            "",
            *(f"    {k}: {v}" for k, v in own.items()),
            "",
            "To reproduce:",
            "",
            *(f"    {step}" for step in steps or ["# these rows need no training: latentbench run measures them"]),
        ]
    )
