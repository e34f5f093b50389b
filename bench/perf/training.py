"""Training steps of the real loop beside their matrix products, a bare loop, and pythae's trainers.

latentbench perf training [--methods ae vae aae mmd] [--batches 100 256] [--precisions float32 bfloat16]
                              [--networks mnist digits] [--rounds 10] [--steps 5] [--threads 1]
                              [--pythae PYTHON] [--json FILE]

A step is one of `bench.train.loop` on random images. "products" is the share of its time that the
same matrix products take alone: those that the step calls, recorded and run again. "bare" and
"pythae" are their times in ours, above 1 where ours is faster: the same arithmetic written
down plainly, and pythae's trainer, either with Adam as it comes and as one fused kernel. PYTHON
is the interpreter of an environment that has pythae, which has no bfloat16 on a CPU: its
float32 step is what ours is compared with in either precision. All take turns. A method with a
schedule, such as aae/joint, is the method in that schedule: that of pythae, which encodes once.
"""

import argparse

import torch

from bench.config import reading
from bench.config.schema import Settings
from bench.data.datasets import Dataset
from bench.perf.rival import MODELS, Pythae
from bench.perf.steps import BareSteps, RealSteps, images, products
from bench.perf.timing import machine, turns, write

METHODS = ("ae", "vae", "aae", "aae/joint", "mmd", "mmd_joint", "wae_mmd", "sinkhorn", "sliced_wasserstein")
# The network's config, how many images an epoch has, and the factor for `steps`. Twelve batches are an epoch of
# digits, whose beginning and end cost as much as steps do: turns of many epochs hold their share.
NETWORKS = {"mnist": ("config/mnist.yaml", 50_000, 1), "digits": ("config/full.yaml", 1198, 24)}
EXPERIMENT = "likelihood"


def rivals(settings: Settings, dataset: Dataset, pythae: Pythae | None) -> dict:
    """Jobs for `timing.turns` by the name of their column."""
    found = {
        "bare": BareSteps(settings, dataset, fused=False).turn,
        "bare, fused Adam": BareSteps(settings, dataset, fused=True).turn,
    }
    model = MODELS.get(settings.regularizer)
    if pythae and model:
        [latent] = settings.latents.values()
        options = {"model": model, "images": len(dataset.train.x), "pixels": dataset.pixels, "dim": latent.dim}
        options |= {"width": settings.width, "depth": settings.depth, "batch": settings.batch_size}
        options |= {"discriminator": settings.hyperparameters.get("width", 1000)}
        found["pythae"] = pythae.job("plain", "trainer", fused=False, **options)
        found["pythae, fused Adam"] = pythae.job("fused", "trainer", fused=True, **options)
    return found


def cell(settings: Settings, dataset: Dataset, steps: int, rounds: int, pythae: Pythae | None) -> dict:
    """The row of one method, batch size and precision."""
    real = RealSteps(settings, dataset)
    real.turn(2)
    recorded = products(real)
    jobs = {"ours": real.turn, "products": recorded.turn} | rivals(settings, dataset, pythae)
    turns(jobs, 1, 1)
    times = turns(jobs, steps, rounds)
    ours = times.pop("ours")
    row = {"ms": 1e3 * ours, "images/s": settings.batch_size / ours}
    row |= {"products": times["products"] / ours, "GFLOP/s": 1e-9 * recorded.flop / times.pop("products")}
    return row | {name: seconds / ours for name, seconds in times.items()}


def run(arguments: list[str]) -> None:
    """The program; see the module."""
    parser = argparse.ArgumentParser(prog="latentbench perf training", description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), help="methods of the configs")
    parser.add_argument("--batches", type=int, nargs="+", default=[100, 256], help="of the MNIST network")
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"], help="of the MNIST network")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=5, help="of a turn")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pythae", metavar="PYTHON", help="interpreter of an environment that has pythae")
    parser.add_argument("--json", help="write the rows here")
    a = parser.parse_args(arguments)
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    print(" | ".join(f"{k} {v}" for k, v in machine().items()))
    pythae = Pythae(a.pythae) if a.pythae else None
    if pythae:
        print(" | ".join(f"{k} {v}" for k, v in pythae.versions.items()))
    columns = ["ms", "images/s", "products", "GFLOP/s", "bare", "bare, fused Adam"]
    columns += ["pythae", "pythae, fused Adam"] if pythae else []
    print(f"{'network':9}{'batch':>6} {'precision':10}{'method':20}" + "".join(f"{c:>{len(c) + 3}}" for c in columns))
    rows = []
    for network in a.networks:
        file, n, factor = NETWORKS[network]
        config, dataset = reading.load(file), images(network, n)
        paper = network == "mnist"
        for batch in a.batches if paper else [100]:
            for precision in a.precisions if paper else ["float32"]:
                for method in a.methods:
                    name, _, schedule = method.partition("/")
                    settings = reading.settings(config, EXPERIMENT, name)
                    changes = {"batch_size": batch, "precision": precision, "epochs": 1}
                    changes |= {"schedule": schedule} if schedule else {}
                    settings = Settings.model_validate(settings.model_dump() | changes)
                    row = cell(settings, dataset, factor * a.steps, a.rounds, pythae)
                    rows.append({"network": network, "batch": batch, "precision": precision, "method": method, **row})
                    line = "".join(f"{row[c]:{len(c) + 3}.4g}" if c in row else " " * (len(c) + 3) for c in columns)
                    print(f"{network:9}{batch:6} {precision:10}{method:20}{line}", flush=True)
                    write(a.json, rows, __doc__)
    if pythae:
        pythae.close()
