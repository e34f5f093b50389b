"""Train runs: each ends in a record, be it of a trained model or of a failure."""

import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import save
from tqdm import tqdm

from bench.config.runs import Run
from bench.data import datasets
from bench.data.sources import DataError
from bench.records import locks, provenance, whole_files
from bench.records.freshness import Results, training_version
from bench.train import resumable
from bench.train.crashes import Died, attempt
from bench.train.loop import Diverged, Stopped, Training
from bench.train.objective import Unsupported

CHECKPOINT_SECONDS = 60.0
# After these the process is as it should be. After an interruption or an error anywhere, a module
# may be half imported, and a sound method would fail of it.
HARMLESS = ("ok", "unsupported", "diverged")


class Tainted(Exception):
    """A run has failed in a way that the next one in this process might suffer from."""


@contextmanager
def stop_requests() -> Iterator[list]:
    """Within: SIGTERM fills the list, which training looks at after each batch."""
    stop: list = []
    before = signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Within: what takes longer than `seconds` ends with a TimeoutError."""

    def on_alarm(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds or 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


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
                if folder and training.epoch in s.milestones:
                    name = f"model-epoch{training.epoch}.safetensors"
                    whole_files.write(folder / name, save(training.weights()))
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

    Raises:
        Stopped: `stop` is no longer empty.
        OSError, DataError: the machine's fault, not the method's, so that there is no result.
    """
    checkpoints = folder / "checkpoints"
    whole_files.clean(folder)
    if not any(checkpoints.glob("ckpt-*")):
        # What an older version of the code left must not be taken for this one's.
        for path in (*folder.glob("model*.safetensors"), folder / "history.csv", folder / "metrics.json"):
            path.unlink(missing_ok=True)
    status, reason, training = "ok", None, None
    hashes: dict = {}
    started = time.monotonic()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    try:
        with attempt(checkpoints, training_version(run), run.settings.timeout):
            with time_limit(run.settings.timeout):  # importing a plug-in may hang as well as running it
                training = Training(run, dataset(), device)
            train(training, folder, stop, every)
            weights = save(training.weights())
            whole_files.write(folder / "model.safetensors", weights)
            hashes["model"] = whole_files.sha256(weights)
    except Unsupported as error:
        status, reason = "unsupported", str(error)
    except Diverged:
        status, reason = "diverged", "a loss is not finite"
    except TimeoutError:
        status, reason = "timeout", f"longer than {run.settings.timeout:g} s"
    except Died as error:
        status, reason = error.status, str(error)
    except (OSError, DataError):
        raise
    except (Exception, SystemExit) as error:
        memory = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)
        status = "out of memory" if memory else "failed"
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        traceback.print_exc()
    if training and training.history:
        whole_files.write(folder / "history.csv", pd.DataFrame(training.history).to_csv(index=False))
    content = {
        "run": run.to_json(),
        "id": run.id,
        "version": training_version(run),
        "status": status,
        "reason": reason,
        "epoch": training.epoch if training else 0,
        "hashes": (training.hashes if training else {}) | hashes,
        "facts": training.facts() if training else {},
        "opening": training.opening if training else None,
        "seconds": round(training.seconds if training else time.monotonic() - started, 3),
        **provenance.describe(device),
    }
    whole_files.write_json(folder / "record.json", content)
    for path in checkpoints.glob("*"):
        path.unlink()
    print(f"{run.id}: {status}{f' ({reason})' if reason else ''}, {content['seconds']:.1f} s", flush=True)
    return content


def train_all(
    results: Results, runs: list[Run], device: str = "cpu", force: bool = False, every: float = CHECKPOINT_SECONDS
) -> dict[str, str]:
    """The status of each run after training those that are stale, or with `force` all of them.

    Raises:
        Stopped: SIGTERM came; the run that was at work goes on from its checkpoint.
        Tainted: a run failed; the others want a fresh process, without `force`.
        LockHeld: another process works on a run.
    """
    loaded: dict = {}

    def dataset(run: Run) -> Callable[[], datasets.Dataset]:
        key = run.settings.dataset, run.settings.normalisation

        def load() -> datasets.Dataset:
            if key not in loaded:
                loaded[key] = datasets.load(key[0], results.config.data_root, key[1])
            return loaded[key]

        return load

    def begun(run: Run) -> bool:
        return results.path(run, "checkpoints/attempts.json").exists()

    statuses: dict[str, str] = {}
    if force:
        for run in runs:
            with locks.run_lock(results.path(run)):
                results.path(run, "record.json").unlink(missing_ok=True)
    with stop_requests() as stop:
        # Those that a process died in come last, so that the others of the batch get their turn.
        for run in sorted(runs, key=begun):
            folder = results.path(run)
            whole_files.require_space(folder)
            with locks.run_lock(folder):
                done = results.stale(run) != "train"  # nothing is done twice
                if done:
                    content = whole_files.read_json(folder / "record.json")
                else:
                    content = record(run, folder, dataset(run), device, stop, every)
            statuses[run.id] = content["status"]
            if not done and content["status"] not in HARMLESS:
                raise Tainted
    return {run.id: statuses[run.id] for run in runs}
