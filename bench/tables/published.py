"""Published values beside ours: config/published.csv, and a verdict on each number."""

import math
from fnmatch import fnmatchcase
from functools import cache

import pandas as pd

from bench import SHARE
from bench.config.schema import Config
from bench.tables.metric_names import metric as describe
from bench.tables.statistics import verdict
from bench.tables.tidy_table import settings

CONFIG = SHARE / "config"
UNREAD = "memory, unverified"  # the provenance of a number that no verdict and no table of the paper may rest on

KEPT = ["table", "system", "dataset", "setting", "method", "provenance", "source", "printed"]  # of a published number
BLANK = {"experiment": "", "mean": math.nan, "sd_over_seeds": math.nan, "low": math.nan, "high": math.nan,
         "seeds_finished": 0, "seeds": 0, "older": 0, "note": ""}  # of a cell of ours  # fmt: skip


@cache
def published() -> pd.DataFrame:
    """The published numbers; `experiment`, `method`, `our_metric`, `labels` say which cell of ours they are.

    `experiment` is a pattern (`likelihood*`), `labels` the number of labels or "all", each empty where it
    says nothing; a row without a method is there to be read beside ours.
    """
    text = ["table", "system", "dataset", "metric", "setting", "experiment", "method", "our_metric", "labels"]
    types = dict.fromkeys([*text, "value", "provenance", "source"], "str")
    found = pd.read_csv(CONFIG / "published.csv", dtype=types, keep_default_na=False, na_values={"plusminus": [""]})
    deviation = found["plusminus"].map(lambda pm: "" if pd.isna(pm) else f" ± {pm:g}")
    return found.assign(printed=found["value"] + deviation)


def against_published(config: Config, cells: pd.DataFrame) -> pd.DataFrame:
    """Every published number that has a counterpart here, with ours, its interval, and a verdict on it.

    A verdict is "not run", "source not read" or "protocol differs"; under the paper's preset, on the same data set and
    number of labels, of a number whose source was read, "reproduced", "short", "above" or "undecided". `note` says
    which seeds failed.
    """
    rows = []
    for _, p in published()[published()["method"] != ""].iterrows():
        own = cells[(cells["method"] == p["method"]) & (cells["metric"] == p["our_metric"])]
        own = own[[_is_of(config, experiment, p) for experiment in own["experiment"]]]
        ours = BLANK if own.empty else own.iloc[0][list(BLANK)].to_dict()
        if not ours["seeds_finished"]:
            said = "not run"
        elif p["provenance"] == UNREAD:
            said = "source not read"
        elif config.preset != "paper":
            said = "protocol differs"
        else:
            m, interval = describe(p["our_metric"]), (ours["low"], ours["high"])
            said = verdict(interval, float(p["value"]), p["plusminus"], m.margin, m.higher_is_better is not False)
        known = {"metric": p["our_metric"], "published": float(p["value"]), "published_pm": p["plusminus"]}
        rows.append({**p[KEPT], **known, **ours, "verdict": said})
    return pd.DataFrame(rows).rename(columns={"mean": "ours"})


def published_of(config: Config, experiment: str, metric: str, method: str) -> float | None:
    """The value printed for a method in a cell of ours, from a source that was read; None if there is none."""
    known = published()
    known = known[(known["method"] == method) & (known["our_metric"] == metric) & (known["provenance"] != UNREAD)]
    return next((float(p["value"]) for _, p in known.iterrows() if _is_of(config, experiment, p)), None)


def _is_of(config: Config, experiment: str, p: pd.Series) -> bool:
    """Whether a published number is of an experiment: by its name, data set and number of labels."""
    s = settings(config, experiment, p["method"]) if fnmatchcase(experiment, p["experiment"]) else None
    return s is not None and s.dataset == p["dataset"] and p["labels"] in ("", str(s.labels))
