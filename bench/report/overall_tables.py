"""The tables that are no experiment's: published numbers, failures, provenance."""

import pandas as pd

from bench.config import reading
from bench.config.schema import Config
from bench.report import explain
from bench.tables.formats import Entry, Table, entry, spread, table
from bench.tables.formats import seconds as duration
from bench.tables.metric_names import metric as describe
from bench.tables.metric_names import order
from bench.tables.published import published
from bench.tables.tidy_table import RUN, failure, short, title


def failures(config: Config, rows: pd.DataFrame) -> Table:
    """Every run of the config without numbers, and why."""
    runs = rows.drop_duplicates(RUN)
    found = [
        [Entry(short(config, r["method"]), href=f"#cell-{r['experiment']}-{r['method']}"),
         title(config, r["experiment"], "experiments"), entry(r["seed"]), failure(r)]
        for _, r in runs[runs["status"] != "ok"].iterrows()
    ]  # fmt: skip
    known = {*runs[[*RUN]].itertuples(index=False, name=None)}
    for e, content in config.experiments.items():
        for m in content["methods"]:
            if lacking := [str(s) for s in reading.seeds(config, e, m) if (e, m, s) not in known]:
                found.append([short(config, m), title(config, e, "experiments"), ", ".join(lacking), "not run"])
    return table("failures", "Runs without numbers.", ["Method", "Experiment", "Seed", "Why"], found)


def measures(cells: pd.DataFrame) -> Table:
    """What is measured: unit, better direction, and the smallest difference that matters."""
    known = [describe(name) for name in sorted(cells["metric"].unique(), key=order)]
    found = [
        [m.label, m.unit, "higher" if m.higher_is_better else "lower", entry(m.margin)]
        for m in known
        if m.higher_is_better is not None
    ]
    return table("measures", "What is measured.", ["Measure", "Unit", "Better", "Smallest that matters"], found)


def provenance(rows: pd.DataFrame) -> Table:
    """What the runs were made with and on: a row for each combination."""
    runs = rows.drop_duplicates(RUN)
    columns = ["commit", "dirty", "data", "device", "machine", "threads", "versions"]
    done, found = runs[(runs["status"] == "ok") & runs["device"].notna()], []  # what needs no model has none
    for key, group in done.groupby(columns, dropna=False, sort=False):
        facts = [explain.fact(c, v) for c, v in zip(columns, key, strict=True)]
        spent = float(group["seconds"].sum())
        found.append([*facts, entry(len(group)), Entry(duration(spent), value=spent)])
    names = {"dirty": "uncommitted changes", "data": "data (sha256, start)", "versions": "packages"}
    head = [*(names.get(c, c) for c in columns), "runs", "training time in all"]
    return table("provenance", "Code, data, machines and packages of the finished runs.", head, found)


def verdict_table(config: Config, against: pd.DataFrame) -> Table:
    """Every published number with a counterpart here."""
    found = []
    for _, r in against.iterrows():
        digits = describe(r["metric"]).digits
        ran = r["seeds_finished"] > 0
        where = f"#cell-{r['experiment']}-{r['method']}" if r["experiment"] else ""
        ours = Entry(spread(r["ours"], r["sd_over_seeds"], digits), value=r["ours"], href=where) if ran else Entry("–")
        found.append(
            [r["system"], r["table"], f"{r['dataset']}, {r['setting']}", describe(r["metric"]).label,
             Entry(r["printed"], value=r["published"]), ours,
             f"{r['seeds_finished']} of {r['seeds']}" if ran else "–", r["verdict"], r["provenance"], r["source"]]
        )  # fmt: skip
    head = ["System", "Source", "Data and setting", "Metric", "Published", "Ours", "Seeds", "Verdict", "Read from"]
    return table("published", "Published numbers that have a counterpart here.", [*head, "Where"], found)


def reimplementations() -> Table:
    """What public re-implementations report, as read."""
    rows = published()
    own = rows[rows["provenance"] == "reproduction"]
    found = [
        [r["system"], f"{r['dataset']}, {r['setting']}", r["metric"], r["printed"], r["source"]]
        for _, r in own.iterrows()
    ]
    caption = "Numbers of public re-implementations, none of them checked here."
    return table("reimplementations", caption, ["System", "Data and setting", "Metric", "Value", "Where"], found)
