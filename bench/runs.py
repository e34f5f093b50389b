"""From the config to its runs: what one is, its identity, its batch, whether it is up to date. Free of torch."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from bench import config as configs
from bench import store
from bench.config import ConfigError
from bench.fingerprint import fingerprint
from bench.schema import Config, Settings, unknown

# What is done with a trained model does not make it another one.
EVALUATION_SETTINGS = {"evaluations", "parzen_samples", "timeout"}
TIMING = "timing.json"  # what a run's measurements took, in its folder


@dataclass(frozen=True)
class Run:
    """One experiment x method x seed: everything that determines one trained autoencoder, but the code."""

    experiment: str
    method: str
    seed: int
    settings: Settings
    data_root: str | None = field(default=None, compare=False)

    @cached_property
    def cell(self) -> str:
        """`experiment/method-digest`: all seeds of the same settings share it."""
        # Defaults are left out, so that a setting added later does not rename every older run.
        content = self.settings.model_dump(mode="json", exclude_defaults=True, exclude=EVALUATION_SETTINGS)
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
        return f"{self.experiment}/{self.method}-{digest}"

    @property
    def id(self) -> str:
        """`experiment/method-digest/seed0`: the run's folder."""
        return f"{self.cell}/seed{self.seed}"

    def to_json(self) -> dict:
        """Plain values; `from_json` restores the same run."""
        settings = self.settings.model_dump(mode="json", exclude_defaults=True)
        return {"experiment": self.experiment, "method": self.method, "seed": self.seed, "settings": settings}

    @classmethod
    def from_json(cls, content: dict) -> "Run":
        """The run that `to_json` wrote."""
        return cls(**(content | {"settings": Settings.model_validate(content["settings"])}))

    @cached_property
    def training_version(self) -> str:
        """The version of the code, packages, settings and data that training this run depends on.

        The settings once more, with the defaults that the folder's name leaves out: a changed default
        must not pass unnoticed. Data that is absent has no version, and training will say so.
        """
        from bench.sources import DataError, digest  # numpy only

        try:
            data = digest(self.settings.dataset, self.data_root)[:8]
        except DataError:
            data = "absent"
        settings = json.dumps(self.settings.model_dump(mode="json", exclude=EVALUATION_SETTINGS), sort_keys=True)
        code = fingerprint("bench.training", f"regularizers.{self.settings.regularizer}")
        return f"{hashlib.sha256(f'{code} {settings}'.encode()).hexdigest()[:16]}-{data}"

    @cached_property
    def evaluation_version(self) -> str:
        """The same for its evaluation, which depends on its training too."""
        settings = self.settings.model_dump(mode="json", include=EVALUATION_SETTINGS - {"timeout"})
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
        return f"{self.training_version}-{fingerprint('bench.evaluation')}-{digest}"


def expand(config: Config) -> list[Run]:
    """Every run of the config: its experiments, times their methods, times the seeds."""
    runs = []
    for experiment, content in config.experiments.items():
        for method in content["methods"]:
            seeds = configs.seeds(config, experiment, method)
            settings = configs.settings(config, experiment, method)
            runs += [Run(experiment, method, seed, settings, config.data_root) for seed in seeds]
    return runs


def batches(config: Config, runs: list[Run]) -> dict[str, list[Run]]:
    """The runs of each job, by its name: all, those of an experiment, of a method in it, or a single one.

    A number cuts the cells, in their order, into about as many jobs with about as many runs each.
    """
    if isinstance(config.batch_by, int):
        parts = {}
        for i, run in enumerate(runs):
            parts.setdefault(run.cell, 1 + i * config.batch_by // len(runs))  # a cell stays whole
        names = {config.batch_by: lambda r: f"part{parts[r.cell]}"}
    else:
        names = _NAMES
    grouped: dict[str, list[Run]] = {}
    for run in runs:
        grouped.setdefault(names[config.batch_by](run).replace("/", "."), []).append(run)
    return grouped


_NAMES = {
    "all": lambda r: "all",
    "experiment": lambda r: r.experiment,
    "method": lambda r: r.cell,
    "run": lambda r: r.id,
}


class Results:
    """The results folder of a config, and what in it is up to date."""

    def __init__(self, config: Config, root: Path = Path("results")):
        self.config = config
        self.folder = root / config.name
        self.runs = expand(config)

    def path(self, run: Run, name: str = "") -> Path:
        """A file of a run."""
        return self.folder / "runs" / run.id / name

    def trained(self, run: Run) -> bool:
        """Whether the run's record is of the present code and data, be it of a success or of a failure."""
        record = store.read_json(self.path(run, "record.json"))
        if not record or record.get("version") != run.training_version:
            return False
        # A run that ran out of time is worth another try if it is given other time.
        allowed = record["run"]["settings"].get("timeout")
        return record["status"] != "timeout" or allowed == run.settings.timeout

    def evaluated(self, run: Run) -> bool:
        """Whether the run's metrics are of its present record and of the present code."""
        metrics = store.read_json(self.path(run, "metrics.json"))
        return self.trained(run) and bool(metrics) and metrics.get("version") == run.evaluation_version

    def stale(self, run: Run) -> str | None:
        """'train' or 'evaluate', the first stage that must run again; None if neither.

        Models are not kept in version control: where one is missing or damaged, an outdated evaluation trains again.
        """
        if not self.trained(run):
            return "train"
        if self.evaluated(run):
            return None
        record = store.read_json(self.path(run, "record.json"))
        whole = record["status"] != "ok" or self._model_is_whole(run, record)
        return "evaluate" if whole else "train"

    def _model_is_whole(self, run: Run, record: dict) -> bool:
        try:
            content = self.path(run, "model.safetensors").read_bytes()
        except OSError:
            return False
        # safetensors has no checksum of its own: a flipped bit would load, and be measured, in silence.
        return store.sha256(content) == record.get("hashes", {}).get("model", store.sha256(content))


def read(path: str | Path) -> tuple[Config, list[Run], Path]:
    """The config, its runs and its results folder, from a config (.yaml) or the pipeline's copy of it (.json).

    Raises:
        ConfigError: the file is neither.
    """
    if str(path).endswith(".json"):
        content = store.read_json(path)
        if content is None:
            raise ConfigError(f"{path}: not there or not whole; expected a config (.yaml) or its copy (.json)")
        config = configs.check(content, [(str(path), content)])
    else:
        config = configs.load(path)
    return config, expand(config), Path("results") / config.name


def select(runs: list[Run], patterns: list[str]) -> list[Run]:
    """The runs of the patterns: `likelihood`, `likelihood/mmd`, `likelihood/mmd-0a1b2c3d` or a whole id.

    Raises:
        ConfigError: a pattern matches none.
    """
    chosen: list[Run] = []
    for pattern in patterns:
        found = [r for r in runs if r.id == pattern or r.id.startswith((f"{pattern}/", f"{pattern}-"))]
        if not found:
            raise ConfigError(unknown(pattern, sorted({run.cell for run in runs})))
        chosen += found
    return chosen if patterns else runs
