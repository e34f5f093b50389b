"""The report's tables that are no experiment's: answers, comparisons, provenance, failures, cells."""

import math

import pandas as pd

from bench.config.schema import TUNING, Config
from bench.report import explain
from bench.tables.answers import Answer, headline, words
from bench.tables.experiment_tables import anchor
from bench.tables.formats import Entry, Table, entry, number, spread, table
from bench.tables.formats import seconds as duration
from bench.tables.metric_names import metric as describe
from bench.tables.published import published
from bench.tables.statistics import compare, holm
from bench.tables.tidy_table import RUN, experiments, failure, methods, scores, title


def interval(low: float, high: float, digits: int) -> str:
    """'+1.2 to +3.4', or a dash."""
    if not math.isfinite(low):
        return "–"
    return f"{number(low, digits, sign=True)} to {number(high, digits, sign=True)}"


def answers(config: Config, found: list[Answer]) -> Table:
    """The question's two methods in every experiment that has both."""
    q, rows = words()["question"], []
    for a in found:
        c, m = a.comparison, describe(a.metric)
        low, high = c.interval or (math.nan, math.nan)
        p = Entry(number(a.p_holm, 3), value=a.p_holm) if not math.isnan(a.p_holm) else entry(None)
        rows.append(
            [
                Entry(title(config, a.experiment, "experiments"), href=f"#{a.experiment}"),
                f"{m.label}{f' ({m.unit})' if m.unit else ''}",
                Entry(number(c.difference, m.digits, sign=True), value=c.difference),
                interval(low, high, m.digits),
                p,
                entry(c.pairs),
                Entry(f"{a.cost_ratio:.2f}", value=a.cost_ratio) if math.isfinite(a.cost_ratio) else entry(None),
                f"{a.failed[q['challenger']]} / {a.failed[q['reference']]}",
            ]
        )
    head = ["Experiment", "Metric", "Improvement", "95 % interval", "p (Holm)", "Seeds", "Time ratio", "Diverged"]
    name = q["challenger_name"]
    caption = (
        f"{name[0].upper()}{name[1:]} against {q['reference_name']}, paired by seed. Positive: {name} is better."
        f" Time ratio: its training time over {q['reference_name']}'s. Diverged: its seeds / the other's."
    )
    return table("answers", caption, head, rows)


def against_reference(config: Config, rows: pd.DataFrame, cells: pd.DataFrame) -> Table:
    """Every method against the reference on each experiment's headline, with the seeds it would take."""
    reference, found = words()["question"]["reference"], []
    for experiment in experiments(config, rows):
        metric = headline(cells, experiment)
        values = scores(rows, experiment, metric) if metric else pd.DataFrame()
        if reference not in values:
            continue
        m, compared = describe(metric), {}
        for method in methods(config, rows, experiment):
            if method not in values or method not in config.methods or method == reference:
                continue
            if len(values[[method, reference]].dropna()):
                compared[method] = compare(values[method], values[reference], bool(m.higher_is_better), 999)
        for (method, c), p in zip(compared.items(), holm([c.p_t for c in compared.values()]), strict=True):
            low, high = c.interval or (math.nan, math.nan)
            found.append(
                [
                    Entry(title(config, method), href=f"#{anchor(experiment, method)}"),
                    title(config, experiment, "experiments"),
                    m.label,
                    Entry(number(c.difference, m.digits, sign=True), value=c.difference),
                    interval(low, high, m.digits),
                    Entry(number(p, 3), value=float(p)) if not math.isnan(p) else entry(None),
                    Entry(f"{c.probability:.2f}", value=c.probability),
                    Entry(f"{c.seeds:,}", value=c.seeds) if c.seeds else entry(None),
                    entry(c.pairs),
                ]
            )
    name = words()["question"]["reference_name"]
    head = ["Method", "Experiment", "Metric", "Improvement", "95 % interval", "p (Holm)", "P(better)", "Seeds needed"]
    return table("reference", f"Each method against {name}.", [*head, "Seeds run"], found)


def headlines(config: Config, rows: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """The mean of each method on each experiment's headline, higher being better; experiments down."""
    found = {}
    for experiment in experiments(config, rows):
        metric = headline(cells, experiment)
        if metric and experiment != TUNING:
            means = scores(rows, experiment, metric).mean()
            known = [m for m in methods(config, rows, experiment) if m in config.methods and m in means]
            found[experiment] = means[known] * (1 if describe(metric).higher_is_better else -1)
    return pd.DataFrame(found).T.reindex(columns=[m for m in config.methods if any(m in f for f in found.values())])


def failures(config: Config, rows: pd.DataFrame) -> Table:
    """Every run without numbers, and why."""
    runs = rows.drop_duplicates(RUN)
    found = [
        [Entry(title(config, r["method"]), href=f"#{anchor(r['experiment'], r['method'])}"),
         title(config, r["experiment"], "experiments"), entry(r["seed"]), failure(r)]
        for _, r in runs[runs["status"] != "ok"].iterrows()
    ]  # fmt: skip
    return table("failures", "Runs without numbers.", ["Method", "Experiment", "Seed", "Why"], found)


def provenance(rows: pd.DataFrame) -> Table:
    """What the runs were made with and on: a row for each combination."""
    runs = rows.drop_duplicates(RUN)
    columns = [c for c in ("commit", "dirty", "data", "device", "machine", "threads", "versions") if c in runs]
    done = runs[runs["status"] == "ok"].copy()
    found = []
    if len(done):
        for key, group in done.groupby(columns, dropna=False, sort=False):
            hours = group["seconds"].sum()
            facts = [explain.fact(c, v) for c, v in zip(columns, key, strict=True)]
            found.append([*facts, entry(len(group)), Entry(duration(hours), value=float(hours))])
    names = {"dirty": "uncommitted changes", "data": "data (sha256, start)", "versions": "packages"}
    head = [*(names.get(c, c) for c in columns), "runs", "training time in all"]
    return table("provenance", "Code, data, machines and packages of the finished runs.", head, found)


def cells_of(config: Config, rows: pd.DataFrame, path: str) -> list[dict]:
    """The entry of each cell: its seeds, facts, settings and the commands that reproduce it."""
    found = []
    for experiment in experiments(config, rows):
        for method in methods(config, rows, experiment):
            runs = explain.runs_of(rows, experiment, method)
            if runs.empty:
                continue
            own = explain.hyperparameters(config, experiment, method)
            seeds, facts = explain.seed_table(runs), explain.fact_table(config, runs)
            seeds.name, facts.name = (f"{kind}-{experiment}-{method}" for kind in ("seeds", "facts"))
            finished = int((runs["status"] == "ok").sum())
            found.append(
                {
                    "id": anchor(experiment, method),
                    "title": f"{title(config, experiment, 'experiments')}: {title(config, method)}",
                    "state": f"{finished} of {len(runs)} seeds finished",
                    "seeds": seeds,
                    "facts": facts,
                    "versions": explain.first(runs, "versions"),
                    "settings": own,
                    "commands": explain.commands(path, runs, experiment, method) if own else [],
                }
            )
    return found


def verdict_table(config: Config, against: pd.DataFrame) -> Table:
    """Every published number with a counterpart here."""
    found = []
    for _, r in against.iterrows():
        digits = describe(r["metric"]).digits
        pm = "" if pd.isna(r["published_pm"]) else f" ± {r['published_pm']:g}"
        ran = r["seeds_finished"] > 0
        where = f"#{anchor(r['experiment'], r['method'])}" if r["experiment"] else ""
        ours = Entry(spread(r["ours"], r["sd_over_seeds"], digits), value=r["ours"], href=where) if ran else Entry("–")
        found.append(
            [r["system"], r["table"], f"{r['dataset']}, {r['setting']}", describe(r["metric"]).label,
             Entry(f"{r['published']:g}{pm}", value=r["published"]), ours,
             f"{r['seeds_finished']} of {r['seeds']}" if ran else "–", r["verdict"], r["provenance"], r["source"]]
        )  # fmt: skip
    head = ["System", "Source", "Data and setting", "Metric", "Published", "Ours", "Seeds", "Verdict", "Read from"]
    return table("published", "Published numbers that have a counterpart here.", [*head, "Where"], found)


def reimplementations() -> Table:
    """What public re-implementations report, as read."""
    rows = published()
    own = rows[rows["provenance"] == "reproduction"]
    found = [
        [r["system"], f"{r['dataset']}, {r['setting']}", r["metric"],
         r["value"] + ("" if pd.isna(r["plusminus"]) else f" ± {r['plusminus']:g}"), r["source"]]
        for _, r in own.iterrows()
    ]  # fmt: skip
    caption = "Numbers of public re-implementations, none of them checked here."
    return table("reimplementations", caption, ["System", "Data and setting", "Metric", "Value", "Where"], found)
