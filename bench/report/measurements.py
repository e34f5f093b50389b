"""What `latentbench perf` measured, as tables of the report: results/performance/SUBCOMMAND[-MACHINE].json."""

import json
import math
from pathlib import Path

from bench.records.fingerprint import ROOT
from bench.tables.formats import Entry, Table, entry, table

FOLDER = ROOT / "results" / "performance"


def measurements(folder: Path = FOLDER) -> list[Table]:
    """A table for each file of that folder that a subcommand's --json wrote, with the machine in its caption."""
    return [measured(path, content) for path in sorted(folder.glob("*.json")) if "title" in (content := _read(path))]


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def measured(path: Path, content: dict) -> Table:
    """The rows of one file; a number that is not there is a dash."""
    rows, command = content["rows"], path.stem.partition("-")[0]
    head = list(dict.fromkeys(name for row in rows for name in row))
    machine = ", ".join(f"{name} {value}" for name, value in content["machine"].items())
    caption = f"{content['title']} `latentbench perf {command}`; {machine}."
    return table(f"performance-{path.stem}", caption, head, [[_cell(row.get(name)) for name in head] for row in rows])


def _cell(value: object) -> Entry:
    if not isinstance(value, float) or math.isnan(value):
        return entry(value)
    return Entry(f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}", value=value)
