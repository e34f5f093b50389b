"""What the report says of a method: its docstring, its settings, its rank everywhere, its failures."""

import inspect
import re

import pandas as pd
from markupsafe import Markup, escape

import regularizers
from bench.config.schema import Config, Settings
from bench.tables.answers import headline
from bench.tables.experiment_tables import anchor
from bench.tables.formats import Entry, Table, spread, table
from bench.tables.metric_names import metric as describe
from bench.tables.published import settings
from bench.tables.tidy_table import RUN, failure, title

# What the docstrings' formulas use of TeX, as characters; the rest is shown as it is written.
TEX = {
    r"\\quad|\\[,; ]": " ",
    r"\\(?:mathrm|text|operatorname)\{(.+?)\}": r"\1",
    r"\\frac\{(.+?)\}\{(.+?)\}": r"(\1)/(\2)",
    r"\\frac(\w)(\w)": r"\1/\2",
    r"\\(?:left|right)\b": "",
    r"\\(exp|log|max|min)\b": r"\1",
    r"\^2": "²",
    r"\\\|": "‖",
}  # fmt: skip
LETTERS = {
    "sim": "∼", "sum": "Σ", "mid": "|", "sqrt": "√", "sigma": "σ", "mu": "μ", "theta": "θ", "pi": "π", "le": "≤",
    "infty": "∞", "int": "∫", "varphi": "φ", "phi": "φ", "cdot": "·", "lambda": "λ", "tau": "τ", "omega": "ω",
}  # fmt: skip


def docstring(text: str) -> Markup:
    """A docstring as HTML: paragraphs, its code and formulas set as code."""

    def formula(match: re.Match) -> str:
        content = match[1] or match[2]
        for pattern, replacement in TEX.items():
            content = re.sub(pattern, replacement, content)
        content = re.sub(r"\\([a-z]+)", lambda m: LETTERS.get(m[1], m[0]), content)
        return f"<code>{content}</code>"

    blocks = []
    for block in re.split(r"\n\s*\n", text.strip()):
        content = re.sub(r"\$\$(.+?)\$\$|\$(.+?)\$", formula, str(escape(" ".join(block.split()))))
        content = re.sub(r"`(.+?)`", r"<code>\1</code>", content)
        blocks.append(f"<p>{content}</p>")
    return Markup("\n".join(blocks))


def used_by(config: Config, method: str) -> dict[str, Settings]:
    """The settings of a method by experiment."""
    found = {e: settings(config, e, method) for e in config.experiments}
    return {e: s for e, s in found.items() if s is not None}


def method_section(config: Config, rows: pd.DataFrame, blocks: pd.DataFrame, cells: pd.DataFrame, method: str) -> dict:
    """What the report says of a method: what it is, its settings, its rank everywhere, its failures."""
    used = used_by(config, method)
    regularizer = regularizers.load(next(iter(used.values())).regularizer)
    return {
        "id": method,
        "title": title(config, method),
        "regularizer": next(iter(used.values())).regularizer,
        "doc": docstring(inspect.getdoc(regularizer) or ""),
        "cites": list(regularizer.cites),
        "settings": _settings(regularizer, used, method),
        "ranks": _ranks(config, blocks, cells, method),
        "failures": _failures(rows, method),
    }


def _settings(regularizer: type, used: dict[str, Settings], method: str) -> Table:
    defaults = {
        name: p.default
        for name, p in inspect.signature(regularizer).parameters.items()
        if name != "prior" and p.default is not inspect.Parameter.empty
    }
    found = [
        [k, _values({e: s.hyperparameters.get(k, v) for e, s in used.items()}), str(v)] for k, v in defaults.items()
    ]
    own = {"weight λ": ("weight", 1.0), "encoder": ("encoder", "deterministic"), "schedule": ("schedule", "joint")}
    for label, (name, default) in own.items():
        found.append([label, _values({e: getattr(s, name) for e, s in used.items()}), str(default)])
    caption = "Hyperparameters; what they mean, and in which units, is said above."
    return table(f"settings-{method}", caption, ["Setting", "Value", "Default"], found)


def _values(by_experiment: dict[str, object]) -> str:
    values = [str(v) for v in by_experiment.values()]
    if len(set(values)) == 1:
        return values[0]
    return "; ".join(f"{v} ({e})" for e, v in zip(by_experiment, values, strict=True))


def _ranks(config: Config, blocks: pd.DataFrame, cells: pd.DataFrame, method: str) -> Table:
    found = []
    for experiment in blocks.index:
        metric = headline(cells, experiment)
        own = cells[(cells["experiment"] == experiment) & (cells["metric"] == metric) & (cells["method"] == method)]
        if own.empty:
            continue
        row, m = blocks.loc[experiment].dropna(), describe(metric)
        c, where = own.iloc[0], f"#{anchor(experiment, method)}"
        place = int(row.rank(ascending=False, method="min")[method]) if method in row else None
        found.append(
            [
                Entry(title(config, experiment, "experiments"), href=f"#{experiment}"),
                m.label,
                Entry(
                    spread(c["mean"], c["sd_over_seeds"], m.digits), value=c["mean"], bold=bool(c["best"]), href=where
                ),
                Entry(f"{place} of {len(row)}", value=place) if place else Entry("–"),
                f"{c['seeds_finished']} of {c['seeds']}",
            ]
        )
    head = ["Experiment", "Metric", "Mean ± sd", "Rank", "Seeds"]
    return table(f"ranks-{method}", "Its rank by mean on each experiment's first metric.", head, found)


def _failures(rows: pd.DataFrame, method: str) -> str:
    runs = rows[rows["method"] == method].drop_duplicates(RUN)
    failed = runs[runs["status"] != "ok"]
    if failed.empty:
        return f"Failures: none of {len(runs)} runs."
    reasons = failed.assign(why=[failure(r) for _, r in failed.iterrows()]).groupby("why", sort=False).size()
    return (
        f"Failures: {len(failed)} of {len(runs)} runs. " + "; ".join(f"{n} × {why}" for why, n in reasons.items()) + "."
    )
