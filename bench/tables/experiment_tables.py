"""The tables.

Writes an experiment's table as FOLDER/EXPERIMENT.csv (one row for each method and metric), .md and .tex, the
paper's as paper_table_1 to 3, and every published number beside ours as published.csv. Free of torch.
"""

import math
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from bench.config.schema import Config
from bench.records import whole_files
from bench.tables.formats import DASH, Entry, Table, number, spread, to_csv, to_latex, to_markdown
from bench.tables.metric_names import metric as describe
from bench.tables.metric_names import order
from bench.tables.statistics import mean_interval
from bench.tables.tidy_table import RUN, experiments, methods, reason, scores, title

ALPHA = 0.05
ENOUGH = 3  # seeds, for a method to be called best
SUMMARY = (
    "experiment", "method", "metric", "mean", "sd_over_seeds", "low", "high", "standard_error_over_images", "images",
    "split", "seeds_finished", "seeds", "best", "note",
)  # fmt: skip
READ = (*RUN, "metric", "value", "standard_error", "n", "split", "status", "reason", "epoch")


def summary(config: Config, table: pd.DataFrame) -> pd.DataFrame:
    """One row for each experiment, method and metric: what a table's cell says.

    mean, sd_over_seeds and the ends of the mean's 95 % interval are over the `seeds_finished` of `seeds` runs;
    standard_error_over_images is the mean of the runs', over `images` of `split`; `best` marks the best mean
    and those that a test cannot tell from it; `note` says why a number, or a seed's, is not there.
    """
    rows = []
    narrow = table[[name for name in READ if name in table]]
    for experiment in experiments(config, table):
        own = narrow[narrow["experiment"] == experiment]
        runs = own.drop_duplicates(RUN)
        runs_of = {method: runs[runs["method"] == method] for method in methods(config, own, experiment)}
        for metric in sorted(own["metric"].dropna().unique(), key=order):
            values = own[own["metric"] == metric]
            competing = scores(values, experiment, metric).filter(list(config.methods))  # not the controls
            best = best_methods(competing, runs, describe(metric).higher_is_better)
            by_method = dict(iter(values.groupby("method")))
            for method, asked in runs_of.items():
                of_method = by_method.get(method, values[:0])
                x = of_method["value"].to_numpy(float)
                interval = mean_interval(x)
                note = ""
                if len(x) < max(1, len(asked)):
                    lacking = asked[~asked["seed"].isin(of_method["seed"])]
                    failed = lacking[lacking["status"] != "ok"]
                    note = reason(failed) if len(failed) else ("" if len(x) else "this method has no such number")
                rows.append(
                    {
                        "experiment": experiment,
                        "method": method,
                        "metric": metric,
                        "mean": x.mean() if len(x) else math.nan,
                        "sd_over_seeds": x.std(ddof=1) if len(x) > 1 else math.nan,
                        "low": interval.low if interval else math.nan,
                        "high": interval.high if interval else math.nan,
                        "standard_error_over_images": of_method["standard_error"].mean(),
                        "images": of_method["n"].max(),
                        "split": of_method["split"].iloc[0] if len(x) else "",
                        "seeds_finished": len(x),
                        "seeds": len(asked),
                        "best": method in best,
                        "note": note,
                    }
                )
    return pd.DataFrame(rows, columns=list(SUMMARY))


def best_methods(values: pd.DataFrame, runs: pd.DataFrame, higher_is_better: bool | None) -> set[str]:
    """The method with the best mean, and those that a paired t-test (5 %, unadjusted) does not tell from it.

    Unadjusted, because an adjusted test would call more of them equal. Only methods with `ENOUGH` seeds, or as
    many as any if none has, and a number for each, compete. With one seed there is no test, and no tie.
    """
    if higher_is_better is None:
        return set()
    asked = runs.groupby("method")["seed"].size().reindex(values.columns, fill_value=0)
    enough = min(ENOUGH, asked.max())
    whole = [m for m in values.columns if values[m].notna().sum() == asked[m] >= enough]
    if not whole:
        return set()
    means = values[whole].mean() * (1 if higher_is_better else -1)
    best = means.idxmax()

    def level(method: str) -> bool:
        difference = (values[best] - values[method]).dropna().to_numpy(float)
        if means[method] == means[best]:
            return True
        if len(difference) < 2 or np.ptp(difference) <= 1e-12 * np.abs(difference).max():
            return False
        return bool(stats.ttest_1samp(difference, 0).pvalue >= ALPHA)

    return {m for m in whole if level(m)}


def heading(metric: str) -> str:
    """The head of a metric's column, with its unit and the better direction."""
    label, unit, higher, *_ = describe(metric)
    arrow = {True: " ↑", False: " ↓", None: ""}[higher]
    return f"{label}{f' ({unit})' if unit else ''}{arrow}"


def anchor(experiment: str, method: str) -> str:
    """The place in the report that tells all of a cell."""
    return f"cell-{experiment}-{method}"


def experiment_tables(config: Config, cells: pd.DataFrame, experiment: str) -> list[Table]:
    """An experiment's table, of the metrics with a direction, and NAME_details, of the others; methods down.

    Referees have a matrix of their own.
    """
    own = cells[cells["experiment"] == experiment]
    metrics = sorted((m for m in own["metric"].unique() if not describe(m).group), key=order)
    judged = [m for m in metrics if describe(m).higher_is_better is not None]
    details = [m for m in metrics if describe(m).higher_is_better is None]
    found = [_table(config, own, experiment, experiment, judged, caption(config, own, experiment))]
    if details:
        text = f"{title(config, experiment, 'experiments')}, details: numbers that are neither good nor bad. "
        text += "Mean ± sd over seeds."
        found.append(_table(config, own, experiment, f"{experiment}_details", details, text))
    return found


def _table(config: Config, own: pd.DataFrame, experiment: str, name: str, metrics: list[str], text: str) -> Table:
    table = Table(name, text, ["Method", "Seeds", *map(heading, metrics)])
    for method, group in own.groupby("method", sort=False):
        by_metric = group.set_index("metric")
        finished, asked = int(group["seeds_finished"].max()), int(group["seeds"].max())
        where = f"#{anchor(experiment, method)}"
        row = [Entry(title(config, method), href=where), Entry(f"{finished} of {asked}", value=finished)]
        for metric in metrics:
            c, digits = by_metric.loc[metric], describe(metric).digits
            mark = table.note(c["note"]) if c["note"] else ""
            if not c["seeds_finished"]:
                row.append(Entry(DASH, mark=mark, href=where))
                continue
            se = c["standard_error_over_images"]
            detail = number(se, digits) if pd.notna(se) else ""
            text = spread(c["mean"], c["sd_over_seeds"], digits)
            row.append(Entry(text, detail, float(c["mean"]), bool(c["best"]), mark, where))
        table.rows.append(row)
    return table


def caption(config: Config, own: pd.DataFrame, experiment: str) -> str:
    """What the numbers of a table are: which spread, which split, how bold is decided."""
    seeds = int(own["seeds_finished"].max()) if len(own) else 0
    images = own.loc[own["split"] == "test", "images"].dropna()
    n = f"{int(images.max()):,} test images" if len(images) else "test images"
    if seeds > 1:
        first = "Mean ± sd over seeds"
        bold = f"Bold: the best mean among methods with all their seeds, {min(ENOUGH, seeds)} or more, and those that"
        bold += " a paired t-test"
        bold += " (5 %, unadjusted) cannot tell from it."
    elif not seeds:
        return f"{title(config, experiment, 'experiments')}. No run has finished."
    else:
        first = "One seed: there is no spread, and no test"
        bold = "Bold: the best number, which one seed cannot show to be better."
    bracket = f"In brackets: the standard error over the {n}, which is no spread over seeds."
    return f"{title(config, experiment, 'experiments')}. {first}. {bracket} {bold}"


def write_table(content: Table, folder: Path, csv: str | None = None) -> None:
    """NAME.csv, NAME.md and NAME.tex in a folder."""
    whole_files.write(folder / f"{content.name}.csv", csv or to_csv(content))
    whole_files.write(folder / f"{content.name}.md", to_markdown(content))
    whole_files.write(folder / f"{content.name}.tex", to_latex(content))


def write_tables(config: Config, table: pd.DataFrame, cells: pd.DataFrame, folder: Path) -> dict[str, Table]:
    """Every table of a result set, of which `cells` is the summary, in a folder; returned by name."""
    from bench.tables import published

    found = {}
    for experiment in experiments(config, table):
        own = cells[cells["experiment"] == experiment]
        if own.empty:
            continue
        for content in experiment_tables(config, cells, experiment):
            found[content.name] = content
            rows = own[
                own["metric"].map(lambda m: describe(m).higher_is_better is None) == (content.name != experiment)
            ]
            write_table(content, folder, rows.to_csv(index=False, lineterminator="\n"))
    against = published.against_published(config, cells)
    whole_files.write(folder / "published.csv", against.to_csv(index=False, lineterminator="\n"))
    for content in published.paper_tables(config, cells, against):
        found[content.name] = content
        write_table(content, folder)
    return found
