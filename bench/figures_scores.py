"""Figures from the tidy table and the training histories: scores, learning, cost, referees, weights."""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from bench.drawing import Drawing, LeftOut, Look, canvas, digest
from bench.metrics import metric as describe
from bench.metrics import order
from bench.published import settings
from bench.runs import EVALUATION_SETTINGS
from bench.schema import TUNING, Config
from bench.statistics import mean_interval
from bench.tables import RUN, heading, methods, scores, title

SHOWN_METRICS = 3
POINTS = 200  # of a learning curve
OTHERWISE_EQUAL = {"weight", *EVALUATION_SETTINGS}  # in these the runs of a weight sweep may differ


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
    found.append(_learning(own, name, runs, ordered, names, see, spread))
    headline = metrics[0]
    if own["seconds"].notna().any():
        found.append(
            Drawing(
                "cost",
                "Cost against quality",
                f"Training time of a run against {describe(headline).label} on {on}: means over seeds "
                f"({spread}), bars one sd over seeds. The line joins the methods that no other beats in both. Times "
                "are wall clock on the machines of the provenance table, and comparable only where these are the same.",
                f"{name}: training time against {describe(headline).label}, one point a method.",
                digest("cost", numbers, headline),
                partial(cost_figure, table, experiment, headline, ordered, names, see),
            )
        )
    return [*found, _referees(own, name, ordered, names, spread), _weights(config, table, experiment, name, see)]


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


def _learning(own, name, runs, ordered, names, see, spread) -> Drawing | LeftOut:
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
    figure.legend(handles.values(), handles.keys(), loc="outside right upper", fontsize=7)
    return figure


def cost_figure(
    table: pd.DataFrame, experiment: str, metric: str, ordered: list[str], names: dict, see: dict[str, Look]
) -> Figure:
    """Seconds of training against a metric, the Pareto front as a line."""
    figure, [ax] = canvas(6.8, 3.6)
    values = scores(table, experiment, metric)
    runs = table[table["experiment"] == experiment].drop_duplicates(RUN)
    points = []
    for method in ordered:
        times = runs.loc[(runs["method"] == method) & (runs["status"] == "ok"), "seconds"].dropna()
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
    ax.set_xlabel("training time of a run (s)")
    ax.set_ylabel(heading(metric), fontsize=8)
    figure.legend(loc="outside right upper", fontsize=7)
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


def with_defaults(config: Config, table: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """The rows of an experiment; of the tuning, those of the defaults too, on the seeds of the trials."""
    own = table[table["experiment"] == experiment]
    if config.tuning is None or experiment != TUNING:
        return own
    default = table[(table["experiment"] == config.tuning.experiment) & table["method"].isin(config.tuning.trials)]
    return pd.concat([default[default["seed"].isin(own["seed"])], own])


def _weights(config, table, experiment, name, see) -> Drawing | LeftOut:
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
    figure.legend(loc="outside right upper", fontsize=7)
    return figure
