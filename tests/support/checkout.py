"""A copy of the repository that a test may change, run in and kill."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = (
    "bench",
    "config",
    "profiles",
    "regularizers",
    "Snakefile",
    "requirements.lock",
    "pyproject.toml",
    ".gitignore",
)

# Two cells of two seeds each. It extends nothing: a layer can add experiments but take none away.
TINY = """\
name: tiny
seeds: 2
batch_by: experiment
controls: false
defaults: {dataset: digits, width: 16, epochs: 2, batch_size: 100}
methods:
  ae: {regularizer: unregularized}
  mmd: {regularizer: mmd}
experiments:
  likelihood: {methods: [ae, mmd], latents: {z: {dim: 4}}, decoder: [z], evaluations: [reconstruction]}
"""
ALONE = TINY.replace("  mmd: {regularizer: mmd}\n", "").replace("[ae, mmd]", "[ae]")  # one method of them


class Checkout:
    """A copy in `folder`, with a config `config/tiny.yaml`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.started: list[subprocess.Popen] = []
        folder.mkdir(parents=True, exist_ok=True)
        for name in PARTS:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name)  # with what is compiled, which file times keep true
            elif source.exists():
                shutil.copy(source, folder / name)
        self.write("config/tiny.yaml", TINY)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace text that is there in a file of the copy."""
        text = (self.folder / name).read_text(encoding="utf-8")
        assert old in text, f"{name} no longer says {old!r}"
        self.write(name, text.replace(old, new))

    @property
    def environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return os.environ | {"PATH": path, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}

    def start(self, *command: str, **options) -> subprocess.Popen:
        """Start a command in the copy, in a session of its own; `python` is this one."""
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True} | options
        process = subprocess.Popen(command, cwd=self.folder, env=self.environment, start_new_session=True, **options)
        self.started.append(process)
        return process

    def kill(self) -> None:
        """Kill -9 everything that was started here and still runs, with all that it has started."""
        for process in self.started:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if process.stdout:
                process.stdout.close()
        self.started = []

    def run(self, *command: str, rc: int | None = 0, timeout: float = 300) -> str:
        """The output of a command in the copy, which must end with `rc`."""
        process = self.start(*command)
        output, _ = process.communicate(timeout=timeout)
        assert rc is None or process.returncode == rc, f"{command} ended with {process.returncode}:\n{output}"
        return output

    def snakemake(self, *arguments: str, config: str = "config/tiny.yaml", rc: int | None = 0) -> str:
        """The output of Snakemake up to the tidy table."""
        return self.run("snakemake", "collect", "--nocolor", *arguments, "--configfile", config, rc=rc)

    def stale(self, config: str = "config/tiny.yaml") -> dict[str, set[str]]:
        """Stage → the runs that must start over there."""
        code = (
            "import sys; from bench.records.freshness import Results, read; r = Results(read(sys.argv[1]))\n"
            "for x in r.runs: print(r.stale(x), x.id)"
        )
        found: dict[str, set[str]] = {"train": set(), "evaluate": set(), "None": set()}
        for line in self.run("python", "-c", code, config).splitlines():
            stage, run = line.split()
            found[stage].add(run)
        return found

    def results(self, name: str = "tiny") -> dict[str, bytes]:
        """The bytes of everything that must not depend on how often the work was interrupted."""
        folder = self.folder / "results" / name
        kept = {}
        for path in sorted(folder.glob("runs/**/*")):
            if path.name in ("model.safetensors", "history.csv", "metrics.json", "codes.npz"):
                kept[str(path.relative_to(folder))] = path.read_bytes()
        return kept
