"""Train runs: each ends in a record, be it of a trained model or of a failure."""

import csv
import io
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save
from tqdm import tqdm

from bench.config import registry
from bench.config.registry import PluginError
from bench.config.runs import Run
from bench.data import datasets
from bench.data.verified_files import DataError
from bench.records import locks, provenance, whole_files
from bench.records.freshness import Results, training_version
from bench.train import crashes, resumable
from bench.train.crashes import Died, MachineFault, attempt, lacks_memory, of_the_machine, raise_all
from bench.train.interruptions import Stopped, stop_requests, time_limit
from bench.train.loop import Diverged, Training
from bench.train.objective import Unsupported

CHECKPOINT_SECONDS = 60.0
FORCED = "forced"  # beside the checkpoints of a run that is to be trained although it is up to date
# After these the process is as it should be. After an interruption or an error anywhere, a module
# may be half imported, and a sound method would fail of it.
HARMLESS = ("ok", "unsupported", "diverged")


class Tainted(Exception):
    """A run has failed in a way that the next one in this process might suffer from."""


def train(
    training: Training, folder: Path | None = None, stop: list | None = None, every: float = CHECKPOINT_SECONDS
) -> None:
    """Train to the last epoch. With a folder: resumed from its checkpoint, and one written every few seconds.

    Raises:
        Diverged, TimeoutError: results of a kind, which the caller records.
        Stopped: `stop` is no longer empty; the state is safe in a checkpoint.
    """
    run, s, stop = training.run, training.settings, [] if stop is None else stop
    checkpoints = folder / "checkpoints" if folder else None
    if checkpoints:
        state = resumable.load_checkpoint(checkpoints, training.fingerprint)
        if state:
            training.restore(state)
            print(f"{run.id}: continuing from epoch {training.epoch}, batch {training.batch}", flush=True)
    steps = -(-len(training.x) // s.batch_size)
    # A bar for eyes; logs get a line now and then, so that they stay readable.
    bar = tqdm(
        total=s.epochs * steps,
        initial=training.epoch * steps + training.batch,
        desc=run.id,
        unit="batch",
        mininterval=0.5 if sys.stderr.isatty() else 30,
    )
    begun = saved = time.monotonic()
    earlier = training.seconds

    def checkpoint() -> None:
        nonlocal saved
        training.seconds = earlier + time.monotonic() - begun
        resumable.save_checkpoint(checkpoints, training.epoch * steps + training.batch, training.state())
        saved = time.monotonic()

    def on_batch(count: int) -> None:
        bar.update(count)
        # The last batch of an epoch is followed by its row of the history: not a state to continue from.
        if checkpoints and training.batch < steps and time.monotonic() - saved > every:
            checkpoint()

    try:
        with bar, time_limit(s.timeout and max(s.timeout - earlier, 0.01)):
            while training.epoch < s.epochs:
                training.run_epoch(on_batch, lambda: bool(stop))
                bar.set_postfix({k: f"{v:.4g}" for k, v in training.history[-1].items() if k != "epoch"})
                if checkpoints and training.epoch in s.milestones:
                    name = f"model-epoch{training.epoch}.safetensors"
                    whole_files.write(checkpoints / name, save(training.weights()))
            training.finish()
    except Stopped:
        if checkpoints:
            checkpoint()
        raise
    finally:
        training.seconds = earlier + time.monotonic() - begun


def record(
    run: Run,
    folder: Path,
    dataset: Callable[[], datasets.Dataset],
    device: str = "cpu",
    stop: list | None = None,
    every: float = CHECKPOINT_SECONDS,
) -> dict:
    """Train a run in its folder and write its record: of a success, or of what ended it and when.

    What an earlier training left there stays until all of this one is written.

    Raises:
        Stopped: `stop` is no longer empty.
        OSError, DataError: the machine's fault, not the method's, so that there is no result. A lack of memory is
            one, too, where there are numbers to lose.
    """
    checkpoints = folder / "checkpoints"
    whole_files.clean(folder)
    if not any(checkpoints.glob("ckpt-*")):
        for path in checkpoints.glob("model*"):
            path.unlink()
    old = whole_files.read_json(folder / "record.json") or {}
    status, reason, training = "ok", None, None
    hashes, facts = {}, {}
    data = dataset()
    started = time.monotonic()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    try:
        with attempt(checkpoints, training_version(run), run.settings.timeout):
            with time_limit(run.settings.timeout):  # importing a plug-in may hang as well as running it
                training = Training(run, data, device)
            train(training, folder, stop, every)
            facts = described(training)
            weights = save(training.weights())
            whole_files.write(checkpoints / "model.safetensors", weights)
            hashes["model"] = whole_files.sha256(weights)
    except Unsupported as error:
        status, reason = "unsupported", str(error)
    except Diverged:
        status, reason = "diverged", "a loss is not finite"
    except TimeoutError:
        status, reason = "timeout", f"longer than {run.settings.timeout:g} s"
    except Died as error:
        status, reason = error.status, str(error)
    except DataError as error:
        raise DataError(f"{run.id}: {error}") from error
    except OSError:
        raise
    except (Exception, SystemExit) as error:
        status = "out of memory" if lacks_memory(error) else "failed"
        reason = crashes.reason(error, run.settings)
        if of_the_machine(error) and (status == "failed" or old.get("status") == "ok"):
            raise MachineFault(f"{run.id}: {reason}") from error
        traceback.print_exc()
    if training and training.history:
        table = io.StringIO()
        rows = csv.DictWriter(table, list(training.history[0]), lineterminator="\n")
        rows.writeheader()
        rows.writerows(training.history)
        whole_files.write(checkpoints / "history.csv", table.getvalue())
    content = {
        "run": run.to_json(),
        "id": run.id,
        "version": training_version(run),
        "status": status,
        "reason": reason,
        "epoch": training.epoch if training else 0,
        "hashes": (training.hashes if training else {}) | hashes,
        "facts": facts,
        "opening": training.opening if training else None,
        "seconds": round(training.seconds if training else time.monotonic() - started, 3),
        **provenance.describe(device),
    }
    whole_files.write_json(checkpoints / "record.json", content)
    _replace(folder, same=status == "ok" and (old.get("hashes") or {}).get("model") == hashes["model"])
    print(f"{run.id}: {status}{f' ({reason})' if reason else ''}, {content['seconds']:.1f} s", flush=True)
    return content


def described(training: Training) -> dict:
    """What the record says of the model and its penalties.

    Raises:
        PluginError: a regularizer describes itself by what no record can hold.
    """
    try:
        json.dumps(found := training.facts(), allow_nan=False)
    except (AttributeError, TypeError, ValueError) as error:
        plugin = registry.source("regularizers", training.settings.regularizer)
        raise PluginError(f"{plugin}: describe returns what no record can hold: {error}") from error
    return found


def _replace(folder: Path, same: bool) -> None:
    """What a training has written beside its checkpoints takes the place of what an earlier one left.

    The record goes first and comes last: without it a run counts as not trained. Measurements of the `same` model stay.
    """
    names = ("record.json", "history.csv", *(() if same else ("metrics.json", "codes.npz", "timing.json")))
    for path in (*(folder / name for name in names), *folder.glob("model*.safetensors")):
        path.unlink(missing_ok=True)
    checkpoints = folder / "checkpoints"
    for name in ("model*.safetensors", "history.csv", "record.json"):
        for path in checkpoints.glob(name):
            os.replace(path, folder / path.name)
    for path in checkpoints.glob("*"):
        path.unlink()


def train_all(
    results: Results, runs: list[Run], device: str = "cpu", force: bool = False, every: float = CHECKPOINT_SECONDS
) -> dict[str, str]:
    """The status of each run after training those that are stale, or with `force` all of them.

    A run that the machine or its data are at fault for costs no other one its turn.

    Raises:
        Stopped: SIGTERM came; the run that was at work goes on from its checkpoint.
        Tainted: a run failed; the others want a fresh process, without `force`.
        LockHeld: another process works on a run. OSError, DataError: at the end, a line for each run.
    """
    load = datasets.loader()

    def begun(run: Run) -> bool:
        return results.path(run, "checkpoints/attempts.json").exists()

    statuses: dict[str, str] = {}
    faults: list[Exception] = []
    if force:
        for run in runs:
            whole_files.write(results.path(run, "checkpoints") / FORCED, "")
    with stop_requests() as stop:
        # Those that a process died in come last, so that the others of the batch get their turn.
        for run in sorted(runs, key=begun):
            folder = results.path(run)
            whole_files.require_space(folder)
            with locks.run_lock(folder):
                forced = (folder / "checkpoints" / FORCED).exists()
                done = not forced and results.stale(run) != "train"  # nothing is done twice
                try:
                    data = partial(load, run.settings)
                    content = results.record(run) if done else record(run, folder, data, device, stop, every)
                except (DataError, MachineFault) as error:
                    faults.append(error)
                    continue
            statuses[run.id] = content["status"]
            if not done and content["status"] not in HARMLESS:
                raise Tainted
    raise_all(faults)
    return {run.id: statuses[run.id] for run in runs}
