"""How a result set is written: all of its files at once or none, and the same bytes for the same content."""

import csv
import io
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bench import SHARE
from bench.records import whole_files
from bench.records.locks import run_lock
from bench.records.result_set import COLUMNS, COMMITTED, FILES, key

TERMS = ("epoch", "reconstruction", "regularization", "classification", "separation", "inner", "gradient_norm")


@contextmanager
def packing(folder: Path) -> Iterator[None]:
    """The right to replace the files of a set; a replacement that was cut off is finished first.

    Raises:
        LockHeld: another process is at it.
    """
    with run_lock(folder / "jobs/packing"):
        _finish(folder)
        yield


def _finish(folder: Path) -> None:
    if (folder / COMMITTED).exists():
        for name in FILES:
            if (folder / COMMITTED / name).exists():
                os.replace(folder / COMMITTED / name, folder / name)
        shutil.rmtree(folder / COMMITTED)
    for left_over in folder.glob(".packing-*"):
        shutil.rmtree(left_over, ignore_errors=True)


def replace(folder: Path, files: Mapping[str, bytes]) -> None:
    """The set holds these files, or the old ones, whatever happens: all or none. Within `packing`."""
    if all((folder / name).exists() and (folder / name).read_bytes() == content for name, content in files.items()):
        return
    temporary = folder / f".packing-{os.getpid()}"
    for name, content in files.items():
        whole_files.write(temporary / name, content)
    os.replace(temporary, folder / COMMITTED)
    _finish(folder)


def packed(
    lines: Iterable[Mapping], history: Mapping[str, list[dict]], arrays: Mapping[str, np.ndarray], name: str
) -> dict[str, bytes]:
    """The files of a set, the same bytes for the same content.

    A line is a run: its `id`, `record` and `metrics`, whose `rows` become those of metrics.csv, each with `current`.
    """
    lines = sorted(lines, key=lambda line: key(line["id"]))
    table, text = io.StringIO(), []
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in lines:
        metrics = dict(line["metrics"])
        for row in metrics.pop("rows"):
            n = row["n"]
            writer.writerow(
                [line["id"], row["protocol"], row["metric"], _number(row["value"]), _number(row["standard_error"]),
                 "" if n is None else n, row["split"], int(row["current"])]
            )  # fmt: skip
        text.append(json.dumps(line | {"metrics": metrics}, sort_keys=True, ensure_ascii=False, allow_nan=False))
    return {
        "metrics.csv": table.getvalue().encode(),
        "runs.jsonl": "".join(f"{line}\n" for line in text).encode(),
        "history.csv": _history(history).encode(),
        "arrays.npz": _npz(arrays),
        "README.md": _readme(name, lines).encode(),
    }


def _number(value: float | None) -> str:
    return "" if value is None else repr(float(value))


def _history(history: Mapping[str, list[dict]]) -> str:
    found = {column for rows in history.values() for row in rows for column in row}
    columns = [*(t for t in TERMS if t in found), *sorted(found - set(TERMS))]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["run", *columns])
    for run in sorted(history, key=key):
        writer.writerows([run, *(row.get(c, "") for c in columns)] for row in history[run])
    return buffer.getvalue()


def _npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: arrays[name] for name in sorted(arrays, key=key)})
    return buffer.getvalue()


def _readme(name: str, lines: list[dict]) -> str:
    runs = [line for line in lines if "baseline" not in line]
    rows = [row for line in lines for row in line["metrics"]["rows"]]
    older = sum(not row["current"] for row in rows)
    said = f"{older:,} of the numbers are of older code" if older else "all of the present code"
    ours = f"config/{name}.yaml"  # others have theirs where they like
    file = ours if (SHARE / ours).exists() else f"{name}.yaml"
    report = f"make report CONFIG={ours}" if file == ours else f"latentbench report {file}"
    return (
        f"# {name}\n\n{len(runs)} runs of `{file}`, {len(rows):,} numbers, {said}.\n\n"
        f"Tables, figures and the page are drawn from these files alone: `{report}`.\n"
        "`metrics.csv` has a measurement a line, `runs.jsonl` a run, `history.csv` an epoch; `arrays.npz` has the\n"
        "images and codes that figures show.\n"
    )
