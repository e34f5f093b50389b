"""A result set as git keeps it: numbers, not pictures. All that tables, figures and pages are made of. Free of torch.

| file | what it holds |
|---|---|
| `metrics.csv` | a measurement a line: run, protocol, metric, value, error (over n images), n, split, current |
| `runs.jsonl` | a run a line, sorted: record (settings, status, provenance, evidence) and state of its measurements |
| `history.csv` | an epoch of a run a line: the mean of each term |
| `arrays.npz` | of a cell's first finished seed: images as bytes, codes as float16, by `<run>/<name>` |
| `README.md` | what the set is, in words |
"""

import csv
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from bench.config.messages import said, where
from bench.records.forms import LINE

FILES = ("metrics.csv", "runs.jsonl", "history.csv", "arrays.npz", "README.md")
COLUMNS = ("run", "protocol", "metric", "value", "error", "n", "split", "current")
SPLITS = ("validation", "test", "simulated")
OF_RUN = ("epoch", "commit", "dirty", "device", "machine", "threads", "seconds", "peak_memory_mb")
COMMITTED = ".packed"  # a whole set of new files; what it holds is true, wherever the move of them has come to


class Damaged(ValueError):
    """A file of a result set is not what was written; the message names it."""


def key(run: str) -> tuple:
    """The place of a run in the set: by name, numbers in it by size."""
    return tuple((part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", run))


def place(folder: Path, name: str) -> Path:
    """Where a file of the set is: in its folder, or still among those that are being moved there."""
    committed = folder / COMMITTED / name
    return committed if committed.exists() else folder / name


def runs(folder: Path) -> list[dict[str, Any]]:
    """The lines of a set, each with its measurements as `metrics["rows"]`; none where there is no set.

    Raises:
        Damaged: a file is not what was written.
    """
    path = place(folder, "runs.jsonl")
    try:
        with path.open(encoding="utf-8", newline="\n") as file:  # other ends of lines may stand in a reason
            lines = list(file)
    except FileNotFoundError:
        if place(folder, "metrics.csv").exists():
            raise Damaged(f"{path}: missing, and metrics.csv beside it is of no use without it") from None
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise Damaged(f"{path}: cannot be read ({error})") from None
    found: dict[str, dict] = {}
    seen = set()
    for number, line in enumerate(lines, 1):
        at = f"{path}:{number}: expected a run"
        try:
            content = json.loads(line)
            LINE.validate_python(content, strict=True)
        except ValidationError as error:
            detail = error.errors()[0]
            raise Damaged(f"{at}; {where(detail['loc'])}: {said(detail)}") from None
        except ValueError:
            raise Damaged(f"{at}, found {line[:60]!r}") from None
        if ("record" in content) == ("baseline" in content):
            raise Damaged(f"{at} that is trained or a baseline, found {content['id']!r}")
        of = content.get("baseline") or content["record"]["run"]
        cell = of["experiment"], of["method"], of["seed"]
        if content["id"] in found or cell in seen:
            raise Damaged(f"{at} that stands here once, as its method and seed do, found {content['id']!r}")
        seen.add(cell)
        content["metrics"]["rows"] = []
        found[content["id"]] = content
    for run, row in measurements(folder):
        name = (run, row["metric"])
        if run not in found:
            raise Damaged(f"{place(folder, 'metrics.csv')}: run {run!r} is not in {path}")
        if name in seen:
            raise Damaged(f"{place(folder, 'metrics.csv')}: {row['metric']} of run {run!r} stands there twice")
        seen.add(name)
        found[run]["metrics"]["rows"].append(row)
    return list(found.values())


def measurements(folder: Path) -> Iterator[tuple[str, dict]]:
    """Each line of metrics.csv: its run, and the measurement.

    Raises:
        Damaged: the file is not what was written; the message has the line.
    """
    path = place(folder, "metrics.csv")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Damaged(f"{path}: cannot be read ({error})") from None
    if not lines or tuple(lines[0]) != COLUMNS:
        found = ", ".join(lines[0] if lines else [])
        raise Damaged(f"{path}:1: expected the columns {', '.join(COLUMNS)}, found {found[:80]!r}")
    for number, fields in enumerate(lines[1:], 2):
        try:
            run, protocol, metric, value, error, n, split, current = fields
            row = {
                "protocol": protocol,
                "metric": metric,
                "value": _finite(value),
                "standard_error": _finite(error, 0) if error else None,
                "n": _finite(n, 1, int) if n else None,
                "split": SPLITS[SPLITS.index(split)],
                "current": {"0": False, "1": True}[current],
            }
        except (ValueError, KeyError):
            raise Damaged(f"{path}:{number}: expected a measurement, found {','.join(fields)[:80]!r}") from None
        yield run, row


def _finite(text: str, least: float | int = -math.inf, kind: type = float) -> float | int:
    value = kind(text)
    if not math.isfinite(value) or value < least:
        raise ValueError(text)
    return value


def history(folder: Path) -> dict[str, list[dict[str, float]]]:
    """The epochs of each run by its id, of a run's own folder by "": the mean of each term; none without a file.

    Raises:
        Damaged: the file is not what was written.
    """
    path, found = place(folder, "history.csv"), {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), 2):
                run = row.pop("run", "")
                if None in row or None in row.values():
                    raise ValueError(f"line {number} has not as many fields as the first")
                found.setdefault(run, []).append({k: _finite(v) for k, v in row.items() if v})
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise Damaged(f"{path}: not the history of runs ({error})") from None
    return found


def arrays(folder: Path, run: str = "", name: str = "arrays.npz") -> dict[str, np.ndarray]:
    """The arrays of a file by name, of a run alone if one is given; none without a file.

    Raises:
        Damaged: the file is not what was written.
    """
    path, start = place(folder, name), f"{run}/" if run else ""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name.removeprefix(start): archive[name] for name in archive.files if name.startswith(start)}
    except FileNotFoundError:
        return {}
    except Exception as error:  # a damaged file makes the parser fail in any way
        raise Damaged(f"{path}: not a whole file of arrays ({error})") from None


BLANK = dict.fromkeys(("protocol", "metric", "value", "standard_error", "n", "split"))


def tidy(folder: Path) -> Iterator[dict[str, Any]]:
    """A row for each run and measurement, with all that is known of the run: what tables and figures are made of.

    A run without measurements has one row, whose metric is None.

    Raises:
        Damaged: a file of the set is not what was written.
    """
    for line in runs(folder):
        record, metrics = line.get("record") or {}, line["metrics"]
        of = record.get("run") or line["baseline"]
        version = record.get("version") or line["baseline"]["version"]
        base = {
            "experiment": of["experiment"],
            "method": of["method"],
            "seed": of["seed"],
            "status": metrics["status"],
            "reason": metrics["reason"],
            "run": line["id"],
            "version": version,
            "data": version.partition("-")[2],
            "backend": record.get("facts", {}).get("backend", ""),
            "versions": " ".join(f"{k}={v}" for k, v in record.get("versions", {}).items()),
            "current": line["current"],
            **{name: record.get(name) for name in OF_RUN},
        }
        for row in metrics["rows"] or [BLANK]:
            yield base | row
