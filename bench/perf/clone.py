"""A copy of the program in a folder of its own, in which pipelines can run and be timed."""

import os
import resource
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from bench.fingerprint import ROOT

PARTS = ("bench", "config", "profiles", "regularizers", "Snakefile", "requirements.lock", "pyproject.toml")

# Stands for `python` in the clone, and notes the processor time of each program.
SHIM = """\
#!/bin/sh
"{python}" "$@"
code=$?
times > "{log}/$$"
echo "$2" >> "{log}/$$"
exit $code
"""


class Cost(NamedTuple):
    """Seconds by the clock on the wall, and of processors."""

    wall: float
    processor: float


class Clone:
    """A copy of the program in `folder`, without results."""

    def __init__(self, folder: Path):
        self.folder = folder
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / part)
        self.log = folder / "shim" / "log"
        self.log.mkdir(parents=True)
        shim = folder / "shim" / "python"
        shim.write_text(SHIM.format(python=sys.executable, log=self.log))
        shim.chmod(0o755)
        self.run("-m", "compileall", "-q", "bench", "regularizers")

    def execute(self, *command: str, **environment: str) -> Cost:
        """Run a command in the clone.

        Raises:
            RuntimeError: it fails; the message ends with what it printed.
        """
        paths = [str(self.folder / "shim"), str(Path(sys.executable).parent), os.environ["PATH"]]
        variables = os.environ | {"PATH": os.pathsep.join(paths)} | environment
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(command, cwd=self.folder, env=variables, text=True, capture_output=True)
        after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
        if done.returncode:
            printed = (done.stdout + done.stderr)[-2000:]
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {printed}")
        return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    def run(self, *arguments: str, **environment: str) -> Cost:
        """Run Python in the clone."""
        return self.execute(sys.executable, *arguments, **environment)

    def snakemake(self, config: str, *arguments: str, **environment: str) -> Cost:
        """Run the pipeline of a config of the clone."""
        return self.execute("snakemake", "--configfile", config, "--quiet", "all", *arguments, **environment)

    def forget(self) -> None:
        """Forget the programs so far."""
        for path in self.log.iterdir():
            path.unlink()

    def programs(self) -> dict[str, list[float]]:
        """The processor seconds of each `python -m` so far, by module."""
        found = defaultdict(list)
        for path in self.log.iterdir():
            _, children, module = path.read_text().splitlines()
            found[module].append(sum(_seconds(word) for word in children.split()))
        return dict(found)


def _seconds(word: str) -> float:
    minutes, _, seconds = word.rstrip("s").partition("m")
    return 60 * float(minutes) + float(seconds)
