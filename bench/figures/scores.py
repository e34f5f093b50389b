"""Scores of every seed, from the tidy table."""

import math
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.config.schema import Config
from bench.figures.style import Drawing, LeftOut, Look, canvas, label, look
from bench.tables.answers import shown_measures
from bench.tables.experiment_tables import heading
from bench.tables.metric_names import metric as describe
from bench.tables.metric_names import order
from bench.tables.published import published_of
from bench.tables.statistics import mean_interval
from bench.tables.tidy_table import methods, scores, title
from bench.tables.words import words

PANELS = 2  # where the picture of the answer has no measure of the experiment
FAR = 2.0  # interquartile ranges beyond the quartiles, from where on a mean is not let into the scale


def drawings(config: Config, table: pd.DataFrame, experiment: str, folder: Path) -> list[Drawing | LeftOut]:
    """The scores by seed of an experiment, by its first metrics."""
    own, name = table[table["experiment"] == experiment], title(config, experiment, "experiments")
    directed = [m for m in own["metric"].dropna().unique() if describe(m).higher_is_better is not None]
    directed = sorted((m for m in directed if not describe(m).group), key=order)
    shown = [m for m in shown_measures(experiment) if m in directed] or directed[:PANELS]
    if not shown:
        return [LeftOut("scores", f"{name}: no run has a number yet, so there is nothing to draw.")]
    seeds = int(own.dropna(subset="metric").groupby("method")["seed"].nunique().max())
    if seeds < 2:
        return []  # the table says it
    n = own.loc[own["split"] == "test", "n"].max()
    on = f"{int(n):,} test images" if pd.notna(n) else "the test images"
    values = {m: scores(table, experiment, m) for m in shown}
    means = values[shown[0]].mean() * (-1 if describe(shown[0]).higher_is_better else 1)
    ordered = sorted(methods(config, table, experiment), key=lambda m: means.get(m, math.inf))
    ordered = [m for m in ordered if any(m in v and v[m].notna().any() for v in values.values())]
    published = {m: published_of(config, experiment, m, words()["question"]["reference"]) for m in shown}
    names, looks = {m: label(config, m) for m in ordered}, {m: look(config, m) for m in ordered}
    caption = (
        f"A mark is a seed (at most {seeds}), measured on {on}; the bar is the mean with its 95 % interval (Student's "
        "t), where two seeds or more give one. An arrow and a number stand for what lies beyond the scale; a dotted "
        "line for the value published for the reference, if there is one and the scale holds it."
    )
    alt = f"{name}: {', '.join(describe(m).label for m in shown)} of {len(ordered)} methods, by seed."
    draw = partial(score_figure, values, names, looks, published)
    return [Drawing("scores", "Scores of every seed", caption, alt, draw)]


def limits(values: pd.DataFrame) -> tuple[float, float]:
    """The ends of a scale that the means of most methods share; a method that failed does not flatten the others."""
    means = values.mean().dropna()
    low, high = np.percentile(means, [25, 75])
    reach = FAR * (high - low)
    near = [m for m in means.index if low - reach <= means[m] <= high + reach or reach == 0]
    kept = values[near].to_numpy(float)
    low, high = float(np.nanmin(kept)), float(np.nanmax(kept))
    pad = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - pad, high + pad


def score_figure(
    values: dict[str, pd.DataFrame], names: dict[str, str], looks: dict[str, Look], published: dict[str, float | None]
) -> Figure:
    """Methods down, a panel for each metric, a mark for each seed, mean and interval."""
    figure, axes = canvas(2.2 + 2.6 * len(values), 0.9 + 0.22 * len(names), 1, len(values), sharey=True)
    for ax, (metric, found) in zip(axes, values.items(), strict=True):
        ax.set_xlim(*limits(found.filter(list(names))))
        for i, method in enumerate(names):
            if method in found:
                _row(ax, found[method].dropna().to_numpy(float), i, looks[method], describe(metric).digits)
        line = published.get(metric)
        if line is not None and ax.get_xlim()[0] <= line <= ax.get_xlim()[1]:
            ax.axvline(line, color="#333333", linestyle=":", linewidth=1)
        ax.set_xlabel(heading(metric).replace(" (", "\n(", 1), fontsize=8)
    axes[0].set_yticks(range(len(names)), list(names.values()))
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    return figure


def _row(ax: Axes, x: np.ndarray, y: int, own: Look, digits: int) -> None:
    """The seeds of a method in a row of a panel."""
    if not len(x):
        return
    low, high = ax.get_xlim()
    inside, mean = x[(x >= low) & (x <= high)], x.mean()
    ax.plot(inside, np.full(len(inside), y), own.marker, color=own.color, alpha=0.6, markersize=4, linestyle="none")
    if low <= mean <= high:
        if interval := mean_interval(x):
            ax.plot(np.clip(interval, low, high), [y, y], color=own.color, linewidth=2)
        ax.plot(mean, y, "|", color=own.color, markersize=11, markeredgewidth=2)
    else:
        left = mean < low
        ax.plot(low if left else high, y, "<" if left else ">", color=own.color, markersize=6, clip_on=False)
        ax.annotate(
            f"{mean:.{digits}f}", (low if left else high, y), ((7, 0) if left else (-7, 0)),
            textcoords="offset points", ha="left" if left else "right", va="center", fontsize=7, color=own.color,
        )  # fmt: skip
