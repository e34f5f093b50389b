"""What the explorer draws: every number of every seed, as a script that a page opened from a file can load."""

import json

import pandas as pd

from bench.config.schema import Config
from bench.tables.metric_names import metric as describe
from bench.tables.metric_names import order
from bench.tables.tidy_table import experiments, family, methods, short, title


def data(config: Config, table: pd.DataFrame, path: str) -> str:
    """A script that sets `DATA`: experiments with their measures, methods, and a row for each seed and measure."""
    numbers = table.dropna(subset=["metric", "value", "seed"])
    found: dict = {"config": path, "experiments": {}, "methods": {}}
    for experiment in experiments(config, table):
        own = numbers[numbers["experiment"] == experiment]
        if own.empty:
            continue
        ordered = methods(config, own, experiment)
        measures = {}
        for name in sorted(own["metric"].unique(), key=order):
            m, rows = describe(name), own[own["metric"] == name]
            if m.group == "floor":
                continue
            values = [
                [ordered.index(r.method), int(r.seed), float(f"{r.value:.6g}")]
                for r in rows[["method", "seed", "value"]].itertuples()
            ]
            measures[name] = {"label": m.label, "unit": m.unit, "higher": m.higher_is_better, "digits": m.digits,
                              "values": values}  # fmt: skip
        runs = own.drop_duplicates(["method", "seed"])
        of_runs = {
            f"{ordered.index(r.method)} {int(r.seed)}": [r.run, None if pd.isna(r.seconds) else round(r.seconds, 1)]
            for r in runs[["method", "seed", "run", "seconds"]].itertuples()
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
