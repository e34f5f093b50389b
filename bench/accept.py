"""Accept results of older code: `python -m bench.accept CONFIG --reason "renamed a variable" [likelihood/aae ...]`.

An edit to code that all methods share makes every run stale, rightly. If it cannot change a number,
this writes the present version into the records, with the old one, the commit and the reason beside
it: the report's provenance shows them. Measurements are not accepted; they are cheap and run again.
"""

import argparse
import sys

from bench import provenance, store
from bench.config import ConfigError
from bench.runs import read, select


def main(argv: list[str] | None = None) -> int:
    """The program: 0 when every record is of the present version, 2 for a bad config."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("select", nargs="*", help="only runs of these, such as likelihood/mmd")
    parser.add_argument("--reason", required=True, help="why the edit cannot change a number")
    arguments = parser.parse_args(argv)
    try:
        _, runs, results = read(arguments.config)
        runs = select(runs, arguments.select)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    for run in runs:
        path = results / "runs" / run.id / "record.json"
        record = store.read_json(path)
        if record is None or record["version"] == run.training_version:
            continue
        note = {"version": record["version"], "reason": arguments.reason, "commit": provenance.commit()[0]}
        record |= {"version": run.training_version, "accepted": [*record.get("accepted", []), note]}
        store.write_json(path, record)
        print(f"{run.id}: {note['version']} accepted as {run.training_version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
