"""Where short trainings end: `python -m tests.support.reference_convergence` writes the file that the test reads.

Write it anew only after a change that is meant to move the numbers, and say so in the commit.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from bench.config import reading
from bench.config.runs import Run, expand
from bench.data import datasets
from bench.evaluate import parzen, prior_mismatch
from bench.records.provenance import processor, versions
from bench.train.loop import Training
from bench.train.objective import Batch

ROOT = Path(__file__).parents[2]
FILE = ROOT / "tests/support/reference_convergence.json"
METHODS = ("ae", "vae", "aae", "mmd", "sliced_wasserstein")
SEEDS = 12  # of the file; the test takes others


def runs(seeds: range) -> dict[str, list[Run]]:
    """Ten epochs on the digits, width 32, of a few methods and some seeds."""
    every = expand(reading.load(ROOT / "config/full.yaml"))
    found = {run.method: run for run in every if run.experiment == "likelihood"}
    changes = {"width": 32, "epochs": 10}
    return {
        name: [replace(found[name], seed=s, settings=found[name].settings.model_copy(update=changes)) for s in seeds]
        for name in METHODS
    }


def ends(run: Run, dataset: datasets.Dataset) -> dict[str, float]:
    """The three numbers that a training ends with: how it reconstructs, how near it is to the prior, how it scores."""
    training = Training(run, replace(dataset))
    while training.epoch < run.settings.epochs:
        training.run_epoch(lambda _: None, lambda: False)
    objective = training.objective.eval()
    x, y = dataset.held_back
    with torch.no_grad():
        encoded = objective.encode(Batch(x, y))
        torch.manual_seed(run.seed)
        samples = objective.autoencoder.decode(objective.sample(1000))
        return {
            "reconstruction": objective.reconstruction(Batch(x, y), encoded).item(),
            "energy": prior_mismatch.energy(encoded.codes["z"], objective.autoencoder.priors["z"]),
            "log_likelihood": parzen.log_likelihood(x, samples, 0.2).mean().item(),
        }


def spread(runs_of: list[Run], dataset: datasets.Dataset) -> dict[str, list[float]]:
    """Metric → mean, standard deviation over seeds (n - 1) and number of seeds."""
    found = [ends(run, dataset) for run in runs_of]
    columns = {name: [f[name] for f in found] for name in found[0]}
    return {name: [float(np.mean(c)), float(np.std(c, ddof=1)), len(c)] for name, c in columns.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    with threadpool_limits(1):
        digits = datasets.load("digits")
        methods = {name: spread(some, digits) for name, some in runs(range(SEEDS)).items()}
    content = {"machine": processor(), "torch": versions()["torch"], "methods": methods}
    FILE.write_text(json.dumps(content, indent=1) + "\n")
