"""Learning curves: losses by epoch, from the histories of the runs."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.config.schema import Config
from bench.figures.style import DASHES, Drawing, LeftOut, canvas, label, legend, logarithmic, look
from bench.records import result_set
from bench.tables.answers import shown_methods
from bench.tables.tidy_table import RUN, methods, title

POINTS = 200  # of a learning curve
LINES = 10  # of learning curves in a panel; more cannot be told apart
LABELS = {"reconstruction": "reconstruction, ½ squared error", "classification": "cross-entropy, nats"}


def histories(own: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """The training histories of the runs, one below the other with method and seed."""
    stored, frames = result_set.history(folder), []
    for _, run in own.drop_duplicates(RUN).iterrows():
        if rows := stored.get(run["run"]):
            keep = np.unique(np.linspace(0, len(rows) - 1, min(POINTS, len(rows))).astype(int))
            frames.append(pd.DataFrame([rows[i] for i in keep]).assign(method=run["method"], seed=run["seed"]))
    return pd.concat(frames) if frames else pd.DataFrame()


def drawings(config: Config, table: pd.DataFrame, experiment: str, folder: Path) -> list[Drawing | LeftOut]:
    """The learning curves of an experiment: the losses by epoch, from the runs' histories."""
    name = title(config, experiment, "experiments")
    ordered = methods(config, table, experiment)
    if len(ordered) > LINES:
        ordered = [m for m in ordered if m in shown_methods(config)][:LINES] or ordered[:LINES]
    own = table[(table["experiment"] == experiment) & table["method"].isin(ordered)]
    history = histories(own, folder)
    terms = [t for t in LABELS if t in history and history[t].notna().any()]
    ordered = [m for m in ordered if m in set(history.get("method", ()))]
    if not terms:
        return [LeftOut("learning", f"{name}: no training history is there, so there are no learning curves.")]
    some = "" if len(ordered) < LINES else f" Shown are {len(ordered)} methods."
    caption = (
        "Training losses by epoch, averaged over its batches: the mean over seeds and, shaded, their range. The "
        f"penalties themselves are on no common scale, and not drawn.{some}"
    )
    alt = f"{name}: {' and '.join(terms)} loss by epoch, a line for each method."
    draw = partial(learning_figure, history, terms, {m: label(config, m) for m in ordered}, config)
    return [Drawing("learning", "Learning curves", caption, alt, draw)]


def learning_figure(history: pd.DataFrame, terms: list[str], names: dict[str, str], config: Config) -> Figure:
    """A panel for each loss, a line for each method, a band from the lowest to the highest seed."""
    figure, axes = canvas(3.7 * len(terms) + 1.7, 3.0, 1, len(terms))
    colors = [look(config, method).color for method in names]
    for ax, term in zip(axes, terms, strict=True):
        for i, (method, color) in enumerate(zip(names, colors, strict=True)):
            seeds = history[history["method"] == method].pivot_table(index="epoch", columns="seed", values=term)
            dashes = DASHES[colors[:i].count(color) % len(DASHES)] or (None, None)
            ax.plot(seeds.index, seeds.mean(axis=1), color=color, dashes=dashes, linewidth=1.3, label=names[method])
            ax.fill_between(seeds.index, seeds.min(axis=1), seeds.max(axis=1), color=color, alpha=0.12, linewidth=0)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlabel="epoch", ylabel=LABELS[term])
        logarithmic(ax.yaxis, history[term].dropna())
    legend(figure, *axes[0].get_legend_handles_labels())
    return figure
