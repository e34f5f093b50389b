"""Check results against what they must be.

Every record and measurement is whole and of its run, methods of an experiment that share a seed started from the
same weights, batches and labels, seeds did not, stored models are the records' own, and the tidy table says
what the records say. `--strict` wants every run finished, too.
"""

from collections.abc import Iterator
from pathlib import Path

from bench.config.runs import Run
from bench.records import collect, result_set, whole_files
from bench.records.freshness import ARCHITECTURE, PICTURES, Results
from bench.records.result_set import Damaged

REMEDY = "`latentbench collect` writes it from the runs, `git checkout` brings back what was committed"
# What the weights, batches and labels that a training starts from depend on, besides the seed.
BEGINNING = {"dataset", "normalisation", "labels", "batch_size", *ARCHITECTURE} - {"precision"}


def problems(results: Results) -> Iterator[str]:
    """A line for each thing that is not as it must be: file, key, what is wrong."""
    beginnings: dict[tuple, tuple] = {}
    try:
        _ = results.packed
    except Damaged as error:
        yield str(error)
        return
    for run in results.runs:
        record, metrics = results.record(run), results.metrics(run)
        for name, content in (("record.json", record), ("metrics.json", metrics)):
            if content is None and results.path(run, name).exists():
                yield f"{results.path(run, name)}: not whole, or without the keys that it must have"
        try:
            result_set.arrays(results.path(run), name="codes.npz")
        except Damaged as error:
            yield f"{error}; `latentbench evaluate` of {run.id} with --force makes it again"
        if record is None:
            continue
        yield from _of_its_run(run, record, results.path(run))
        if metrics and metrics["status"] != "missing":
            yield from _of_its_record(run, record, metrics, results.path(run, "metrics.json"))
        if record["status"] == "ok":
            yield from _began_alike(run, record, results.path(run, "record.json"), beginnings)
    try:
        now = collect.files(results)
    except (Damaged, LookupError, TypeError, ValueError) as error:
        yield f"{results.folder}: cannot be collected: {error}"
        return
    for name, content in now.items():
        path = result_set.place(results.folder, name)
        if results.packed and not path.exists():
            yield f"{path}: missing; {REMEDY}"
        elif path.exists() and path.read_bytes() != content:
            yield f"{path}: not what the runs say; {REMEDY}"
    yield from (f"{line}; {REMEDY}" for line in _lacking(results))


def _lacking(results: Results) -> Iterator[str]:
    """What a set lacks of the epochs and pictures of its runs."""
    folder, seen = results.folder, set()
    histories, arrays = result_set.history(folder), result_set.arrays(folder)
    for run in results.runs:
        line = results.packed.get(run.id)
        if not line or line["record"]["status"] != "ok":
            continue
        wanted = list(range(1, run.settings.epochs + 1))
        if [row.get("epoch") for row in histories.get(run.id, [])] != wanted:
            yield f"{result_set.place(folder, 'history.csv')}: {run.id}: expected its epochs, 1 to {wanted[-1]}"
        if run.cell not in seen and PICTURES in line["metrics"]["versions"]:
            names = {"test_classes", *(f"test_{name}" for name in run.settings.latents)}
            names |= {"samples"} if "reconstruction" in run.settings.terms else set()
            if lacking := sorted(name for name in names if f"{run.id}/{name}" not in arrays):
                yield f"{result_set.place(folder, 'arrays.npz')}: {run.id}: lacks {', '.join(lacking)}"
        seen.add(run.cell)


def _of_its_run(run: Run, record: dict, folder: Path) -> Iterator[str]:
    path, hashes = folder / "record.json", record["hashes"]
    if record.get("id") != run.id:
        yield f"{path}: id: not that of {run.id}, in whose folder it is"
    if record["status"] == "ok":
        if record.get("epoch") != run.settings.epochs:
            yield f"{path}: epoch: {record.get('epoch')} of {run.settings.epochs}, and yet its status is 'ok'"
        needed = ("weights", "batches", "model", *(["labels"] if run.settings.labels else []))
        yield from (f"{path}: hashes.{name}: missing" for name in needed if hashes.get(name) is None)
    elif not record.get("reason"):
        yield f"{path}: reason: missing for the status {record['status']!r}"
    model = folder / "model.safetensors"
    if model.exists() and whole_files.sha256(model.read_bytes()) != hashes.get("model"):
        yield f"{model}: not the file whose hash its record has"


def _of_its_record(run: Run, record: dict, metrics: dict, path: Path) -> Iterator[str]:
    if metrics["model"] != record["hashes"].get("model"):
        yield f"{path}: model: not that of the record beside it"
    names = [(row["metric"], row["split"]) for row in metrics["rows"]]
    yield from (f"{path}: rows: {' of '.join(name)} twice" for name in sorted({n for n in names if names.count(n) > 1}))
    if record["status"] == "ok" and run.settings.evaluations and not (metrics["rows"] or metrics["failed"]):
        yield f"{path}: rows: none, and yet its status is 'ok'"


def _began_alike(run: Run, record: dict, path: Path, seen: dict) -> Iterator[str]:
    # An encoder that is only drawn from otherwise has the same weights as the others.
    s = run.settings.model_dump(mode="json", include=BEGINNING)
    s["encoder"] = s["encoder"] == "universal"
    ours = record["hashes"]
    id_, theirs = seen.setdefault((run.experiment, run.seed, str(s)), (run.id, ours))
    for name in ("weights", "batches", "labels"):
        if ours.get(name) != theirs.get(name):
            yield f"{path}: hashes.{name}: {run.id} did not start like {id_}, of the same seed"
    id_, seed = seen.setdefault((run.experiment, ours.get("weights")), (run.id, run.seed))
    if seed != run.seed:
        yield f"{path}: hashes.weights: {run.id} started from the weights of {id_}, of another seed"


def unfinished(results: Results) -> Iterator[str]:
    """A line for each run that is missing or ended badly, is of older code, or lacks a measurement.

    A pair that a method cannot do by its own word is none of these, nor a trial that halving has dropped.
    """
    for run in results.runs:
        record, metrics = results.record(run), results.metrics(run)
        status = (record or {"status": "not run"})["status"]
        if status not in ("ok", "unsupported", "dropped"):
            reason = (record or {}).get("reason")
            yield f"{run.id}: {status}{f', {reason}' if reason else ''}"
        elif not results.trained(run):
            yield f"{run.id}: of older code or data; `verify` says whether it is still true"
        elif lacking := results.lacking(run):
            yield f"{run.id}: not measured by the present {', '.join(lacking)}"
        elif metrics and metrics["failed"]:
            yield f"{run.id}: {metrics['reason']}"
