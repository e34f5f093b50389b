"""Measure trained runs.

Each run ends in `metrics.json`, and in `codes.npz`: its codes and samples, for figures and for
metrics that are thought of later.
"""

import contextlib
import io
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from bench.config.runs import Run
from bench.config.streams import stream
from bench.data import datasets
from bench.data.sources import DataError
from bench.evaluate.decoded_grids import as_bytes, pictures
from bench.evaluate.protocols import EVALUATIONS
from bench.evaluate.trained_run import Trained
from bench.records import locks, whole_files
from bench.records.freshness import TIMING, Results, evaluation_version, training_version
from bench.records.provenance import machine

SHOWN = 400  # decoded samples and reconstructions kept for figures


class NotTrained(RuntimeError):
    """A run has no model of the present code."""


def evaluate(run: Run, dataset: datasets.Dataset, folder: Path, device: str = "cpu") -> list[dict]:
    """All measurements of a run as rows, its codes stored on the way, and what they took, for `bench.records.plan`."""
    seconds = {}
    with _timed(seconds, "codes"):
        trained = Trained(run, dataset, folder, device)
        store_codes(trained, folder)
    rows = []
    for name in run.settings.evaluations:
        with _timed(seconds, name):
            rows += [m._asdict() for m in EVALUATIONS[name](trained)]
    for row in rows:
        if not np.isfinite(row["value"]):
            raise ArithmeticError(f"{row['metric']} is {row['value']}")
    # Beside the metrics, not in them: they are the same bytes each time.
    timing = {"device": device, "machine": machine(device), "parzen_samples": run.settings.parzen_samples}
    whole_files.write_json(folder / TIMING, timing | {"seconds": seconds})
    return rows


@contextlib.contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - started, 3)


@torch.no_grad
def store_codes(trained: Trained, folder: Path) -> None:
    """Codes of validation and test images (float32), samples and other pictures (bytes); no labels."""
    arrays = {
        f"{split}_{name}": code.cpu().numpy().astype(np.float32)
        for split, codes in trained.codes.items()
        for name, code in codes.items()
    }
    if "reconstruction" in trained.settings.terms:
        arrays["samples"] = as_bytes(trained.samples(SHOWN))
    torch.manual_seed(stream(trained.run.seed, "pictures"))
    arrays |= pictures(trained.autoencoder, trained.dataset, trained.codes["test"])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    whole_files.write(folder / "codes.npz", buffer.getvalue())


def measure_all(results: Results, runs: list[Run], device: str = "cpu", force: bool = False) -> dict[str, str]:
    """The status of each run after measuring those that are stale, or with `force` all of them.

    Raises:
        NotTrained: a run has no model of the present code.
        LockHeld: another process works on a run.
    """
    loaded: dict = {}
    statuses = {}
    for run in runs:
        folder = results.path(run)
        with locks.run_lock(folder):
            record = whole_files.read_json(folder / "record.json")
            if record is None or record["version"] != training_version(run):
                raise NotTrained(f"{run.id}: not trained by the present code; run `latentbench train` first")
            old = whole_files.read_json(folder / "metrics.json")
            if force or not old or old["version"] != evaluation_version(run):
                old = measure(run, record, folder, loaded, results.config.data_root, device)
            statuses[run.id] = old["status"]
    return statuses


def measure(run: Run, record: dict, folder: Path, loaded: dict, root: str | None, device: str) -> dict:
    """Write and return the content of a run's `metrics.json`: its rows, or why there are none."""
    content = {
        "version": evaluation_version(run),
        "status": record["status"],
        "reason": record["reason"],
        "rows": [],
    }
    started = time.monotonic()
    if record["status"] == "ok":
        key = run.settings.dataset, run.settings.normalisation
        if key not in loaded:
            loaded[key] = datasets.load(key[0], root, key[1])
        model = folder / "model.safetensors"
        if whole_files.sha256(model.read_bytes()) != record["hashes"].get("model"):
            raise OSError(f"{model}: not the file of its record; train the run again with --force")
        try:
            content["rows"] = evaluate(run, loaded[key], folder, device)
        except (OSError, DataError):
            raise  # the machine's fault, not the method's: no result
        except Exception as error:
            reason = f"evaluation: {type(error).__name__}: {error}"
            content |= {"status": "failed", "reason": reason.splitlines()[0][:300]}
            traceback.print_exc()
    whole_files.write_json(folder / "metrics.json", content)
    print(f"{run.id}: measured, {content['status']}, {time.monotonic() - started:.1f} s", flush=True)
    return content
