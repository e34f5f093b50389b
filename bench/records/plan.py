"""What a config would run, what of it is done, and how long the rest takes by the records of its like.

Also how far a pipeline that is running has come: it only reads.
"""

import math
import statistics
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from bench.config.runs import Run
from bench.records import forms, result_set, whole_files
from bench.records.freshness import TIMING, Results, read
from bench.records.provenance import machine, processor


def of_here(record: dict) -> bool:
    """Whether a record was made by this kind of processor: another's is no measure of what this one takes."""
    if record.get("device", "cpu") == "cpu":
        return record.get("machine") in (None, processor())
    import torch

    return torch.cuda.is_available() and record["machine"] == machine("cuda")


class Plan:
    """The work that a config leaves to do, and what it will cost by the records of its cells on such a processor."""

    def __init__(self, results: Results, folders: Iterable[Path] | None = None):
        self.results = results
        self.folders = [results.folder] if folders is None else list(folders)
        self.stale = {run.id: results.stale(run) for run in results.runs}

    @cached_property
    def timed(self) -> dict[str, list[tuple[float, float]]]:
        """The seconds of training and measuring of each finished run of this kind of processor, by cell."""
        found: dict[str, list[tuple[float, float]]] = {}
        for folder in self.folders:
            lines = {}
            with suppress(result_set.Damaged):  # another config's, of whose runs in folders there may be times
                lines = {line["id"]: line for line in result_set.runs(folder) if "record" in line}
            for path in folder.glob("runs/*/*/*/record.json"):
                record, timing = whole_files.read_json(path), whole_files.read_json(path.with_name(TIMING))
                if forms.fits(record, forms.RECORD):
                    lines[record["id"]] = {"record": record, "metrics": {"seconds": (timing or {}).get("seconds")}}
            for line in lines.values():
                record, seconds = line["record"], line["metrics"].get("seconds")
                if record["status"] == "ok" and of_here(record):
                    measuring = sum(seconds.values()) if seconds else math.nan
                    found.setdefault(record["id"].rpartition("/")[0], []).append((record["seconds"], measuring))
        return found

    def seconds(self, run: Run, stage: int) -> float:
        """What training (0) or measuring (1) took the runs of a cell, the median; NaN where no record says."""
        known = [t[stage] for t in self.timed.get(run.cell, []) if not math.isnan(t[stage])]
        return statistics.median(known) if known else math.nan

    def hint(self) -> list[str]:
        """What to do first where runs are to be trained whose records are of other code."""
        results = self.results
        older = sum(self.stale[run.id] == "train" and results.record(run) is not None for run in results.runs)
        said = "`latentbench verify` says which of them still hold."
        return [f"{older} have records of other code: {said}"] if older else []

    def rows(self) -> list[dict]:
        """One row for each cell: its runs, how many are done, failed, begun and to do, and the hours of both stages."""
        cells: dict[str, list[Run]] = {}
        for run in self.results.runs:
            cells.setdefault(run.cell, []).append(run)
        rows = []
        for cell, runs in cells.items():
            to_train = [run for run in runs if self.stale[run.id] == "train"]
            finished = [run for run in runs if run not in to_train]
            statuses = Counter(self.results.record(run)["status"] for run in finished)
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
                    "seconds a run": self.seconds(runs[0], 0) if to_train else "",
                    "hours": len(to_train) * self.seconds(runs[0], 0) / 3600 if to_train else 0.0,
                    "evaluation": len(to_evaluate) * self.seconds(runs[0], 1) / 3600 if to_evaluate else 0.0,
                }
            )
        return rows


def describe(rows: list[dict], jobs: int) -> str:
    """The rows as a table for the terminal, with the totals, and what no record tells."""
    from tabulate import tabulate

    def said(value):
        if isinstance(value, float):
            return "?" if math.isnan(value) else f"{value:.3g}"
        return value or ""

    shown = [{k: said(v) for k, v in row.items()} for row in rows]
    total = {k: sum(row[k] for row in rows) for k in ("runs", "done", "to train", "to evaluate")}
    hours = [row["hours"] + row["evaluation"] for row in rows]
    known = sum(h for h in hours if not math.isnan(h))
    lines = [
        tabulate(shown, headers="keys"),
        "",
        f"{total['runs']} runs: {total['done']} done, {total['to train']} to train, "
        f"{total['to evaluate']} to evaluate only.",
    ]
    unknown = sum(map(math.isnan, hours))
    if known:
        said = f"{known:.2g} hours of one core: {known / jobs:.2g} hours with {jobs} jobs at once"
        lines.append(f"By the records, about {said}.")
    if unknown:
        lines.append(f"No run of {unknown} of these cells was timed on this processor: what they take is not known.")
    return "\n".join(lines)


def plan(path: str | Path, jobs: int) -> str:
    """What a config leaves to do, for the terminal."""
    results = Results(read(path))
    folder = results.folder
    # Another config's runs of the same settings tell as much as this one's.
    folders = [folder, *(p for p in sorted(folder.parent.glob("*/")) if p != folder)]
    found = Plan(results, folders)
    return "\n".join([describe(found.rows(), jobs), *found.hint()])
