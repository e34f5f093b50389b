"""Benchmarks of the benchmark, `latentbench perf`: any module here that has `run(arguments)` is one.

Nothing imports this room. Open `timing.py` first.
"""

from pathlib import Path


def subcommands() -> dict[str, str]:
    """The measurements by name, with their first line of documentation."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        text = path.read_text(encoding="utf-8")
        if "\ndef run(" in text:
            found[path.stem] = text.split('"""')[1].splitlines()[0]
    return found
