"""What each method costs: time, memory, and the time to a stated likelihood. Free of torch."""

import math
import re

import numpy as np
import pandas as pd

from bench.config.schema import Config
from bench.tables.answers import words
from bench.tables.formats import Entry, Table, number, spread, table
from bench.tables.metric_names import metric as describe
from bench.tables.published import settings
from bench.tables.tidy_table import elsewhere, methods, scores, timed, title

SCORE = "validation_log_likelihood"


def time_to(target: float, points: dict[int, float], seconds: float) -> float:
    """The seconds at which a score is first reached, linear between the epochs that have one; NaN if it never is.

    `points` are scores by epoch, the last epoch among them, and `seconds` is what all epochs took.
    """
    epochs = sorted(points)
    x = np.array([0, *epochs], float) / epochs[-1] * seconds
    y = [points[e] for e in epochs]
    if y[0] >= target:
        return float(x[1])
    for i in range(1, len(y)):
        if y[i] >= target:
            return float(x[i] + (target - y[i - 1]) / (y[i] - y[i - 1]) * (x[i + 1] - x[i]))
    return math.nan


def milestones(rows: pd.DataFrame, epochs: int) -> dict[int, float]:
    """The validation scores of a run by epoch, the last one included."""
    found = {}
    for _, row in rows.iterrows():
        if match := re.fullmatch(rf"{SCORE}_epoch(\d+)", str(row["metric"])):
            found[int(match[1])] = row["value"]
        elif row["metric"] == SCORE:
            found[epochs] = row["value"]
    return found


def cost_table(config: Config, rows: pd.DataFrame, experiment: str) -> Table | None:
    """Seconds an epoch, the ratio to the plain autoencoder, peak memory, and the time to a likelihood that two reach.

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
    pair = [m for m in (q["challenger"], q["reference"]) if m in validation]
    target = validation[pair].mean().min() if pair else math.nan
    seconds = runs.pivot_table(index="seed", columns="method", values="seconds")
    found = []
    for method in methods(config, rows, experiment):
        if method not in seconds or not (s := settings(config, experiment, method)):
            continue
        each = seconds[method].dropna() / s.epochs
        ratio = (seconds[method] / seconds[q["plain"]]).median() if q["plain"] in seconds else math.nan
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
                title(config, method),
                Entry(spread(each.mean(), each.std(ddof=1) if len(each) > 1 else math.nan, 2), value=each.mean()),
                Entry(number(ratio, 2), value=ratio) if math.isfinite(ratio) else Entry("–"),
                Entry(number(memory, 0), value=memory),
                Entry(reach if times else "–", value=float(np.mean(reached)) if reached else None),
            ]
        )
    reach = f"Seconds to {target:.1f} {describe(SCORE).unit}" if math.isfinite(target) else "Seconds to a score"
    caption = (
        "Wall time of training, mean ± sd over seeds; ratios are medians over seeds. Several trainings share the "
        "machine, so times of one row hold less than ratios measured side by side (docs/performance.md). The score is "
        "the lower of the final validation scores of the two methods of the question, linear between measured epochs."
        + elsewhere(rows, experiment)
    )
    head = ["Method", "Seconds an epoch", f"Ratio to {title(config, q['plain'])}", "Peak memory (MB)", reach]
    return table(f"cost-{experiment}", caption, head, found)
