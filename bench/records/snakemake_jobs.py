"""What the Snakefile asks of the config: its batches and the files that say they are done."""

import contextlib
import json
from functools import cached_property
from pathlib import Path

from bench.config import reading
from bench.config.layers import difference, read_yaml
from bench.config.reading import ConfigError
from bench.config.runs import Run, batches
from bench.config.schema import TUNING
from bench.records import locks, whole_files
from bench.records.fingerprint import ROOT, fingerprint
from bench.records.freshness import Results, measurement_versions, training_version

# Where a stage starts over, the later ones do.
STAGES = ("train", "evaluate", "collect", "report")
# What the page shows beside the numbers.
SHOWN = (
    "config/report.yaml",
    "config/published.csv",
    "bench/report/templates/*",
    "bench/report/assets/*",
    "regularizers/*.bib",
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
        read_yaml(path)  # its own words for what is no config, before Snakemake's
        if merged:
            from snakemake.common.configfile import load_configfile

            merged = difference(merged, load_configfile(self.configfile))  # whose YAML is an older one than ours
        self.overrides = merged or {}
        self.config = reading.load(self.configfile, self.overrides)
        self.results = Results(self.config, root)
        self.folder = self.results.folder / "jobs"
        self.batches = batches(self.config, self.results.runs)
        self.content = self.config.model_dump(mode="json")
        self.digest = whole_files.sha256(json.dumps(self.content).encode())[:8]  # the order is that of rows
        self.file = self.folder / f"config-{self.digest}.json"
        self._held = contextlib.ExitStack()

    def _versions(self, runs: list[Run], stage: str) -> list[str]:
        if stage == "train":
            return [f"{run.id} {training_version(run)}" for run in runs]
        return [f"{run.id} {training_version(run)} {sorted(measurement_versions(run).items())}" for run in runs]

    @cached_property
    def done(self) -> dict[tuple[str, str], str]:
        """(batch, stage) → the file that exists once the stage is done; the batch of the last three is 'results'."""
        names = {(b, s): self._versions(runs, s) for b, runs in self.batches.items() for s in STAGES[:2]}
        names["results", "controls"] = [f"{k} {v}" for k, v in self.results.baseline_versions().items()]
        all_runs = [*names["results", "controls"], *self._versions(self.results.runs, "evaluate")]
        names["results", "collect"] = [self.digest, *all_runs, fingerprint("bench.records.collect")]
        shown = [whole_files.sha256(path.read_bytes()) for glob in SHOWN for path in sorted(ROOT.glob(glob))]
        names["results", "report"] = [*names["results", "collect"], fingerprint("bench.report.page"), *shown]
        return {
            key: f"{self.folder}/{key[0]}.{key[1]}-{whole_files.sha256(chr(10).join(lines).encode())[:12]}.json"
            for key, lines in names.items()
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
        if not self.holder():  # who lives knows better what has just been done
            self.forget()

    def hold(self) -> None:
        """Say, as long as this process lives, that it works on the results; disjoint targets may have several such."""
        with contextlib.suppress(locks.LockHeld, OSError):
            self._held.enter_context(locks.run_lock(self.results.folder))

    def holder(self) -> str | None:
        """The living process that works on the results, if there is one: Snakemake's own lock does not name it."""
        return locks.holder(self.results.folder)

    def forget(self) -> None:
        """Make the done files say what the records say: they are no results, and a clone has none."""
        stale = {run.id: self.results.stale(run) for run in self.results.runs}
        for batch, runs in self.batches.items():
            stages = {stale[run.id] for run in runs} - {None}
            self._say(self.done[batch, "train"], "train" not in stages)
            self._say(self.done[batch, "evaluate"], not stages)
        of_now = self.results.baselines()["cells"] == self.results.baseline_versions()
        self._say(self.done["results", "controls"], of_now)
        if any(stale.values()):
            for stage in ("collect", "report"):
                self._say(self.done["results", stage], False)

    @staticmethod
    def _say(path: str, done: bool) -> None:
        with contextlib.suppress(OSError):  # in a read-only folder a plan can still be made
            if not done:
                Path(path).unlink(missing_ok=True)
            elif not Path(path).exists():
                whole_files.write(path, "{}\n")

    @property
    def tried(self) -> list[str]:
        """The batches that the tuning needs: its trials, and the methods that they are held against."""
        tuning = self.config.tuning

        def needed(run: Run) -> bool:
            return run.experiment == TUNING or (run.experiment == tuning.experiment and run.method in tuning.trials)

        return [name for name, runs in self.batches.items() if tuning and any(map(needed, runs))]

    def selection(self, batch: str) -> list[str]:
        """What `bench.train.train_runs` and `bench.evaluate.measure_runs` are to be told to do this batch alone."""
        single = self.config.batch_by == "run"
        return list(dict.fromkeys(run.id if single else run.cell for run in self.batches[batch]))
