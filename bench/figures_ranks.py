"""The critical-difference diagram: mean ranks over experiments, joined where no test tells them apart."""

from functools import partial
from textwrap import fill

import pandas as pd
from matplotlib.figure import Figure

from bench.drawing import Drawing, LeftOut, Look, canvas, digest, looks
from bench.schema import Config
from bench.statistics import Ranking, rank
from bench.tidy import title


def drawing(config: Config, blocks: pd.DataFrame) -> Drawing | LeftOut:
    """The diagram of `bench.sections.headlines`, or why there is none (Demšar, 2006, sec. 3.2.2)."""
    everywhere = blocks.dropna(axis=1)
    ranking = rank(everywhere)
    if ranking.refusal:
        return LeftOut("ranks", f"No critical-difference diagram: {ranking.refusal}.")
    names = {m: fill(title(config, m), 30) for m in everywhere}
    return Drawing(
        "ranks",
        "Critical-difference diagram",
        f"Mean ranks over {len(everywhere)} experiments, 1 the best, by the mean over seeds of each one's first "
        "metric. A bar joins methods that Nemenyi's test does not tell apart at 5 %: they differ if their ranks do by "
        f"{ranking.critical_difference:.2f} or more.",
        f"Mean ranks of {', '.join(names.values())} over {len(everywhere)} experiments.",
        digest("ranks", everywhere.to_csv(), str(names)),
        partial(diagram, ranking, names, looks(config, blocks.melt(var_name="method"))),
    )


def diagram(ranking: Ranking, names: dict[str, str], see: dict[str, Look]) -> Figure:
    """Methods on an axis of ranks, bars under those that are level."""
    from scikit_posthocs import critical_difference_diagram

    figure, [ax] = canvas(7.0, 1.2 + 0.3 * len(names))
    critical_difference_diagram(
        ranking.ranks.rename(names), ranking.pairwise.rename(index=names, columns=names), ax=ax,
        color_palette={name: see[m].color for m, name in names.items()},
        label_fmt_left="{label} ({rank:.2f})", label_fmt_right="({rank:.2f}) {label}",
    )  # fmt: skip
    return figure
