"""Figures of one quantity over another: losses by epoch, error by weight."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.config.schema import TUNING, Config
from bench.figures.style import DASHES, Drawing, LeftOut, canvas, legend, logarithmic, look
from bench.records import result_set
from bench.records.freshness import EVALUATION_SETTINGS
from bench.tables.answers import shown_methods
from bench.tables.metric_names import metric as describe
from bench.tables.published import settings
from bench.tables.tidy_table import RUN, methods, short, title

POINTS = 200  # of a learning curve
LINES = 10  # of learning curves in a panel; more cannot be told apart
LABELS = {"reconstruction": "reconstruction, ½ squared error", "classification": "cross-entropy, nats"}
OTHERWISE_EQUAL = {"weight", *EVALUATION_SETTINGS}  # in these the runs of a weight sweep may differ


def drawings(config: Config, table: pd.DataFrame, experiment: str, folder: Path) -> list[Drawing | LeftOut]:
    """The curves of an experiment."""
    name = title(config, experiment, "experiments")
    return [learning(config, table, experiment, folder, name), *weights(config, table, experiment, name)]


def histories(own: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """The training histories of the runs, one below the other with method and seed."""
    stored, frames = result_set.history(folder), []
    for _, run in own.drop_duplicates(RUN).iterrows():
        if rows := stored.get(run["run"]):
            keep = np.unique(np.linspace(0, len(rows) - 1, min(POINTS, len(rows))).astype(int))
            frames.append(pd.DataFrame([rows[i] for i in keep]).assign(method=run["method"], seed=run["seed"]))
    return pd.concat(frames) if frames else pd.DataFrame()


def learning(config: Config, table: pd.DataFrame, experiment: str, folder: Path, name: str) -> Drawing | LeftOut:
    """The losses by epoch, from the runs' histories."""
    ordered = methods(config, table, experiment)
    if len(ordered) > LINES:
        ordered = [m for m in ordered if m in shown_methods(config)][:LINES] or ordered[:LINES]
    own = table[(table["experiment"] == experiment) & table["method"].isin(ordered)]
    history = histories(own, folder)
    terms = [t for t in LABELS if t in history and history[t].notna().any()]
    if not terms or experiment == TUNING:
        return LeftOut("learning", f"{name}: no training history is there, so there are no learning curves.")
    some = "" if len(ordered) == len(methods(config, table, experiment)) else f" Shown are {len(ordered)} methods."
    return Drawing(
        "learning",
        "Learning curves",
        "Training losses by epoch, averaged over its batches: the mean over seeds and, shaded, their range. The "
        f"penalties themselves are on no common scale, and not drawn.{some}",
        f"{name}: {' and '.join(terms)} loss by epoch, a line for each method.",
        partial(learning_figure, history, terms, {m: short(config, m) for m in ordered}, config),
    )


def learning_figure(history: pd.DataFrame, terms: list[str], names: dict[str, str], config: Config) -> Figure:
    """A panel for each loss, a line for each method, a band from the lowest to the highest seed."""
    figure, axes = canvas(3.7 * len(terms) + 1.7, 3.0, 1, len(terms))
    history = history.assign(method=history["method"].map(names)).reset_index(drop=True)
    colors = {label: look(config, method).color for method, label in names.items()}
    turns = {label: list(colors.values())[:i].count(color) for i, (label, color) in enumerate(colors.items())}
    for ax, term in zip(axes, terms, strict=True):
        sns.lineplot(
            history.dropna(subset=term), x="epoch", y=term, hue="method", palette=colors, hue_order=list(colors),
            style="method", dashes={label: DASHES[turn % len(DASHES)] for label, turn in turns.items()},
            errorbar=("pi", 100), ax=ax, linewidth=1.3, err_kws={"alpha": 0.12, "linewidth": 0},
        )  # fmt: skip
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_ylabel(LABELS[term])
        logarithmic(ax.yaxis, history[term].dropna().to_numpy())
        handles = {h.get_label(): h for h in ax.get_legend().legend_handles}
        ax.get_legend().remove()
    legend(figure, handles.values(), handles.keys())
    return figure


def with_defaults(config: Config, table: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """The rows of an experiment; of the tuning, those of the defaults too, on the seeds of the trials."""
    own = table[table["experiment"] == experiment]
    if config.tuning is None or experiment != TUNING:
        return own
    default = table[(table["experiment"] == config.tuning.experiment) & table["method"].isin(config.tuning.trials)]
    return pd.concat([default[default["seed"].isin(own["seed"])], own])


def weights(config: Config, table: pd.DataFrame, experiment: str, name: str) -> list[Drawing]:
    """The figure of the methods that were run with three weights or more, where there are such."""
    own = with_defaults(config, table, experiment)
    referee = next((m for m in own["metric"].dropna().unique() if describe(m).group == "referee"), None)
    rows = []
    for (within, method), _ in own.groupby(["experiment", "method"], sort=False):
        if s := settings(config, within, method):
            rows.append({"method": method, "like": s.model_dump_json(exclude=OTHERWISE_EQUAL), "weight": s.weight})
    frame = pd.DataFrame(rows, columns=["method", "like", "weight"])
    frame = frame[frame.groupby("like")["weight"].transform("nunique") > 2]
    means = own.pivot_table(index="method", columns="metric", values="value")
    if frame.empty or referee is None or "reconstruction" not in means:
        return []
    frame = frame.join(means[["reconstruction", referee]], on="method").dropna()
    # A trial is named after the method that it tries.
    bases = {like: min(group, key=len) for like, group in frame.groupby("like")["method"]}
    return [
        Drawing(
            "weights",
            "Reconstruction against prior mismatch, by weight",
            "Each line is one method under several weights, which are written beside its marks; means over "
            "seeds, test images. Lower left is better.",
            f"{name}: reconstruction error against {describe(referee).label}, a line for each method.",
            partial(weight_figure, frame, referee, bases, config),
        )
    ]


def weight_figure(frame: pd.DataFrame, referee: str, bases: dict[str, str], config: Config) -> Figure:
    """A line for each method, a mark for each weight."""
    figure, [ax] = canvas(6.0, 3.4)
    for like, group in frame.groupby("like", sort=False):
        group, own = group.sort_values("weight"), look(config, bases[like])
        ax.plot(group[referee], group["reconstruction"], marker=own.marker, color=own.color,
                label=short(config, bases[like]))  # fmt: skip
        for _, row in group.iterrows():
            ax.annotate(f"{row['weight']:g}", (row[referee], row["reconstruction"]), fontsize=7,
                        xytext=(4, 4), textcoords="offset points")  # fmt: skip
    logarithmic(ax.xaxis, frame[referee].to_numpy())
    ax.set_xlabel(f"prior mismatch: {describe(referee).label}")
    ax.set_ylabel("reconstruction, ½ squared error an image")
    legend(figure)
    return figure
