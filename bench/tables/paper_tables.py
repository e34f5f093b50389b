"""The paper's tables: published systems and ours side by side."""

import re
from fnmatch import fnmatchcase

import pandas as pd

from bench.config.registry import name_of
from bench.config.schema import Config
from bench.tables.experiment_tables import cell
from bench.tables.formats import Entry, Table
from bench.tables.metric_names import initial
from bench.tables.published import UNREAD, published
from bench.tables.tidy_table import FAMILIES, family, settings, short
from bench.tables.words import words


def paper_tables(config: Config, cells: pd.DataFrame, against: pd.DataFrame) -> list[Table]:
    """The paper's Tables 1 to 3: published systems and ours, the same system in one row, with its verdicts."""
    return [_paper_table(config, cells, against, name) for name in words()["paper"]]


def _paper_table(config: Config, cells: pd.DataFrame, against: pd.DataFrame, name: str) -> Table:
    shown, rows = words()["paper"][name], published()
    mine = rows[rows["table"].isin(shown["tables"]) & (rows["provenance"] != UNREAD)]
    of_ours = mine[mine["dataset"].isin(used(config))]
    mine = mine if of_ours.empty else of_ours  # other data sets are shown where there is nothing to compare
    columns = list(dict.fromkeys(zip(mine["dataset"], mine["setting"], strict=True)))
    of_it = cells["experiment"].map(lambda e: fnmatchcase(e, shown["experiments"]))
    own = cells[cells["metric"].isin(shown["metrics"]) & of_it]
    ours = [key for key, group in own.groupby(["experiment", "metric"], sort=False) if group["seeds_finished"].any()]
    caption = (
        f"Makhzani et al. (2015), {shown['what']}. Published ± as printed; ours: mean ± sd over seeds, whose number "
        f"is in brackets{'' if ours else '; none yet'}."
    )
    # Ours beside the published column of the same data and setting; what this result set does not have follows.
    of = {(r["experiment"], r["metric"]): (r["dataset"], r["setting"]) for _, r in against.iterrows()}
    beside = [(key, column if (column := of.get(key)) in columns else None) for key in ours]
    beside += [(None, column) for column in columns if column not in {c for _, c in beside}]
    heads = []
    for key, column in beside:
        heads += [f"{_column(config, *key)}: ours"] if key else []
        heads += [f"{dataset(column[0])}, {_setting(column[1])}: published"] if column else []
    table = Table(name, caption, ["System", *heads, "Verdict"])
    run = own.loc[own["seeds_finished"] > 0, "method"].drop_duplicates()
    run = sorted(run, key=lambda m: (m not in config.methods, FAMILIES.index(family(config, m))))
    named = {m: short(config, m) + ("" if m in config.methods else " (control)") for m in run}
    printed: dict[str, pd.DataFrame] = {}
    for system, group in mine.groupby("system", sort=False):
        method = next((m for m in group["method"] if m), system)
        printed[method], named[method] = group, system
    # Ours come first, so that a narrow screen shows them; the other systems follow in the paper's order.
    for method in dict.fromkeys([*run, *printed]):
        group = printed.get(method, mine[:0])
        values = {(r["dataset"], r["setting"]): r for _, r in group.iterrows()}
        row = [Entry(named[method])]
        for key, column in beside:
            row += [_ours(table, own, key[0], method, key[1])] if key else []
            row += [_published(table, values.get(column))] if column else []
        said = against[(against["system"] == named[method]) & against["table"].isin(group["table"])]["verdict"]
        table.rows.append([*row, Entry(_word(list(said)))])
    return table


def _word(verdicts: list[str]) -> str:
    ran = [v for v in dict.fromkeys(verdicts) if v not in ("not run", "source not read")]
    return " / ".join(ran) or ("not run" if verdicts else "")


def used(config: Config) -> list[str]:
    """The data sets of a config, without their options."""
    found = (settings(config, e, m) for e, content in config.experiments.items() for m in content["methods"])
    return list(dict.fromkeys(name_of(s.dataset) for s in found if s))


def dataset(name: str) -> str:
    """A data set's name, as papers write it."""
    known = {"mnist": "MNIST", "svhn": "SVHN", "tfd": "TFD", "fashion_mnist": "Fashion-MNIST"}
    return known.get(name) or initial(name.replace("_", " "))


def _setting(text: str) -> str:
    """A setting of published.csv as ours are written: 10,000 for 10K, 1,000 for 1000."""
    return re.sub(r"\b(\d)(\d{3})\b", r"\1,\2", text.replace("0K", "0,000").replace("0M", "0,000,000"))


def _column(config: Config, experiment: str, metric: str) -> str:
    s = settings(config, experiment, next(iter(config.experiments.get(experiment, {}).get("methods", [])), ""))
    if s is None:
        return experiment
    parts = [dataset(name_of(s.dataset))]
    if s.labels:
        parts.append(f"{s.labels} labels" if s.labels == "all" else f"{s.labels:,} labels")
    if "clustering" in metric:
        parts += [f"{latent.dim} clusters" for latent in s.latents.values() if latent.head == "categorical"]
    if "likelihood" in metric:
        count = int(metric.rpartition("_")[2]) if metric[-1].isdigit() else s.parzen_samples[0]
        parts.append(f"{count:,} samples")
    if s.architecture != "mlp":
        parts.append(s.architecture)
    return ", ".join(parts)


def _published(table: Table, row: pd.Series | None) -> Entry:
    if row is None:
        return Entry("")
    mark = "" if row["provenance"] == "primary" else table.note(f"as quoted by: {row['source']}")
    return Entry(row["printed"], value=float(row["value"]), mark=mark)


def _ours(table: Table, own: pd.DataFrame, experiment: str, method: str, metric: str) -> Entry:
    found = own[(own["experiment"] == experiment) & (own["method"] == method) & (own["metric"] == metric)]
    if found.empty:
        return Entry("")
    c = found.iloc[0]
    return cell(c, table, f"{c['seeds_finished']}" + (f" of {c['seeds']}" if c["seeds"] > c["seeds_finished"] else ""))
