"""Which changes of the code that decides numbers does no test notice? `make mutants`.

    make mutants ONLY=bench/evaluate/parzen.py SAMPLE=20

Each mutant is one small change of a function or a constant of the core, made in memory in a fork of a process that
has collected the tests of the module's room. Those that run the changed line run, the quickest first, until one fails.
Messages of errors, annotations, docstrings and other strings are not changed. What is decided while modules are
imported, or in processes that a test starts, keeps the old code: look at a survivor before you believe it.
"""

import argparse
import ast
import gc
import hashlib
import json
import os
import random
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from tests.support.mutations import Mutant, mutants  # noqa: E402

CORE = {
    "train": ("loop", "objective", "autoencoder", "diagnostics", "optimizers", "opening"),
    "evaluate": ("parzen", "ais", "kl_parts", "likelihood", "classification", "prior_mismatch", "baselines"),
    "tables": ("statistics", "answers", "several_tasks", "experiment_tables", "tuning"),
    "data": ("labelled_subsets",),
    "config": ("streams",),
}
BUDGET = 60.0  # seconds of tests for a mutant


def modules() -> dict[str, str]:
    """The core's files, each with its room."""
    found = {f"bench/{room}/{name}.py": room for room, names in CORE.items() for name in names}
    return found | {f"regularizers/{path.name}": "regularizers" for path in sorted(ROOT.glob("regularizers/*.py"))}


@cache
def compiled(path: str) -> tuple[list[CodeType], list[FunctionType]]:
    """The code of a file's functions, and the functions that live in this process."""
    file = str(ROOT / path)
    living = [f for f in gc.get_objects() if type(f) is FunctionType and f.__code__.co_filename == file]
    return functions(compile((ROOT / path).read_bytes(), file, "exec")), living


def apply(mutant: Mutant) -> None:
    """Give every function of the mutant's file its changed code, and every constant of the module its changed value."""
    file, source = str(ROOT / mutant.path), (ROOT / mutant.path).read_bytes()
    new = source[: mutant.start] + mutant.new.encode() + source[mutant.end :]
    before, living = compiled(mutant.path)
    after = functions(compile(new, file, "exec"))
    changed = {where(a): b for a, b in zip(before, after, strict=True) if a != b}
    for f in living:
        if where(f.__code__) in changed:
            f.__code__ = changed[where(f.__code__)]
    name = mutant.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    for old, node in zip(ast.parse(source).body, ast.parse(new).body, strict=True):
        if isinstance(node, ast.Assign) and ast.dump(old) != ast.dump(node):
            space = vars(sys.modules[name])
            before = {t.id: space[t.id] for t in node.targets}
            exec(compile(ast.Module([node], []), file, "exec"), space)
            for module in [*sys.modules.values()]:
                for key, value in before.items():
                    if vars(module).get(key) is value:
                        setattr(module, key, space[key])


def functions(code: CodeType) -> list[CodeType]:
    """The functions of a module and its classes, without those within functions."""
    inner = [c for c in code.co_consts if isinstance(c, CodeType)]
    return [f for c in inner for f in (functions(c) if "__module__" in c.co_names[:2] else [c])]


def where(code: CodeType) -> tuple:
    """What tells a function from the others of its file, whatever decorates it or the functions in it."""
    inside = [p[:1] + p[2:3] for p in code.co_positions() if p[3] and p[0] >= code.co_firstlineno]
    return code.co_qualname, min(inside, default=None)


class Judge:
    """Judges mutants of one room in the place of running its tests."""

    def __init__(self, room: str, drawn: dict[str, list[Mutant]], out):
        self.room, self.drawn, self.out = room, drawn, out
        self.seconds: dict[str, float] = {}
        self.failed = lambda report: None

    def say(self, text: str) -> None:
        print(text, file=self.out, flush=True)

    def pytest_runtest_logreport(self, report):
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + (1e9 if report.failed else report.duration)
        if report.failed:
            self.failed(report)

    def pytest_runtestloop(self, session):
        """Instead of the tests, mutant by mutant the tests that run it."""
        items = {item.nodeid: item for item in session.items}
        found = self.trace(items)
        for path in self.drawn:
            compiled(path)
        gc.freeze()  # forks share what no collection touches
        for path, drawn in self.drawn.items():
            survivors = 0
            for mutant in sorted(drawn, key=lambda m: m.start):
                killed, by, seconds = self.judge(mutant, [items[t] for t in tests_of(mutant, found)], found["seconds"])
                self.say(f"{'killed  ' if killed else 'SURVIVED'} {mutant}  [{seconds:.1f} s, {by}]")
                survivors += not killed
            n, kills = len(drawn), len(drawn) - survivors
            self.say(f"== {path}: {kills} of {n} killed, {100 * kills / n:.0f} %; {survivors} survived")
        return True

    def trace(self, items: dict) -> dict:
        """How long each test takes, and which run each line of the core; kept while no file changes."""
        files = sorted(
            p for part in ("bench", "regularizers", f"tests/{self.room}") for p in ROOT.glob(f"{part}/**/*.py")
        )
        key = hashlib.sha256(b"".join(p.read_bytes() for p in files)).hexdigest()
        kept = ROOT / f"mutants/{self.room}.json"
        if not kept.exists() or json.loads(kept.read_text())["key"] != key:
            self.say(f"the tests of {self.room}: which lines does each run?")
            kept.parent.mkdir(exist_ok=True)
            fork(lambda: self.traced(items, kept, key), 7200)
        found = json.loads(kept.read_text())
        return found | {"seconds": {t: s for t, s in found["seconds"].items() if t in items}}

    def traced(self, items: dict, kept: Path, key: str) -> None:
        import coverage

        measured = coverage.Coverage(data_file=None, include=[str(ROOT / path) for path in modules()])
        measured.start()
        for item, following in zip(items.values(), [*list(items.values())[1:], None], strict=True):
            measured.switch_context(item.nodeid)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        measured.stop()
        data, lines = measured.get_data(), {}
        for path in data.measured_files():
            of = data.contexts_by_lineno(path)
            lines[str(Path(path).relative_to(ROOT))] = {n: [c for c in contexts if c] for n, contexts in of.items()}
        kept.write_text(json.dumps({"key": key, "seconds": self.seconds, "lines": lines}))

    def judge(self, mutant: Mutant, items: list, seconds: dict[str, float]) -> tuple[bool, str, float]:
        """Whether a test notices, which one, and the seconds that it took."""
        began, (read, write) = time.monotonic(), os.pipe()

        def notice(report) -> None:
            os.write(write, report.nodeid.encode()[:400])
            os._exit(1)

        def work() -> None:
            self.failed = notice
            apply(mutant)
            for item, following in zip(items, [*items[1:], None], strict=True):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)

        status = fork(work, 20 + 5 * sum(seconds[item.nodeid] for item in items))
        os.close(write)
        by = os.read(read, 1000).decode(errors="replace") or (
            "nothing" if status == 0 else "time" if status is None else "an end"
        )
        os.close(read)
        return status != 0, by, time.monotonic() - began


def tests_of(mutant: Mutant, found: dict) -> list[str]:
    """The tests that run a mutant's lines, the quickest first, then others of their files that share a setup."""
    by_line, seconds = found["lines"].get(mutant.path, {}), found["seconds"]
    first, last = mutant.lines or (0, 10**6)
    running = {t for line, tests in by_line.items() if first <= int(line) <= last for t in tests}
    files = {t.partition("::")[0] for t in running}
    near = {t for t in seconds if t.partition("::")[0] in files} - running
    chosen = []
    for tests, budget in ((running, BUDGET), (near, BUDGET / 5)):
        for test in sorted(tests, key=seconds.get):
            budget -= seconds[test]
            if budget >= 0:
                chosen.append(test)
    return chosen


def fork(work: Callable[[], None], limit: float) -> int | None:
    """The status of `work` in a process of its own; None if it took longer than `limit` seconds."""
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        os.setsid()
        status = 99
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(pid, 9)
    os.waitpid(pid, 0)
    return None


def main() -> None:
    """Judge a sample of the mutants of each chosen module."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("only", nargs="*", help="parts of mutants' names, such as parzen or parzen.py:51")
    parser.add_argument("--sample", type=int, default=10**9, help="mutants of a module (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    chosen = parser.parse_args()
    rooms: dict[str, dict[str, list[Mutant]]] = {}
    for path, room in modules().items():
        drawn = mutants(ROOT, path)
        random.Random(f"{chosen.seed} {path}").shuffle(drawn)
        drawn = [m for m in drawn if not chosen.only or any(part in str(m) for part in chosen.only)][: chosen.sample]
        if drawn:
            rooms.setdefault(room, {})[path] = drawn
    out, nowhere = os.fdopen(os.dup(1), "w"), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    for room, drawn in rooms.items():
        judge = Judge(room, drawn, out)
        arguments = ["-q", "-s", "-p", "no:cacheprovider", "-m", "not faults and not browser", f"{ROOT}/tests/{room}"]

        def work(arguments=arguments, judge=judge) -> None:
            if pytest.main(arguments, plugins=[judge]):
                os._exit(1)

        if fork(work, 10**6):
            judge.say(f"the tests of {room} could not be collected: python -m pytest tests/{room}")
            sys.exit(1)


if __name__ == "__main__":
    main()
