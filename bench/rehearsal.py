"""How long a training will take, from a few of its own steps on noise: no data set is read, nothing is written."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch

from bench.data import Dataset, Split
from bench.objective import Unsupported
from bench.runs import Run
from bench.schema import Settings
from bench.sources import NAMES
from bench.train import time_limit
from bench.training import Diverged, Stopped, Training

IMAGES = {"digits": 1197, "mnist": 50_000, "svhn": 594_388, "tfd": 101_000}  # of the training splits, about
ENOUGH = 0.25  # seconds of steps
PATIENCE = 60.0  # seconds for all of it: a plug-in that hangs must not hang the plan


# Numbers that change what is learnt, but not how long a step takes.
WEIGHTLESS = {
    "epochs", "weight", "weights", "optimizers", "separation_margin", "init", "milestones", "evaluations",
    "parzen_samples", "timeout",
}  # fmt: skip


class Unable(RuntimeError):
    """The training ends, or hangs, before a step of it can be timed; says why."""


class Timing(NamedTuple):
    """Seconds of a training: of a step, and of what follows the last one."""

    step: float
    end: float

    def seconds(self, s: Settings) -> float:
        """Those of the whole training, for as many epochs as the settings say."""
        return self.step * math.ceil(IMAGES[s.dataset] / s.batch_size) * s.epochs + self.end


def kind(s: Settings) -> str:
    """What settings of equally long steps have in common."""
    return s.model_dump_json(exclude=WEIGHTLESS) + str({o.name for o in s.optimizers.values()})


def rehearse(run: Run, device: str = "cpu", patience: float = PATIENCE) -> Timing:
    """The first steps of a training, timed: seconds of one core, or of the GPU's clock.

    On a CPU the process's own time counts, so that what else the machine does now does not.

    Raises:
        Unable: the method does not work with these settings, fails or hangs.
    """
    s = run.settings
    clock = _gpu_clock if device == "cuda" else time.process_time
    with _one_thread(), torch.random.fork_rng():
        marks: list[float] = []
        try:
            with time_limit(patience):
                training = Training(run, noise(s), device)
                _steps(training, clock, marks)
                fitting = clock()
                training.finish()
                fitted = clock() - fitting
        except Unsupported as error:
            raise Unable(f"unsupported: {error}") from error
        except (Exception, SystemExit) as error:
            if len(marks) < 2:
                raise Unable(_reason(error, patience)) from error
            fitted = 0.0
    return Timing((marks[-1] - marks[0]) / (len(marks) - 1), fitted)


def _reason(error: BaseException, patience: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no step within {patience:g} s"
    if isinstance(error, Diverged):
        return "diverges"
    return f"{type(error).__name__}: {error}".splitlines()[0][:60]


def _steps(training: Training, clock: Callable[[], float], marks: list[float]) -> None:
    """Epochs until enough of them is timed; `marks` are the times after each step but the first, which warms up."""
    s = training.settings
    least = 2 + 2 * s.regularization_every
    count = 0

    def progress(_: int) -> None:
        nonlocal count
        count += 1
        if count > 1:
            marks.append(clock())

    def stopping() -> bool:
        return len(marks) >= least and marks[-1] - marks[0] > ENOUGH

    try:
        while not stopping():
            training.run_epoch(progress, stopping)
    except Stopped:
        pass


def noise(s: Settings) -> Dataset:
    """Random images in the shape of the settings' data set, as many as its steps and labels need, at most its own."""
    source = NAMES[s.dataset]
    labels = s.labels if isinstance(s.labels, int) else 0
    n = max(min(max(8 * s.batch_size, 1200), IMAGES[s.dataset]), labels + source.classes)
    x = torch.rand(n, source.pixels, generator=torch.Generator().manual_seed(0))
    y = torch.arange(n) % source.classes
    mean, std = torch.zeros(source.pixels), torch.ones(source.pixels)
    few = Split(x[:2], y[:2])
    return Dataset(
        s.dataset, source.shape, source.classes, Split(x, y), few, "noise", source.cite, mean, std, held_back=few
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _gpu_clock() -> float:
    torch.cuda.synchronize()
    return time.perf_counter()
