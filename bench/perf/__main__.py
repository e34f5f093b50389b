"""Run one of the measurements of this folder: any module that has `run(arguments)`.

python -m bench.perf SUBCOMMAND [--help]
"""

import sys
from importlib import import_module
from pathlib import Path


def subcommands() -> dict[str, str]:
    """The measurements by name, with their first line of documentation."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        if "\ndef run(" in path.read_text():
            found[path.stem] = path.read_text().split('"""')[1].splitlines()[0]
    return found


def main(arguments: list[str]) -> int:
    """Dispatch to a subcommand; without one, list them."""
    known = subcommands()
    if not arguments or arguments[0] not in known:
        print("usage: python -m bench.perf SUBCOMMAND [--help]\n")
        print("\n".join(f"  {name:12} {line}" for name, line in known.items()))
        return 0 if arguments in ([], ["--help"], ["-h"]) else 2
    import_module(f"bench.perf.{arguments[0]}").run(arguments[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
