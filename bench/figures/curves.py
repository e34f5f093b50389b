"""Learning curves: losses by epoch, from the histories of the runs."""

from functools import partial
from pathlib import Path

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.config.schema import Config
from bench.figures.style import COLORS, DASHES, Drawing, LeftOut, canvas, label, legend, logarithmic
from bench.records import result_set
from bench.tables.answers import shown_methods
from bench.tables.tidy_table import RUN, family, methods, title

POINTS = 200  # of a learning curve
LINES = 10  # of learning curves in a panel; more cannot be told apart
LABELS = {"reconstruction": "reconstruction, ½ squared error", "classification": "cross-entropy, nats"}


def histories(own: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """The training histories of the runs, one below the other with method and seed."""
    stored, frames = result_set.history(folder), [pd.DataFrame()]
    for _, run in own.drop_duplicates(RUN).iterrows():
        rows = pd.DataFrame(stored.get(run["run"]) or [])
        thinned = rows.iloc[:: max(1, len(rows) // POINTS)]
        frames.append(thinned.assign(method=run["method"], seed=run["seed"]))
    return pd.concat(frames, ignore_index=True)


def drawings(config: Config, table: pd.DataFrame, experiment: str, folder: Path) -> list[Drawing | LeftOut]:
    """The learning curves of an experiment: the losses by epoch, from the runs' histories."""
    name = title(config, experiment, "experiments")
    ordered = every = methods(config, table, experiment)
    if len(ordered) > LINES:
        ordered = [m for m in ordered if m in shown_methods(config)][:LINES] or ordered[:LINES]
    own = table[(table["experiment"] == experiment) & table["method"].isin(ordered)]
    history = histories(own, folder)
    terms = [t for t in LABELS if t in history and history[t].notna().any()]
    trained = {m for m in every if m in config.methods}
    ordered = [m for m in ordered if m in set(history.get("method", ()))]
    if not terms:
        return [LeftOut("learning", f"{name}: no training history is there, so there are no learning curves.")]
    some = "" if len(ordered) == len(trained) else f" Shown are {len(ordered)} of {len(trained)} methods."
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
    colors = {method: COLORS[family(config, method)] for method in names}
    before = list(colors.values())
    dashes = {m: DASHES[before[:i].count(color) % len(DASHES)] for i, (m, color) in enumerate(colors.items())}
    for ax, term in zip(axes, terms, strict=True):
        sns.lineplot(
            history, x="epoch", y=term, hue="method", style="method", hue_order=names, style_order=names,
            palette=colors, dashes=dashes, errorbar=("pi", 100), err_kws={"alpha": 0.12, "linewidth": 0},
            linewidth=1.3, ax=ax,
        )  # fmt: skip
        ax.get_legend().remove()
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlabel="epoch", ylabel=LABELS[term])
        logarithmic(ax.yaxis, history[term].dropna())
    handles, _ = axes[0].get_legend_handles_labels()
    legend(figure, handles, list(names.values()))
    return figure
