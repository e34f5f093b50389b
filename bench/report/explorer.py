"""What the explorer draws: every number of every seed, as a script that a page opened from a file can load."""

import json
from typing import NamedTuple

import pandas as pd

from bench.config.schema import Config
from bench.tables import several_tasks
from bench.tables.answers import Picture, values_of
from bench.tables.formats import Entry, Table
from bench.tables.formats import table as table_of
from bench.tables.metric_names import metric as describe
from bench.tables.metric_names import order
from bench.tables.tidy_table import experiments, family, methods, short, title
from bench.tables.words import words

GAINS = [x / 2 for x in range(-30, 31)]  # of the profiles, in smallest differences that matter


class Together(NamedTuple):
    """The measures that the answer rests on, summed up: a table, and what the page draws."""

    table: Table
    profiles: dict[str, list]


def together(config: Config, table: pd.DataFrame, picture: Picture) -> Together | None:
    """The probability of improvement over the reference, and the performance profiles; None for a single measure."""
    tasks, margins = {}, {}
    for m in picture.measures:
        if m.counts and m.margin:
            values = values_of(config, table, m.experiment, m.metric) * (1 if m.higher_is_better else -1)
            tasks[m.label] = values.filter(list(config.methods)).assign(**{"": values[m.reference]})
            margins[m.label] = m.margin
    if len(tasks) < 2:
        return None
    found = several_tasks.improvement(tasks, "")
    shares = several_tasks.profiles(tasks, "", margins, GAINS).drop(columns="").round(4)
    whole = [m for m in shares if found[m].tasks == len(tasks)]
    if not {*whole} - {*words()["question"]["reference"]}:
        return None
    ordered = sorted(whole, key=lambda m: -found[m].probability)
    rows = [
        [Entry(short(config, m), href=f"#method-{m}"), Entry(f"{p:.2f}", value=p), f"{low:.2f} to {high:.2f}"]
        for m, (p, low, high, _) in ((m, found[m]) for m in ordered)
    ]
    caption = (
        f"Probability that a run is better than one of {picture.reference}, the mean of {len(tasks)} measures "
        f"({', '.join(tasks)}), of the methods that have them all; the interval is of resampled seeds."
    )
    head = ["Method", f"P(better than {picture.reference})", "95 % interval"]
    return Together(table_of("tasks", caption, head, rows), {"gains": GAINS, "of": shares[ordered].to_dict("list")})


def data(config: Config, table: pd.DataFrame, path: str, profiles: dict[str, list] | None = None) -> str:
    """A script that sets `DATA`: experiments with their measures, methods, and a row for each seed and measure."""
    numbers = table.dropna(subset=["metric", "value", "seed"])
    found: dict = {"config": path, "experiments": {}, "methods": {}, "profiles": profiles}
    for experiment in experiments(config, table):
        own = numbers[numbers["experiment"] == experiment]
        if own.empty:
            continue
        ordered, measures = methods(config, own, experiment), {}
        own = own.assign(at=own["method"].map(ordered.index))
        for name in sorted(own["metric"].unique(), key=order):
            m, rows = describe(name), own[own["metric"] == name]
            values = [[r.at, int(r.seed), float(f"{r.value:.6g}")] for r in rows.itertuples()]
            if m.group != "floor":
                measures[name] = {"label": m.label, "unit": m.unit, "higher": m.higher_is_better, "digits": m.digits,
                                  "values": values}  # fmt: skip
        of_runs = {
            f"{r.at} {int(r.seed)}": [r.run, None if pd.isna(r.seconds) else round(r.seconds, 1)]
            for r in own.drop_duplicates(["method", "seed"]).itertuples()
        }
        found["experiments"][experiment] = {
            "title": title(config, experiment, "experiments"),
            "methods": ordered,
            "measures": measures,
            "runs": of_runs,
        }
        for m in ordered:
            found["methods"].setdefault(m, {"short": short(config, m), "family": family(config, m)})
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Within a script "</script>" would end it, wherever it stands.
    return "window.DATA = " + text.replace("</", "<\\/") + ";\n"
