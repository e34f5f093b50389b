"""What the page of an experiment says: its protocol, its caveats, its tables, where each number comes from."""

import pandas as pd

from bench.config.reading import seeds as seeds_of
from bench.config.registry import said
from bench.config.schema import Config
from bench.report import explain
from bench.tables import costs
from bench.tables.answers import shown_measures, shown_methods
from bench.tables.experiment_tables import against_reference, heading
from bench.tables.formats import Table
from bench.tables.metric_names import metric as describe
from bench.tables.tidy_table import family, methods, settings, short, title
from bench.tables.words import words

OPEN = 6  # columns that a table opens with


def view(
    config: Config, rows: pd.DataFrame, cells: pd.DataFrame, written: dict[str, Table], name: str, path: str
) -> dict:
    """All that the page of an experiment shows but its figures."""
    rows, cells = rows[rows["experiment"] == name], cells[cells["experiment"] == name]
    of = dict(iter(rows.groupby("method", sort=False)))
    beside = [written[f"{name}_{kind}"] for kind in ("mismatch", "details") if f"{name}_{kind}" in written]
    also = [against_reference(config, rows, cells, name), costs.cost_table(config, rows, name)]
    return {
        "id": name,
        "title": title(config, name, "experiments"),
        "protocol": protocol(config, name),
        "caveats": words()["caveats"].get(name, []),
        "table": written.get(name),
        "visible": visible(name, written.get(name)),
        "more": [*(t for t in also[:1] if t.rows), *beside, *(t for t in also[1:] if t)],
        "cells": [cell(config, of[m], name, m, path) for m in methods(config, rows, name) if m in of],
    }


def visible(experiment: str, main: Table | None) -> list[int]:
    """The columns that a table opens with: seeds, the picture's measures, and the first others."""
    head = main.head if main else []
    wanted = [h for m in shown_measures(experiment) if (h := heading(m)) in head]
    return sorted(head.index(h) for h in list(dict.fromkeys([*head[:2], *wanted, *head[2:]]))[:OPEN])


def first(config: Config, metric: str, means: pd.Series) -> list[str]:
    """The methods whose rows a table opens with: the picture's, and the best of each family by the first metric."""
    means = means.filter(list(config.methods)) * (1 if describe(metric).higher_is_better else -1)
    best = means.groupby(lambda m: family(config, m)).idxmax()
    return [*shown_methods(config), *best]


def protocol(config: Config, experiment: str) -> dict:
    """What the protocol of an experiment is said from: the settings of its fullest method, and its seeds."""
    names = list(config.experiments.get(experiment, {}).get("methods", []))
    found = [s for m in names if (s := settings(config, experiment, m))]
    if not found:
        return {}
    s, counts = max(found, key=lambda f: len(f.terms)), {len(seeds_of(config, experiment, m)) for m in names}
    seeds = " to ".join(dict.fromkeys((str(min(counts)), str(max(counts)))))
    return {"settings": s, "data": said(s.dataset), "methods": len(names), "seeds": seeds}


def cell(config: Config, rows: pd.DataFrame, experiment: str, method: str, path: str) -> dict:
    """The entry of a cell: its seeds, facts, settings and the commands that reproduce it."""
    runs = explain.runs_of(rows, experiment, method)
    seeds, facts = explain.seed_table(runs), explain.fact_table(runs)
    seeds.name, facts.name = f"seeds-{method}", f"facts-{method}"
    found = {"method": method, "known": method in config.methods, "title": short(config, method)}
    found |= {"seeds": seeds, "facts": facts, "versions": next(iter(runs["versions"].dropna()), "")}
    found["state"] = f"{(runs['status'] == 'ok').sum()} of {len(runs)} seeds finished"
    found["settings"] = explain.hyperparameters(config, experiment, method)
    return found | {"commands": explain.commands(path, runs, experiment, method)}
