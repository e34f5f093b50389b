"""Measure what needs no training.

Rows to hold the methods against: for the likelihood, training images, k-means centroids and a Gaussian
mixture of principal components in the place of samples; for the classes, the nearest labelled
image and labels spread on a graph; for clusters, k-means. For classes and clusters the same of the
codes of the encoder before its training, too; the likelihood has such a method.
"""

import json
from collections.abc import Iterator

import torch

from bench.config.combinations import CHUNK
from bench.config.runs import Run, expand
from bench.config.schema import Config, Settings
from bench.config.streams import stream
from bench.data import datasets
from bench.data.labelled_subsets import labelled_subset
from bench.evaluate.baselines import classification_controls, clustering_controls, likelihood_controls, random_codes
from bench.evaluate.classification import neighbour_probe
from bench.evaluate.likelihood import parzen_measurements
from bench.evaluate.measurement import Measurement
from bench.records import whole_files
from bench.records.freshness import Results, needed
from bench.train.autoencoder import Autoencoder

IMAGES = 10_000  # unlabelled ones, as many as the graph has


def likelihood(settings: Settings, dataset: datasets.Dataset, seed: int) -> Iterator[tuple[str, list[Measurement]]]:
    """Parzen rows of samples that no model made."""
    pixels = {name: dataset.to_pixels(getattr(dataset, name).x[:]) for name in ("train", "validation", "test")}
    for name, samples in likelihood_controls(pixels["train"], CHUNK, seed).items():
        yield (
            name,
            list(
                parzen_measurements(pixels["validation"], pixels["test"], lambda n, chunk, s=samples: s, [len(samples)])
            ),
        )


def classification(settings: Settings, dataset: datasets.Dataset, seed: int) -> Iterator[tuple[str, list[Measurement]]]:
    """Errors with the very labels of the semi-supervised runs of the seed."""
    x, y = dataset.train
    labelled = labelled_subset(y, settings.labels, seed, dataset.classes)
    test = dataset.test.x[:], dataset.test.y
    if isinstance(x, torch.Tensor):
        unlabelled = x
    else:  # kept as bytes, because as floats they could fill the memory
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(stream(seed, "baselines/unlabelled")))
        unlabelled = x[order[:IMAGES]]
    found = classification_controls((x[labelled], y[labelled]), unlabelled, test, seed)
    encoder = untrained(settings, dataset, seed)
    (known, y_known), (new, y_new) = ((random_codes(encoder, a), b) for a, b in ((x[labelled], y[labelled]), test))
    found["nearest labelled code, random encoder"] = neighbour_probe((known, y_known), (new, y_new), neighbours=1)
    for name, error in found.items():
        yield name, [Measurement("error", 100 * error, n=len(test[1]))]


def untrained(settings: Settings, dataset: datasets.Dataset, seed: int) -> Autoencoder:
    """The autoencoder that the runs of a seed begin with."""
    return Autoencoder(settings, dataset.shape, dataset.classes).initialise(seed)


def clustering(settings: Settings, dataset: datasets.Dataset, seed: int) -> Iterator[tuple[str, list[Measurement]]]:
    """k-means with as many clusters as the experiment's categorical code, of the images and of random codes of them."""
    [clusters] = [latent.dim for latent in settings.latents.values() if latent.head == "categorical"]
    encoder = untrained(settings, dataset, seed)
    images = {name: getattr(dataset, name).x for name in ("train", "validation", "test")}
    labels = [getattr(dataset, name).y for name in ("validation", "test")]
    for name, x in {
        "k-means": {split: a[:] for split, a in images.items()},
        "k-means, random encoder": {split: random_codes(encoder, a) for split, a in images.items()},
    }.items():
        splits = zip((x["validation"], x["test"]), labels, strict=True)
        numbers = clustering_controls(x["train"], *splits, clusters, seed)
        yield (
            name,
            [
                Measurement(m, (100 if m.startswith("clustering_error") else 1) * v, n=len(labels[1]))
                for m, v in numbers.items()
            ],
        )


CONTROLS = {"likelihood": likelihood, "classification": classification, "clustering": clustering}


def cells(config: Config) -> dict[str, Run]:
    """A run for each experiment and seed, whose settings are those of the controls; by 'experiment seed'."""
    found: dict[str, Run] = {}
    for run in expand(config):
        found.setdefault(f"{run.experiment} {run.seed}", run)
    return found


def measure(results: Results) -> dict:
    """Write the rows of each experiment and seed into `baselines.json`; those of the present version are kept."""
    wanted, old = results.baseline_versions(), results.baselines()
    kept = {name for name in wanted if old["cells"].get(name) == wanted[name]}
    found = [row for row in old["rows"] if f"{row['experiment']} {row['seed']}" in kept]
    load = datasets.loader(results.config.data_root)
    measured: dict[tuple, list[tuple[str, list[Measurement]]]] = {}  # what experiments have in common, once
    cells = {f"{run.experiment} {run.seed}": run for run in reversed(results.runs)}
    for name in [name for name in wanted if name not in kept]:
        run = cells[name]
        s = run.settings
        for kind in s.evaluations:
            if kind in CONTROLS and (kind != "classification" or s.labels not in (0, "all")):
                same = kind, run.seed, json.dumps(needed(run), sort_keys=True)
                if same not in measured:
                    measured[same] = list(CONTROLS[kind](s, load(s), run.seed))
                for control, measurements in measured[same]:
                    base = {"experiment": run.experiment, "method": control, "seed": run.seed}
                    found += [base | m._asdict() for m in measurements]
                    print(f"{run.experiment}, {control}, seed {run.seed}: measured", flush=True)
    content = {"cells": wanted, "rows": found}
    whole_files.write_json(results.folder / "baselines.json", content)
    return content
