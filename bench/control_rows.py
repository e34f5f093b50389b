"""Measure what needs no training: `python -m bench.control_rows CONFIG OUTPUT.json`.

Rows to hold the methods against: for the likelihood, training images, k-means centroids and a Gaussian
mixture of principal components in the place of samples; for the classes, the nearest labelled
image and labels spread on a graph; for clusters, k-means. For classes and clusters the same of the
codes of the encoder before its training, too; the likelihood has such a method.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from bench import data, store
from bench.classification import neighbour_probe
from bench.config import ConfigError
from bench.controls import classification_controls, clustering_controls, likelihood_controls, random_codes
from bench.evaluation import CHUNK, Measurement, parzen_measurements
from bench.fingerprint import fingerprint
from bench.labels import labelled_subset
from bench.model import Autoencoder
from bench.runs import expand, read
from bench.schema import Config, Settings
from bench.seeds import stream
from bench.sources import DataError

IMAGES = 10_000  # unlabelled ones, as many as the graph has
# What the codes of an untrained encoder depend on, besides the seed.
ARCHITECTURE = {
    "latents", "width", "depth", "batch_norm", "init", "encoder", "noise_dim", "decoder", "merge", "precision",
}  # fmt: skip


def likelihood(settings: Settings, dataset: data.Dataset, seed: int) -> Iterator[tuple[str, list[Measurement]]]:
    """Parzen rows of samples that no model made."""
    pixels = {name: dataset.to_pixels(getattr(dataset, name).x[:]) for name in ("train", "validation", "test")}
    for name, samples in likelihood_controls(pixels["train"], CHUNK, seed).items():
        yield (
            name,
            list(
                parzen_measurements(pixels["validation"], pixels["test"], lambda n, chunk, s=samples: s, [len(samples)])
            ),
        )


def classification(settings: Settings, dataset: data.Dataset, seed: int) -> Iterator[tuple[str, list[Measurement]]]:
    """Errors with the very labels of the semi-supervised runs of the seed."""
    x, y = dataset.train
    labelled = labelled_subset(y, settings.labels, seed, dataset.classes)
    test = dataset.test.x[:], dataset.test.y
    if isinstance(x, torch.Tensor):
        unlabelled = x
    else:  # kept as bytes, because as floats they could fill the memory
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(stream(seed, "controls")))
        unlabelled = x[order[:IMAGES]]
    found = classification_controls((x[labelled], y[labelled]), unlabelled, test, seed)
    encoder = untrained(settings, dataset, seed)
    (known, y_known), (new, y_new) = ((random_codes(encoder, a), b) for a, b in ((x[labelled], y[labelled]), test))
    found["nearest labelled code, random encoder"] = neighbour_probe((known, y_known), (new, y_new), neighbours=1)
    for name, error in found.items():
        yield name, [Measurement("error", 100 * error, n=len(test[1]))]


def untrained(settings: Settings, dataset: data.Dataset, seed: int) -> Autoencoder:
    """The autoencoder that the runs of a seed begin with."""
    return Autoencoder(settings, dataset.pixels, dataset.classes).initialise(seed)


def clustering(settings: Settings, dataset: data.Dataset, seed: int) -> Iterator[tuple[str, list[Measurement]]]:
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


def version(config: Config) -> str:
    """What the rows depend on: code, packages, data and the settings they read."""
    cells = {}
    for run in expand(config):
        s = run.settings
        read = s.model_dump(mode="json", include={"dataset", "normalisation", "labels", "evaluations", *ARCHITECTURE})
        cells.setdefault((run.experiment, run.seed), read)
    digest = store.sha256(repr(sorted(cells.items())).encode())[:8]
    return f"{fingerprint('bench.controls', 'bench.evaluation')}-{digest}"


def rows(config: Config) -> list[dict]:
    """A row for each control, experiment, seed and metric; seeds share what does not depend on them."""
    found, loaded = [], {}
    for run in {(r.experiment, r.seed): r for r in expand(config)}.values():
        s = run.settings
        key = s.dataset, s.normalisation
        if key not in loaded:
            loaded[key] = data.load(key[0], config.data_root, key[1])
        for kind in s.evaluations:
            if kind in CONTROLS and (kind != "classification" or s.labels not in (0, "all")):
                for name, measurements in CONTROLS[kind](s, loaded[key], run.seed):
                    base = {"experiment": run.experiment, "method": name, "seed": run.seed}
                    found += [base | m._asdict() for m in measurements]
                    print(f"{run.experiment}, {name}, seed {run.seed}: measured", flush=True)
    return found


def main(argv: list[str] | None = None) -> int:
    """The program: 0 when the rows are written or up to date, 2 for a bad config."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("output", type=Path)
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args(argv)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    try:
        config, _, _ = read(arguments.config)
        old = store.read_json(arguments.output)
        if old is None or old["version"] != version(config):
            old = {"version": version(config), "rows": rows(config) if config.controls else []}
        store.write_json(arguments.output, old)
    except (ConfigError, DataError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
