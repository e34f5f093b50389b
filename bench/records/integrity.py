"""Check results against what they must be.

Every record and measurement is whole and of its run, methods of an experiment that share a seed started from the
same weights, batches and labels, seeds did not, stored models are the records' own, and the tidy table says
what the records say.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.config.runs import Run
from bench.config.schema import Config
from bench.records import collect, whole_files

STATUSES = ("ok", "unsupported", "diverged", "failed", "timeout", "out of memory", "crashed")
Text = Annotated[str, Field(min_length=1)]
Version = Annotated[str, Field(pattern=r"^[0-9a-f]{16}-([0-9a-f]{8}|absent)$")]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Finite = Annotated[float, Field(allow_inf_nan=False)]
# What the weights, batches and labels that a training starts from depend on, besides the seed.
BEGINNING = {
    "dataset", "normalisation", "labels", "latents", "decoder", "merge", "encoder", "noise_dim", "width", "depth",
    "batch_norm", "init", "batch_size",
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

    metric: Text
    value: Finite
    standard_error: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    n: Annotated[int, Field(ge=1)] | None
    split: Literal["train", "validation", "test", "simulated"]


class Metrics(Exact):
    """`metrics.json`: what was measured of a run, or why nothing was."""

    version: Text
    status: Literal[STATUSES]
    reason: str | None
    rows: list[Row]


def problems(config: Config, runs: list[Run], results: Path) -> Iterator[str]:
    """A line for each thing that is not as it must be: file, key, what is wrong."""
    beginnings: dict[tuple, tuple] = {}
    sound = True
    for run in runs:
        folder = results / "runs" / run.id
        record = yield from _read(Record, folder / "record.json")
        metrics = yield from _read(Metrics, folder / "metrics.json")
        if record is None:
            sound = sound and not (folder / "record.json").exists()
            continue
        yield from _of_its_run(run, record, folder)
        if metrics is None:
            sound = sound and not (folder / "metrics.json").exists()
        else:
            yield from _of_its_record(record, metrics, folder / "metrics.json")
        if record.status == "ok":
            yield from _began_alike(run, record, folder / "record.json", beginnings)
    if sound:  # a table can be made of such records only
        yield from _tabulated(config, runs, results)


def _tabulated(config: Config, runs: list[Run], results: Path) -> Iterator[str]:
    table = results / "metrics.csv"
    if table.exists() and table.read_text(encoding="utf-8") != collect.table(config, runs, results).to_csv(index=False):
        yield f"{table}: not what the records say; `make report` writes it again"


def _read(model: type[Exact], path: Path) -> Iterator[str]:
    if not path.exists():
        return None
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


def _of_its_record(record: Record, metrics: Metrics, path: Path) -> Iterator[str]:
    if not metrics.version.startswith(record.version):
        yield f"{path}: version: not of the record beside it"
    names = [(row.metric, row.split) for row in metrics.rows]
    yield from (f"{path}: rows: {' of '.join(name)} twice" for name in sorted({n for n in names if names.count(n) > 1}))
    if metrics.status == "ok" and not metrics.rows:
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


def unfinished(runs: list[Run], results: Path) -> Iterator[str]:
    """A line for each run that is missing or ended badly. A pair that a method cannot do by its own word is neither."""
    for run in runs:
        for name in ("record.json", "metrics.json"):
            content = whole_files.read_json(results / "runs" / run.id / name) or {"status": "not run", "reason": None}
            status, reason = content.get("status"), content.get("reason")
            if status not in ("ok", "unsupported"):
                yield f"{run.id}: {status or 'no status'}{f', {reason}' if reason else ''}"
                break


def check(config: Config, runs: list[Run], results: Path) -> tuple[list[str], list[str]]:
    """The lines of what is wrong, and those of what is not finished."""
    return list(problems(config, runs, results)), list(unfinished(runs, results))
