"""Scores of every seed, from the tidy table."""

import math
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.config.schema import Config
from bench.figures.style import COLORS, MARKERS, Drawing, LeftOut, canvas, label
from bench.tables.answers import shown_measures
from bench.tables.experiment_tables import heading, test_images
from bench.tables.metric_names import metric as describe
from bench.tables.metric_names import order
from bench.tables.published import published_of
from bench.tables.statistics import mean_interval
from bench.tables.tidy_table import family, methods, title
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
    n = own[own["metric"].isin(shown) & (own["split"] == "test")].groupby("metric")["n"].max().dropna()
    on = test_images(n) if len(n) else "the test images"
    found = own[own["metric"].isin(shown)].assign(family=own["method"].map(lambda m: family(config, m)))
    first = describe(shown[0])
    means = found[found["metric"] == shown[0]].groupby("method")["value"].mean() * (-1 if first.higher_is_better else 1)
    ordered = [m for m in methods(config, table, experiment) if m in {*found["method"]}]
    ordered.sort(key=lambda m: means.get(m, math.inf))
    known = {m: [published_of(config, experiment, m, r) for r in words()["question"]["reference"]] for m in shown}
    published = {m: next((v for v in found if v is not None), None) for m, found in known.items()}
    caption = (
        f"A mark is a seed (at most {seeds}), measured on {on}; the bar is the mean with its 95 % interval (Student's "
        "t), where two seeds or more give one. An arrow and a number stand for a mean beyond the scale; an interval "
        "ends where the scale does. A dotted line is the adversary's published value, where the scale holds it."
    )
    alt = f"{name}: {', '.join(describe(m).label for m in shown)} of {len(ordered)} methods, by seed."
    draw = partial(score_figure, found, {m: label(config, m) for m in ordered}, published)
    return [Drawing("scores", "Scores of every seed", caption, alt, draw)]


def limits(own: pd.DataFrame) -> tuple[float, float]:
    """The ends of a scale that the means of most methods share; a method that failed does not flatten the others."""
    means = own.groupby("method")["value"].mean()
    low, high = np.percentile(means, [25, 75])
    reach = FAR * (high - low)
    near = means[means.between(low - reach, high + reach) | (reach == 0)].index
    kept = own.loc[own["method"].isin(near), "value"]
    pad = 0.05 * (kept.max() - kept.min()) or 0.05 * abs(kept.max()) or 1.0
    return kept.min() - pad, kept.max() + pad


def score_figure(found: pd.DataFrame, names: dict[str, str], published: dict[str, float | None]) -> Figure:
    """Methods down, a panel for each metric of `published`, a mark for each seed, mean and interval."""
    figure, axes = canvas(2.2 + 2.6 * len(published), 0.9 + 0.22 * len(names), 1, len(published), sharey=True)
    shared = {"x": "value", "y": "method", "hue": "family", "palette": COLORS, "legend": False}
    for ax, (metric, line) in zip(axes, published.items(), strict=True):
        own = found[found["metric"] == metric]
        means = own.groupby("method")["value"].mean()
        low, high = limits(own)
        ax.set(xlim=(low, high), ylim=(len(names) - 0.5, -0.5))
        # The points first: they make the axis that the marks stand on.
        sns.pointplot(
            own[own["method"].map(means).between(low, high)], **shared, order=list(names), errorbar=mean_interval,
            linestyle="none", marker="|", markersize=11, markeredgewidth=2, err_kws={"linewidth": 2}, ax=ax,
        )  # fmt: skip
        sns.scatterplot(own, **shared, style="family", markers=MARKERS, s=26, alpha=0.6, linewidth=0.5, ax=ax)
        for y, method in enumerate(names):
            mean = means.get(method, low)
            if not low <= mean <= high:
                _arrow(ax, low if mean < low else high, y, f"{mean:.{describe(metric).digits}f}", own, method)
        if line is not None and low <= line <= high:
            ax.axvline(line, color="#333333", linestyle=":", linewidth=1)
        ax.set(xlim=(low, high), ylim=(len(names) - 0.5, -0.5), ylabel="")
        ax.set_xlabel(heading(metric).replace(" (", "\n(", 1), fontsize=8)
    axes[0].set_yticks(range(len(names)), list(names.values()))
    return figure


def _arrow(ax: Axes, x: float, y: int, text: str, own: pd.DataFrame, method: str) -> None:
    """What lies beyond the scale, at its end `x`."""
    color, left = COLORS[own.loc[own["method"] == method, "family"].iloc[0]], x == ax.get_xlim()[0]
    ax.plot(x, y, "<" if left else ">", color=color, markersize=6, clip_on=False)
    ax.annotate(
        text, (x, y), ((7, 0) if left else (-7, 0)), textcoords="offset points", ha="left" if left else "right",
        va="center", fontsize=7, color=color,
    )  # fmt: skip
