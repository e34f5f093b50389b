"""Check results against what they must be.

Every record and measurement is whole and of its run, methods of an experiment that share a seed started from the
same weights, batches and labels, seeds did not, stored models are the records' own, and the tidy table says
what the records say. `--strict` wants every run finished, too.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.config.runs import Run
from bench.records import collect, result_set, whole_files
from bench.records.freshness import Results
from bench.records.result_set import Damaged

STATUSES = ("ok", "unsupported", "diverged", "failed", "timeout", "out of memory", "crashed")
Text = Annotated[str, Field(min_length=1)]
Version = Annotated[str, Field(pattern=r"^[0-9a-f]{16}-([0-9a-f]{8}|absent)$")]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Finite = Annotated[float, Field(allow_inf_nan=False)]
# What the weights, batches and labels that a training starts from depend on, besides the seed.
BEGINNING = {
    "dataset", "normalisation", "labels", "architecture", "latents", "decoder", "merge", "encoder", "noise_dim",
    "width", "depth", "batch_norm", "init", "batch_size",
}  # fmt: skip


class Exact(BaseModel):
    """A file's content with all of these keys and no other."""

    model_config = ConfigDict(extra="forbid")


class Hashes(Exact):
    """Of the initial weights, the first batches, the labelled images and the final model."""

    weights: Hash | None = None
    batches: Hash | None = None
    labels: Hash | None = None
    model: Hash | None = None


class Record(Exact):
    """`record.json`: how a training went, and all that its result depends on."""

    run: dict[str, Any]
    id: Text
    version: Version
    status: Literal[STATUSES]
    reason: str | None
    epoch: Annotated[int, Field(ge=0)]
    hashes: Hashes
    facts: dict[str, Any]
    opening: dict[str, dict[str, Any]] | None
    evidence: dict[str, Any] | None = None
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None
    dirty: bool | None
    versions: Annotated[dict[str, Text], Field(min_length=1)]
    device: Literal["cpu", "cuda"]
    machine: Text
    host: str
    threads: Annotated[int, Field(ge=1)]
    slurm_job: str | None
    peak_memory_mb: Annotated[float, Field(gt=0)]


class Row(Exact):
    """A measurement."""

    protocol: Text
    metric: Text
    value: Finite
    standard_error: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    n: Annotated[int, Field(ge=1)] | None
    split: Literal["train", "validation", "test", "simulated"]


class Failed(Exact):
    """A protocol that gave no number, by which version."""

    version: Text
    reason: Text


class Metrics(Exact):
    """`metrics.json`: what was measured of a run's model, by which versions of the protocols, or why nothing was."""

    model: Hash | None
    status: Literal[STATUSES]
    reason: str | None
    versions: dict[str, Text]
    failed: dict[str, Failed]
    rows: list[Row]


def problems(results: Results) -> Iterator[str]:
    """A line for each thing that is not as it must be: file, key, what is wrong."""
    beginnings: dict[tuple, tuple] = {}
    try:
        packed = results.packed
    except Damaged as error:
        yield str(error)
        return
    for run in results.runs:
        line = packed.get(run.id, {})
        record = yield from _read(Record, results.path(run, "record.json"), line.get("record"), results.folder)
        packed_metrics = line.get("metrics")
        if packed_metrics:
            rows = [{k: v for k, v in row.items() if k != "current"} for row in packed_metrics["rows"]]
            packed_metrics = {k: v for k, v in packed_metrics.items() if k != "seconds"} | {"rows": rows}
        metrics = yield from _read(Metrics, results.path(run, "metrics.json"), packed_metrics, results.folder)
        if record is None:
            continue
        yield from _of_its_run(run, record, results.path(run))
        if metrics:
            yield from _of_its_record(run, record, metrics, results.path(run, "metrics.json"))
        if record.status == "ok":
            yield from _began_alike(run, record, results.path(run, "record.json"), beginnings)
    try:
        now = collect.files(results)
    except (Damaged, KeyError, TypeError) as error:
        if isinstance(error, Damaged):
            yield str(error)
        return
    for name, content in now.items():
        path = result_set.place(results.folder, name)
        if path.exists() and path.read_bytes() != content:
            yield f"{path}: not what the runs say; `latentbench collect` writes it again"


def _read(model: type[Exact], path: Path, packed: dict | None, folder: Path) -> Iterator[str]:
    """The content of a run's file, or of its packed line where there is no file; checked."""
    if not path.exists():
        if packed is None or packed.get("status") == "missing":
            return None
        path, content = folder / "runs.jsonl", packed
    else:
        content = whole_files.read_json(path)
    if content is None:
        yield f"{path}: not a whole JSON file"
        return None
    try:
        return model.model_validate(content, strict=True)
    except ValidationError as error:
        for detail in error.errors():
            yield f"{path}: {'.'.join(map(str, detail['loc']))}: {detail['msg']} (found {detail['input']!r:.60})"
    return None


def _of_its_run(run: Run, record: Record, folder: Path) -> Iterator[str]:
    path = folder / "record.json"
    try:
        same = Run.from_json(record.run).id == record.id == run.id
    except (TypeError, ValueError, KeyError):
        same = False
    if not same:
        yield f"{path}: run, id: not those of {run.id}, in whose folder it is"
    if record.status == "ok":
        if record.epoch != run.settings.epochs:
            yield f"{path}: epoch: {record.epoch} of {run.settings.epochs}, and yet its status is 'ok'"
        missing = [name for name in ("weights", "batches", "model") if getattr(record.hashes, name) is None]
        missing += ["labels"] if run.settings.labels and record.hashes.labels is None else []
        yield from (f"{path}: hashes.{name}: missing" for name in missing)
    elif not record.reason:
        yield f"{path}: reason: missing for the status {record.status!r}"
    model = folder / "model.safetensors"
    if model.exists() and whole_files.sha256(model.read_bytes()) != record.hashes.model:
        yield f"{model}: not the file whose hash its record has"


def _of_its_record(run: Run, record: Record, metrics: Metrics, path: Path) -> Iterator[str]:
    if metrics.model != record.hashes.model:
        yield f"{path}: model: not that of the record beside it"
    names = [(row.metric, row.split) for row in metrics.rows]
    yield from (f"{path}: rows: {' of '.join(name)} twice" for name in sorted({n for n in names if names.count(n) > 1}))
    if record.status == "ok" and run.settings.evaluations and not (metrics.rows or metrics.failed):
        yield f"{path}: rows: none, and yet its status is 'ok'"


def _began_alike(run: Run, record: Record, path: Path, seen: dict) -> Iterator[str]:
    # An encoder that is only drawn from otherwise has the same weights as the others.
    s = run.settings.model_dump(mode="json", include=BEGINNING)
    s["encoder"] = s["encoder"] == "universal"
    ours = record.hashes
    id_, theirs = seen.setdefault((run.experiment, run.seed, str(s)), (run.id, ours))
    for name in ("weights", "batches", "labels"):
        if getattr(ours, name) != getattr(theirs, name):
            yield f"{path}: hashes.{name}: {run.id} did not start like {id_}, of the same seed"
    id_, seed = seen.setdefault((run.experiment, ours.weights), (run.id, run.seed))
    if seed != run.seed:
        yield f"{path}: hashes.weights: {run.id} started from the weights of {id_}, of another seed"


def unfinished(results: Results) -> Iterator[str]:
    """A line for each run that is missing or ended badly, is of older code, or lacks a measurement.

    A pair that a method cannot do by its own word is none of these.
    """
    for run in results.runs:
        record, metrics = results.record(run), results.metrics(run)
        status = (record or {"status": "not run"})["status"]
        if status not in ("ok", "unsupported"):
            reason = (record or {}).get("reason")
            yield f"{run.id}: {status}{f', {reason}' if reason else ''}"
        elif not results.trained(run):
            yield f"{run.id}: of older code or data; `verify` says whether it is still true"
        elif lacking := results.lacking(run):
            yield f"{run.id}: not measured by the present {', '.join(lacking)}"
        elif metrics and metrics["failed"]:
            yield f"{run.id}: {metrics['reason']}"
