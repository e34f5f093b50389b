"""What a value in a config may be: names, titles, seeds, counts and the like. Free of torch."""

import difflib
import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator, StringConstraints


def unknown(name: object, valid: Iterable[object]) -> str:
    """'unknown 'mdm'; did you mean 'mmd'? Valid: …'."""
    valid = [str(v) for v in valid]
    close = difflib.get_close_matches(str(name), valid, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"unknown {name!r}{hint} Valid: {', '.join(valid) or 'none'}"


def plain(title: str) -> str:
    """A title without what a reader would not tell it apart by: its case and its spaces."""
    return " ".join(title.split()).casefold()


TERMS = ("reconstruction", "regularization", "classification", "separation")
COSINE = "cosine"
LABEL = "label"  # what the decoder calls the given class
# Read back from a table, a YAML file or a shell, these are no words.
NO_NAMES = {"false", "inf", "infinity", "na", "nan", "nil", "no", "none", "null", "off", "on", "true", "yes"}


def _name(name: str) -> str:
    if name in NO_NAMES:
        raise ValueError(f"{name!r} is read back as something else than a name; choose another")
    return name


def _line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("expected text on one line, without control characters")
    return text


def _distinct(values: list) -> list:
    if not values:
        raise ValueError("expected at least one")
    if twice := [v for i, v in enumerate(values) if v in values[:i]]:
        raise ValueError(f"{twice[0]!r} stands twice")
    return values


def _ascending(values: list) -> list:
    if values != sorted(set(values)):
        raise ValueError("expected numbers in ascending order, each once")
    return values


def _whole(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _seeds(seeds: Any) -> int | list[int]:
    several = isinstance(seeds, list) and seeds and all(_whole(s, 0, 2**32 - 1) for s in seeds)
    if not (_whole(seeds, 1, 10_000) or (several and len(set(seeds)) == len(seeds))):
        raise ValueError("expected how many, 1 to 10000, or a list of seeds different from each other, 0 to 2**32 - 1")
    return seeds


def _labels(labels: Any) -> int | str:
    if labels != "all" and not _whole(labels, 0, 10**9):
        raise ValueError("expected how many, 0 or more, or 'all'")
    return labels


def _batch_by(by: Any) -> int | str:
    words = ("all", "experiment", "method", "run")
    if isinstance(by, str) and by not in words:
        raise ValueError(f"{unknown(by, words)}, or a number of batches")
    if by not in words and not _whole(by, 1, 10_000):
        raise ValueError(f"expected one of {', '.join(words)}, or a number of batches, 1 to 10000")
    return by


def _decay(decay: Any) -> dict[int | str, float]:
    found: dict[int | str, float] = {}
    for key, factor in decay.items() if isinstance(decay, dict) else [(None, None)]:
        key = int(key) if isinstance(key, str) and key.isdecimal() else key  # JSON has no other keys
        number = type(factor) in (int, float) and math.isfinite(factor) and key not in found
        if not number or not (0 <= factor < 1 if key == COSINE else _whole(key, 1, 10**7) and 0 < factor <= 1e3):
            raise ValueError(
                "expected {epoch: factor, …}, the rate's factors from these epochs on (1 or later, above 0), "
                "and/or {cosine: share}, the share (0 or more, below 1) to which it falls along a half cosine"
            )
        found[key] = float(factor)
    return found


def _methods(methods: Any) -> list[str] | dict[str, Any]:
    if not isinstance(methods, list | dict) or not all(isinstance(method, str) for method in methods):
        raise ValueError("expected a list of methods, or of method: {its settings in this experiment}")
    _distinct([*methods])
    return methods


Count = Annotated[int, Field(ge=1, le=10**7)]
Amount = Annotated[float, Field(ge=0, le=1e6)]
Rate = Annotated[float, Field(gt=0, le=1e3)]
Share = Annotated[float, Field(ge=0, lt=1)]
Name = Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,39}$"), AfterValidator(_name)]
LatentName = Annotated[str, Field(pattern="^[a-z][0-9]{0,3}$")]  # no word that means something else
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_line)]
Family = Literal["adversarial", "closed form", "sampled", "KL", "control"]  # what a reader tells methods apart by
Seeds = Annotated[int | list[int], PlainValidator(_seeds)]
Distinct = AfterValidator(_distinct)
Ascending = AfterValidator(_ascending)
Labels = Annotated[int | str, PlainValidator(_labels)]
BatchBy = Annotated[int | str, PlainValidator(_batch_by)]
Decay = Annotated[dict[int | str, float], PlainValidator(_decay)]
Methods = Annotated[list[str] | dict[str, Any], PlainValidator(_methods)]
