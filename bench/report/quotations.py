"""What README.md, results/README.md and docs/findings quote: sentences, numbers and tables of a result set."""

import math
import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import pandas as pd

from bench import ROOT
from bench.config.schema import Config
from bench.records import whole_files
from bench.records.freshness import Results, read
from bench.tables import answers, compare
from bench.tables.experiment_tables import summary
from bench.tables.formats import spread
from bench.tables.metric_names import metric as describe
from bench.tables.published import UNREAD, against_published, published
from bench.tables.tidy_table import RUN, read_metrics, short, title

SIGNS = {"better": " ▲", "worse": " ▼", "level": " ="}


class Known(NamedTuple):
    """A result set: its config, tidy table and picture."""

    config: Config
    table: pd.DataFrame
    picture: answers.Picture

    def verdict(self, method: str, reference: str, experiment: str, metric: str) -> answers.Verdict:
        """A method against a reference.

        Raises:
            KeyError: no such number.
        """
        measure = answers.measure(experiment, metric, reference)
        values = answers.values_of(self.config, self.table, experiment, metric)
        found = answers.verdict(measure, values, method) if reference in values else None
        if found is None:
            raise KeyError(f"{experiment} has no {metric} of {method} and {reference}")
        return found


@cache
def known(name: str) -> Known:
    """A result set of results/."""
    config = read(ROOT / f"config/{name}.yaml")
    table = read_metrics(ROOT / Results(config).folder / "metrics.csv")
    return Known(config, table, answers.picture(config, table))


def mean(of: Known, method: str, experiment: str, metric: str) -> str:
    """A method's mean ± standard deviation over seeds."""
    values = answers.values_of(of.config, of.table, experiment, metric)[method].dropna()
    deviation = values.std(ddof=1) if len(values) > 1 else None
    return spread(values.mean(), deviation, describe(metric).digits).replace("-", "−")


def said(of: Known, method: str, reference: str, experiment: str, metric: str) -> str:
    """A method against a reference, in words."""
    m, v = describe(metric), of.verdict(method, reference, experiment, metric)
    unit, name = ("points" if m.unit == "%" else m.unit), short(of.config, reference)
    gap = f"{v.difference:+.{m.digits}f} {unit}".strip().replace("-", "−")
    ends = f"{v.low:+.{m.digits}f} to {v.high:+.{m.digits}f}".replace("-", "−")
    words = {"better": "better than", "worse": "worse than", "level": "level with", "undecided": "not told apart from"}
    return f"{words[v.word]} {name} ({gap}, {ends if math.isfinite(v.low) else 'one seed'})"


def table(of: Known, methods: str, experiments: str, metrics: str) -> str:
    """Methods down, each with mean ± sd and its verdict against the first; measures across."""
    found, first = {}, methods.split(",")[0]
    several = "," in experiments
    for experiment in experiments.split(","):
        name = title(of.config, experiment, "experiments").partition(" (")[0]
        for metric in metrics.split(","):
            m = describe(metric)
            label = m.label if not several else f"{name}, {m.label}" if "," in metrics else name
            column = f"{label}{f' ({m.unit})' if m.unit else ''}"
            for method in methods.split(","):
                try:
                    sign = SIGNS.get(of.verdict(method, first, experiment, metric).word, "")
                    found.setdefault(column, {})[method] = f"{mean(of, method, experiment, metric)}{sign}"
                except KeyError:
                    continue
    if not found:
        raise KeyError(f"no number of {methods} in {experiments}")
    rows = [m for m in methods.split(",") if any(m in column for column in found.values())]
    return pipes(["", *found], [[short(of.config, m), *(c.get(m, "") for c in found.values())] for m in rows])


def differences(of: Known, costs: str = "") -> str:
    """The picture as a table: methods × measures, each against the best adversary, whose own value is bold.

    `costs` names measured steps in results/performance: the last column has a method's over a plain autoencoder's.
    """

    def cell(c: answers.Verdict | None, m: answers.Measure) -> str:
        value, ends = answers.in_cell(c, m) if c else ("", "")
        return (
            f"**{value}**" if c and c.word == "reference" else f"{value} ({ends}){SIGNS.get(c.word, '')}" if c else ""
        )

    measures = of.picture.measures
    head = ["", *(f"{m.label} ({m.unit})" for m in measures)]
    lines = [[r.short, *(cell(c, m) for c, m in zip(r.cells, measures, strict=True))] for r in of.picture.rows]
    if costs:
        timed = whole_files.read_json(ROOT / f"results/performance/{costs}.json")["rows"]
        ms = {row["method"]: row["ms"] for row in timed}
        head.append("a step, × AE")
        for line, r in zip(lines, of.picture.rows, strict=True):
            line.append(f"{ms[r.method] / ms['ae']:.2f}" if r.method in ms else "")
    return pipes(head, lines)


def pipes(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in (head, ["---"] * len(head), *rows))


def collapses(of: Known, methods: str, experiments: str, metric: str, plain: str, at: str) -> str:
    """Methods down, experiments across: seeds without a number, or one worse than the mean of `plain` in `at`."""
    sign = 1 if describe(metric).higher_is_better else -1
    bound = sign * answers.values_of(of.config, of.table, at, metric)[plain].mean()
    columns, lines = experiments.split(","), []
    for method in methods.split(","):
        lines.append([short(of.config, method)])
        for e in columns:
            own = of.table[(of.table["experiment"] == e) & (of.table["method"] == method)]
            found = sign * answers.values_of(of.config, of.table, e, metric).get(method, pd.Series(dtype=float))
            lines[-1].append(f"{own['run'].nunique() - (found >= bound).sum()} of {own['run'].nunique()}")
    return pipes(["", *(title(of.config, e, "experiments") for e in columns)], lines)


def orders(of: Known, other: str) -> str:
    """Do the methods stand in the same order in another result set, of other data?"""
    _, *head = (found := compare.orders(of.table, known(other).table)).head
    names = {e: title(of.config, e, "experiments") for e in of.config.experiments}
    lines = ([re.sub(r"-(?=\d)", "−", e.plain) for e in row] for row in found.rows)
    return pipes(["", *head], [[names.get(first, first), *rest] for first, *rest in lines])


def paper(of: Known) -> str:
    """The published numbers that have a counterpart and a source that was read, beside ours."""
    against = against_published(of.config, summary(of.config, of.table))
    lines = []
    for _, r in against[~against["verdict"].isin(["not run", "source not read"])].iterrows():
        ours = spread(r["ours"], r["sd_over_seeds"], describe(r["metric"]).digits)
        what = f"{describe(r['metric']).label}, {r['setting']}"
        lines.append([short(of.config, r["method"]), what, r["printed"], ours, r["verdict"]])
    return pipes(["System", "Measure", "Published", "Ours", "Verdict"], lines)


def printed(of: Known, system: str, setting: str) -> str:
    """A published number, by its system and the beginning of its setting."""
    rows = published()
    rows = rows[(rows["dataset"] == "mnist") & (rows["system"] == system) & (rows["provenance"] != UNREAD)]
    found = rows[rows["setting"].str.startswith(setting)].to_dict("records")
    if len(found) != 1:
        raise KeyError(f"{len(found)} published numbers of {system}, {setting}, whose source was read")
    return found[0]["printed"]


def runs(of: Known) -> str:
    """How many trainings, and their hours of one core."""
    trained = of.table["seconds"].notna()  # no baseline
    done = of.table[(of.table["status"] == "ok") & trained].drop_duplicates(RUN)
    return f"{len(done):,} trainings, {done['seconds'].sum() / 3600:.0f} hours of one core"


ASKED: dict[str, Callable[..., str]] = {
    "question": lambda of: of.picture.question,
    "answer": lambda of: of.picture.answer,
    "caveat": lambda of: of.picture.caveat,
    "rule": lambda of: of.picture.rule,
    "mean": mean,
    "said": said,
    "table": table,
    "differences": differences,
    "collapses": collapses,
    "orders": orders,
    "paper": paper,
    "printed": printed,
    "runs": runs,
}
