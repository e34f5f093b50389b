"""Tidy tables of chosen numbers, as `read_metrics` gives them, without files and trainings."""

import pandas as pd

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
