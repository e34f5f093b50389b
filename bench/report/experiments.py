"""What the page of an experiment says: its protocol, its caveats, its tables, where each number comes from."""

import pandas as pd

from bench.config.reading import seeds as seeds_of
from bench.config.registry import said
from bench.config.schema import Config
from bench.report import explain
from bench.tables import costs
from bench.tables.answers import shown_measures
from bench.tables.experiment_tables import against_reference, heading
from bench.tables.formats import Table
from bench.tables.tidy_table import methods, settings, short, title
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


def protocol(config: Config, experiment: str) -> list[tuple[str, str]]:
    """The protocol of an experiment: data, model, training, evaluation."""
    names = list(config.experiments.get(experiment, {}).get("methods", []))
    found = [s for m in names if (s := settings(config, experiment, m))]
    if not found:
        return [("Protocol", "This experiment is not in the config; its rows come from the table alone.")]
    s = max(found, key=lambda f: len(f.terms))
    counts = sorted({len(seeds_of(config, experiment, m)) for m in names})
    seeds = " to ".join(dict.fromkeys((str(counts[0]), str(counts[-1]))))
    labels = {0: "no labels", "all": "the label of every training image"}.get(s.labels, f"{s.labels} labelled images")
    latents = ", ".join(f"{n}: {v.dim}-D {v.prior.replace('_', ' ')} prior" for n, v in s.latents.items())
    optimizer = s.optimizers.get("reconstruction")
    how = f"{optimizer.name} at {optimizer.lr:g}" if optimizer else "the default optimizer"
    normalised = "" if s.normalisation == "none" else f", normalised {s.normalisation.replace('_', ' ')}"
    plural = "s" if seeds != "1" else ""
    evaluations = ", ".join(s.evaluations) or "nothing"
    return [
        ("Data", f"{said(s.dataset)}{normalised}, {labels}."),
        (
            "Seeds",
            f"{seeds} seed{plural} of each of {len(names)} methods. A seed has the same initial weights, batches and "
            "labelled images under every method, so differences are paired.",
        ),
        (
            "Model",
            f"{s.depth} hidden layers of {s.width} in encoder and decoder. Latents: {latents}. "
            f"The decoder reads {' and '.join(s.decoder)}.",
        ),
        ("Training", f"{s.epochs} epochs, batches of {s.batch_size}, {how}. Terms: {', '.join(s.terms)}."),
        ("Measured", f"{evaluations}, on the test split after the last epoch. No choice has seen that split."),
    ]


def cell(config: Config, rows: pd.DataFrame, experiment: str, method: str, path: str) -> dict:
    """The entry of a cell: its seeds, facts, settings and the commands that reproduce it."""
    runs = explain.runs_of(rows, experiment, method)
    seeds, facts = explain.seed_table(runs), explain.fact_table(runs)
    seeds.name, facts.name = f"seeds-{method}", f"facts-{method}"
    found = {"method": method, "known": method in config.methods, "title": short(config, method)}
    found |= {"seeds": seeds, "facts": facts, "versions": explain.first(runs, "versions")}
    found["state"] = f"{(runs['status'] == 'ok').sum()} of {len(runs)} seeds finished"
    found["settings"] = explain.hyperparameters(config, experiment, method)
    return found | {"commands": explain.commands(path, runs, experiment, method)}
