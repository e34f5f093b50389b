"""The question of the suite, answered by statistics and in plain words. Its words are in config/report.yaml."""

import math
from functools import cache
from typing import NamedTuple

import pandas as pd
import yaml

from bench import SHARE
from bench.config.schema import Config
from bench.tables.formats import number
from bench.tables.metric_names import metric as describe
from bench.tables.metric_names import order
from bench.tables.statistics import Comparison, compare, holm
from bench.tables.tidy_table import experiments, scores, timed, title

WORDS = SHARE / "config/report.yaml"


@cache
def words() -> dict:
    """The words of the report, of config/report.yaml."""
    return yaml.safe_load(WORDS.read_text(encoding="utf-8"))


class Answer(NamedTuple):
    """Challenger against reference on one experiment's headline; positive differences favour the challenger."""

    experiment: str
    metric: str
    comparison: Comparison
    p_holm: float
    cost_ratio: float
    failed: dict[str, str]


def headline(cells: pd.DataFrame, experiment: str) -> str | None:
    """The first metric with a direction that any run of the experiment has."""
    own = cells[(cells["experiment"] == experiment) & (cells["seeds_finished"] > 0)]
    found = sorted((m for m in own["metric"].unique() if describe(m).higher_is_better is not None), key=order)
    return found[0] if found else None


def answers(config: Config, table: pd.DataFrame, cells: pd.DataFrame) -> list[Answer]:
    """Challenger against reference in every experiment that has both; p-values adjusted by Holm over them."""
    q = words()["question"]
    a, b, found = q["challenger"], q["reference"], []
    known = experiments(config, table)
    first = [e for e in q["experiments"] if e in known]
    for experiment in [*first, *(e for e in known if e not in first)]:
        metric = headline(cells, experiment)
        values = scores(table, experiment, metric) if metric else pd.DataFrame()
        if not {a, b} <= set(values.columns) or values[[a, b]].dropna().empty:
            continue
        comparison = compare(values[a], values[b], bool(describe(metric).higher_is_better))
        runs = table[table["experiment"] == experiment].drop_duplicates(["method", "seed"])
        failed = {m: _failed(runs[runs["method"] == m]) for m in (a, b)}
        found.append(Answer(experiment, metric, comparison, math.nan, _cost(timed(table, experiment), a, b), failed))
    adjusted = holm([x.comparison.p_t for x in found]) if found else []
    return [x._replace(p_holm=float(p)) for x, p in zip(found, adjusted, strict=True)]


def _failed(runs: pd.DataFrame) -> str:
    diverged, other = (runs["status"] == "diverged").sum(), (~runs["status"].isin(["ok", "diverged"])).sum()
    return f"{diverged} of {len(runs)}" + (f" (and {other} not finished otherwise)" if other else "")


def _cost(runs: pd.DataFrame, a: str, b: str) -> float:
    seconds = runs.pivot_table(index="seed", columns="method", values="seconds")
    both = seconds[[a, b]].dropna() if {a, b} <= set(seconds.columns) else seconds.iloc[:0]
    return float((both[a] / both[b]).median()) if len(both) else math.nan


def also(config: Config, table: pd.DataFrame, answer: Answer) -> list[str]:
    """What the same runs say by the other metrics that config/report.yaml names, a sentence for each that is there.

    Then a sentence for each of its other references, by all of these metrics.
    """
    q = words()["question"]
    pair = (q["challenger"], q["reference"])
    found = [f"{said}." for m in q["also"] for said in _gains(table, answer.experiment, [m], *pair)]
    for other in q["other_references"]:
        gains = _gains(table, answer.experiment, [answer.metric, *q["also"]], q["challenger"], other)
        if gains:
            found.append(f"Against {title(config, other, 'methods')}: {'; '.join(gains)}.")
    return found


def others(config: Config, table: pd.DataFrame, found: list[Answer]) -> list[str]:
    """How the other challengers of config/report.yaml do against the reference, a sentence for each experiment."""
    q, said = words()["question"], []
    for other, metrics in q["other_challengers"].items():
        for answer in found:
            gains = _gains(table, answer.experiment, [answer.metric, *metrics], other, q["reference"])
            if gains:
                name, where = title(config, other, "methods"), title(config, answer.experiment, "experiments")
                said.append(f"{where}: {name} against {q['reference_name']}: {'; '.join(gains)}.")
    return said


def _gains(table: pd.DataFrame, experiment: str, metrics: list[str], challenger: str, reference: str) -> list[str]:
    """By how much a challenger is better than a reference, where both have two seeds or more."""
    found = []
    for metric in metrics:
        values, m = scores(table, experiment, metric), describe(metric)
        pair = [challenger, reference]
        if not set(pair) <= set(values.columns) or len(values[pair].dropna()) < 2:
            continue
        c = compare(values[challenger], values[reference], bool(m.higher_is_better))
        low, high = (number(end, m.digits, sign=True) for end in c.interval)
        gain = f"{number(c.difference, m.digits, sign=True)} {m.unit}".rstrip()
        counted = "" if m.higher_is_better else " (a reduction counts as positive)"
        found.append(f"{m.label}: {gain}{counted}, 95 % interval {low} to {high}")
    return found


def in_plain_words(config: Config, answer: Answer) -> tuple[str, str]:
    """The verdict on the question: one sentence that says which way, one with the numbers."""
    q, c = words()["question"], answer.comparison
    a, b, m = q["challenger_name"], q["reference_name"], describe(answer.metric)
    if c.interval is None:
        ahead = "ahead" if c.difference > 0 else "behind" if c.difference < 0 else "level"
        way = f"One seed cannot answer it: {a} is {ahead}, by an unknown chance."
    elif c.interval.low > 0:
        way = f"Here the game is overkill: {a} is better than {b}."
    elif c.interval.high < 0:
        way = f"Here the game pays: {b} is better than {a}."
    else:
        more = f"; about {c.seeds:,} seeds would resolve the observed gap" if c.seeds else ""
        way = f"Undecided: {c.pairs} seeds cannot tell {a} from {b}{more}."
    interval = "no interval from one seed"
    if c.interval:
        low, high = (number(end, m.digits, sign=True) for end in c.interval)
        interval = f"95 % interval {low} to {high}"
    test = "no test" if math.isnan(c.p_t) else f"p\u00a0=\u00a0{c.p_t:.2g} (paired t-test, {c.pairs} seeds)"
    cost = "training time unknown"
    if math.isfinite(answer.cost_ratio):
        cost = f"cost ratio {answer.cost_ratio:.2f} (median of {a}'s training time over {b}'s)"
    gain = f"{number(c.difference, m.digits, sign=True)} {m.unit}".rstrip()
    counted = "" if m.higher_is_better else " (a reduction counts as positive)"
    where = title(config, answer.experiment, "experiments")
    diverged = f"diverged seeds {answer.failed[q['challenger']]} against {answer.failed[q['reference']]}"
    numbers = f"{where}, {m.label}: {a} against {b} {gain}{counted}, {interval}, {test}, {cost}, {diverged}."
    return way, numbers
