"""What a line of `runs.jsonl` and a record must have, as far as anything relies on it. Free of torch."""

from typing import Any, NotRequired, Required

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict  # of which pydantic reads the inner ones before Python 3.12


class _Of(TypedDict):
    experiment: str
    method: str
    seed: int


class _Baseline(_Of):
    version: str


class _Record(TypedDict, total=False):
    id: Required[str]
    run: Required[_Of]
    version: Required[str]
    status: Required[str]
    hashes: Required[dict[str, Any]]
    seconds: Required[float]
    facts: dict[str, Any]
    versions: dict[str, Any]
    epoch: float | None
    peak_memory_mb: float | None


class _Metrics(TypedDict):
    model: str | None
    status: str
    reason: str | None
    versions: dict[str, str]
    failed: dict[str, dict[str, Any]]


class _Measured(_Metrics):
    rows: list[dict[str, Any]]


class _Line(TypedDict):
    id: str
    current: bool
    metrics: _Metrics
    record: NotRequired[_Record]
    baseline: NotRequired[_Baseline]


LINE, RECORD, MEASURED = TypeAdapter(_Line), TypeAdapter(_Record), TypeAdapter(_Measured)


def fits(content: Any, form: TypeAdapter) -> bool:
    """Whether what was read can be a part of a line."""
    try:
        form.validate_python(content, strict=True)
    except ValidationError:
        return False
    return True
