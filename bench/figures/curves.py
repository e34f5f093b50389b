"""Figures of one quantity over another: losses by epoch, quality by cost, error by weight."""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from bench.config.schema import TUNING, Config
from bench.figures.style import Drawing, LeftOut, Look, canvas, digest, legend
from bench.records.freshness import EVALUATION_SETTINGS
from bench.tables.experiment_tables import heading
from bench.tables.metric_names import metric as describe
from bench.tables.published import settings
from bench.tables.tidy_table import RUN, scores, timed, title

POINTS = 200  # of a learning curve
OTHERWISE_EQUAL = {"weight", *EVALUATION_SETTINGS}  # in these the runs of a weight sweep may differ


def histories(own: pd.DataFrame, runs: Path) -> tuple[pd.DataFrame, bytes]:
    """The training histories of the runs, one below the other with method and seed, and their bytes."""
    frames, content = [], b""
    for _, run in own.drop_duplicates(RUN).iterrows():
        path = runs / str(run["run"]) / "history.csv"
        if isinstance(run["run"], str) and path.exists():
            content += path.read_bytes()
            frame = pd.read_csv(path)
            frame = frame.iloc[np.unique(np.linspace(0, len(frame) - 1, min(POINTS, len(frame))).astype(int))]
            frames.append(frame.assign(method=run["method"], seed=run["seed"]))
    return (pd.concat(frames) if frames else pd.DataFrame()), content


def learning(
    own: pd.DataFrame, name: str, runs: Path, ordered: list[str], names: dict, see: dict[str, Look], spread: str
) -> Drawing | LeftOut:
    """The figure of the losses by epoch, from the runs' histories."""
    history, content = histories(own, runs)
    terms = [t for t in ("reconstruction", "classification") if t in history]
    if not terms:
        return LeftOut("learning", f"{name}: no training history is there, so there are no learning curves.")
    return Drawing(
        "learning",
        "Learning curves",
        f"Training losses by epoch, averaged over its batches: the mean over seeds and, shaded, their range "
        f"({spread}). Training images; the penalties themselves are on no common scale, and not drawn.",
        f"{name}: {' and '.join(terms)} loss by epoch, a line for each method.",
        digest("learning", content, *terms),
        partial(learning_figure, history, terms, ordered, names, see),
    )


def learning_figure(
    history: pd.DataFrame, terms: list[str], ordered: list[str], names: dict, see: dict[str, Look]
) -> Figure:
    """A panel for each loss, a line for each method, a band from the lowest to the highest seed."""
    labels = {"reconstruction": "reconstruction (½ squared error)", "classification": "cross-entropy (nats)"}
    figure, axes = canvas(4.2 * len(terms) + 2.2, 3.4, 1, len(terms))
    for ax, term in zip(axes, terms, strict=True):
        for method in ordered:
            own = history[history["method"] == method] if "method" in history else history
            if own.empty or own[term].isna().all():
                continue
            by_epoch = own.groupby("epoch")[term].agg(["mean", "min", "max"])
            look = see[method]
            ax.plot(
                by_epoch.index,
                by_epoch["mean"],
                color=look.color,
                linestyle=look.dash,
                linewidth=1.3,
                label=names[method],
            )
            ax.fill_between(by_epoch.index, by_epoch["min"], by_epoch["max"], color=look.color, alpha=0.15, linewidth=0)
        ax.set_xlabel("epoch")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_ylabel(labels[term])
        _log(ax.yaxis, history[term].dropna())
    handles = {label: h for ax in axes for h, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    legend(figure, handles.values(), handles.keys())
    return figure


def cost_figure(
    table: pd.DataFrame, experiment: str, metric: str, ordered: list[str], names: dict, see: dict[str, Look]
) -> Figure:
    """Seconds of training against a metric, the Pareto front as a line."""
    figure, [ax] = canvas(6.8, 3.6)
    values = scores(table, experiment, metric)
    runs = timed(table, experiment)
    points = []
    for method in ordered:
        times = runs.loc[runs["method"] == method, "seconds"]
        x = values[method].dropna() if method in values else values.iloc[:0, 0]
        if not len(times) or not len(x):
            continue
        look = see[method]
        ax.errorbar(
            times.mean(), x.mean(), xerr=_sd(times), yerr=_sd(x), fmt=look.marker, color=look.color,
            markersize=6, elinewidth=1, label=names[method],
        )  # fmt: skip
        points.append((times.mean(), x.mean()))
    higher = describe(metric).higher_is_better
    front, best = [], -math.inf if higher else math.inf
    for x, y in sorted(points, key=lambda p: (p[0], -p[1] if higher else p[1])):
        if (y > best) if higher else (y < best):
            front.append((x, y))
            best = y
    ax.plot(*zip(*front, strict=True), color="#555555", linewidth=1, zorder=0, drawstyle="steps-post")
    _log(ax.xaxis, [x for x, _ in points])
    if not higher:  # one method that fails would press the others together
        _log(ax.yaxis, [y for _, y in points])
    ax.set_xlabel("training time of a run (s)")
    ax.set_ylabel(heading(metric), fontsize=8)
    legend(figure)
    return figure


def _log(axis: Axis, values: Sequence[float] | pd.Series) -> None:
    """A logarithmic scale with plain numbers, where the values span more than a factor of three."""
    if len(values) and min(values) > 0 and max(values) > 3 * min(values):
        (axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale)("log")
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        # Two powers of ten at least are labelled by themselves; else the marks between them must be.
        wide = max(values) > 100 * min(values)
        axis.set_minor_formatter(NullFormatter() if wide else FuncFormatter(lambda x, _: _few(x)))


def _few(x: float) -> str:
    """A label for 2, 3 and 5 times a power of ten."""
    digit = f"{x:.0e}"[0]
    return f"{x:g}" if digit in "235" else ""


def _sd(x: pd.Series) -> float:
    return float(x.std(ddof=1)) if len(x) > 1 else 0.0


def with_defaults(config: Config, table: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """The rows of an experiment; of the tuning, those of the defaults too, on the seeds of the trials."""
    own = table[table["experiment"] == experiment]
    if config.tuning is None or experiment != TUNING:
        return own
    default = table[(table["experiment"] == config.tuning.experiment) & table["method"].isin(config.tuning.trials)]
    return pd.concat([default[default["seed"].isin(own["seed"])], own])


def weights(config: Config, table: pd.DataFrame, experiment: str, name: str, see: dict[str, Look]) -> Drawing | LeftOut:
    """The figure of the methods that were run with several weights."""
    own = with_defaults(config, table, experiment)
    referee = next((m for m in own["metric"].dropna().unique() if describe(m).group == "referee"), None)
    rows = []
    for (within, method), _ in own.groupby(["experiment", "method"], sort=False):
        if s := settings(config, within, method):
            rows.append({"method": method, "family": s.model_dump_json(exclude=OTHERWISE_EQUAL), "weight": s.weight})
    frame = pd.DataFrame(rows, columns=["method", "family", "weight"])
    frame = frame[frame.groupby("family")["weight"].transform("nunique") > 2]
    if frame.empty or referee is None:
        return LeftOut("weights", f"{name}: no method was run with three weights or more, so there is no weight sweep.")
    means = own.pivot_table(index="method", columns="metric", values="value")
    if "reconstruction" not in means:
        return LeftOut("weights", f"{name}: a weight sweep needs the reconstruction error, which was not measured.")
    frame = frame.join(means[["reconstruction", referee]], on="method").dropna()
    # A trial is named after the method that it tries.
    titles = {family: title(config, min(group, key=len)) for family, group in frame.groupby("family")["method"]}
    return Drawing(
        "weights",
        "Reconstruction against prior mismatch, by weight",
        "Each line is one method under several weights, which are written beside its marks; means over "
        "seeds, test images. Lower left is better.",
        f"{name}: reconstruction error against {describe(referee).label}, a line for each method.",
        digest("weights", frame.to_csv(), str(titles)),
        partial(weight_figure, frame, referee, see, titles),
    )


def weight_figure(frame: pd.DataFrame, referee: str, see: dict[str, Look], titles: dict[str, str]) -> Figure:
    """A line for each method, a mark for each weight."""
    figure, [ax] = canvas(6.4, 3.8)
    for key, family in frame.groupby("family", sort=False):
        family = family.sort_values("weight")
        look = see[min(family["method"], key=len)]
        ax.plot(family[referee], family["reconstruction"], marker=look.marker, color=look.color,
                linestyle=look.dash, label=titles[key])  # fmt: skip
        for _, row in family.iterrows():
            ax.annotate(f"{row['weight']:g}", (row[referee], row["reconstruction"]), fontsize=7,
                        xytext=(4, 4), textcoords="offset points")  # fmt: skip
    _log(ax.xaxis, frame[referee])
    ax.set_xlabel(f"prior mismatch: {describe(referee).label}")
    ax.set_ylabel("reconstruction, ½ squared error per image")
    legend(figure)
    return figure
