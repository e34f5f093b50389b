"""What a config would run, what of it is done, how long the rest takes: `python -m bench.plan CONFIG [--jobs N]`.

Also how far a pipeline that is running has come: it only reads. Where no run of the same settings has been timed
on such a processor, a few steps of it are tried (`bench.rehearsal`), a second for each cell.
"""

import argparse
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterable
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bench import store
from bench.config import ConfigError
from bench.provenance import machine, processor
from bench.runs import TIMING, Results, Run, read
from bench.schema import Settings
from bench.sources import NAMES

if TYPE_CHECKING:
    from bench.rehearsal import Timing

CLASSES = 10
# The seconds that an evaluation takes on one core of SPEED: whatever the data, and for the model and the 10,000 test
# images of config/mnist.yaml. `bench.evaluate` notes what its own took.
MEASURING = {"likelihood": (0.2, 4.0), "latent": (0.2, 5.5), "decomposition": (0.2, 1.0), "ais": (1.0, 80.0)}
OTHERS = 0.01, 0.12
SAMPLES = 1.7  # 10,000 samples more, or those of a milestone
SPEED = 175e9  # multiplications and additions of float32 a second, in a product of large matrices
TEST_IMAGES = {"digits": 300, "mnist": 10_000, "svhn": 26_032, "tfd": 800}
WEIGHTS = 3_584_000  # of that model


def parameters(s: Settings) -> int:
    """The number of weights of the autoencoder, without biases and the regularizer's own."""
    pixels = NAMES[s.dataset].pixels
    codes = {name: latent.dim for name, latent in s.latents.items()} | {"label": CLASSES}
    heads = sum(latent.dim * (2 if latent.head == "continuous" else 1) for latent in s.latents.values())
    inputs = sum(codes[name] for name in s.decoder)
    return s.width * (2 * pixels + 2 * (s.depth - 1) * s.width + heads + inputs)


@cache
def slowness() -> float:
    """How many times longer than on a core of SPEED matrix products take on one of this machine, at this moment."""
    import numpy as np

    a = np.ones((1200, 1200), np.float32)
    seconds = []
    for _ in range(4):
        before = time.process_time()  # of all threads together, and of nobody else
        a @ a
        seconds.append(time.process_time() - before)
    return SPEED * min(seconds) / (2 * len(a) ** 3)


def measuring(s: Settings, known: dict | None = None) -> float:
    """The seconds that measuring a run should take on one core: as `known` from its like, else by sizes and speed.

    `known` is the content of a `timing.json`.
    """
    took = dict(known["seconds"]) if known else {}
    if known and known["parzen_samples"] != s.parzen_samples:
        took.pop("likelihood", None)
    ours = s.model_copy(update={"evaluations": [name for name in s.evaluations if name not in took]})
    rest = _by_size(ours) * slowness() if ours.evaluations or not known else 0.0
    return sum(took.get(name, 0.0) for name in ("codes", *s.evaluations)) + rest


def _by_size(s: Settings) -> float:
    images = TEST_IMAGES[s.dataset] / TEST_IMAGES["mnist"]
    pixels = NAMES[s.dataset].pixels / NAMES["mnist"].pixels
    scale = dict.fromkeys(s.evaluations, images) | {
        "likelihood": images * pixels * s.parzen_samples[0] / 10_000,
        "ais": parameters(s) / WEIGHTS,  # a fixed number of images, through the decoder
    }
    constants = {name: MEASURING.get(name, OTHERS) for name in s.evaluations}
    seconds = sum(fixed + scale[name] * each for name, (fixed, each) in constants.items())
    if "likelihood" in s.evaluations:
        more = sum(s.parzen_samples[1:]) / 10_000 + len(s.milestones) * s.parzen_samples[0] / 20_000
        seconds += SAMPLES * images * pixels * more
    return seconds + sum(OTHERS)  # the codes


def of_here(record: dict) -> bool:
    """Whether a record was made by this kind of processor: another's is no measure of what this one takes."""
    if record.get("device", "cpu") == "cpu":
        return record.get("machine") in (None, processor())
    import torch

    return torch.cuda.is_available() and record["machine"] == machine("cuda")


class Plan:
    """The work that a config leaves to do, and what it will cost, judged by the records of its like."""

    def __init__(self, results: Results, folders: Iterable[Path] | None = None):
        self.results = results
        self.folders = [results.folder] if folders is None else list(folders)
        self.stale = {run.id: results.stale(run) for run in results.runs}
        self._own: dict[str, float | None] = {}
        self._timings: dict[str, Timing | str] = {}
        self._measured: dict[str, dict | None] = {}

    @cached_property
    def timed(self) -> list[dict]:
        """The records of all successful trainings in the folders, of whatever version."""
        paths = (path for folder in self.folders for path in sorted(folder.glob("runs/*/*/*/record.json")))
        return [record for record in map(store.read_json, paths) if record and record.get("status") == "ok"]

    def seconds(self, run: Run) -> tuple[float, str]:
        """The estimate for training a run, and what it rests on: 'cell' or 'rehearsal', or 0 and why it cannot begin.

        A cell's records are those of this kind of processor, of whatever version of the code.
        """
        if run.cell not in self._own:
            records = [r["seconds"] for r in self.timed if r["id"].rpartition("/")[0] == run.cell and of_here(r)]
            self._own[run.cell] = statistics.median(records) if records else None
        if self._own[run.cell] is not None:
            return self._own[run.cell], "cell"
        timing = self._rehearsed(run)
        return (0.0, timing) if isinstance(timing, str) else (timing.seconds(run.settings), "rehearsal")

    def measuring(self, run: Run) -> tuple[float, str]:
        """The estimate for measuring a run, and what it rests on: 'cell', or 'size' where no seed of it was timed."""
        if run.cell not in self._measured:
            paths = (path for folder in self.folders for path in sorted(folder.glob(f"runs/{run.cell}/*/{TIMING}")))
            found = [timing for timing in map(store.read_json, paths) if timing and of_here(timing)]
            found.sort(key=lambda timing: sum(timing["seconds"].values()))
            self._measured[run.cell] = found[len(found) // 2] if found else None
        known = self._measured[run.cell]
        return measuring(run.settings, known), "cell" if known else "size"

    def _rehearsed(self, run: Run) -> "Timing | str":
        # The seconds that importing torch takes are spent only if they must be.
        os.environ.setdefault("PYKEOPS_VERBOSE", "0")
        import torch

        from bench.rehearsal import Unable, kind, rehearse

        key = kind(run.settings)
        if key not in self._timings:
            if sys.stderr.isatty():
                print(f"trying a few steps of {run.cell}", file=sys.stderr)
            try:
                self._timings[key] = rehearse(run, "cuda" if torch.cuda.is_available() else "cpu")
            except Unable as error:
                self._timings[key] = str(error)
        return self._timings[key]

    def megabytes(self, run: Run) -> float:
        """Disk that the run's files take at last: models, codes, pictures. Two checkpoints come and go."""
        milestones = sum(epoch <= run.settings.epochs for epoch in run.settings.milestones)
        return 4 * parameters(run.settings) / 1e6 * (1 + milestones) + 0.5

    def rows(self) -> list[dict]:
        """One row for each cell: its runs, how many are done, failed, begun and to do, and the hours of both stages."""
        cells: dict[str, list[Run]] = {}
        for run in self.results.runs:
            cells.setdefault(run.cell, []).append(run)
        rows = []
        for cell, runs in cells.items():
            to_train = [run for run in runs if self.stale[run.id] == "train"]
            finished = [run for run in runs if run not in to_train]
            statuses = Counter(store.read_json(self.results.path(r, "record.json"))["status"] for r in finished)
            to_evaluate = [run for run in runs if self.stale[run.id]]  # what is trained is measured too
            rows.append(
                {
                    "cell": cell,
                    "runs": len(runs),
                    "done": sum(self.stale[run.id] is None for run in runs),
                    "to train": len(to_train),
                    "to evaluate": len(to_evaluate) - len(to_train),
                    "begun": sum(self.results.path(r, "checkpoints/attempts.json").exists() for r in to_train),
                    "not ok": ", ".join(f"{n} {status}" for status, n in statuses.items() if status != "ok"),
                    "seconds a run": self.seconds(to_train[0])[0] if to_train else "",
                    "by": self.seconds(to_train[0])[1] if to_train else "",
                    "hours": sum(self.seconds(run)[0] for run in to_train) / 3600,
                    "evaluation": sum(self.measuring(run)[0] for run in to_evaluate) / 3600,
                    "evaluation by": self.measuring(to_evaluate[0])[1] if to_evaluate else "",
                    "megabytes": sum(map(self.megabytes, to_train)),
                }
            )
        return rows


def describe(rows: list[dict], jobs: int) -> str:
    """The rows as a table for the terminal, with the totals."""
    from tabulate import tabulate

    shown = [
        {k: (f"{v:.3g}" if isinstance(v, float) else v or "") for k, v in row.items() if k != "megabytes"}
        for row in rows
    ]
    summed = ("runs", "done", "to train", "to evaluate", "hours", "evaluation", "megabytes")
    total = {k: sum(row[k] for row in rows) for k in summed}
    both = total["hours"] + total["evaluation"]
    return "\n".join(
        [
            tabulate(shown, headers="keys"),
            "",
            f"{total['runs']} runs: {total['done']} done, {total['to train']} to train, "
            f"{total['to evaluate']} to evaluate only.",
            f"Training takes about {total['hours']:.2g} hours of one core, evaluation {total['evaluation']:.2g}: "
            f"{both / jobs:.2g} hours with {jobs} jobs at once, and {total['megabytes']:.0f} MB of disk.",
        ]
    )


def main(argv: list[str] | None = None) -> int:
    """The program: 0, or 2 for a bad config."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", help="a config (.yaml)")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="how many run at once (default: the cores)"
    )
    arguments = parser.parse_args(argv)
    try:
        config, _, folder = read(arguments.job)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    # Another config's runs of the same settings tell as much as this one's.
    plan = Plan(Results(config), [folder, *(p for p in sorted(folder.parent.glob("*")) if p != folder)])
    print(describe(plan.rows(), max(arguments.jobs, 1)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
