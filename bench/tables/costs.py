"""What each method costs: time and memory. Free of torch."""

import math

import pandas as pd

from bench.config.schema import Config
from bench.tables.formats import Entry, Table, entry, number, spread, table
from bench.tables.tidy_table import elsewhere, methods, settings, short, timed
from bench.tables.words import words


def step_cost(config: Config, rows: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """Seconds of a training step over those of the plain autoencoder's: methods across, the fastest seed of each.

    Only of runs on one machine, which they share with others: the fastest was disturbed the least. Time is that of the
    whole training; batches of another size are other steps.
    """
    runs, plain = timed(rows, experiment), words()["question"]["plain"]
    found = {m: s for m in config.methods if (s := settings(config, experiment, m))}
    if plain not in found or runs.empty:
        return pd.DataFrame()
    seconds = runs.groupby("method")["seconds"].min().reindex(list(found)).dropna()
    # The images of an epoch are the same for all: steps are as epochs over the size of a batch.
    each = seconds / pd.Series({m: s.epochs / s.batch_size for m, s in found.items()}).reindex(seconds.index)
    return (each / each[plain]).to_frame("fastest").T if plain in each else pd.DataFrame()


def cost_table(config: Config, rows: pd.DataFrame, experiment: str) -> Table | None:
    """Seconds an epoch, a step's cost beside the plain autoencoder's, peak memory.

    None where no run of the experiment has a time.
    """
    runs = timed(rows, experiment)
    runs = runs[runs["method"].isin(config.methods)]
    if runs.empty:
        return None
    steps, found = step_cost(config, rows, experiment), []
    for method in methods(config, runs, experiment):
        own, s = runs[runs["method"] == method], settings(config, experiment, method)
        if own.empty or s is None:
            continue
        seconds, memory = own["seconds"] / s.epochs, own["peak_memory_mb"].max()
        ratio = steps[method].item() if method in steps else math.nan
        row = [short(config, method), Entry(spread(seconds.mean(), seconds.std(), 2), value=seconds.mean())]
        if not steps.empty:
            row.append(Entry(number(ratio, 2), value=ratio) if math.isfinite(ratio) else entry(None))
        found.append([*row, Entry(number(memory, 0), value=memory)])
    step = "" if steps.empty else "; a step is a multiple of the plain autoencoder's, of the fastest seed of each"
    caption = (
        f"Wall time of training, mean ± sd over seeds{step}. Trainings share the machine: ratios measured side by side "
        f"are in docs/performance.md.{elsewhere(rows, experiment)}"
    )
    plain = [] if steps.empty else [f"Step, × {short(config, words()['question']['plain'])}"]
    return table(f"cost-{experiment}", caption, ["Method", "Seconds an epoch", *plain, "Peak memory (MB)"], found)
