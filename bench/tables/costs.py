"""What each method costs: time, memory, and the time to a stated likelihood. Free of torch."""

import math
import re

import numpy as np
import pandas as pd

from bench.config.schema import Config
from bench.tables.formats import Entry, Table, number, spread, table
from bench.tables.metric_names import metric as describe
from bench.tables.tidy_table import elsewhere, methods, scores, settings, short, timed
from bench.tables.words import words

SCORE = "validation_log_likelihood"


def time_to(target: float, points: dict[int, float], seconds: float) -> float:
    """The seconds at which a score is first reached, linear between the epochs that have one; NaN if it never is.

    `points` are scores by epoch, the last epoch among them, and `seconds` is what all epochs took.
    """
    epochs = sorted(points)
    at = [e / epochs[-1] * seconds for e in epochs]
    i = next((i for i, e in enumerate(epochs) if points[e] >= target), None)
    if i is None:
        return math.nan
    return at[0] if i == 0 else float(np.interp(target, [points[e] for e in epochs[i - 1 : i + 1]], at[i - 1 : i + 1]))


def milestones(rows: pd.DataFrame, epochs: int) -> dict[int, float]:
    """The validation scores of a run by epoch, the last one included."""
    scores = dict(zip(rows["metric"].astype(str), rows["value"], strict=True))
    found = {int(m[1]): v for name, v in scores.items() if (m := re.fullmatch(rf"{SCORE}_epoch(\d+)", name))}
    return found | ({epochs: scores[SCORE]} if SCORE in scores else {})


def step_cost(config: Config, rows: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """Seconds of a training step over those of the plain autoencoder's of the same seed; seeds down, methods across.

    Only of runs on one machine. Time is that of the whole training; batches of another size are other steps.
    """
    runs, plain = timed(rows, experiment), words()["question"]["plain"]
    found = {m: s for m in config.methods if (s := settings(config, experiment, m))}
    if plain not in found or runs.empty:
        return pd.DataFrame()
    seconds = runs.pivot_table(index="seed", columns="method", values="seconds").filter(list(found))
    # The images of an epoch are the same for all: steps are as epochs over the size of a batch.
    steps = pd.Series({m: s.epochs / s.batch_size for m, s in found.items()})
    each = seconds / steps.reindex(seconds.columns)
    return each.div(each[plain], axis="index").dropna(how="all") if plain in each else pd.DataFrame()


def cost_table(config: Config, rows: pd.DataFrame, experiment: str) -> Table | None:
    """Seconds an epoch, a step's cost beside the plain autoencoder's, peak memory, the time to a likelihood.

    The stated likelihood is the lower of the final ones of the question's two methods, so that both reach it.
    None where no run of the experiment has a time.
    """
    own = rows[(rows["experiment"] == experiment) & rows["method"].isin(config.methods) & (rows["status"] == "ok")]
    runs = timed(rows, experiment)
    runs = runs[runs["method"].isin(config.methods)]
    if runs.empty:
        return None
    q = words()["question"]
    validation = scores(rows, experiment, SCORE)
    sides = [
        next((m for m in np.atleast_1d(side) if m in validation), None) for side in (q["challenger"], q["reference"])
    ]
    target = validation[sides].mean().min() if all(sides) else math.nan
    seconds = runs.pivot_table(index="seed", columns="method", values="seconds")
    steps = step_cost(config, rows, experiment)
    found = []
    for method in methods(config, rows, experiment):
        if method not in seconds or not (s := settings(config, experiment, method)):
            continue
        each = seconds[method].dropna() / s.epochs
        ratio = steps[method].median() if method in steps else math.nan
        times = []
        for _, run in runs[runs["method"] == method].iterrows():
            points = milestones(own[own["run"] == run["run"]], s.epochs)
            if len(points) > 1 and math.isfinite(target):
                times.append(time_to(target, points, run["seconds"]))
        reached = [t for t in times if math.isfinite(t)]
        memory = runs.loc[runs["method"] == method, "peak_memory_mb"].max()
        reach = f"{number(float(np.mean(reached)), 0)} ({len(reached)} of {len(times)} seeds)" if reached else "never"
        found.append(
            [
                short(config, method),
                Entry(spread(each.mean(), each.std(ddof=1) if len(each) > 1 else math.nan, 2), value=each.mean()),
                Entry(number(ratio, 2), value=ratio) if math.isfinite(ratio) else Entry("–"),
                Entry(number(memory, 0), value=memory),
                Entry(reach if times else "–", value=float(np.mean(reached)) if reached else None),
            ]
        )
    reach = f"Seconds to {target:.1f} {describe(SCORE).unit}" if math.isfinite(target) else "Seconds to a score"
    caption = (
        "Wall time of training, mean ± sd over seeds; a step is a multiple of the plain autoencoder's, the median over "
        "seeds. Trainings share the machine: ratios measured side by side are in docs/performance.md. The score "
        "is the lower of the final validation scores of the question's two methods, linear between measured epochs."
        + elsewhere(rows, experiment)
    )
    head = ["Method", "Seconds an epoch", f"Step, × {short(config, q['plain'])}", "Peak memory (MB)", reach]
    return table(f"cost-{experiment}", caption, head, found)
