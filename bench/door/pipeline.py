"""The pipeline of a config under Snakemake, told to a reader: a line for each finished cell, then what came out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, deque

import click

from bench import SHARE
from bench.config import trials
from bench.config.runs import Run
from bench.door.mistakes import FAULT, HELD, MARK
from bench.records import whole_files
from bench.records.freshness import TIMING, Results
from bench.records.snakemake_jobs import Jobs
from bench.tables import halving

SUMMARY = "summary.txt"  # what the last report said, beside the page
LOG = "logs/snakemake.log"
LOOKING = {"-n", "--dry-run", "--dryrun"}


class Progress:
    """How far the runs have come that were to do when this began, judged by their measurements."""

    def __init__(self, results: Results, runs: list[Run]):
        self.results = results
        self.cells: dict[str, list[Run]] = {}
        for run in runs:
            if results.stale(run):
                self.cells.setdefault(run.cell, []).append(run)
        self.before = {run.id: self._measured(run) for runs in self.cells.values() for run in runs}
        self.count = len(self.cells)
        self.begun = time.monotonic()

    def _measured(self, run: Run) -> float:
        path = self.results.path(run, "metrics.json")
        return path.stat().st_mtime if path.exists() else 0.0

    def lines(self) -> list[str]:
        """A line for each cell that was finished since this was last asked."""
        done = [c for c, runs in self.cells.items() if all(self._measured(r) != self.before[r.id] for r in runs)]
        return [self._line(self.cells.pop(cell)) for cell in done]

    def _line(self, runs: list[Run]) -> str:
        def read(name: str) -> list[dict]:
            return [whole_files.read_json(self.results.path(run, name)) or {} for run in runs]

        seconds = sum(record.get("seconds", 0) for record in read("record.json"))
        seconds += sum(sum(timing.get("seconds", {}).values()) for timing in read(TIMING))
        ends = Counter(metrics.get("status", "missing") for metrics in read("metrics.json"))
        bad = "".join(f", {n} {status}" for status, n in ends.items() if status != "ok")
        name, seeds = f"{runs[0].experiment}/{runs[0].method}", f"{len(runs)} seed{'s' * (len(runs) > 1)}"
        done = self.count - len(self.cells)
        left = (time.monotonic() - self.begun) / done * len(self.cells)
        said = f"{done} of {self.count} cells" + (f", about {duration(left)} left" if left else "")
        ended = [(m["status"], m["reason"]) for m in read("metrics.json") if m.get("status", "ok") != "ok"]
        why = "".join(f"\n    {status}: {reason}" for status, reason in dict.fromkeys(ended))
        return f"{name:30} {seeds:>8} {duration(seconds):>8}{bad}   {said}{why}"


def duration(seconds: float) -> str:
    """Seconds for eyes: 8 s, 3 min, 2.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def run(config: str, options: list[str]) -> int:
    """Bring everything of a config up to date and say what came out; the exit status.

    Raises:
        ConfigError: a bad config.
    """
    jobs = Jobs([config])
    jobs.prepare()
    folder = jobs.results.folder
    done = (folder / "report/index.html").exists() and os.path.exists(jobs.done["results", "report"])
    asked = (options and options[0] != "--cores") or len(options) > 2  # for more than what is to do
    if (asked or not done) and (code := snakemake(jobs, options)):
        return code
    if LOOKING & {*options}:
        click.echo((folder / LOG).read_text(encoding="utf-8"), nl=False)
    elif (folder / SUMMARY).exists():
        click.echo((folder / SUMMARY).read_text(encoding="utf-8"), nl=False)
    return 0


def tune(config: str, options: list[str]) -> int:
    """Train and measure the trials of a config's tuning, all of them or seed by seed; the exit status.

    Raises:
        ConfigError: a bad config, or one without trials.
    """
    jobs = Jobs([config])
    trials.required(jobs.config, config)
    jobs.prepare()
    if not jobs.config.tuning.halving:
        return snakemake(jobs, ["tune", *options])
    for rung, seed in enumerate(trials.trial_seeds(jobs.config)):
        runs = halving.on_rung(jobs.results, rung)
        wanted = {run.id for run in runs}
        batches = [name for name, own in jobs.batches.items() if wanted & {run.id for run in own}]
        if code := snakemake(jobs, [*(jobs.done[name, "evaluate"] for name in batches), *options], runs):
            return code
        dropped = {run.cell for run in halving.drop(jobs.results, rung)}
        click.echo(f"seed {seed}: {len(runs)} settings" + (f", {len(dropped)} dropped" if dropped else ""))
    return 0


def snakemake(jobs: Jobs, arguments: list[str], runs: list[Run] | None = None) -> int:
    """Snakemake's exit status; a line for each finished cell of these runs, or of all, on the way.

    Snakemake's own lock outlives a Snakemake that was killed. The results' lock does not, and is asked instead.
    """
    folder = jobs.results.folder
    if holder := jobs.holder():
        click.echo(f"{folder}: a living Snakemake works on it, {holder}; wait for it, or stop it", err=True)
        return HELD
    progress = Progress(jobs.results, jobs.results.runs if runs is None else runs)
    log = folder / LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "snakemake", "--nolock", "--nocolor", "--snakefile", str(SHARE / "Snakefile")]
    command += [*arguments, "--configfile", jobs.configfile]
    path = os.pathsep.join((os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)))
    with log.open("w", encoding="utf-8") as file:
        # In a session of its own, so that a signal to this process reaches all jobs, and once.
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace",
            start_new_session=True, env=os.environ | {"PATH": path, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        heard: deque[str] = deque(maxlen=20)
        said: set[str] = set()

        def listen() -> None:
            with child.stdout:
                for line in child.stdout:
                    file.write(line)
                    file.flush()
                    heard.append(line.rstrip())
                    if line.startswith(MARK) and line not in said:
                        said.add(line)
                        click.echo(line.removeprefix(MARK), err=True, nl=False)

        def stop(number: int, _frame) -> None:
            os.killpg(child.pid, number)

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        heeded = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) != signal.SIG_IGN]
        before = {n: signal.signal(n, stop) for n in heeded}  # nohup has one ignored, a shell's & another
        try:
            while child.poll() is None:
                time.sleep(0.3)
                for line in progress.lines():
                    click.echo(line)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        listener.join(5)
        for line in progress.lines():
            click.echo(line)
    if not child.returncode:
        return 0
    if not said:
        click.echo("\n".join(line for line in heard if line.strip()), err=True)
    click.echo(f"not everything was done; all that Snakemake said: {log}", err=True)
    return FAULT if child.returncode < 0 else child.returncode
