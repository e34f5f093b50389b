"""Train runs: `python -m bench.train JOB.json|CONFIG.yaml [likelihood/mmd ...]`.

Each run ends in a record, be it of a trained model or of a failure.
"""

import argparse
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import save
from tqdm import tqdm

from bench import data, provenance, store
from bench.config import ConfigError
from bench.objective import Unsupported
from bench.runs import Run, read, select
from bench.sources import DataError
from bench.training import Diverged, Stopped, Training

CHECKPOINT_SECONDS = 60
ATTEMPTS = 3


@contextmanager
def _limits(seconds: float | None, stop: list):
    """Within: SIGTERM asks to stop, and a run that takes longer than `seconds` ends with a TimeoutError."""

    def on_term(*_):
        stop.append(True)

    def on_alarm(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGTERM, on_term), signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds or 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGALRM, before[1])


def train(training: Training, folder: Path | None = None) -> None:
    """Train to the last epoch. With a folder: resumed from its checkpoint, and checkpointed there.

    Raises:
        Diverged, TimeoutError: results of a kind, which the caller records.
        Stopped: the state is safe in a checkpoint.
    """
    run, s, stop = training.run, training.settings, []
    checkpoints = folder / "checkpoints" if folder else None
    if checkpoints:
        state = store.load_checkpoint(checkpoints, training.fingerprint)
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
        training.seconds = earlier + time.monotonic() - begun
        store.save_checkpoint(checkpoints, training.epoch * steps + training.batch, training.state())

    try:
        with bar, _limits(s.timeout and max(s.timeout - earlier, 0.01), stop):
            while training.epoch < s.epochs:
                training.run_epoch(bar.update, lambda: bool(stop))
                bar.set_postfix({k: f"{v:.4g}" for k, v in training.history[-1].items() if k != "epoch"})
                if folder and training.epoch in s.milestones:
                    name = f"model-epoch{training.epoch}.safetensors"
                    store.write(folder / name, save(training.weights()))
                if checkpoints and time.monotonic() - saved > CHECKPOINT_SECONDS:
                    checkpoint()
                    saved = time.monotonic()
            training.finish()
    except Stopped:
        if checkpoints:
            checkpoint()
        raise
    finally:
        training.seconds = earlier + time.monotonic() - begun


def record(run: Run, folder: Path, dataset: Callable[[], data.Dataset], device: str) -> dict:
    """Train a run in its folder and write its record: of a success, or of what ended it and when."""
    attempts = folder / "checkpoints" / "attempts.json"
    tried = (store.read_json(attempts) or {}).get(run.training_version, 0)
    status, reason, training = "ok", None, None
    started = time.monotonic()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    try:
        if tried >= ATTEMPTS:
            raise ChildProcessError(f"the process died {tried} times in this run")
        store.write_json(attempts, {run.training_version: tried + 1})
        training = Training(run, dataset(), device)
        train(training, folder)
        store.write(folder / "history.csv", pd.DataFrame(training.history).to_csv(index=False))
        store.write(folder / "model.safetensors", save(training.weights()))
    except Unsupported as error:
        status, reason = "unsupported", str(error)
    except Diverged:
        status, reason = "diverged", "a loss is not finite"
    except TimeoutError:
        status, reason = "timeout", f"longer than {run.settings.timeout:g} s"
    except ChildProcessError as error:
        status, reason = "crashed", str(error)
    except Stopped:
        store.write_json(attempts, {run.training_version: tried})
        raise
    except (OSError, DataError):
        raise  # the machine's fault, not the method's: no result
    except Exception as error:
        memory = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)
        status = "out of memory" if memory else "failed"
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        traceback.print_exc()
    content = {
        "run": run.to_json(),
        "id": run.id,
        "version": run.training_version,
        "status": status,
        "reason": reason,
        "epoch": training.epoch if training else 0,
        "hashes": training.hashes if training else {},
        "facts": training.facts() if training else {},
        "seconds": round(training.seconds if training else time.monotonic() - started, 3),
        **provenance.describe(device),
    }
    store.write_json(folder / "record.json", content)
    for path in (folder / "checkpoints").glob("*"):
        path.unlink()
    print(f"{run.id}: {status}{f' ({reason})' if reason else ''}, {content['seconds']:.1f} s", flush=True)
    return content


def main(argv: list[str] | None = None) -> int:
    """The program: 0 when each run has a record, 2 for a bad config, 75 if a run is held, 143 if asked to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", help="a config (.yaml) or a job file (.json) of the pipeline")
    parser.add_argument("select", nargs="*", help="only runs whose id starts so, such as likelihood/mmd")
    parser.add_argument("--done", type=Path, help="written when every run has its record")
    parser.add_argument("--threads", type=int, default=None, help="threads for each process (default: torch's)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--force", action="store_true", help="train again what is up to date")
    arguments = parser.parse_args(argv)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    device = arguments.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        config, runs, results = read(arguments.job)
        runs = select(runs, arguments.select)
        loaded: dict = {}

        def dataset(run: Run) -> Callable[[], data.Dataset]:
            key = run.settings.dataset, run.settings.normalisation

            def load() -> data.Dataset:
                if key not in loaded:
                    loaded[key] = data.load(key[0], config.data_root, key[1])
                return loaded[key]

            return load

        statuses = {}
        for run in runs:
            folder = results / "runs" / run.id
            store.require_space(folder)
            with store.run_lock(folder):
                old = store.read_json(folder / "record.json")
                if not arguments.force and old and old["version"] == run.training_version:
                    statuses[run.id] = old["status"]  # finished earlier: nothing is done twice
                    continue
                statuses[run.id] = record(run, folder, dataset(run), device)["status"]
    except (ConfigError, DataError) as error:
        print(error, file=sys.stderr)
        return 2
    except store.LockHeld as error:
        print(f"{error}; wait for it, or stop it, and rerun", file=sys.stderr)
        return 75
    except Stopped:
        print("stopped as asked; the run continues from its checkpoint when started again", file=sys.stderr)
        return 143
    except OSError as error:
        print(f"{error}; nothing half-written is left, rerun to continue", file=sys.stderr)
        return 1
    if arguments.done:
        store.write_json(arguments.done, statuses)
    return 0


if __name__ == "__main__":
    sys.exit(main())
