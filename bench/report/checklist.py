"""What reproducibility checklists ask of a paper (NeurIPS; ACL), answered from the config and the tidy table."""

from collections.abc import Iterable
from numbers import Real

import pandas as pd

from bench.config import reading
from bench.config.registry import said
from bench.config.schema import TUNING, Config
from bench.tables.formats import Table, seconds, table
from bench.tables.tidy_table import RUN
from bench.tables.words import words


def _range(values: Iterable[Real]) -> str:
    ends = sorted({v for v in values if v == v})  # which NaN does not
    return " to ".join(dict.fromkeys(f"{end:,.0f}" for end in (ends[0], ends[-1]))) if ends else "none"


def checklist(config: Config, rows: pd.DataFrame) -> Table:
    """A row for each thing that is asked, of the whole result set."""
    cells = [(e, m) for e, content in config.experiments.items() for m in content["methods"]]
    settings = {cell: reading.settings(config, *cell) for cell in cells}
    asked = {cell: len(reading.seeds(config, *cell)) for cell in cells}
    runs = rows[rows["experiment"].isin(config.experiments)].drop_duplicates(RUN)
    done = runs[(runs["status"] == "ok") & runs["device"].notna()]
    others = runs.loc[runs["status"] != "ok", "status"].value_counts()
    excluded = ", ".join(f"{n} {status}" for status, n in others.items())
    trials = config.tuning.trials if config.tuning and TUNING in config.experiments else {}
    each = max(map(len, trials.values()), default=0)
    searched = (
        f"{each} settings of each of {len(trials)} methods beside their own, chosen on validation images; see Tuning"
    )
    facts = [
        *words()["checklist"].items(),
        ("Seeds of a cell", _range(asked.values())),
        ("Data", ", ".join(sorted({said(s.dataset) for s in settings.values()}))),
        ("Epochs", _range(s.epochs for s in settings.values())),
        ("Hyperparameters searched", searched if trials else "none here: each method has one setting"),
        ("Runs left out of a mean", f"{excluded}; each under Runs that did not finish" if excluded else "none"),
        ("Training time", f"{seconds(float(done['seconds'].sum()))} in all, {_range(done['seconds'])} seconds a run"),
        ("Memory", f"{_range(done['peak_memory_mb'])} MB at the peak of a training"),
    ]
    return table(
        "checklist", "What a reader of any benchmark should ask, answered for this one.", ["Asked", "Here"], facts
    )
