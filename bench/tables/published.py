"""Published values beside ours: config/published.csv, the paper's tables, and a verdict on each number."""

import math
from fnmatch import fnmatchcase
from functools import cache
from typing import NamedTuple

import pandas as pd

from bench import SHARE
from bench.config import reading
from bench.config.reading import ConfigError
from bench.config.schema import Config, Settings
from bench.tables.experiment_tables import anchor
from bench.tables.formats import DASH, Entry, Table, spread
from bench.tables.metric_names import metric as describe
from bench.tables.statistics import verdict
from bench.tables.tidy_table import title

CONFIG = SHARE / "config"


@cache
def published() -> pd.DataFrame:
    """The published numbers; `experiment`, `method`, `our_metric`, `labels` say which cell of ours they are.

    `experiment` is a pattern (`likelihood*`), `labels` the number of labels or "all", each empty where it
    says nothing; a row without a method is there to be read beside ours.
    """
    text = ["table", "system", "dataset", "metric", "setting", "experiment", "method", "our_metric", "labels"]
    types = dict.fromkeys([*text, "value", "provenance", "source"], "str")
    return pd.read_csv(CONFIG / "published.csv", dtype=types, keep_default_na=False, na_values={"plusminus": [""]})


def settings(config: Config, experiment: str, method: str) -> Settings | None:
    """The settings of a cell; None for a row that the config does not have."""
    if method not in config.experiments.get(experiment, {}).get("methods", []):
        return None
    try:
        return reading.settings(config, experiment, method)
    except ConfigError:
        return None


def against_published(config: Config, cells: pd.DataFrame) -> pd.DataFrame:
    """Every published number that has a counterpart here, with ours, its interval, and a verdict on it.

    A verdict is one of `bench.tables.statistics.WORDS`; "reproduced", "short" and "above" only under the paper's
    preset, on the same data set and number of labels. `note` says which seeds failed.
    """
    rows = []
    for _, p in published().iterrows():
        if not p["method"]:
            continue
        cell = _counterpart(config, cells, p)
        ours, interval, matches, note = None, None, config.preset == "paper", ""
        if cell is not None:
            ours = cell["mean"] if cell["seeds_finished"] else None
            interval = (cell["low"], cell["high"]) if math.isfinite(cell["low"]) else None
            note = cell["note"]
        value, pm = float(p["value"]), p["plusminus"]
        higher = describe(p["our_metric"]).higher_is_better is not False
        said = verdict(
            ours, interval, value, pm, protocol_matches=matches, ran=ours is not None, higher_is_better=higher
        )
        rows.append(
            {
                "table": p["table"],
                "system": p["system"],
                "dataset": p["dataset"],
                "setting": p["setting"],
                "metric": p["our_metric"],
                "published": value,
                "published_pm": pm,
                "experiment": cell["experiment"] if cell is not None else "",
                "method": p["method"],
                "ours": ours,
                "sd_over_seeds": cell["sd_over_seeds"] if cell is not None else math.nan,
                "low": interval[0] if interval else math.nan,
                "high": interval[1] if interval else math.nan,
                "seeds_finished": int(cell["seeds_finished"]) if cell is not None else 0,
                "seeds": int(cell["seeds"]) if cell is not None else 0,
                "verdict": said,
                "note": note,
                "provenance": p["provenance"],
                "source": p["source"],
            }
        )
    return pd.DataFrame(rows)


def _counterpart(config: Config, cells: pd.DataFrame, p: pd.Series) -> pd.Series | None:
    for _, cell in cells[(cells["method"] == p["method"]) & (cells["metric"] == p["our_metric"])].iterrows():
        s = settings(config, cell["experiment"], cell["method"])
        same_data = s and s.dataset == p["dataset"] and p["labels"] in ("", str(s.labels))
        if same_data and fnmatchcase(cell["experiment"], p["experiment"]):
            return cell
    return None


class Paper(NamedTuple):
    """A table of the paper: its rows in published.csv, our experiments and metrics for it, what it shows."""

    source: str
    experiments: str
    metrics: tuple[str, ...]
    what: str


PAPER = {
    "paper_table_1": Paper(
        "AAE Table 1",
        "likelihood*",
        ("log_likelihood", "log_likelihood_10000000"),
        "Parzen log-likelihood (nats, higher is better)",
    ),
    "paper_table_2": Paper(
        "AAE Table 2", "semi_supervised*", ("error",), "semi-supervised test error (%, lower is better)"
    ),
    "paper_table_3": Paper(
        "AAE Table 3", "clustering*", ("clustering_error",), "unsupervised clustering error (%, lower is better)"
    ),
}
BESIDE = {"AAE Table 1": ("GMMN Table 1", "VAE- (AAE architecture)")}


def paper_tables(config: Config, cells: pd.DataFrame, against: pd.DataFrame) -> list[Table]:
    """The paper's Tables 1 to 3: published systems and ours, the same system in one row, with its verdicts."""
    return [_paper_table(config, cells, against, name) for name in PAPER]


def _paper_table(config: Config, cells: pd.DataFrame, against: pd.DataFrame, name: str) -> Table:
    source, pattern, metrics, what = PAPER[name]
    rows, beside = published(), BESIDE.get(source, ())
    mine = rows[(rows["table"] == source) | rows["table"].isin(beside) | rows["system"].isin(beside)]
    columns = list(dict.fromkeys(zip(mine["dataset"], mine["setting"], strict=True)))
    own = cells[cells["metric"].isin(metrics) & cells["experiment"].map(lambda e: fnmatchcase(e, pattern))]
    ours = [key for key, group in own.groupby(["experiment", "metric"], sort=False) if group["seeds_finished"].any()]
    caption = (
        f"Makhzani et al. (2015), Table {source.rpartition(' ')[2]}: {what}. Published values with their printed ±; "
        f"ours: mean ± sd over seeds{'' if ours else ', none yet'}. A verdict needs the paper's preset on the paper's "
        "data set."
    )
    heads = [f"{_column(config, e, m)}: ours" for e, m in ours]
    heads += ["Verdict", *(f"{_dataset(d)}, {s}: published" for d, s in columns)]
    table = Table(name, caption, ["System", *heads])

    def row(method: str, named: str, verdicts: list[str], values: dict) -> list[Entry]:
        cells_of = [_ours(table, own, e, method, m) for e, m in ours]
        return [Entry(named), *cells_of, Entry(_word(verdicts)), *(_published(table, values.get(c)) for c in columns)]

    systems = {}
    for system, group in mine.groupby("system", sort=False):
        method = next((m for m in group["method"] if m), "")
        said = against[(against["system"] == system) & against["table"].isin(group["table"])]["verdict"]
        values = {(r["dataset"], r["setting"]): r for _, r in group.iterrows()}
        systems[method or f" {system}"] = row(method, system, list(said), values)

    def named(method: str) -> str:
        return f"{title(config, method)} ({'ours' if method in config.methods else 'control'})"

    run = list(dict.fromkeys(own.loc[own["seeds_finished"] > 0, "method"]))
    # Ours come first, so that a narrow screen shows them; the other systems follow in the paper's order.
    table.rows = [systems.pop(m, None) or row(m, named(m), [], {}) for m in run]
    table.rows += systems.values()
    return table


def _word(verdicts: list[str]) -> str:
    ran = [v for v in dict.fromkeys(verdicts) if v != "not run"]
    return " / ".join(ran) or ("not run" if verdicts else "")


def _dataset(name: str) -> str:
    return name.upper() if len(name) < 6 else name.capitalize()


def _column(config: Config, experiment: str, metric: str) -> str:
    s = settings(config, experiment, next(iter(config.experiments.get(experiment, {}).get("methods", [])), ""))
    if s is None:
        return experiment
    parts = [_dataset(s.dataset)]
    if s.labels:
        parts.append(f"{s.labels} labels")
    if "clustering" in metric:
        parts += [f"{latent.dim} clusters" for latent in s.latents.values() if latent.head == "categorical"]
    if "likelihood" in metric:
        count = int(metric.rpartition("_")[2]) if metric[-1].isdigit() else s.parzen_samples[0]
        parts.append(f"{count:,} samples")
    return ", ".join(parts)


def _published(table: Table, row: pd.Series | None) -> Entry:
    if row is None:
        return Entry("")
    pm = "" if pd.isna(row["plusminus"]) else f" ± {row['plusminus']:g}"
    mark = (
        table.note("published value from memory, not checked against the paper")
        if row["provenance"].startswith("memory")
        else ""
    )
    return Entry(f"{row['value']}{pm}", value=float(row["value"]), mark=mark)


def _ours(table: Table, own: pd.DataFrame, experiment: str, method: str, metric: str) -> Entry:
    found = own[(own["experiment"] == experiment) & (own["method"] == method) & (own["metric"] == metric)]
    if found.empty:
        return Entry("")
    c = found.iloc[0]
    mark = table.note(c["note"]) if c["note"] else ""
    if not c["seeds_finished"]:
        return Entry(DASH, mark=mark, href=f"#{anchor(experiment, method)}")
    seeds = f"{c['seeds_finished']} of {c['seeds']} seeds"
    text = spread(c["mean"], c["sd_over_seeds"], describe(metric).digits)
    return Entry(text, seeds, float(c["mean"]), bool(c["best"]), mark, f"#{anchor(experiment, method)}")
