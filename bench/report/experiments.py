"""What the page of an experiment says: its protocol, its caveats, its tables, where each number comes from."""

import math

import pandas as pd

from bench.config.reading import seeds as seeds_of
from bench.config.schema import Config
from bench.report import explain
from bench.tables import costs
from bench.tables.answers import headline, words
from bench.tables.formats import Entry, Table, entry, number, table
from bench.tables.metric_names import metric as describe
from bench.tables.published import settings
from bench.tables.statistics import compare, holm
from bench.tables.tidy_table import methods, scores, short, title


def view(
    config: Config, rows: pd.DataFrame, cells: pd.DataFrame, written: dict[str, Table], name: str, path: str
) -> dict:
    """All that the page of an experiment shows but its figures."""
    beside = [written[f"{name}_{kind}"] for kind in ("mismatch", "details") if f"{name}_{kind}" in written]
    also = [against_reference(config, rows, cells, name), costs.cost_table(config, rows, name)]
    return {
        "id": name,
        "title": title(config, name, "experiments"),
        "protocol": protocol(config, name),
        "caveats": words()["caveats"].get(name, []),
        "table": written.get(name),
        "more": [*(t for t in also[:1] if t.rows), *beside, *(t for t in also[1:] if t)],
        "cells": [cell(config, rows, name, m, path) for m in methods(config, rows, name) if _ran(rows, name, m)],
    }


def _ran(rows: pd.DataFrame, experiment: str, method: str) -> bool:
    return bool(((rows["experiment"] == experiment) & (rows["method"] == method)).any())


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
        ("Data", f"{s.dataset}{normalised}, {labels}."),
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


def against_reference(config: Config, rows: pd.DataFrame, cells: pd.DataFrame, experiment: str) -> Table:
    """Every method against the reference on the experiment's headline, with the seeds it would take."""
    q = words()["question"]
    reference, metric, found = q["reference"], headline(cells, experiment), []
    values = scores(rows, experiment, metric) if metric else pd.DataFrame()
    m, compared = describe(metric or ""), {}
    for method in methods(config, rows, experiment) if reference in values else ():
        known = method in values and method in config.methods and method != reference
        if known and len(values[[method, reference]].dropna()):
            compared[method] = compare(values[method], values[reference], bool(m.higher_is_better))
    for (method, c), p in zip(compared.items(), holm([c.p_t for c in compared.values()]), strict=True):
        low, high = c.interval or (math.nan, math.nan)
        found.append(
            [
                Entry(short(config, method), href=f"#cell-{experiment}-{method}"),
                Entry(number(c.difference, m.digits, sign=True), value=c.difference),
                interval(low, high, m.digits),
                Entry(number(p, 3), value=float(p)) if not math.isnan(p) else entry(None),
                Entry(f"{c.probability:.2f}", value=c.probability),
                entry(c.pairs),
                Entry(f"{c.seeds:,}", value=c.seeds) if c.seeds else entry(None),
            ]
        )
    head = ["Method", "Improvement", "95 % interval", "p (Holm)", "P(better)", "Seeds", "Seeds needed"]
    caption = (
        f"Against {q['reference_name']}: improvements of {m.label}{f' ({m.unit})' if m.unit else ''}, paired by seed, "
        "with Student's interval; p adjusted by Holm within the experiment. Seeds needed: pairs with which a two-sided "
        "paired t-test at 5 % would find the observed gap with probability 0.8."
    )
    return table(f"against-{experiment}", caption, head, found)


def interval(low: float, high: float, digits: int) -> str:
    """'+1.2 to +3.4', or a dash."""
    return f"{number(low, digits, sign=True)} to {number(high, digits, sign=True)}" if math.isfinite(low) else "–"


def cell(config: Config, rows: pd.DataFrame, experiment: str, method: str, path: str) -> dict:
    """The entry of a cell: its seeds, facts, settings and the commands that reproduce it."""
    runs = explain.runs_of(rows, experiment, method)
    finished = int((runs["status"] == "ok").sum())
    seeds, facts = explain.seed_table(runs), explain.fact_table(runs)
    seeds.name, facts.name = f"seeds-{method}", f"facts-{method}"
    return {
        "method": method,
        "known": method in config.methods,
        "title": short(config, method),
        "state": f"{finished} of {len(runs)} seeds finished",
        "seeds": seeds,
        "facts": facts,
        "versions": explain.first(runs, "versions"),
        "settings": explain.hyperparameters(config, experiment, method),
        "commands": explain.commands(path, runs, experiment, method),
    }
