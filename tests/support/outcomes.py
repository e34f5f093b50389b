"""What a run comes to, to the last bit: whether two settings differ in what they do."""

from dataclasses import replace
from functools import cache

import torch

from bench.data import datasets
from bench.data.datasets import DataError
from bench.evaluate.protocols import EVALUATIONS
from bench.evaluate.trained_run import Trained
from bench.train import train_runs

KNOWN = {}
images = cache(lambda name, normalisation: datasets.load(name, "nowhere", normalisation))


def outcome(run, folder):
    """What a run comes to: how it ended, its model's bits, whether it may vary, and every measurement."""
    key = run.id, run.settings.timeout, tuple(run.settings.evaluations), tuple(run.settings.parzen_samples)
    if key not in KNOWN:
        KNOWN[key] = measured(run, folder)
    return KNOWN[key]


def measured(run, folder):
    torch.use_deterministic_algorithms(False)
    try:
        dataset = images(run.settings.dataset, run.settings.normalisation)
    except DataError as error:
        return str(error)
    record = train_runs.record(run, folder, lambda: replace(dataset))
    if record["status"] != "ok":
        return record["status"]
    trained = Trained(run, dataset, folder)
    rows = [m for name in run.settings.evaluations for m in EVALUATIONS[name](trained)]
    return record["hashes"]["model"], torch.are_deterministic_algorithms_enabled(), rows
