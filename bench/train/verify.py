"""Is a result of older code still true? The opening of its training is repeated and held against its record's.

The same within `opening.TOLERANCE`: the record gets the present version, and keeps the evidence. Different: it is
stale, and the first step and term that differ are named. There is no other way in.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from typing import NamedTuple

import torch

from bench.config.runs import Run
from bench.data import datasets
from bench.records import provenance, whole_files
from bench.records.freshness import Results, training_version
from bench.records.locks import run_lock
from bench.train import opening
from bench.train.interruptions import Stopped
from bench.train.loop import Diverged, Training
from bench.train.objective import Unsupported


class Verdict(NamedTuple):
    """What verifying a run has found: "current", "same" as its record, or "stale", and why."""

    run: str
    word: str
    reason: str
    difference: float | None = None


_loader = cache(datasets.loader)


def replay(run: Run) -> dict:
    """The opening that the present code gives, of a run that is trained no further.

    Raises:
        Unsupported, Diverged: as the training would.
    """
    seen = _loader()(run.settings)
    training = Training(run, datasets.Dataset(**vars(seen)))
    try:
        training.run_epoch(lambda count: None, lambda: bool(training.opening["after"]))
    except Stopped:
        pass
    except Diverged:
        if not training.opening["losses"]:
            raise
    return training.opening


def verify_run(run: Run, record: dict) -> Verdict:
    """Hold a record against the present code and data."""
    torch.set_num_threads(1)
    now = training_version(run)
    if record["version"] == now:
        return Verdict(run.id, "current", "")
    if record["version"].split("-")[1] != now.split("-")[1]:
        return Verdict(run.id, "stale", f"other data: {record['version'].split('-')[1]} then, {now.split('-')[1]} now")
    if record["status"] == "dropped":  # nothing was trained: it stands and falls with those that were
        return Verdict(run.id, "same", "", 0.0)
    old = record.get("opening")
    try:
        new = replay(run)
    except Unsupported as error:
        if record["status"] == "unsupported" and record["reason"] == str(error):
            return Verdict(run.id, "same", "", 0.0)
        return Verdict(run.id, "stale", f"{record['status']} then, unsupported now: {error}")
    if not old or not old["losses"]:
        return Verdict(run.id, "stale", "its record holds no opening to compare with")
    found = opening.compare(old, new, run.settings.precision)
    return Verdict(run.id, "stale" if found.where else "same", found.where or "", found.difference)


def accept(results: Results, run: Run, verdict: Verdict) -> None:
    """Give the record of a run the present version, with the evidence for it."""
    commit, dirty = provenance.commit()
    with run_lock(results.path(run)):
        record = results.record(run)
        evidence = {
            "commit": commit,
            "dirty": dirty,
            "difference": verdict.difference,
            "machine": provenance.processor(),
            "torch": provenance.versions()["torch"],
            "version": record["version"],
        }
        new = record | {"version": training_version(run), "evidence": evidence}
        whole_files.write_json(results.path(run, "record.json"), new)


def verify(results: Results, runs: list[Run], jobs: int = 1, say: Callable[[str], None] = print) -> list[Verdict]:
    """Verify every run that has a record, a run of each cell first.

    Records that come to the same are written; `say` gets a line for each run that was repeated.
    """
    known = [(run, record) for run in sorted(runs, key=lambda run: run.seed) if (record := results.record(run))]
    found = []
    for (run, _), verdict in zip(known, _verified(known, jobs), strict=True):
        found.append(verdict)
        if verdict.word == "current":
            continue
        if verdict.word == "same":
            accept(results, run, verdict)
        size = "" if verdict.difference is None else f" (largest difference {verdict.difference:.1e})"
        reason = verdict.reason and f", {verdict.reason}"
        say(f"{run.id}: {verdict.word}{size}{reason}; {len(found)} of {len(known)}")
    return found


def _verified(pairs: list[tuple[Run, dict]], jobs: int) -> Iterator[Verdict]:
    if jobs == 1 or not pairs:
        yield from (verify_run(run, record) for run, record in pairs)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        yield from pool.map(verify_run, *zip(*pairs, strict=True))


def report(found: list[Verdict]) -> str:
    """What verifying has found, in a sentence; the stale ones are told while they are found."""
    count = {word: sum(verdict.word == word for verdict in found) for word in ("current", "same", "stale")}
    largest = max((v.difference for v in found if v.word == "same" and v.difference is not None), default=0.0)
    return (
        f"{len(found)} records: {count['current']} of the present code, {count['same']} repeated and the same "
        f"(largest difference {largest:.1e}), {count['stale']} stale."
    )
