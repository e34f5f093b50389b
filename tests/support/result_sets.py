"""A small result set that no training made: every status, two experiments, codes of an untrained model."""

import numpy as np
import pandas as pd
import torch
import yaml

from bench.config.reading import load
from bench.data import datasets
from bench.evaluate.decoded_grids import pictures
from bench.records import whole_files
from bench.records.collect import collect
from bench.records.freshness import Results, measurement_versions, training_version
from bench.train.autoencoder import Autoencoder

CONFIG = {
    "name": "tiny",
    "preset": "smoke",
    "seeds": 3,
    "defaults": {"dataset": "digits", "width": 16, "epochs": 4, "schedule": "joint"},
    "methods": {
        "aae": {"title": "AAE", "regularizer": "adversarial", "hyperparameters": {"width": 8}},
        "mmd": {"title": "MMD & co_1 (50 %)", "regularizer": "mmd"},
        "vae": {"title": "VAE", "regularizer": "kl", "encoder": "gaussian"},
        "broken": {"title": "Broken", "regularizer": "energy"},
    },
    "experiments": {
        "likelihood": {
            "title": "Likelihood",
            "methods": ["aae", "mmd", "vae", "broken"],
            "latents": {"z": {"prior": "gaussian", "dim": 2}},
            "decoder": ["z"],
            "evaluations": ["reconstruction", "likelihood"],
        },
        "style": {
            "title": "Style",
            "methods": ["aae", "mmd"],
            "labels": "all",
            "latents": {"z": {"prior": "gaussian", "dim": 3}},
            "decoder": ["z", "label"],
            "evaluations": ["reconstruction"],
        },
    },
}
MEANS = {"aae": 340.0, "mmd": 352.0, "vae": 290.0}


def write(folder, seeds=3, codes=True, referees=False, **changes):
    """Config and results under `folder`; returns the paths of the config and of the tidy table."""
    content = CONFIG | {"seeds": seeds} | changes
    (folder / "config").mkdir(parents=True, exist_ok=True)
    path = folder / "config" / "tiny.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    results = Results(load(path), folder / "results")
    dataset = datasets.load("digits")
    for run in results.runs:
        own = run.method in CONFIG["methods"]  # of more methods the numbers, whose figures take no longer
        _write_run(run, results.path(run), dataset, codes and own and run.seed == 0, referees)
    collect(results)
    return path, results.folder / "metrics.csv"


def _write_run(run, folder, dataset, codes, referees):
    rng = np.random.default_rng([run.seed, len(run.experiment)])
    status, reason = "ok", None
    if run.method == "broken":
        status, reason = "unsupported", "needs a second look"
    elif run.method == "vae" and run.seed == 1:
        status, reason = "diverged", "a loss is not finite"
    offset = MEANS.get(run.method, 0)
    rows = []
    if status == "ok":
        rows.append(_row("reconstruction", "reconstruction", 40 - offset / 20 + rng.normal(0, 0.1), 0.2, 300))
        if run.experiment == "likelihood":
            rows.append(_row("likelihood", "log_likelihood", offset + rng.normal(0, 1.5), 2.0, 300))
            rows.append(_row("likelihood", "sigma", 0.1668, None, None, "validation"))
        if referees:
            for i, name in enumerate(("energy", "ks")):
                rows.append(_row("latent", f"referee_{name}", 0.1 * (i + 1) + offset / 1e4, None, None))
                rows.append(_row("latent", f"referee_{name}_floor", 0.02, None, None))
    record = {
        "run": run.to_json(), "id": run.id, "version": training_version(run), "status": status,
        "reason": reason, "epoch": 3, "hashes": {"model": "ab" * 32},
        "opening": None, "facts": {"backend": "dense", "parameters": 100},
        "seconds": 10.0 + offset / 100 + run.seed, "commit": "c0ffee" * 6, "dirty": False, "device": "cpu",
        "machine": "A machine", "threads": 1, "peak_memory_mb": 300, "versions": {"torch": "2"}, "host": "h",
        "slurm_job": None,
    }  # fmt: skip
    whole_files.write_json(folder / "record.json", record)
    metrics = {"model": "ab" * 32, "status": status, "reason": reason, "versions": measurement_versions(run)}
    whole_files.write_json(folder / "metrics.json", metrics | {"failed": {}, "rows": rows})
    if status == "ok":
        history = pd.DataFrame({"epoch": [1, 2, 3, 4], "reconstruction": 50 / np.arange(1, 5) + rng.random(4)})
        whole_files.write(folder / "history.csv", history.to_csv(index=False))
        if codes:
            torch.manual_seed(run.seed)
            model = Autoencoder(run.settings, dataset.shape, dataset.classes).initialise(run.seed).eval()
            with torch.no_grad():
                posterior = model.encode(dataset.test.x[:])["z"].mean
            arrays = pictures(model, dataset, {"z": posterior})
            classes = dataset.test.y.numpy().astype(np.uint8)
            samples = np.random.default_rng(0).integers(0, 255, (40, 64), np.uint8)
            np.savez_compressed(
                folder / "codes.npz", test_z=posterior.numpy(), test_classes=classes, samples=samples, **arrays
            )


def _row(protocol, metric, value, standard_error, n, split="test"):
    return {
        "protocol": protocol,
        "metric": metric,
        "value": value,
        "standard_error": standard_error,
        "n": n,
        "split": split,
    }
