"""Measure trained runs.

Each run ends in `metrics.json`, whose rows say by which protocol they were measured, and in `codes.npz`: its codes
and pictures, for figures and for metrics that are thought of later.
"""

import io
import time
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import torch

from bench.config.runs import Run
from bench.data import datasets
from bench.data.verified_files import DataError
from bench.evaluate.decoded_grids import as_bytes, pictures
from bench.evaluate.protocols import EVALUATIONS
from bench.evaluate.trained_run import Trained
from bench.records import whole_files
from bench.records.freshness import PICTURES, TIMING, Results, measurement_versions, of_record
from bench.records.locks import run_lock
from bench.records.provenance import machine
from bench.train.crashes import MachineFault, of_the_machine, raise_all, reason

SHOWN = 400  # decoded samples kept for figures
UNKNOWN = 255  # the class of a test image that has none


class NotTrained(RuntimeError):
    """A run has no model of the present code."""


@torch.no_grad
def arrays(trained: Trained) -> dict[str, np.ndarray]:
    """Codes of validation and test images (float32), the classes of the latter, samples and other pictures (bytes)."""
    found = {
        f"{split}_{name}": code.cpu().numpy().astype(np.float32)
        for split, codes in trained.codes.items()
        for name, code in codes.items()
    }
    y = trained.dataset.test.y.cpu()
    found["test_classes"] = y.where(y >= 0, UNKNOWN).numpy().astype(np.uint8)
    if "reconstruction" in trained.settings.terms:
        found["samples"] = as_bytes(trained.samples(SHOWN))
    return found | pictures(trained.autoencoder, trained.dataset, trained.codes["test"])


def measure(
    trained: Trained, protocols: Iterable[str]
) -> tuple[dict[str, list[dict]], dict[str, str], dict[str, float]]:
    """The rows of each protocol, the reasons of those that failed, and the seconds that each took.

    Raises:
        MachineFault: there is no result.
    """
    rows, failed, seconds = {}, {}, {}

    def of(name: str) -> list[dict]:
        found = [m._asdict() | {"protocol": name} for m in EVALUATIONS[name](trained)]
        if wrong := [row for row in found if not np.isfinite(row["value"])]:
            raise ArithmeticError(f"{wrong[0]['metric']} is {wrong[0]['value']}")
        return found

    for name in protocols:
        started = time.monotonic()
        found, why = tried(trained, name, partial(of, name))
        if why:
            failed[name] = why
        else:
            rows[name] = found
        seconds[name] = round(time.monotonic() - started, 3)
    return rows, failed, seconds


def tried(trained: Trained, name: str, function: Callable[[], Any]) -> tuple[Any, str | None]:
    """What a function returns, or why a plug-in or a protocol failed in it.

    Raises:
        MachineFault: there is no result.
    """
    try:
        return function(), None
    except Exception as error:
        if of_the_machine(error):
            raise MachineFault(f"{trained.run.id}, {name}: {str(error).partition(chr(10))[0]}") from error
        traceback.print_exc()
        return None, reason(error, trained.settings)


def measured(run: Run, record: dict, old: dict | None, trained: Trained | None, force: bool) -> tuple[dict, dict]:
    """The content of a run's `metrics.json`, and the seconds of each protocol that was used.

    Numbers of protocols whose version has not changed are kept. So are those of a protocol that fails now: a
    number is only replaced by a number.
    """
    versions = measurement_versions(run)
    content = {"model": (record["hashes"] or {}).get("model"), "status": record["status"], "reason": record["reason"]}
    if trained is None:
        return content | {"versions": {}, "failed": {}, "rows": []}, {}
    before = old if of_record(record, old) else {"versions": {}, "rows": []}
    asked = run.settings.evaluations
    rows, failed, seconds = measure(trained, [n for n in asked if force or before["versions"].get(n) != versions[n]])
    known = before["versions"] | {name: versions[name] for name in rows}
    old_rows = {name: [row for row in before["rows"] if row["protocol"] == name] for name in asked}
    content |= {
        "versions": {name: known[name] for name in asked if name in known},
        "failed": {name: {"version": versions[name], "reason": why} for name, why in failed.items()},
        "rows": [row for name in asked for row in (old_rows | rows)[name]],
    }
    if failed:
        content["reason"] = "; ".join(f"{name}: {why}" for name, why in failed.items())
        content["status"] = "ok" if content["rows"] else "failed"
    return content, seconds


def measure_run(results: Results, run: Run, dataset: datasets.Dataset | None, device: str, force: bool) -> dict:
    """Measure a run by the protocols that it lacks, and write what was found. Its lock must be held."""
    started, folder = time.monotonic(), results.path(run)
    record, old = results.record(run), results.metrics(run)
    trained, stored, why = None, None, None
    if record["status"] == "ok":
        model = folder / "model.safetensors"
        if whole_files.sha256(model.read_bytes()) != record["hashes"].get("model"):
            raise MachineFault(f"{model}: not the file of its record; train the run again with --force")
        trained = Trained(run, dataset, folder, device)
        stored, why = tried(trained, PICTURES, partial(arrays, trained))
    content, seconds = measured(run, record, old, trained, force)
    if trained:
        version = measurement_versions(run)[PICTURES]
        if stored is None:
            content["failed"][PICTURES] = {"version": version, "reason": why}
            content["reason"] = "; ".join(filter(None, (content["reason"], f"{PICTURES}: {why}")))
        else:
            buffer = io.BytesIO()
            np.savez_compressed(buffer, **stored)
            whole_files.write(folder / "codes.npz", buffer.getvalue())
            content["versions"][PICTURES] = version
        # Beside the metrics, not in them: they are the same bytes each time.
        timing = whole_files.read_json(folder / TIMING) or {}
        timing |= {"device": device, "machine": machine(device), "seconds": timing.get("seconds", {}) | seconds}
        whole_files.write_json(folder / TIMING, timing)
    whole_files.write_json(folder / "metrics.json", content)
    print(f"{run.id}: measured, {content['status']}, {time.monotonic() - started:.1f} s", flush=True)
    return content


def measure_all(results: Results, runs: list[Run], device: str = "cpu", force: bool = False) -> dict[str, str]:
    """The status of each run, after measuring what is missing or of older code.

    A run that cannot be measured costs no other one its numbers.

    Raises:
        LockHeld: another process works on a run. NotTrained, OSError, DataError: at the end, a line for each run
            that has no record of the present code, or that the machine or its data are at fault for; what was
            measured before stays.
    """
    load = datasets.loader()
    statuses, faults = {}, []
    for run in runs:
        with run_lock(results.path(run)):
            try:
                if not results.trained(run):
                    raise NotTrained(f"{run.id}: not trained by the present code; train it first")
                content = results.metrics(run)
                if force or results.lacking(run) or content is None:
                    of_model = results.record(run)["status"] == "ok"
                    content = measure_run(results, run, load(run.settings) if of_model else None, device, force)
            except (NotTrained, DataError, MachineFault) as error:
                faults.append(error)
            else:
                statuses[run.id] = content["status"]
    raise_all(faults)
    return statuses
