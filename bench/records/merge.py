"""Join result sets of the same config that were run on several machines: other seeds, other methods."""

from collections.abc import Sequence
from pathlib import Path

from bench.records import packing, result_set
from bench.records.result_set import Damaged

# What a run must have in common in all sets, by its key in the record.
SAME = {"version": "code or data", "run": "settings", "status": "status", "hashes": "weights, batches, labels or model"}


class Contradiction(ValueError):
    """Two sets say different things of the same; a line for each."""


def _differences(a: dict, b: dict, where: str) -> list[str]:
    """What two lines of the same run disagree in; the first thing that explains the others."""
    ours, theirs = (line.get("record") or line["baseline"] for line in (a, b))
    for key, words in SAME.items():
        if ours.get(key) != theirs.get(key):
            return [f"{a['id']}: other {words} ({where})"]
    rows = [{(r["metric"], r["split"]): r for r in line["metrics"]["rows"]} for line in (a, b)]
    found = []
    for name in sorted(rows[0].keys() & rows[1].keys()):
        first, second = rows[0][name], rows[1][name]
        if first != second:
            found.append(f"{a['id']}: {name[0]} is {first['value']!r} and {second['value']!r} ({where})")
    a, b = (line | {"metrics": line["metrics"] | {"seconds": None}} for line in (a, b))
    if not found and a["metrics"] != b["metrics"]:
        found.append(f"{a['id']}: measured by other protocols ({where})")
    return found


def merge(sources: Sequence[Path], output: Path) -> str:
    """Write the union of result sets into `output`, and say what was joined.

    A run that several have must be the same in all. Of each cell the arrays of its first finished seed are kept.

    Raises:
        Contradiction: they are of other configs, code or data, or disagree about a run. Damaged: one is no result set.
    """
    lines: dict[str, dict] = {}
    whose: dict[str, Path] = {}
    wrong, histories, arrays, said = [], {}, {}, []
    names = {}
    for source in sources:
        own = result_set.runs(source)
        if not own:
            raise Damaged(f"{source}: no result set; expected {', '.join(result_set.FILES)}")
        names[source] = _name(source)
        new = 0
        for line in own:
            if line["id"] in lines:
                wrong += _differences(lines[line["id"]], line, f"{whose[line['id']]}, {source}")
            else:
                lines[line["id"]], whose[line["id"]], new = line, source, new + 1
        said.append(f"{source}: {len(own)} runs, {new} of them new")
        histories |= {run: rows for run, rows in result_set.history(source).items() if whose.get(run) == source}
        arrays |= {
            name: a for name, a in result_set.arrays(source).items() if whose.get(name.rpartition("/")[0]) == source
        }
    if len(set(names.values())) > 1:
        wrong.insert(0, f"other configs: {', '.join(f'{s} is of {n}' for s, n in names.items())}")
    wrong += _mixed(lines)
    if wrong:
        raise Contradiction("\n".join(wrong))
    first = _first_finished(lines.values())
    arrays = {name: array for name, array in arrays.items() if name.rpartition("/")[0] in first}
    with packing.packing(output):
        files = packing.packed(lines.values(), histories, arrays, next(iter(names.values())))
        packing.replace(output, files)
    return "\n".join([*said, f"{output}: {len(lines)} runs"])


def _name(source: Path) -> str:
    """The config that a set says it is of."""
    path = result_set.place(source, "README.md")
    try:
        return path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    except (OSError, IndexError, UnicodeDecodeError):
        raise Damaged(f"{path}: expected the name of a config in its first line") from None


def _mixed(lines: dict[str, dict]) -> list[str]:
    """The methods whose seeds are of other settings, code or data, a line for each: a table must not average them."""
    found, wrong = {}, []
    for run, line in sorted(lines.items(), key=lambda item: result_set.key(item[0])):
        if "record" in line:
            of, cell, version = line["record"]["run"], run.rpartition("/")[0], line["record"]["version"]
            other, before, first = found.setdefault((of["experiment"], of["method"]), (run, version, cell))
            if cell != first:
                wrong.append(f"{run}: of other settings than {other}")
            elif version != before:
                wrong.append(f"{run}: of other code or data than {other} ({version}, {before})")
    return wrong


def _first_finished(lines) -> set[str]:
    first: dict[str, str] = {}
    for line in sorted(lines, key=lambda line: result_set.key(line["id"])):
        if "record" in line and line["record"]["status"] == "ok":
            first.setdefault(line["id"].rpartition("/")[0], line["id"])
    return set(first.values())
