"""What the page of a method says: its docstring, settings, numbers everywhere."""

import pandas as pd

from bench.config import plugins
from bench.config.schema import Config, Settings
from bench.report.formulas import to_html
from bench.tables.answers import headline
from bench.tables.experiment_tables import cell
from bench.tables.formats import Entry, Table, table
from bench.tables.metric_names import metric as describe
from bench.tables.tidy_table import experiments, family, methods, scores, settings, short, title


def used_by(config: Config, method: str) -> dict[str, Settings]:
    """The settings of a method by experiment."""
    found = {e: settings(config, e, method) for e in config.experiments}
    return {e: s for e, s in found.items() if s is not None}


Headlines = dict[str, tuple[str, pd.Series]]  # by experiment: its first metric, and each method's mean of it


def headlines(config: Config, rows: pd.DataFrame, cells: pd.DataFrame) -> Headlines:
    """The first metric of each experiment that has one, and the means of the methods that have a number."""
    found = {}
    for experiment in experiments(config, rows):
        if metric := headline(cells, experiment):
            means = scores(rows, experiment, metric).mean().dropna()
            found[experiment] = metric, means[[m for m in methods(config, rows, experiment) if m in means]]
    return found


def view(config: Config, cells: pd.DataFrame, known: Headlines, method: str) -> dict:
    """All that the page of a method shows; a plug-in that cannot be read costs what only it could say."""
    used = used_by(config, method)
    regularizer = next(iter(used.values())).regularizer
    defaults, said = {}, {"unreadable": "", "doc": "", "cites": []}
    try:
        own = plugins.declared("regularizers", regularizer)
        defaults, said = own.defaults, said | {"doc": to_html(own.doc), "cites": own.attributes.get("cites", ())}
    except LookupError as error:
        said["unreadable"] = str(error)
    names = {"title": title(config, method), "short": short(config, method), "family": family(config, method)}
    tables = {"settings": _settings(defaults, used, method), "numbers": _numbers(config, cells, known, method)}
    return {"regularizer": regularizer} | said | names | tables


def _settings(defaults: dict[str, object], used: dict[str, Settings], method: str) -> Table:
    given = dict.fromkeys(k for s in used.values() for k in s.hyperparameters if k not in defaults)
    found = [
        [k, _values({e: s.hyperparameters.get(k, v) for e, s in used.items()}), str(v) if k in defaults else ""]
        for k, v in {**defaults, **given}.items()
    ]
    own = {"weight λ": ("weight", 1.0), "encoder": ("encoder", "deterministic"), "schedule": ("schedule", "joint")}
    for label, (name, default) in own.items():
        found.append([label, _values({e: getattr(s, name) for e, s in used.items()}), str(default)])
    caption = "Settings; what they mean, and in which units, is said above."
    return table(f"settings-{method}", caption, ["Setting", "Value", "Default"], found)


def _values(by_experiment: dict[str, object]) -> str:
    values = [str(v) for v in by_experiment.values()]
    if len(set(values)) == 1:
        return values[0]
    return "; ".join(f"{v} ({e})" for e, v in zip(by_experiment, values, strict=True))


def _numbers(config: Config, cells: pd.DataFrame, known: Headlines, method: str) -> Table:
    """Its mean and rank on each experiment's first metric."""
    own, found = cells[cells["method"] == method], []
    for experiment, (metric, means) in known.items():
        of = own[(own["experiment"] == experiment) & (own["metric"] == metric)]
        if of.empty:
            continue
        m, c = describe(metric), of.iloc[0]
        means = means.filter(list(config.methods))
        places = means.rank(ascending=not m.higher_is_better, method="min")
        place = int(places[method]) if method in means else None
        found.append(
            [
                Entry(title(config, experiment, "experiments"), href=f"#{experiment}"),
                f"{m.label}{f' ({m.unit})' if m.unit else ''}",
                cell(c)._replace(bold=False, level=False),
                Entry(f"{place} of {len(means)}", value=place) if place else Entry("–"),
                f"{c['seeds_finished']} of {c['seeds']}",
            ]
        )
    caption = "Its mean ± sd over seeds, and its place among the methods, by each experiment's first metric."
    return table(f"numbers-{method}", caption, ["Experiment", "Measure", "Mean ± sd", "Place", "Seeds"], found)
