"""The figures of an experiment: EXPERIMENT/NAME.png, and .pdf and .svg where they are asked for.

Drawn from the files of a result set alone. A figure that cannot be drawn costs itself, and says why.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pandas as pd

from bench.config.schema import Config
from bench.figures import curves, images, planes, scores
from bench.figures.style import Drawing, LeftOut, own_style, save
from bench.records.result_set import Damaged
from bench.tables.tidy_table import experiments

Found = dict[str, dict]  # {"figures": {name: title, caption, alt}, "left_out": {name: why}}
MAKERS = (scores.drawings, curves.drawings, images.drawings, planes.drawings)


def drawings(config: Config, table: pd.DataFrame, experiment: str, folder: Path) -> Iterator[Drawing | LeftOut]:
    """Every figure of an experiment; a kind of figure whose numbers cannot be read is left out."""
    for make in MAKERS:
        try:
            yield from make(config, table, experiment, folder)
        except Exception as error:  # whatever a result set may hold, the other figures come out
            kind = make.__module__.rpartition(".")[2]
            yield LeftOut(kind, f"Figures of {kind} are left out: {_said(error)}.")


def make(
    config: Config, table: pd.DataFrame, experiment: str, folder: Path, output: Path, formats: Sequence[str] = ("png",)
) -> Found:
    """Draw the figures of an experiment of the result set in `folder` into `output`/EXPERIMENT."""
    found: Found = {"figures": {}, "left_out": {}}
    with own_style():
        for item in drawings(config, table, experiment, folder):
            if isinstance(item, LeftOut):
                found["left_out"][item.name] = item.why
                continue
            try:
                save(item.draw(), output / experiment / item.name, formats)
            except OSError:
                raise
            except Exception as error:
                found["left_out"][item.name] = f"{item.title}: left out, because it cannot be drawn ({_said(error)})."
            else:
                found["figures"][item.name] = {"title": item.title, "caption": item.caption, "alt": item.alt}
    return found


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, Damaged) else f"{type(error).__name__}: {error}"


@contextmanager
def making(
    config: Config, table: pd.DataFrame, folder: Path, output: Path, jobs: int = 1, formats: Sequence[str] = ("png",)
) -> Iterator[Callable[[str], Found]]:
    """`make` for every experiment, begun at once by `jobs` processes; gives what returns that of one."""
    names = experiments(config, table)
    one = partial(make, config, table, folder=folder, output=output, formats=formats)
    if jobs == 1 or len(names) < 2:
        yield lambda name: one(name)
        return
    rows = table["experiment"].value_counts()
    longest_first = sorted(names, key=lambda name: -rows.get(name, 0))
    with ProcessPoolExecutor(min(jobs, len(names))) as pool:
        asked = {name: pool.submit(one, name) for name in longest_first}
        yield lambda name: asked[name].result()
