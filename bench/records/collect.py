"""Gather what every run has left in the few files that git keeps.

A run's folder comes before what was packed of it earlier. Nothing is dropped in silence: a run that failed has its
line with the reason, and a number of older code is marked as such.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress

import numpy as np

from bench.config.runs import Run
from bench.records import packing, result_set, whole_files
from bench.records.freshness import TIMING, Results, of_record
from bench.records.result_set import Damaged

CODES = 2000  # of a latent that figures show, evenly spaced over the test images
IMAGES = 200  # of a kind
UNMEASURED = {"model": None, "status": "missing", "reason": "not measured", "versions": {}, "failed": {}, "rows": []}


def line(results: Results, run: Run) -> dict | None:
    """The line of a run, with its measurements; None if it has never run."""
    record, metrics = results.record(run), results.metrics(run)
    if record is None:
        return None
    if not of_record(record, metrics):
        metrics = UNMEASURED | {"model": (record.get("hashes") or {}).get("model")}
    current, lacking = results.trained(run), results.lacking(run)
    rows = [row | {"current": current and row["protocol"] not in lacking} for row in metrics["rows"]]
    timing = whole_files.read_json(results.path(run, TIMING))
    if timing and timing["machine"] == record.get("machine"):
        metrics = metrics | {"seconds": timing["seconds"]}
    return {"id": run.id, "record": record, "metrics": metrics | {"rows": rows}, "current": current}


def baselines(results: Results) -> Iterable[dict]:
    """The lines of what needs no training, one for each of them, experiment and seed."""
    content, wanted = results.baselines(), results.baseline_versions()
    found: dict[str, dict] = {}
    for row in map(dict, content["rows"]):
        of = {name: row.pop(name) for name in ("experiment", "method", "seed")}
        cell, name = f"{of['experiment']} {of['seed']}", f"{of['experiment']}/{of['method']}/seed{of['seed']}"
        version = content["cells"][cell]
        now = version == wanted.get(cell)
        if name not in found:
            metrics = UNMEASURED | {"status": "ok", "reason": None, "rows": []}
            found[name] = {"id": name, "baseline": of | {"version": version}, "metrics": metrics, "current": now}
        found[name]["metrics"]["rows"].append(row | {"protocol": "baseline", "current": now})
    return found.values()


def shown(stored: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What figures show of a run's stored codes and pictures."""
    found = {}
    for name, array in stored.items():
        if name.startswith("validation_"):
            continue
        if array.dtype == np.uint8 and array.ndim > 1:
            found[name] = array[:IMAGES] if name == "samples" else array
        elif name.startswith("test_") or name == "representation":
            chosen = array[np.linspace(0, len(array) - 1, min(CODES, len(array))).astype(int)]
            found[name] = chosen if array.dtype == np.uint8 else half(chosen)
        else:
            found[name] = half(array)
    return found


def half(array: np.ndarray) -> np.ndarray:
    """In float16, whose largest numbers stand for larger ones."""
    end = np.finfo(np.float16).max
    return np.clip(array, -end, end).astype(np.float16)


def files(results: Results) -> dict[str, bytes]:
    """The files of the set, as the runs say it now."""
    lines = [found for run in results.runs if (found := line(results, run))]
    old_history = result_set.history(results.folder)
    histories, arrays, seen = {}, {}, set()
    for run in results.runs:
        record = results.record(run)
        own = old_history.get(run.id)
        with suppress(Damaged):
            own = result_set.history(results.path(run)).get("") or own
        if record and own:
            histories[run.id] = own
        if record and record["status"] == "ok" and run.cell not in seen:
            seen.add(run.cell)
            stored = {}
            with suppress(Damaged):  # it is made again from the model
                stored = shown(result_set.arrays(results.path(run), name="codes.npz"))
            stored = stored or result_set.arrays(results.folder, run.id)
            arrays |= {f"{run.id}/{name}": array for name, array in stored.items()}
    return packing.packed([*lines, *baselines(results)], histories, arrays, results.config.name)


def collect(results: Results) -> None:
    """Write the files of the set.

    Raises:
        LockHeld: another process is at it. OSError: the folder cannot be written. Damaged: what is there is not whole.
    """
    with packing.packing(results.folder):
        packing.replace(results.folder, files(results))
    results.__dict__.pop("packed", None)
