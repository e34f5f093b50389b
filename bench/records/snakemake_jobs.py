"""What the Snakefile asks of the config: its batches and the files that say they are done."""

import contextlib
import json
from functools import cached_property
from pathlib import Path

from bench.config import reading
from bench.config.reading import ConfigError
from bench.config.runs import Run, batches
from bench.config.schema import TUNING
from bench.records import locks, whole_files
from bench.records.fingerprint import ROOT, fingerprint
from bench.records.freshness import Results, evaluation_version, training_version

# Where a stage starts over, the later ones do.
STAGES = ("train", "evaluate", "collect", "report")
# What the page shows beside the numbers.
SHOWN = (
    "config/report.yaml",
    "config/published.csv",
    "bench/templates/*",
    "regularizers/*.bib",
    "results/performance/*.json",
)


class Jobs:
    """The batches of a config file under the values that Snakemake's --config overrides.

    A stage of a batch is done if a file exists whose name holds a hash of all that its results must
    be of: runs, settings, code, packages and data. So neither file times nor Snakemake's own
    memory decide what runs, and a clone that holds the results has nothing to do.
    """

    def __init__(self, configfiles: list[str], merged: dict | None = None, root: Path = Path("results")):
        if len(configfiles) != 1:
            raise ConfigError(
                "give one config, for example: snakemake --configfile config/quick.yaml; "
                f"found {', '.join(map(str, configfiles)) or 'none'}"
            )
        path = Path(configfiles[0])  # absolute, from Snakemake; messages are shorter without
        self.configfile = str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
        own = reading.read_yaml(Path(self.configfile))
        self.overrides = {k: v for k, v in (merged or {}).items() if k not in own or own[k] != v}
        self.config = reading.load(self.configfile, self.overrides)
        self.results = Results(self.config, root)
        self.folder = self.results.folder / "jobs"
        self.batches = batches(self.config, self.results.runs)
        self.content = self.config.model_dump(mode="json")
        self.digest = whole_files.sha256(json.dumps(self.content).encode())[:8]  # the order is that of rows
        self.file = self.folder / f"config-{self.digest}.json"
        self.edited = self.folder / "edited"
        self._held = contextlib.ExitStack()

    def _versions(self, runs: list[Run], stage: str) -> list[str]:
        return [f"{r.id} {training_version(r) if stage == 'train' else evaluation_version(r)}" for r in runs]

    @cached_property
    def done(self) -> dict[tuple[str, str], str]:
        """(batch, stage) → the file that exists once the stage is done; the batch of the last three is 'results'."""
        names = {(b, s): self._versions(runs, s) for b, runs in self.batches.items() for s in STAGES[:2]}
        # Those of an edited config are looked at again; the program keeps what it changed nothing about.
        names["results", "controls"] = [self.digest, fingerprint("bench.evaluate.baseline_rows")]
        all_runs = [*names["results", "controls"], *self._versions(self.results.runs, "evaluate")]
        names["results", "collect"] = [*all_runs, fingerprint("bench.records.collect")]
        shown = [whole_files.sha256(path.read_bytes()) for glob in SHOWN for path in sorted(ROOT.glob(glob))]
        names["results", "report"] = [*names["results", "collect"], fingerprint("bench.report.page"), *shown]
        return {
            (
                batch,
                stage,
            ): f"{self.folder}/{batch}.{stage}-{whole_files.sha256(chr(10).join(lines).encode())[:12]}.json"
            for (batch, stage), lines in names.items()
        }

    def prepare(self) -> None:
        """Write the config with all that it extends as the one file that every job reads, and `forget`.

        Not a rule: Snakemake would run every job again for whose input another job has run, ancient or not.

        Raises:
            DiskFull: Snakemake itself would end with a traceback.
        """
        whole_files.require_space(self.folder, megabytes=5)
        if not self.file.exists():
            with contextlib.suppress(OSError):  # in a read-only folder a plan can still be made
                # In the order of the config, which is that of the rows of every table.
                whole_files.write(self.file, json.dumps(self.content, indent=1, ensure_ascii=False) + "\n")
        self.forget()
        if not Path(self.done["results", "report"]).exists():  # which needs all that the table needs
            with contextlib.suppress(OSError):
                self.edited.touch()

    def hold(self) -> None:
        """Say, as long as this process lives, that it works on the results; disjoint targets may have several such."""
        with contextlib.suppress(locks.LockHeld, OSError, RuntimeError):
            self._held.enter_context(locks.run_lock(self.results.folder))

    def holder(self) -> str | None:
        """The living process that works on the results, if there is one: Snakemake's own lock does not name it."""
        return locks.holder(self.results.folder)

    def newer(self, stage: str) -> list[str]:
        """An input that makes old results of "collect" or "report" old to Snakemake too, when asked for by name.

        Whole, they have to be made again where their done file is missing; Snakemake would not look for
        it if `snakemake results/quick/metrics.csv` did not ask for it.
        """
        done = Path(self.done["results", stage]).exists()
        return [] if done or not self.edited.exists() else [str(self.edited)]

    def forget(self) -> None:
        """Delete the done files that are no longer true: a run was deleted, or its model is missed."""
        for batch, runs in self.batches.items():
            stages = {self.results.stale(run) for run in runs if self.results.stale(run)}
            if not stages:
                continue
            lost = [(batch, "evaluate"), ("results", "collect"), ("results", "report")]
            for key in [(batch, "train"), *lost] if "train" in stages else lost:
                with contextlib.suppress(OSError):
                    Path(self.done[key]).unlink(missing_ok=True)

    @property
    def tried(self) -> list[str]:
        """The batches that the tuning needs: its trials, and the methods that they are held against."""
        wanted = {TUNING, self.config.tuning.experiment} if self.config.tuning else set()
        methods = {*self.config.tuning.trials} if self.config.tuning else set()

        def needed(run: Run) -> bool:
            return run.experiment in wanted and (run.experiment == TUNING or run.method in methods)

        return [name for name, runs in self.batches.items() if any(map(needed, runs))]

    def selection(self, batch: str) -> list[str]:
        """What `bench.train.train_runs` and `bench.evaluate.measure_runs` are to be told to do this batch alone."""
        if isinstance(self.config.batch_by, int):
            return list(dict.fromkeys(run.cell for run in self.batches[batch]))
        return [] if batch == "all" else [batch.replace(".", "/")]
