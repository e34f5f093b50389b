"""The stored arrays of a method's shown seed, as figures need them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from bench.config.schema import Config, Settings
from bench.figures.style import label
from bench.records import result_set
from bench.tables.tidy_table import RUN, methods, settings


class Codes(NamedTuple):
    """The stored arrays of a method's first finished seed."""

    method: str
    name: str
    seed: int
    arrays: dict[str, np.ndarray]
    settings: Settings


def load(config: Config, table: pd.DataFrame, experiment: str, folder: Path) -> tuple[list[Codes], list[str]]:
    """The arrays of each method's first finished seed, and the names of the methods that lack theirs.

    Raises:
        Damaged: the file of arrays is not whole.
    """
    own = table[(table["experiment"] == experiment) & (table["status"] == "ok")].drop_duplicates(RUN)
    found, missing = [], []
    for method in methods(config, table, experiment):
        finished = own[own["method"] == method].sort_values("seed")
        s = settings(config, experiment, method)
        if finished.empty or s is None:
            continue
        run = finished.iloc[0]
        if arrays := result_set.arrays(folder, str(run["run"])):
            found.append(Codes(method, label(config, method), int(run["seed"]), arrays, s))
        else:
            missing.append(label(config, method))
    return found, missing


def seeds(found: list[Codes]) -> str:
    """Which seeds are shown, as a sentence."""
    shown = sorted({c.seed for c in found})
    return f"Seed {shown[0]} of each method." if len(shown) == 1 else "The first finished seed of each method."
