"""Which changes of the code that decides numbers does no test notice? `make mutants`, by Cosmic Ray.

    make mutants ONLY="bench/evaluate/parzen.py regularizers/mmd.py" SAMPLE=20

A sample of the changes that Cosmic Ray knows, of each module of the core, one after the other in a copy of the
checkout, against the tests of its room that name the module. Prints the survivors, and the share that was killed.
"""

import argparse
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import chdir
from pathlib import Path

from cosmic_ray.commands import execute, init
from cosmic_ray.config import ConfigDict
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkItem, WorkResult

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


def command(module: Path) -> str:
    """The tests of a module: the files of its room that name it, of a public regularizer the cases that do."""
    room = Path("tests") / module.parent.name
    name = re.compile(rf"(?<![a-z]){module.stem.lstrip('_')}(?![a-z])")
    named = [str(p) for p in sorted(room.glob("test_*.py")) if name.search(p.read_text())]
    cases = ["-k", module.stem] if room.name == "regularizers" and not module.stem.startswith("_") else []
    tests = [str(room)] if cases or not named else named
    marks = "not slow and not faults and not browser"
    return shlex.join([sys.executable, "-m", "pytest", "-x", "-q", "-m", marks, *tests, *cases])


def felt(item: WorkItem) -> bool:
    """Whether a run can feel a change."""
    [mutation] = item.mutations
    line = mutation.module_path.read_text(encoding="utf-8").splitlines()[mutation.start_pos[0] - 1]
    return not any(name in mutation.operator_name for name in IDLE) and not WORDS.search(line)


def judge(module: Path, sample: int, seconds: float) -> tuple[int, int]:
    """How many of a sample of changes the tests kill, and how many were tried."""
    tests = command(module)
    sound = subprocess.run(shlex.split(tests), capture_output=True, text=True)
    if sound.returncode:
        sys.exit(f"{module}: its tests fail without a change:\n{sound.stdout[-3000:]}")
    config = ConfigDict({"test-command": tests, "timeout": seconds, "distributor": {"name": "local"}})
    with use_db(f"{module.stem}.sqlite") as db:
        init([module], db, {})
        chosen = [item for item in db.work_items if felt(item)]
        chosen = {item.job_id: item.mutations[0] for item in random.Random(0).sample(chosen, min(sample, len(chosen)))}
        idle = [item.job_id for item in db.work_items if item.job_id not in chosen]
        db.set_multiple_results(idle, WorkResult(worker_outcome=WorkerOutcome.SKIPPED))
        execute(db, config)
        results = {job: result for job, result in db.results if job in chosen}
    for job, result in results.items():
        if result.test_outcome == TestOutcome.SURVIVED:
            changed = [line for line in (result.diff or "").splitlines() if re.match(r"[+-](?![+-])", line)]
            print(f"  {module}:{chosen[job].start_pos[0]} survived", *changed, sep="\n    ", flush=True)
    return sum(result.test_outcome != TestOutcome.SURVIVED for result in results.values()), len(results)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="all of the core if none is named")
    parser.add_argument("--sample", type=int, default=20, help="changes of each module")
    parser.add_argument(
        "--seconds", type=float, default=120, help="of tests for a change; more is a change that is felt"
    )
    a = parser.parse_args()
    modules = [Path(m) for m in a.modules] or [Path(room) / f"{m}.py" for room, names in CORE.items() for m in names]
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        left_out = shutil.ignore_patterns(".git", ".venv", ".snakemake", "__pycache__", "runs", "*.sqlite")
        shutil.copytree(ROOT, "copy", ignore=left_out)
        with chdir("copy"):
            found = {}
            for module in modules:
                found[module] = killed, tried = judge(module, a.sample, a.seconds)
                print(f"{module}: {killed} of {tried} killed", flush=True)
    killed, tried = map(sum, zip(*found.values(), strict=True))
    print(f"{killed} of {tried} killed, {100 * killed / max(tried, 1):.0f} %")


if __name__ == "__main__":
    main()
