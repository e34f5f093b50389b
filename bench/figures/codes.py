"""The codes that a run has stored, as figures need them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from bench.config.schema import Config, Settings
from bench.tables.published import settings
from bench.tables.tidy_table import RUN, methods, title


class Codes(NamedTuple):
    """The stored arrays of a method's first finished seed."""

    method: str
    seed: int
    arrays: dict[str, np.ndarray]
    settings: Settings


def load(
    config: Config, table: pd.DataFrame, experiment: str, runs: Path
) -> tuple[list[Codes], list[str], dict[str, bytes]]:
    """The codes of each method's first finished seed, the methods that lack theirs, and the files' bytes."""
    own = table[table["experiment"] == experiment].drop_duplicates(RUN)
    found, missing, content = [], [], {}
    for method in methods(config, table, experiment):
        finished = own[(own["method"] == method) & (own["status"] == "ok")].sort_values("seed")
        s = settings(config, experiment, method)
        if finished.empty or s is None:
            continue
        run = finished.iloc[0]
        path = runs / str(run["run"]) / "codes.npz"
        if not path.exists():
            missing.append(title(config, method))
            continue
        content[method] = path.read_bytes()
        with np.load(path, allow_pickle=False) as archive:
            found.append(Codes(method, int(run["seed"]), dict(archive), s))
    return found, missing, content
