"""Figures of scores from the tidy table: by seed, and by referee."""

from functools import partial
from pathlib import Path
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.config.schema import Config
from bench.figures.curves import cost_figure, learning, weights
from bench.figures.style import Drawing, LeftOut, Look, canvas, digest
from bench.tables.experiment_tables import heading
from bench.tables.metric_names import metric as describe
from bench.tables.metric_names import order
from bench.tables.statistics import mean_interval
from bench.tables.tidy_table import elsewhere, methods, scores, title

SHOWN_METRICS = 3


def drawings(
    config: Config, table: pd.DataFrame, experiment: str, runs: Path, see: dict[str, Look]
) -> list[Drawing | LeftOut]:
    """The figures of an experiment that need no codes."""
    own = table[table["experiment"] == experiment]
    name = title(config, experiment, "experiments")
    ordered = methods(config, table, experiment)
    names = {m: fill(title(config, m), 28) for m in ordered}
    metrics = [m for m in sorted(own["metric"].dropna().unique(), key=order) if _directed(m)]
    if not metrics:
        return [LeftOut("scores", f"{name}: no run has a number yet, so there is nothing to draw.")]
    numbers = own[["method", "seed", "metric", "value", "seconds"]].to_csv()
    seeds = int(own.dropna(subset="metric").groupby("method")["seed"].nunique().max())
    spread = f"{seeds} seeds" if seeds > 1 else "one seed, no spread"
    n = own.loc[own["split"] == "test", "n"].max()
    on = f"{int(n):,} test images" if pd.notna(n) else "the test images"
    shown = metrics[:SHOWN_METRICS]
    found: list[Drawing | LeftOut] = [
        Drawing(
            "scores",
            "Scores of every seed",
            f"Each small mark is a seed ({spread}), measured on {on}; the bar is the mean with its 95 % "
            "interval (Student's t), where two seeds or more give one.",
            f"{name}: {', '.join(describe(m).label for m in shown)} of {len(ordered)} methods, by seed.",
            digest("scores", numbers, *shown),
            partial(score_figure, table, experiment, shown, ordered, names, see),
        )
    ]
    found.append(learning(own, name, runs, ordered, names, see, spread))
    headline = metrics[0]
    if own["seconds"].notna().any():
        found.append(
            Drawing(
                "cost",
                "Cost against quality",
                f"Training time of a run against {describe(headline).label} on {on}: means over seeds "
                f"({spread}), bars one sd over seeds. The line joins the methods that no other beats in both. Times "
                "are wall clock, of runs on one machine." + elsewhere(table, experiment),
                f"{name}: training time against {describe(headline).label}, one point a method.",
                digest("cost", numbers, headline),
                partial(cost_figure, table, experiment, headline, ordered, names, see),
            )
        )
    return [*found, _referees(own, name, ordered, names, spread), weights(config, table, experiment, name, see)]


def _directed(metric: str) -> bool:
    return describe(metric).higher_is_better is not None


def score_figure(
    table: pd.DataFrame, experiment: str, metrics: list[str], ordered: list[str], names: dict, see: dict[str, Look]
) -> Figure:
    """Methods down, a panel for each metric, a mark for each seed, mean and interval."""
    figure, axes = canvas(3.2 + 2.3 * len(metrics), 1.2 + 0.28 * len(ordered), 1, len(metrics), sharey=True)
    for ax, metric in zip(axes, metrics, strict=True):
        values = scores(table, experiment, metric)
        for i, method in enumerate(ordered):
            if method not in values:
                continue
            x, look = values[method].dropna().to_numpy(float), see[method]
            ax.plot(x, np.full(len(x), i), look.marker, color=look.color, alpha=0.6, markersize=4, linestyle="none")
            interval = mean_interval(x)
            if interval:
                ax.plot(interval, [i, i], color=look.color, linewidth=2)
            if len(x):
                ax.plot(x.mean(), i, "|", color=look.color, markersize=13, markeredgewidth=2)
        ax.set_xlabel(heading(metric).replace(" (", "\n("), fontsize=8)
    axes[0].set_yticks(range(len(ordered)), [names[m] for m in ordered])
    axes[0].set_ylim(len(ordered) - 0.5, -0.5)
    return figure


def _referees(own, name, ordered, names, spread) -> Drawing | LeftOut:
    groups = own["metric"].map(lambda m: describe(str(m)).group)
    matrix = own[groups == "referee"].pivot_table(index="method", columns="metric", values="value", sort=False)
    if matrix.empty:
        return LeftOut("referees", f"{name}: no referee has judged the codes, so there is no referee matrix.")
    matrix = matrix.reindex([m for m in ordered if m in matrix.index])
    floors = own[groups == "floor"].groupby("metric")["value"].mean()
    floor = pd.Series({m: floors.get(f"{m}_floor", 0.0) for m in matrix.columns})
    return Drawing(
        "referees",
        "Referee matrix",
        f"Each column is a statistic that compares the test codes with the prior (mean over seeds, {spread}); the last "
        "row is its value for prior samples in their place. The colour is a method's rank by the distance to that "
        "value, dark for near. A regularizer that wins only under its own discrepancy has learnt its referee, "
        "not the prior.",
        f"{name}: {len(matrix)} methods judged by {matrix.shape[1]} statistics.",
        digest("referees", matrix.to_csv(), floor.to_csv()),
        partial(referee_figure, matrix, floor, names),
    )


def referee_figure(matrix: pd.DataFrame, floor: pd.Series, names: dict) -> Figure:
    """Methods down, referees across, values written on the colour of their rank; the floor in the last row."""
    figure, [ax] = canvas(2.6 + 0.75 * matrix.shape[1], 2.0 + 0.3 * len(matrix))
    ranks = (matrix - floor).abs().rank(axis=0)
    ranks.loc["floor"] = float("nan")
    values = pd.concat([matrix, floor.rename("floor").to_frame().T])
    ax.imshow(ranks.to_numpy(float), cmap="cividis", aspect="auto")
    ax.grid(False)
    for (i, j), value in np.ndenumerate(values.to_numpy(float)):
        if np.isfinite(value):
            dark = ranks.iloc[i, j] <= (len(matrix) + 1) / 2
            ax.text(j, i, f"{value:.2g}", ha="center", va="center", fontsize=7, color="white" if dark else "black")
    labels = [describe(m).label for m in matrix.columns]
    ax.set_xticks(range(len(labels)), labels, rotation=40, ha="right")
    ax.set_yticks(range(len(values)), [*(names[m] for m in matrix.index), "Prior samples"])
    return figure
