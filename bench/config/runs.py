"""From the config to its runs: what one is, its identity, its batch, whether it is up to date. Free of torch."""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property

from bench.config import reading
from bench.config.reading import ConfigError
from bench.config.schema import Config, Settings, unknown

# What is done with a trained model does not make it another one.
EVALUATION_SETTINGS = {"evaluations", "parzen_samples", "timeout"}


@dataclass(frozen=True)
class Run:
    """One experiment x method x seed: everything that determines one trained autoencoder, but the code."""

    experiment: str
    method: str
    seed: int
    settings: Settings

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
        """Plain values, for its record."""
        settings = self.settings.model_dump(mode="json", exclude_defaults=True)
        return {"experiment": self.experiment, "method": self.method, "seed": self.seed, "settings": settings}


def expand(config: Config) -> list[Run]:
    """Every run of the config: its experiments, times their methods, times the seeds."""
    runs = []
    for experiment, content in config.experiments.items():
        for method in content["methods"]:
            seeds = reading.seeds(config, experiment, method)
            settings = reading.settings(config, experiment, method)
            runs += [Run(experiment, method, seed, settings) for seed in seeds]
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


def select(runs: list[Run], patterns: list[str]) -> list[Run]:
    """The runs of the patterns: `likelihood`, `likelihood/mmd`, `likelihood/mmd/seed0`, with or without the digest.

    Raises:
        ConfigError: a pattern matches none.
    """
    chosen: list[Run] = []
    for pattern in patterns:
        whole = re.compile(rf"{re.escape(pattern)}([/-].*)?")
        found = [r for r in runs if whole.fullmatch(r.id) or pattern == f"{r.experiment}/{r.method}/seed{r.seed}"]
        if not found:
            experiment, slash, _ = pattern.partition("/")
            cells = [f"{run.experiment}/{run.method}" for run in runs if run.experiment == experiment]
            raise ConfigError(
                unknown(pattern, dict.fromkeys(cells if slash and cells else (r.experiment for r in runs)))
            )
        chosen += found
    return chosen if patterns else runs
