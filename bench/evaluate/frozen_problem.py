"""A small problem that never changes, and what every protocol gives on it: `python -m bench.evaluate.frozen_problem`.

Three tiny models, stored in `frozen_problem.safetensors`, and images that are made by a formula. The numbers stand
for the versions of the measurements (`bench.records.protocol_versions`). `--train` makes the models anew, which is
another problem, and makes every measurement one of an older version.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
import yaml
from safetensors.torch import load_file, save_file

from bench.config.runs import Run
from bench.config.schema import Settings
from bench.data.datasets import Dataset, Split
from bench.evaluate.baselines import ROWS
from bench.evaluate.likelihood import EFFORT, by_annealing
from bench.evaluate.measure_runs import arrays
from bench.evaluate.parzen import PROTOCOLS
from bench.evaluate.protocols import EVALUATIONS
from bench.evaluate.trained_run import Trained
from bench.records.freshness import PICTURES
from bench.train.loop import Training

MODELS, SETTINGS = (Path(__file__).with_suffix(end) for end in (".safetensors", ".yaml"))
SIDE, CLASSES = 4, 4
SPLITS = {"train": 800, "validation": 6000, "test": 600}


@cache
def dataset() -> Dataset:
    """4 x 4 images of four classes: blurred bars with noise, from numpy's frozen legacy generator (NEP 19)."""
    rng = np.random.RandomState(0)

    def split(n: int) -> Split:
        y = rng.randint(CLASSES, size=n)
        bar = np.zeros((n, SIDE, SIDE))
        even, line = y % 2 == 0, y // 2 + rng.randint(2, size=n)
        bar[np.arange(n)[even], line[even]] = 1
        bar[np.arange(n)[~even], :, line[~even]] = 1
        x = np.clip(0.15 + 0.6 * bar * rng.uniform(0.6, 1.2, (n, 1, 1)) + 0.08 * rng.normal(size=bar.shape), 0, 1)
        return Split(torch.tensor(x.reshape(n, -1), dtype=torch.float32), torch.tensor(y, dtype=torch.int64))

    parts = {name: split(n) for name, n in SPLITS.items()}
    pixels = SIDE**2
    return Dataset(
        "frozen", (1, SIDE, SIDE), CLASSES, parts["train"], parts["validation"], "frozen", (),
        torch.zeros(pixels), torch.ones(pixels), parts["test"],
    )  # fmt: skip


def runs() -> Iterator[tuple[str, Run, list[str]]]:
    """The models: name, run and protocols."""
    problems = yaml.safe_load(SETTINGS.read_text(encoding="utf-8"))
    del problems["common"]
    for name, problem in problems.items():
        yield name, Run("frozen", name, 0, Settings.model_validate(problem["settings"])), problem["protocols"]


def numbers() -> dict[str, dict[str, float]]:
    """What each protocol gives, by its name and metric; of pictures, the means and mean squares of the arrays."""
    # A fifteenth of the temperatures is enough to see another rule by; how much is done is among the numbers itself.
    measure = EVALUATIONS | {"ais": partial(by_annealing, effort=EFFORT._replace(temperatures=40, draws=100))}
    found: dict[str, dict[str, float]] = {}
    weights = load_file(MODELS)
    for name, run, protocols in runs():
        with tempfile.TemporaryDirectory() as folder:
            own = {k.removeprefix(f"{name}/"): v for k, v in weights.items() if k.startswith(f"{name}/")}
            save_file(own, Path(folder) / "model.safetensors")
            trained = Trained(run, dataset(), Path(folder))
            for protocol in protocols:
                found[protocol] = {f"{m.metric} {m.split}": m.value for m in measure[protocol](trained)}
            for key, array in arrays(trained).items():
                values = array.astype(np.float64)
                own = found.setdefault(PICTURES, {})
                own[f"{name}/{key} mean"], own[f"{name}/{key} square"] = values.mean(), np.square(values).mean()
    found["ais"] |= EFFORT._asdict()
    grids = {f"{name} {what}": getattr(np, what)(p.grid) for name, p in PROTOCOLS.items() for what in ("size", "sum")}
    found["likelihood"] |= grids
    settings = {name: run.settings for name, run, _ in runs()}
    for kind, measure in ROWS.items():
        of = settings["density" if kind == "likelihood" else "classes"]
        found[f"baseline_{kind}"] = {
            f"{control}: {m.metric} {m.split}": m.value for control, rows in measure(of, dataset(), 0) for m in rows
        }
    found["baseline_likelihood"] |= grids
    return {name: {k: float(f"{v:.6g}") for k, v in own.items()} for name, own in found.items()}


def train() -> None:
    """Make the models, and write their file."""
    weights = {}
    for name, run, _ in runs():
        training = Training(run, Dataset(**vars(dataset())))
        for _ in range(run.settings.epochs):
            training.run_epoch(lambda count: None, lambda: False)
        weights |= {f"{name}/{k}": v for k, v in training.weights().items()}
    save_file(weights, MODELS)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if "--train" in sys.argv:
        train()
    print(json.dumps(numbers(), sort_keys=True))
