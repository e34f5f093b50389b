"""The verbs that compute: device and threads, processes that failed."""

import os
import sys
from pathlib import Path

import click

from bench.config.runs import select
from bench.door.mistakes import STOPPED, logged
from bench.records.freshness import Results, read


def computer(device: str, threads: int | None) -> str:
    """The device to compute on; torch is given its threads.

    Raises:
        ClickException: there is no such device here.
    """
    # cuBLAS reads it once, when it starts; older versions of PyTorch refuse to be deterministic without it
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    if threads:
        torch.set_num_threads(threads)
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise click.ClickException("--device cuda: no GPU answers here; `latentbench doctor` says why")
    return device


def train(
    config: str, runs: tuple[str, ...], device: str, threads: int | None, force: bool, log: Path | None,
    checkpoint_seconds: float,
) -> int:  # fmt: skip
    """Train the stale runs; the exit status. After a failure the rest is trained by a process that starts afresh."""
    tainted = False
    with logged(log):
        results = Results(read(config))
        chosen = select(results.runs, list(runs))
        device = computer(device, threads)
        from bench.train import train_runs

        try:
            train_runs.train_all(results, chosen, device, force, checkpoint_seconds)
        except train_runs.Stopped:
            click.echo("stopped as asked; the run continues from its checkpoint when started again", err=True)
            return STOPPED
        except train_runs.Tainted:
            tainted = True
    if tainted:
        again = [argument for argument in sys.argv[1:] if argument != "--force"]
        os.execv(sys.executable, [sys.executable, "-m", "bench", *again])
    return 0


def evaluate(
    config: str, runs: tuple[str, ...], device: str, threads: int | None, force: bool, log: Path | None,
    controls: bool,
) -> None:  # fmt: skip
    """Measure what is stale of the runs, or of the rows that need no model."""
    with logged(log):
        results = Results(read(config))
        if controls and results.baselines()["cells"] == results.baseline_versions():
            return  # before torch is loaded for nothing
        chosen = select(results.runs, list(runs))
        device = computer(device, threads)
        if controls:
            from bench.evaluate import measure_baselines

            measure_baselines.measure(results)
            return
        from bench.evaluate import measure_runs

        try:
            measure_runs.measure_all(results, chosen, device, force)
        except measure_runs.NotTrained as error:
            raise click.ClickException(str(error)) from None
