"""The question that config/report.yaml asks, answered by one rule: methods × measures, each against a reference."""

import math
from textwrap import fill
from typing import NamedTuple

import pandas as pd
from tabulate import tabulate

from bench.config.schema import TUNING, Config
from bench.tables.costs import step_cost
from bench.tables.formats import number
from bench.tables.metric_names import metric as describe
from bench.tables.metric_names import order
from bench.tables.statistics import RULE, compare, holm, word
from bench.tables.tidy_table import FAMILIES, RUN, family, older, scores, short
from bench.tables.words import several, words


class Measure(NamedTuple):
    """A column of the picture: `margin` is the smallest difference that matters; the answer rests on what `counts`."""

    experiment: str
    metric: str
    label: str
    unit: str
    higher_is_better: bool
    note: str
    margin: float | None
    counts: bool
    reference: str


class Verdict(NamedTuple):
    """A cell: the paired difference to the reference, positive where the method is better, in the measure's unit.

    The ends of its 95 % interval are NaN where the pairs have no spread. `word` is "better", "worse", "level",
    "undecided" or "reference"; `mean` the method's own; `seeds` the number of pairs; `p` the paired t-test's, adjusted
    by Holm over all cells; `seeds_needed` what would decide it.
    """

    difference: float
    low: float
    high: float
    word: str
    mean: float
    seeds: int
    p: float = math.nan
    seeds_needed: int | None = None


class Row(NamedTuple):
    """A method and its cells, one for each measure; None where it has no number."""

    method: str
    short: str
    family: str
    cells: list[Verdict | None]


class Picture(NamedTuple):
    """Question, answer and caveat in a sentence each, the rule of every verdict, and methods × measures."""

    question: str
    answer: str
    caveat: str
    rule: str
    reference: str
    measures: list[Measure]
    rows: list[Row]


def headline(cells: pd.DataFrame, experiment: str) -> str | None:
    """The first metric with a direction that any run of the experiment has."""
    own = cells[(cells["experiment"] == experiment) & (cells["seeds_finished"] > 0)]
    found = sorted((m for m in own["metric"].unique() if describe(m).higher_is_better is not None), key=order)
    return found[0] if found else None


def values_of(config: Config, table: pd.DataFrame, experiment: str, metric: str) -> pd.DataFrame:
    """A metric's values, a row for each seed and a column for each method; of "step_cost", the ratios of costs."""
    return step_cost(config, table, experiment) if metric == "step_cost" else scores(table, experiment, metric)


def shown_measures(experiment: str) -> list[str]:
    """The metrics of an experiment that the picture has, in its order."""
    return [m["metric"] for m in words()["question"]["measures"] if m["experiment"] == experiment]


def shown_methods(config: Config) -> list[str]:
    """The rows of the picture: the config's methods but those that config/report.yaml leaves out, and its controls."""
    q = words()["question"]
    used = {m for e, content in config.experiments.items() if e != TUNING for m in content["methods"]}
    found = [m for m in config.methods if m in used and m not in q["left_out"]] + q["controls"]
    return sorted(found, key=lambda m: FAMILIES.index(family(config, m)))


def references(found: list[str], values: pd.DataFrame, higher_is_better: bool) -> str | None:
    """The reference of a measure: of those that config/report.yaml names the one with the best mean."""
    known = values.filter(found).dropna(axis="columns", how="all").mean()
    return None if known.empty else str(known.idxmax() if higher_is_better else known.idxmin())


def picture(config: Config, table: pd.DataFrame) -> Picture:
    """What the first screen shows and says of a result set."""
    q, measures, columns, shown = words()["question"], [], [], shown_methods(config)
    for m in q["measures"]:
        known, values = describe(m["metric"]), values_of(config, table, m["experiment"], m["metric"])
        reference = references(q["reference"], values, bool(known.higher_is_better))
        if reference is None or not {*shown} - {reference} & {*values}:
            continue
        named = measure(m["experiment"], m["metric"], reference)
        named = named._replace(label=m["label"], note=m.get("note", ""), counts=m.get("counts", True))
        measures.append(named)
        columns.append([verdict(named, values, method) for method in shown])
    cells = [c for column in columns for c in column if c]
    adjusted = iter(holm([c.p for c in cells])) if cells else iter(())
    columns = [[c and c._replace(p=float(next(adjusted))) for c in column] for column in columns]
    named = ((m, short(config, m), family(config, m)) for m in shown)
    rows = [Row(*names, list(found)) for names, *found in zip(named, *columns, strict=True) if any(found)]
    used = {m.reference for m in measures}
    name = short(config, used.pop()) if len(used) == 1 else q["references_name"]
    said = answer(challenged(rows, measures), name), caveat(config, table, rows, measures)
    return Picture(q["title"], *said, rule(measures), name, measures, rows)


def measure(experiment: str, metric: str, reference: str) -> Measure:
    """A metric of an experiment, held against a method."""
    m = describe(metric)
    return Measure(experiment, metric, m.label, m.unit, bool(m.higher_is_better), "", m.margin, True, reference)


def verdict(m: Measure, values: pd.DataFrame, method: str) -> Verdict | None:
    """The cell of a method; None where it has no number."""
    if method not in values or values[method].dropna().empty:
        return None
    own = values[method].dropna()
    if method == m.reference:
        return Verdict(0.0, math.nan, math.nan, "reference", float(own.mean()), len(own))
    if not {*own.index} & {*values[m.reference].dropna().index}:
        return Verdict(math.nan, math.nan, math.nan, "undecided", float(own.mean()), 0)
    c = compare(values[method], values[m.reference], m.higher_is_better)
    said = word(c, m.margin)
    return Verdict(c.difference, c.low, c.high, said, float(own.mean()), c.pairs, c.p, c.seeds)


def challenged(rows: list[Row], measures: list[Measure]) -> list[tuple[Measure, Row, Verdict]]:
    """What the answer rests on: of each measure that counts, the cell of the first challenger that has one."""
    by_method = {row.method: row for row in rows}
    known = [by_method[m] for m in words()["question"]["challenger"] if m in by_method]
    found = (next(((m, row, c) for row in known if (c := row.cells[i])), None) for i, m in enumerate(measures))
    return [x for x in found if x and x[0].counts]


def answer(held: list[tuple[Measure, Row, Verdict]], reference: str) -> str:
    """The answer in a sentence: what the challenger is better and worse at, and what is left open."""
    if not held:
        return "Not answered yet: no measure that counts has numbers of both sides."
    said, names = {}, [row.short for _, row, _ in held]
    name = max(names, key=names.count)
    for m, row, cell in held:
        said.setdefault(cell.word, []).append(m.label if row.short == name else f"{m.label} ({row.short})")
    better, worse, level, undecided = (several(said.get(w, [])) for w in ("better", "worse", "level", "undecided"))
    ahead, behind = f"{name} is better than {reference} on {better}", f"{reference} is better than {name} on {worse}"
    if better and worse:
        return f"It depends on the task: {ahead}, and worse on {worse}."
    found = ahead if better else behind if worse else f"{name} and {reference} are level on {level}" if level else ""
    if not found:
        return f"Undecided: no measure that counts tells {name} from {reference}."
    if undecided:
        return f"Partly decided: {found}, and undecided on {undecided}."
    sure = f"{'Yes' if better else 'No'}: {found}, and worse on nothing that counts."
    return sure if better or worse else f"It adds nothing: {found}."


def caveat(config: Config, table: pd.DataFrame, rows: list[Row], measures: list[Measure]) -> str:
    """What the answer is worth, in a sentence: of the measures that count."""
    pairs = [pair for row in rows for pair in zip(measures, row.cells, strict=True)]
    parts = [words()["presets"].get(config.preset, "")]
    if cells := [c for m, c in pairs if m.counts and c and c.word != "reference"]:
        decided, seeds = [c for c in cells if c.word in ("better", "worse")], sorted(c.seeds for c in cells)
        kept, level = [c for c in decided if c.p < 0.05], sum(c.word == "level" for c in cells)
        held = [c for *_, c in challenged(rows, measures) if c in decided]
        none = ", none that the answer names" if kept and held and not any(c in kept for c in held) else ""
        parts.append(
            f"with {' to '.join(dict.fromkeys((str(seeds[0]), str(seeds[-1]))))} seeds {len(decided)} of {len(cells)} "
            f"differences are decided ({len(kept)} after Holm's adjustment{none}) and {level} level"
        )
    if old := older(table):
        of = "every number comes" if old == (n := len(table.drop_duplicates(RUN))) else f"{old} of {n} runs come"
        parts.append(f"{of} from an earlier version of the code")
    said = "; ".join(part for part in parts if part)
    statuses = table.drop_duplicates(RUN)["status"]
    done, failed = (statuses == "ok").sum(), (~statuses.isin(("ok", "missing"))).sum()
    ended = f"{done} of {len(statuses)} runs have finished" if done else "No run has finished yet"
    return f"{said}." if said else f"{ended}{f'; {failed} failed' if failed else ''}."


def rule(measures: list[Measure]) -> str:
    """The rule behind every verdict, with the smallest differences that matter."""
    small = dict.fromkeys(f"{m.margin:g} {m.unit}" for m in measures if m.margin)
    return f"{RULE} The smallest that matter: {several(list(small))}." if small else RULE


def in_cell(c: Verdict, m: Measure) -> tuple[str, str]:
    """What a cell says, in words for every medium: the difference and its interval; the reference's own value."""
    digits = describe(m.metric).digits
    large = max(abs(x) for x in (c.difference, c.low, c.high) if not math.isnan(x)) >= 10 if c.seeds else False

    def said(x: float) -> str:
        d = 0 if large else max(digits - 1, 0)
        return f"{round(x, d) + 0.0:+.{d}f}".replace("-", "−")  # no -0.0

    if c.word == "reference":
        return number(c.mean, digits), ""
    return said(c.difference), f"{said(c.low)} to {said(c.high)}" if math.isfinite(c.low) else ""


WIDTH = 100  # of the terminal
MARKS = {"better": "+", "worse": "-", "level": "=", "undecided": "?"}


def text(found: Picture) -> str:
    """The picture for a terminal: four measures, those that count first."""
    chosen = sorted(sorted(range(len(found.measures)), key=lambda i: not found.measures[i].counts)[:4])
    rows = [row for row in found.rows if any(row.cells[i] for i in chosen)]

    def cell(c: Verdict | None, m: Measure) -> str:
        if c is None:
            return ""
        value, ends = in_cell(c, m)
        if c.word == "reference":
            return f"({value})"
        ends = f" [{ends.replace(' to ', ', ')}]" if ends else ""
        return f"{value}{ends} {MARKS[c.word]}".replace("−", "-")

    body = [[row.short[:18], *(cell(row.cells[i], found.measures[i]) for i in chosen)] for row in rows]
    head = ["", *(found.measures[i].label for i in chosen)]
    align = ("left", *["right"] * len(chosen))
    legend = (
        f"Difference to {found.reference} (in brackets its own value), 95 % interval; positive is better: "
        f"+ better, - worse, = level, ? undecided."
    )
    said = "\n".join(fill(sentence, WIDTH) for sentence in (found.question, found.answer, found.caveat))
    drawn = tabulate(body, head, "plain", colalign=align, disable_numparse=True) if body else ""
    return "\n\n".join([said, drawn, fill(legend, WIDTH)])
