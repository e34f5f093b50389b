"""Accept results of older code: `python -m bench.accept CONFIG --reason "renamed a variable" [likelihood/aae ...]`.

An edit to code that all methods share makes every run stale, rightly. If it cannot change a number,
this writes the present version into the records, with the old one, the commit and the reason beside
it. Measurements run again, unless `--measurements` accepts those of the accepted records too.
"""

import argparse
import sys
from pathlib import Path

from bench import provenance, store
from bench.config import ConfigError
from bench.runs import read, select


def stamp(path: Path, version: str, reason: str) -> None:
    """Give a result, if it is there and of another version, the present one, and note the old."""
    content = store.read_json(path)
    if content is None or content["version"] == version:
        return
    note = {"version": content["version"], "reason": reason, "commit": provenance.commit()[0]}
    store.write_json(path, content | {"version": version, "accepted": [*content.get("accepted", []), note]})
    print(f"{path}: {note['version']} accepted as {version}")


def main(argv: list[str] | None = None) -> int:
    """The program: 0 when every record is of the present version, 2 for a bad config."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("select", nargs="*", help="only runs of these, such as likelihood/mmd")
    parser.add_argument("--reason", required=True, help="why the edit cannot change a number")
    parser.add_argument("--measurements", action="store_true", help="the edit cannot change a measurement either")
    arguments = parser.parse_intermixed_args(argv)
    try:
        _, runs, results = read(arguments.config)
        runs = select(runs, arguments.select)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    for run in runs:
        folder = results / "runs" / run.id
        measured = store.read_json(folder / "metrics.json") or {"version": ""}
        of_record = measured["version"].startswith(
            (store.read_json(folder / "record.json") or {"version": "-"})["version"]
        )
        stamp(folder / "record.json", run.training_version, arguments.reason)
        if arguments.measurements and of_record:
            stamp(folder / "metrics.json", run.evaluation_version, arguments.reason)
    return 0


if __name__ == "__main__":
    sys.exit(main())
