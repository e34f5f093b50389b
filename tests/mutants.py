"""Which changes of the code that decides numbers does no test notice? `make mutants`, by Cosmic Ray.

    make mutants ONLY="bench/evaluate/parzen.py regularizers/mmd.py" SAMPLE=20

A sample of the changes that Cosmic Ray knows, of each module of the core, one after the other in a copy of the
checkout, each against the tests that run its line: the fastest first, for a minute at most. Prints the survivors, and
the share that was killed.
"""

import argparse
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from xml.etree import ElementTree

from cosmic_ray.commands.init import _all_work_items
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_item import MutationSpec, TestOutcome
from coverage import CoverageData

ROOT = Path(__file__).parents[1]
CORE = {
    "bench/train": ("loop", "objective", "autoencoder", "diagnostics", "optimizers", "opening"),
    "bench/evaluate": (
        "parzen", "ais", "kl_parts", "likelihood", "classification", "prior_mismatch", "baselines",
    ),
    "bench/tables": ("statistics", "answers", "several_tasks", "experiment_tables", "tuning"),
    "bench/data": ("labelled_subsets",),
    "bench/config": ("streams",),
    "regularizers": tuple(sorted(path.stem for path in (ROOT / "regularizers").glob("*.py"))),
}  # fmt: skip
# Changes that no run can feel: of annotations, of what an error is called.
IDLE = ("ReplaceBinaryOperator_BitOr", "ExceptionReplacer")
# Lines that only say something: messages, titles.
WORDS = re.compile(r"raise |\bf?\"[^\"]{20}|title = ")
MARKS = "not slow and not faults and not browser"
PYTEST = (sys.executable, "-m", "coverage", "run", "--rcfile=coverage.ini", "-m", "pytest", "-q", "-m", MARKS)
SECONDS = 60  # of tests for a change


class Tests:
    """Which test functions run a line, and how long they take: of one run of the tests of some rooms."""

    def __init__(self, rooms: list[str]):
        Path("coverage.ini").write_text("[run]\nsource = bench,regularizers\ndynamic_context = test_function\n")
        done = subprocess.run([*PYTEST, "--junitxml=tests.xml", *rooms], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"the tests fail without a change:\n{done.stdout[-3000:]}")
        self.data = CoverageData()
        self.data.read()
        self.files = {path.stem: path for room in rooms for path in Path(room).glob("test_*.py")}
        self.seconds: dict[str, float] = {}
        for case in ElementTree.parse("tests.xml").iter("testcase"):
            name = f"{case.get('classname').rpartition('.')[2]}.{case.get('name').partition('[')[0]}"
            self.seconds[name] = self.seconds.get(name, 0) + float(case.get("time"))

    def of(self, module: Path, line: int) -> Iterator[str]:
        """The node ids of those that run a line; of one that is run by the import, those that run any of the module."""
        contexts = self.data.contexts_by_lineno(str(module.resolve()))
        names = contexts.get(line, [])
        if "" in names or line not in contexts:
            names = {name for found in contexts.values() for name in found}
        left = SECONDS
        for name in sorted({*names} & self.seconds.keys(), key=self.seconds.__getitem__):
            file, _, function = name.rpartition(".")
            left -= self.seconds[name]
            if left > 0:
                yield f"{self.files[file]}::{function}"


def felt(change: MutationSpec) -> bool:
    """Whether a run can feel a change."""
    line = change.module_path.read_text(encoding="utf-8").splitlines()[change.start_pos[0] - 1]
    return not any(name in change.operator_name for name in IDLE) and not WORDS.search(line)


def judge(module: Path, sample: int, tests: Tests) -> tuple[int, int]:
    """How many of a sample of changes the tests kill, and how many were tried."""
    found = [change for item in _all_work_items([module], {}) for change in item.mutations if felt(change)]
    chosen, killed = random.Random(0).sample(found, min(sample, len(found))), 0
    for change in chosen:
        asked = [*tests.of(module, change.start_pos[0])]
        command = shlex.join([sys.executable, "-m", "pytest", "-x", "-q", "-m", MARKS, *asked])
        result = mutate_and_test([change], command, 10 * SECONDS) if asked else None
        if result and result.test_outcome != TestOutcome.SURVIVED:
            killed += 1
            continue
        diff = result.diff if result else "no test runs it"
        changed = [line for line in diff.splitlines() if re.match(r"[+-](?![+-])|no", line)]
        print(f"  {module}:{change.start_pos[0]} survived", *changed, sep="\n    ", flush=True)
    print(f"{module}: {killed} of {len(chosen)} killed", flush=True)
    return killed, len(chosen)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="all of the core if none is named")
    parser.add_argument("--sample", type=int, default=20, help="changes of each module")
    a = parser.parse_args()
    modules = [Path(m) for m in a.modules] or [Path(room) / f"{m}.py" for room, names in CORE.items() for m in names]
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        left_out = shutil.ignore_patterns(".git", ".venv", ".snakemake", "__pycache__", "runs")
        shutil.copytree(ROOT, "copy", ignore=left_out)
        with chdir("copy"):
            tests = Tests(sorted({f"tests/{module.parent.name}" for module in modules}))
            found = [judge(module, a.sample, tests) for module in modules]
    killed, tried = map(sum, zip(*found, strict=True))
    print(f"{killed} of {tried} killed, {100 * killed / max(tried, 1):.0f} %")


if __name__ == "__main__":
    main()
