"""The figures of an experiment.

Writes FOLDER/EXPERIMENT/NAME.png and .pdf, and figures.json, which says what each shows and what was left out.
A figure whose inputs have not changed is kept; so are those of codes that are no longer there.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import pandas as pd

from bench.config.schema import Config
from bench.figures import from_codes, scores
from bench.figures.style import STYLE, Drawing, LeftOut, looks, save
from bench.records import whole_files
from bench.tables.tidy_table import experiments


def drawings(config: Config, table: pd.DataFrame, experiment: str, runs: Path) -> list[Drawing | LeftOut]:
    """Every figure of an experiment, from the tidy table, the runs' histories and their stored codes."""
    see = looks(config, table)
    return [
        *scores.drawings(config, table, experiment, runs, see),
        *from_codes.drawings(config, table, experiment, runs, see),
    ]


def make(config: Config, table: pd.DataFrame, experiment: str, runs: Path, folder: Path) -> dict:
    """`write` for the figures of an experiment, in a folder of its name."""
    with matplotlib.rc_context(STYLE):
        return write(drawings(config, table, experiment, runs), folder / experiment)


@contextmanager
def making(
    config: Config, table: pd.DataFrame, runs: Path, folder: Path, jobs: int = 1
) -> Iterator[Callable[[str], dict]]:
    """`make` for every experiment, begun at once by `jobs` processes; gives what returns that of one."""
    names = experiments(config, table)
    if jobs == 1 or len(names) < 2:
        yield lambda name: make(config, table, name, runs, folder)
        return
    rows = table["experiment"].value_counts()
    longest_first = sorted(names, key=lambda name: -rows.get(name, 0))
    with ProcessPoolExecutor(min(jobs, len(names))) as pool:
        asked = {name: pool.submit(make, config, table, name, runs, folder) for name in longest_first}
        yield lambda name: asked[name].result()


def write(items: list[Drawing | LeftOut], folder: Path) -> dict:
    """The content of figures.json: {"figures": {name: title, caption, alt, made_of}, "left_out": {name: why}}.

    Draws what is not there or is made of something else. What cannot be drawn any more, for want of
    codes, stays as it is.
    """
    old = (whole_files.read_json(folder / "figures.json") or {}).get("figures", {})
    old = {k: v for k, v in old.items() if (folder / f"{k}.png").exists() and (folder / f"{k}.pdf").exists()}
    found: dict = {"figures": {}, "left_out": {}}
    for item in items:
        if isinstance(item, LeftOut):
            kept = {name: old[name] for name in item.keeps if name in old}
            found["figures"] |= kept
            if not kept:
                found["left_out"][item.name] = item.why
            continue
        content = {"title": item.title, "caption": item.caption, "alt": item.alt, "made_of": item.made_of}
        if old.get(item.name, {}).get("made_of") != item.made_of:
            save(item.draw(), folder / item.name)
        found["figures"][item.name] = content
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    if not (folder / "figures.json").exists() or (folder / "figures.json").read_text(encoding="utf-8") != text:
        whole_files.write(folder / "figures.json", text)
    return found
