"""Tidy tables of chosen numbers, as `read_metrics` gives them, and result sets of them, without trainings."""

import pandas as pd

from bench.records import packing
from bench.tables.tidy_table import RUN

FACTS = {
    "status": "ok", "reason": None, "epoch": 4, "version": "0-0", "data": "0", "backend": "dense", "versions": "",
    "current": True, "commit": "c0ffee", "dirty": False, "device": "cpu", "machine": "A machine", "threads": 1,
    "seconds": 10.0, "peak_memory_mb": 300.0, "standard_error": 0.1, "n": 10000.0, "split": "test",
}  # fmt: skip


def tidy(scores, **facts):
    """`scores[experiment, method, metric]` are the values of seeds 0, 1, …; None for a seed that diverged."""
    found = []
    for (experiment, method, metric), values in scores.items():
        for seed, value in enumerate(values):
            run = {"experiment": experiment, "method": method, "seed": seed, "run": f"{experiment}/{method}/seed{seed}"}
            failed = {"status": "diverged", "reason": "a loss is not finite", "metric": None, "value": float("nan")}
            measured = failed if value is None else {"metric": metric, "value": float(value)}
            found.append(run | FACTS | facts | measured)
    return pd.DataFrame(found)


def write(table, folder):
    """The result set of a tidy table; returns the path of its metrics.csv."""
    lines = []
    for (experiment, method, seed), rows in table.groupby(RUN, sort=False):
        first = rows.iloc[0]
        of = {"experiment": experiment, "method": method, "seed": int(seed), "settings": {}}
        record = {"id": first["run"], "run": of, "version": first["version"], "status": first["status"]}
        record |= {"hashes": {}, "facts": {}, "versions": {}}
        record |= {k: first[k] for k in ("commit", "device", "machine")} | {"seconds": float(first["seconds"])}
        measured = rows.dropna(subset="metric").fillna({"n": 1}).to_dict("records")
        metrics = {"status": first["status"], "reason": first["reason"] if first["status"] != "ok" else None}
        metrics |= {"model": None, "versions": {}, "failed": {}}
        metrics["rows"] = [{"protocol": "p"} | row | {"n": int(row["n"])} for row in measured]
        lines.append({"id": first["run"], "record": record, "metrics": metrics, "current": True})
    with packing.packing(folder):
        packing.replace(folder, packing.packed(lines, {}, {}, "tiny"))
    return folder / "metrics.csv"
