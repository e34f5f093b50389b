"""What a config would run, what of it is done, how long the rest takes: `python -m bench.plan CONFIG [--jobs N]`.

Also how far a pipeline that is running has come: it only reads.
"""

import argparse
import os
import statistics
import sys
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from bench import store
from bench.config import ConfigError, Settings
from bench.runs import Results, Run, read
from bench.sources import NAMES

IMAGES = {"digits": 1197, "mnist": 50_000, "svhn": 594_388, "tfd": 101_000}  # of the training splits, about
CLASSES = 10
# The rule of thumb for runs of which no like has been timed, in seconds on one CPU core; measured with this code.
PER_PARAMETER_AND_IMAGE = 2.5e-10
PER_UPDATE = 2e-3
START = 0.1


def parameters(s: Settings) -> int:
    """The number of weights of the autoencoder, without biases and the regularizer's own."""
    pixels = NAMES[s.dataset].pixels
    codes = {name: latent.dim for name, latent in s.latents.items()} | {"label": CLASSES}
    heads = sum(latent.dim * (2 if latent.head == "continuous" else 1) for latent in s.latents.values())
    inputs = sum(codes[name] for name in s.decoder)
    return s.width * (2 * pixels + 2 * (s.depth - 1) * s.width + heads + inputs)


def effort(run: Run) -> float:
    """The seconds that training the run should take on one core, by the rule of thumb."""
    s = run.settings
    images = s.epochs * IMAGES[s.dataset]
    terms = len(s.terms) * (1.5 if s.schedule == "alternating" else 1.0)
    updates = images / s.batch_size * terms
    return START + PER_UPDATE * updates + PER_PARAMETER_AND_IMAGE * parameters(s) * images * terms


class Plan:
    """The work that a config leaves to do, and what it will cost, judged by the records of its like."""

    def __init__(self, results: Results, folders: Iterable[Path] | None = None):
        self.results = results
        self.folders = [results.folder] if folders is None else list(folders)
        self.stale = {run.id: results.stale(run) for run in results.runs}

    @cached_property
    def timed(self) -> list[dict]:
        """The records of all successful trainings in the folders, of whatever version."""
        paths = (path for folder in self.folders for path in sorted(folder.glob("runs/*/*/*/record.json")))
        return [record for record in map(store.read_json, paths) if record and record.get("status") == "ok"]

    def seconds(self, run: Run) -> tuple[float, str]:
        """The estimate for training a run, and what it rests on: 'cell', 'method' or 'rule of thumb'."""
        same = [r["seconds"] for r in self.timed if r["id"].rpartition("/")[0] == run.cell]
        if same:
            return statistics.median(same), "cell"
        ratios = [
            record["seconds"] / effort(Run.from_json(record["run"]))
            for record in self.timed
            if record["run"]["method"] == run.method
        ]
        if ratios:
            return statistics.median(ratios) * effort(run), "method"
        return effort(run), "rule of thumb"

    def megabytes(self, run: Run) -> float:
        """Disk that the run's files take at last: models, codes, pictures. Two checkpoints come and go."""
        milestones = sum(epoch <= run.settings.epochs for epoch in run.settings.milestones)
        return 4 * parameters(run.settings) / 1e6 * (1 + milestones) + 0.5

    def rows(self) -> list[dict]:
        """One row for each cell: its runs, how many are done, failed, begun and to do, and the hours to do."""
        cells: dict[str, list[Run]] = {}
        for run in self.results.runs:
            cells.setdefault(run.cell, []).append(run)
        rows = []
        for cell, runs in cells.items():
            to_train = [run for run in runs if self.stale[run.id] == "train"]
            finished = [run for run in runs if run not in to_train]
            statuses = Counter(store.read_json(self.results.path(r, "record.json"))["status"] for r in finished)
            seconds, basis = self.seconds(runs[0])
            rows.append(
                {
                    "cell": cell,
                    "runs": len(runs),
                    "done": sum(self.stale[run.id] is None for run in runs),
                    "to train": len(to_train),
                    "to evaluate": sum(self.stale[run.id] == "evaluate" for run in runs),
                    "begun": sum(self.results.path(r, "checkpoints/attempts.json").exists() for r in to_train),
                    "not ok": ", ".join(f"{n} {status}" for status, n in statuses.items() if status != "ok"),
                    "hours": sum(self.seconds(run)[0] for run in to_train) / 3600,
                    "megabytes": sum(map(self.megabytes, to_train)),
                    "by": basis if to_train else "",
                    "seconds a run": seconds,
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
    total = {k: sum(row[k] for row in rows) for k in ("runs", "done", "to train", "to evaluate", "hours", "megabytes")}
    return "\n".join(
        [
            tabulate(shown, headers="keys"),
            "",
            f"{total['runs']} runs: {total['done']} done, {total['to train']} to train, "
            f"{total['to evaluate']} to evaluate only.",
            f"Training takes about {total['hours']:.2g} hours of one core, "
            f"{total['hours'] / jobs:.2g} hours with {jobs} jobs at once, "
            f"and {total['megabytes']:.0f} MB of disk. Evaluation comes on top.",
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
    # Other configs' runs tell how long a method takes on this machine, where this one's have not begun.
    plan = Plan(Results(config), [folder, *(p for p in sorted(folder.parent.glob("*")) if p != folder)])
    print(describe(plan.rows(), max(arguments.jobs, 1)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
