"""Accept results of older code: `python -m bench.accept CONFIG --reason "renamed a variable" [likelihood/aae ...]`.

An edit to code that all methods share makes every run stale, rightly. If it cannot change a number,
or only as another processor would, in its rounding, this writes the present version into the
records, with the old one, the commit and the reason beside it; a record keeps the commit that it
was trained at, which alone gives its last digits. Measurements run again, unless `--measurements`
accepts those of the accepted records too, and of the controls if no runs are named.
"""

import argparse
import sys
from pathlib import Path

from bench import control_rows, provenance, store
from bench.config import ConfigError
from bench.runs import read, select
from bench.schema import Config


def stamp(path: Path, version: str, reason: str) -> None:
    """Give a result, if it is there and of another version, the present one, and note the old."""
    content = store.read_json(path)
    if content is None or content["version"] == version:
        return
    note = {"version": content["version"], "reason": reason, "commit": provenance.commit()[0]}
    store.write_json(path, content | {"version": version, "accepted": [*content.get("accepted", []), note]})
    print(f"{path}: {note['version']} accepted as {version}")


def stamp_controls(path: Path, config: Config, reason: str) -> None:
    """The same for the rows of `bench.control_rows`, of those experiments and seeds whose settings have not changed."""
    content = store.read_json(path)
    present = {name: control_rows.version(run) for name, run in control_rows.cells(config).items()}
    of_settings = {name: version.partition("-")[2] for name, version in present.items()}
    old = {
        name: version
        for name, version in (content or {}).get("cells", {}).items()
        if name in present and version != present[name] and version.partition("-")[2] == of_settings[name]
    }
    if not old:
        return
    content["cells"] |= {name: present[name] for name in old}
    note = {"cells": old, "reason": reason, "commit": provenance.commit()[0]}
    store.write_json(path, content | {"accepted": [*content.get("accepted", []), note]})
    print(f"{path}: {len(old)} accepted")


def main(argv: list[str] | None = None) -> int:
    """The program: 0 when every record is of the present version, 2 for a bad config."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("select", nargs="*", help="only runs of these, such as likelihood/mmd")
    parser.add_argument("--reason", required=True, help="why the edit cannot change a number")
    parser.add_argument("--measurements", action="store_true", help="the edit cannot change a measurement either")
    arguments = parser.parse_intermixed_args(argv)
    try:
        config, runs, results = read(arguments.config)
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
    if arguments.measurements and not arguments.select:
        stamp_controls(results / "controls.json", config, arguments.reason)
    return 0


if __name__ == "__main__":
    sys.exit(main())
