"""What of a config's results is true of the present code, and what must be made again. Free of torch.

A record is current if its version is: that of the code, packages, settings and data that it depends on. Where only
the code or packages have changed, `bench.train.verify` repeats the opening of the training and gives the record
the new version, with the evidence, if it comes to the same. A measurement is current if it is of its record's
model and of its protocol's present version.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from bench.config import reading
from bench.config.reading import ConfigError
from bench.config.registry import installed, module, name_of
from bench.config.runs import EVALUATION_SETTINGS, Run, expand
from bench.config.schema import Config, Optimizer
from bench.data.declarations import DataError, declaration
from bench.records import forms, result_set, whole_files
from bench.records.fingerprint import fingerprint
from bench.records.protocol_versions import protocol_versions

TIMING = "timing.json"  # what a run's measurements took, in its folder
# What the codes of an untrained encoder depend on, besides the seed.
ARCHITECTURE = {
    "architecture", "latents", "width", "depth", "batch_norm", "init", "encoder", "noise_dim", "decoder", "merge",
    "precision",
}  # fmt: skip
PICTURES = "pictures"  # the protocol of what is stored for figures


def modules(run: Run) -> list[str]:
    """The modules whose code decides what training a run gives."""
    s = run.settings
    own = {"regularizers": s.regularizer, "datasets": name_of(s.dataset), "architectures": s.architecture}
    priors = {latent.prior for latent in s.latents.values()} & installed("priors").keys()
    return ["bench.train.loop", *(module(k, n) for k, n in [*own.items(), *(("priors", n) for n in sorted(priors))])]


def training_version(run: Run) -> str:
    """The version of the code, packages, settings and data that training a run depends on.

    The settings once more, with the defaults that the folder's name leaves out: a changed default
    must not pass unnoticed. Data that is absent has no version, and training will say so.
    """
    content = run.settings.model_dump(mode="json", exclude=EVALUATION_SETTINGS)
    content["optimizers"][""] = Optimizer().model_dump(mode="json")  # of what the settings say nothing about
    settings = json.dumps(content, sort_keys=True)
    code = fingerprint(*modules(run))
    return f"{hashlib.sha256(f'{code} {settings}'.encode()).hexdigest()[:16]}-{_data(run)}"


def _data(run: Run) -> str:
    try:
        return declaration(run.settings.dataset).digest[:8]
    except DataError:
        return "absent"


def measurement_versions(run: Run) -> dict[str, str]:
    """The present version of each protocol that a run is to be measured by, with its settings."""
    settings = run.settings.model_dump(mode="json", include=EVALUATION_SETTINGS - {"evaluations", "timeout"})
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:4]
    known = protocol_versions()
    return {name: f"{known[name]}-{digest}" for name in (*run.settings.evaluations, PICTURES)}


def needed(run: Run, *more: str) -> dict:
    """The settings that the baselines of an experiment and seed depend on."""
    return run.settings.model_dump(mode="json", include={"dataset", "normalisation", "labels", *ARCHITECTURE, *more})


def baseline_version(run: Run) -> str:
    """What the baselines of a run's experiment and seed depend on: their protocols, data and the settings they read."""
    protocols = {
        k: v for k, v in protocol_versions().items() if k.removeprefix("baseline_") in run.settings.evaluations
    }
    content = json.dumps([protocols, needed(run, "evaluations"), _data(run)], sort_keys=True)
    return f"{hashlib.sha256(content.encode()).hexdigest()[:16]}-{_data(run)}"


def of_record(record: Mapping, metrics: Mapping | None) -> bool:
    """Whether measurements are of the model of a record, or of its failure."""
    return bool(metrics) and metrics.get("model") == (record.get("hashes") or {}).get("model")


class Results:
    """The results folder of a config: its runs' folders, over what was packed of earlier ones."""

    def __init__(self, config: Config, root: Path = Path("results")):
        self.config = config
        self.folder = root / config.name

    @cached_property
    def runs(self) -> list[Run]:
        """All runs of the config."""
        return expand(self.config)

    @cached_property
    def packed(self) -> dict[str, dict]:
        """The packed runs, by id: what a clone has."""
        return {run["id"]: run for run in result_set.runs(self.folder)}

    def path(self, run: Run, name: str = "") -> Path:
        """A file of a run."""
        return self.folder / "runs" / run.id / name

    def record(self, run: Run) -> dict | None:
        """The record of a run: in its folder, else packed; None if there is none that is whole and of this form."""
        path = self.path(run, "record.json")
        found = whole_files.read_json(path) if path.exists() else self.packed.get(run.id, {}).get("record")
        return found if forms.fits(found, forms.RECORD) else None

    def metrics(self, run: Run) -> dict | None:
        """The measurements of a run, likewise."""
        path = self.path(run, "metrics.json")
        found = whole_files.read_json(path) if path.exists() else self.packed.get(run.id, {}).get("metrics")
        return found if forms.fits(found, forms.MEASURED) else None

    def baselines(self) -> dict:
        """What was measured without training: the version of each experiment and seed, and the rows."""
        path = self.folder / "baselines.json"
        if found := whole_files.read_json(path):
            if not isinstance(found, dict) or [type(found.get(key)) for key in ("cells", "rows")] != [dict, list]:
                raise result_set.Damaged(f"{path}: expected cells and rows; delete it, and they are measured again")
            return found
        content = {"cells": {}, "rows": []}
        for line in (line for line in self.packed.values() if "baseline" in line):
            of = dict(line["baseline"])
            content["cells"][f"{of['experiment']} {of['seed']}"] = of.pop("version")
            content["rows"] += [of | row for row in line["metrics"]["rows"]]
        return content

    def baseline_versions(self) -> dict[str, str]:
        """The present version of each experiment and seed that has baselines, by 'experiment seed'."""
        asked = self.runs if self.config.controls else []
        return {f"{run.experiment} {run.seed}": baseline_version(run) for run in reversed(asked)}

    def trained(self, run: Run) -> bool:
        """Whether the run's record is of the present code and data, be it of a success or of a failure."""
        record = self.record(run)
        if not record or record["version"] != training_version(run):
            return False
        # A run that ran out of time is worth another try if it is given other time.
        return record["status"] != "timeout" or record["run"]["settings"].get("timeout") == run.settings.timeout

    def lacking(self, run: Run) -> list[str]:
        """The protocols by which the run's present model has not been measured."""
        record, metrics = self.record(run), self.metrics(run)
        wanted = measurement_versions(run)
        if record is None or not of_record(record, metrics):
            return list(wanted)
        if record["status"] != "ok":
            return []
        failed = {name: entry["version"] for name, entry in metrics["failed"].items()}
        known = metrics["versions"] | failed  # what has failed by its present version would fail again
        return [name for name, version in wanted.items() if known.get(name) != version]

    def stale(self, run: Run) -> str | None:
        """'train' or 'evaluate', the first stage that must run again; None if neither.

        Models are not kept in version control: where one is missing or damaged, a measurement by an older protocol
        trains again. A metric or a picture that is only new does not: it is missing there.
        """
        if not self.trained(run):
            return "train"
        lacking = self.lacking(run)
        if not lacking:
            return None
        record, metrics = self.record(run), self.metrics(run)
        if record["status"] != "ok" or self._model_is_whole(run, record):
            return "evaluate"
        of_it = of_record(record, metrics)
        return "train" if not of_it or any(n in metrics["versions"] and n != PICTURES for n in lacking) else None

    def _model_is_whole(self, run: Run, record: dict) -> bool:
        try:
            content = self.path(run, "model.safetensors").read_bytes()
        except OSError:
            return False
        # safetensors has no checksum of its own: a flipped bit would load, and be measured, in silence.
        return whole_files.sha256(content) == record["hashes"].get("model", whole_files.sha256(content))


def read(path: str | Path) -> Config:
    """The config of a file (.yaml), or of the pipeline's copy of one (.json).

    Raises:
        ConfigError: the file is neither.
    """
    if not str(path).endswith(".json"):
        return reading.load(path)
    content = whole_files.read_json(path)
    if content is None:
        raise ConfigError(f"{path}: not there or not whole; expected a config (.yaml) or its copy (.json)")
    return reading.restore(content, str(path))
