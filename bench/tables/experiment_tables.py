"""What each method reached in each experiment: the summary of a tidy table, and its tables. Free of torch."""

import math
from collections.abc import Iterable

import pandas as pd

from bench.config import reading
from bench.config.schema import Config
from bench.tables.answers import headline, measure, references, verdict
from bench.tables.formats import DASH, Entry, Table, anchor, entry, number, spread, table
from bench.tables.metric_names import Metric, order
from bench.tables.metric_names import metric as describe
from bench.tables.statistics import RULE, compare, holm, mean_interval, word
from bench.tables.tidy_table import RUN, experiments, methods, reason, scores, short, title
from bench.tables.words import words

ENOUGH = 3  # seeds, for a method to be called best


def summary(config: Config, rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each experiment, method and metric: what a table's cell says.

    mean, sd_over_seeds and the ends of the mean's 95 % interval are over the `seeds_finished` of `seeds` runs;
    standard_error_over_images is the mean of the runs', over `images` of `split`; `older` counts the seeds whose number
    is of older code; `best` marks the best mean, `level` those that are shown to be as good; `note` says why a
    number, or a seed's, is not there.
    """
    measured, found = _measured(rows), []
    for experiment in experiments(config, rows):
        own = rows[rows["experiment"] == experiment]
        runs = own.drop_duplicates(RUN)
        runs_of = {method: runs[runs["method"] == method] for method in methods(config, own, experiment)}
        asked = {method: _asked(config, experiment, method, of["seed"]) for method, of in runs_of.items()}
        for metric in sorted(own["metric"].dropna().unique(), key=order):
            competing = scores(own, experiment, metric).filter(list(config.methods))  # not the controls
            standing = places(competing, {m: len(seeds) for m, seeds in asked.items()}, describe(metric))
            for method, seeds in asked.items():
                cell = {"experiment": experiment, "method": method, "metric": metric}
                numbers = measured.get((experiment, method, metric), NOTHING)
                place, lacking = standing.get(method), seeds - numbers.get("of", set())
                note = _note(runs_of[method], lacking, numbers["seeds_finished"])
                more = {"seeds": len(seeds), "best": place == "best", "level": place == "level", "note": note}
                found.append(cell | numbers | more)
    return pd.DataFrame(found, columns=["experiment", "method", "metric", *NOTHING, "seeds", "best", "level", "note"])


NOTHING = dict.fromkeys(("mean", "sd_over_seeds", "low", "high", "standard_error_over_images", "images"), math.nan)
NOTHING |= {"split": "", "seeds_finished": 0, "older": 0}


def _measured(rows: pd.DataFrame) -> dict[tuple, dict]:
    """The numbers of each (experiment, method, metric) that has some, and the seeds that they are `of`."""
    own = rows.dropna(subset="metric").assign(older=lambda r: ~r["current"].astype(bool))
    by_cell = own.groupby(["experiment", "method", "metric"], sort=False)
    numbers = by_cell.agg(
        mean=("value", "mean"), sd_over_seeds=("value", "std"),
        standard_error_over_images=("standard_error", "mean"), images=("n", "max"), split=("split", "first"),
        seeds_finished=("value", "size"), older=("older", "sum"), of=("seed", set),
    )  # fmt: skip
    found = numbers.to_dict("index")
    for cell, values in by_cell["value"]:
        found[cell]["low"], found[cell]["high"] = mean_interval(values)
    return found


def _asked(config: Config, experiment: str, method: str, run: Iterable[int]) -> set[int]:
    declared = method in config.experiments.get(experiment, {}).get("methods", [])
    return {*run, *(reading.seeds(config, experiment, method) if declared else ())}


def _note(runs: pd.DataFrame, lacking: set[int], finished: int) -> str:
    if finished and not lacking:
        return ""
    failed = runs[runs["seed"].isin(lacking) & (runs["status"] != "ok")]
    never = sorted(lacking - {*runs["seed"]})
    said = [reason(failed)] if len(failed) else []
    if never and (finished or len(runs)):
        said.append(f"seed{'s' if len(never) > 1 else ''} {', '.join(map(str, never))} not run")
    elif never:
        said.append("not run")
    return "; ".join(said)


def places(values: pd.DataFrame, asked: dict[str, int], metric: Metric) -> dict[str, str]:
    """The place of each method: "best" for the best mean, "level" where the difference to it is small by `RULE`.

    `values` have a row for each seed and a column for each method. Only methods with `ENOUGH` seeds, or as many as
    any if none has, and a number for each of them, compete.
    """
    if metric.higher_is_better is None:
        return {}
    enough = min(ENOUGH, max((asked[m] for m in values), default=0))
    whole = [m for m in values if values[m].notna().sum() == asked[m] >= enough]
    if not whole:
        return {}
    means = values[whole].mean() * (1 if metric.higher_is_better else -1)
    best = means.idxmax()

    def place(method: str) -> str:
        if means[method] == means[best]:
            return "best"
        if values[[method, best]].dropna().empty:
            return ""
        return word(compare(values[method], values[best], metric.higher_is_better), metric.margin)

    return {m: place(m) for m in whole}


def heading(metric: str) -> str:
    """The head of a metric's column, with its unit and the better direction."""
    label, unit, higher, *_ = describe(metric)
    arrow = {True: " ↑", False: " ↓", None: ""}[higher]
    return f"{label}{f' ({unit})' if unit else ''}{arrow}"


def part_of(metric: str) -> str | None:
    """The ending of the name of the table that shows a metric; None for what stands in a row of its own."""
    m = describe(metric)
    return {"referee": "_mismatch", "floor": None}.get(m.group, "_details" if m.higher_is_better is None else "")


def experiment_tables(config: Config, cells: pd.DataFrame, experiment: str) -> list[Table]:
    """An experiment's table of metrics with a direction, NAME_details of the others, NAME_mismatch of referees."""
    own = cells[cells["experiment"] == experiment]
    by_part = {part: [] for part in ("", "_details", "_mismatch", None)}
    for metric in sorted(own["metric"].unique(), key=order):
        by_part[part_of(metric)].append(metric)
    judged, details, referees = (by_part[part] for part in ("", "_details", "_mismatch"))
    named = title(config, experiment, "experiments")
    found = [_table(config, own, experiment, experiment, judged, caption(config, own, experiment))]
    if details:
        text = f"{named}, details: numbers that are neither good nor bad. Mean ± sd over seeds."
        found.append(_table(config, own, experiment, f"{experiment}_details", details, text))
    if referees:
        text = (
            f"{named}: how far the codes are from the prior, by measures that no method optimised as such; nearer to "
            "the last row is better. Mean ± sd over seeds."
        )
        mismatch = _table(config, own, experiment, f"{experiment}_mismatch", referees, text)
        floors = {m: own.loc[own["metric"] == f"{m}_floor", "mean"].mean() for m in referees}
        ends = [Entry(number(v, describe(m).digits), value=v) for m, v in floors.items()]
        mismatch.rows.append([Entry("Samples of the prior"), Entry(""), *ends])
        found.append(mismatch)
    return found


def _table(config: Config, own: pd.DataFrame, experiment: str, name: str, metrics: list[str], text: str) -> Table:
    content = Table(name, text, ["Method", "Seeds", *map(heading, metrics)])
    all_old = _all_old(own)
    for method, group in own[own["metric"].isin(metrics)].groupby("method", sort=False):
        by_metric = group.set_index("metric", drop=False)
        finished, asked, old = (int(group[c].max()) for c in ("seeds_finished", "seeds", "older"))
        where = f"#{anchor(experiment, method)}"
        mark = content.note(f"{old} of these runs from an earlier version of the code") if old and not all_old else ""
        seeds = str(asked) if finished == asked else f"{finished} of {asked}"
        row = [Entry(short(config, method), href=where), Entry(seeds, value=finished, mark=mark)]
        for metric in metrics:
            c = by_metric.loc[metric]
            se = c["standard_error_over_images"]
            row.append(cell(c, content, number(se, describe(metric).digits) if pd.notna(se) else ""))
        content.rows.append(row)
    return content


def cell(c: pd.Series, content: Table | None = None, detail: str = "") -> Entry:
    """A row of the summary as a cell, which leads to its runs: mean ± sd, or a dash; its note goes to `content`."""
    mark = content.note(c["note"]) if content and c["note"] else ""
    where = f"#{anchor(c['experiment'], c['method'])}"
    if not c["seeds_finished"]:
        return Entry(DASH, mark=mark, href=where) if mark or content is None else Entry("")
    text = spread(c["mean"], c["sd_over_seeds"], describe(c["metric"]).digits)
    return Entry(text, detail, float(c["mean"]), bool(c["best"]), mark, where, bool(c["level"]))


def _all_old(own: pd.DataFrame) -> bool:
    return bool(own["older"].sum()) and bool((own["older"] == own["seeds_finished"]).all())


def caption(config: Config, own: pd.DataFrame, experiment: str) -> str:
    """What the numbers of a table are: which spread, which split, what bold and italics mean."""
    named = title(config, experiment, "experiments")
    seeds = int(own["seeds_finished"].max()) if len(own) else 0
    if not seeds:
        return f"{named}. No run has finished."
    shown = own[(own["split"] == "test") & own["metric"].map(lambda m: part_of(m) == "")]
    shown = shown.dropna(subset="standard_error_over_images").groupby("metric")["images"].max()
    bracket = f" In brackets: the standard error over the {test_images(shown)}." if len(shown) else ""
    old = " Every number is from an earlier version of the code." if _all_old(own) else ""
    if seeds == 1:
        return f"{named}. One seed: no spread, no test.{bracket} Bold: the best number.{old}"
    return (
        f"{named}. Mean ± sd over seeds.{bracket} Bold: the best mean among methods with all their "
        f"seeds, {min(ENOUGH, seeds)} or more. Italics: level with it.{old}"
    )


def test_images(counts: pd.Series) -> str:
    """'10,000 test images (AIS log-likelihood: 100)': how many there are of each metric."""
    most = int(counts.max())
    fewer = ", ".join(f"{describe(m).label}: {int(n):,}" for m, n in counts.items() if n < most)
    return f"{most:,} test images{f' ({fewer})' if fewer else ''}"


def against_reference(config: Config, rows: pd.DataFrame, cells: pd.DataFrame, experiment: str) -> Table:
    """Every method against the reference on an experiment's headline, with the seeds it would take."""
    metric, found = headline(cells, experiment), []
    m, values = describe(metric or ""), scores(rows, experiment, metric or "")
    reference = references(words()["question"]["reference"], values, bool(m.higher_is_better)) if metric else None
    held = measure(experiment, metric or "", reference or "")
    own = [x for x in methods(config, rows, experiment) if x in config.methods and x != reference]
    compared = {x: v for x in own if reference and (v := verdict(held, values, x)) and v.seeds}
    adjusted = holm([v.p for v in compared.values()]) if compared else ()
    for (method, v), p in zip(compared.items(), adjusted, strict=True):
        difference, low, high = (number(x, m.digits, sign=True) for x in v[:3])
        found.append(
            [
                Entry(short(config, method), href=f"#{anchor(experiment, method)}"),
                Entry(difference, value=v.difference),
                f"{low} to {high}" if math.isfinite(v.low) else entry(None),
                v.word,
                Entry(number(p, 3), value=float(p)) if not math.isnan(p) else entry(None),
                entry(v.seeds),
                Entry(f"{v.seeds_needed:,}", value=v.seeds_needed) if v.seeds_needed else entry(None),
            ]
        )
    against = short(config, reference) if reference else ""
    text = f"{m.label}: each method against {against}, paired by seed; positive is better. {RULE}"
    head = ["Method", "Improvement", "95 % interval", "Verdict", "p (Holm)", "Pairs", "Pairs needed"]
    return table("reference", text, head, found)
