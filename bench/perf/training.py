"""Training steps of the real loop beside their matrix products.

latentbench perf training [--config config/mnist_wide.yaml] [--experiment likelihood] [--methods ae vae aae mmd]
                          [--batches 100 256] [--precisions float32 bfloat16] [--steps 5] [--rounds 10] [--threads 1]
                          [--json FILE]

A step is one of `bench.train.loop` on random images. "products" is the share of its time that the same matrix
products take alone: those that the step calls, recorded and run again. A method with a schedule, such as aae/joint, is
the method in that schedule.
"""

import contextlib
from itertools import product

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bench.config import reading
from bench.config.runs import Run
from bench.config.schema import Settings
from bench.config.values import unknown
from bench.data.datasets import Dataset, Split
from bench.data.declarations import declaration
from bench.perf.timing import at_least, now, options, repeated, report, turns
from bench.train.loop import Stopped, Training

METHODS = ["ae", "vae", "aae", "aae/joint", "mmd", "mmd_joint", "wae_mmd", "sinkhorn", "sliced_wasserstein"]
IMAGES = 50_000
aten = torch.ops.aten
PRODUCTS = {
    aten.mm.default: aten.mm.out,
    aten.addmm.default: aten.addmm.out,
    aten.bmm.default: aten.bmm.out,
    aten.baddbmm.default: aten.baddbmm.out,
}


def images(name: str, n: int) -> Dataset:
    """A data set of the shape of `name`, with `n` random training images that are mostly black, like digits."""
    source = declaration(name)
    x = (torch.rand(n, source.pixels) * 5 - 4).clamp(min=0)
    split = Split(x, torch.randint(source.classes, (n,)))
    few = Split(x[:10], split.y[:10])
    zeros, ones = torch.zeros(source.pixels), torch.ones(source.pixels)
    return Dataset(name, source.shape, source.classes, split, few, "synthetic", (), zeros, ones, few)


class RealSteps:
    """Steps of the loop, as a run takes them. What an epoch costs beside its steps is timed where one ends."""

    def __init__(self, settings: Settings, dataset: Dataset):
        self.training = Training(Run("perf", "method", 0, settings), dataset)

    def turn(self, steps: int) -> float:
        """Seconds of one step: the mean of `steps` from the end of one step to that of the next."""
        torch.use_deterministic_algorithms(self.training.settings.deterministic)
        stamps: list[float] = []
        with contextlib.suppress(Stopped):
            while True:
                self.training.run_epoch(lambda _: stamps.append(now()), lambda: len(stamps) > steps)
        return (stamps[steps] - stamps[0]) / steps


class Products(TorchDispatchMode):
    """The matrix products of what runs within, forwards and backwards, to be run again without anything else.

    Products inside other operators, such as `cdist`, are not seen.
    """

    def __init__(self):
        super().__init__()
        self.calls: list[tuple] = []
        self.flop = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func in PRODUCTS:
            self.flop += 2 * out.numel() * args[-1].shape[-2]
            self.calls.append((PRODUCTS[func], args, torch.empty_like(out), kwargs or {}))
        return out

    @torch.no_grad
    def run(self) -> None:
        """All of them once, into memory that is there."""
        for multiply, operands, out, named in self.calls:
            multiply(*operands, out=out, **named)


def products(real: RealSteps) -> Products:
    """Those of one step of the real loop."""
    recorded, done = Products(), []
    with contextlib.suppress(Stopped), recorded:
        real.training.run_epoch(done.append, lambda: bool(done))
    return recorded


def cell(settings: Settings, dataset: Dataset, steps: int, rounds: int) -> dict:
    """The row of one method, batch size and precision."""
    real = RealSteps(settings, dataset)
    real.turn(2)
    recorded = products(real)
    jobs = {"ours": real.turn, "products": repeated(recorded.run)}
    turns(jobs, 1, 1)
    times = turns(jobs, steps, rounds)
    ours = times["ours"]
    row = {"ms": 1e3 * ours, "images/s": settings.batch_size / ours, "products": times["products"] / ours}
    row["GFLOP/s"] = 1e-9 * recorded.flop / times["products"]
    return row


def run(arguments: list[str]) -> None:
    """The program; see the module."""
    parser = options("training", __doc__)
    parser.add_argument("--config", default="config/mnist_wide.yaml", help="has the experiment")
    parser.add_argument("--experiment", default="likelihood", help="has the methods")
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--batches", type=at_least(2), nargs="+", default=[100, 256])
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--steps", type=at_least(1), default=5, help="of a turn")
    a = parser.parse_args(arguments)
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    config, rows = reading.load(a.config), []
    if a.experiment not in config.experiments:
        parser.error(f"--experiment: {unknown(a.experiment, config.experiments)}")
    for method, _, schedule in (method.partition("/") for method in a.methods):
        if method not in config.methods:
            parser.error(f"--methods: {unknown(method, config.methods)}")
        if schedule not in ("", "joint", "alternating"):
            parser.error(f"--methods: {method}/: {unknown(schedule, ('joint', 'alternating'))}")
    for batch, precision, method in product(a.batches, a.precisions, a.methods):
        name, _, schedule = method.partition("/")
        settings = reading.settings(config, a.experiment, name)
        changes = {"batch_size": batch, "precision": precision, "epochs": 1}
        changes |= {"schedule": schedule} if schedule else {}
        settings = Settings.model_validate(settings.model_dump() | changes)
        row = cell(settings, images(settings.dataset, IMAGES), a.steps, a.rounds)
        rows.append({"batch": batch, "precision": precision, "method": method, **row})
    report(rows, __doc__, a.json)
