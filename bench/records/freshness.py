"""What of a config's results is up to date: versions of trainings and of measurements. Free of torch."""

import hashlib
import json
from pathlib import Path

from bench.config import reading
from bench.config.reading import ConfigError
from bench.config.runs import EVALUATION_SETTINGS, Run, expand
from bench.config.schema import Config
from bench.data.sources import DataError, digest
from bench.records import whole_files
from bench.records.fingerprint import fingerprint

TIMING = "timing.json"  # what a run's measurements took, in its folder


def training_version(run: Run) -> str:
    """The version of the code, packages, settings and data that training this run depends on.

    The settings once more, with the defaults that the folder's name leaves out: a changed default
    must not pass unnoticed. Data that is absent has no version, and training will say so.
    """
    try:
        data = digest(run.settings.dataset, run.data_root)[:8]
    except DataError:
        data = "absent"
    settings = json.dumps(run.settings.model_dump(mode="json", exclude=EVALUATION_SETTINGS), sort_keys=True)
    code = fingerprint("bench.train.loop", f"regularizers.{run.settings.regularizer}")
    return f"{hashlib.sha256(f'{code} {settings}'.encode()).hexdigest()[:16]}-{data}"


def evaluation_version(run: Run) -> str:
    """The same for its evaluation, which depends on its training too."""
    settings = run.settings.model_dump(mode="json", include=EVALUATION_SETTINGS - {"timeout"})
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
    return f"{training_version(run)}-{fingerprint('bench.evaluate.protocols')}-{digest}"


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
        record = whole_files.read_json(self.path(run, "record.json"))
        if not record or record.get("version") != training_version(run):
            return False
        # A run that ran out of time is worth another try if it is given other time.
        allowed = record["run"]["settings"].get("timeout")
        return record["status"] != "timeout" or allowed == run.settings.timeout

    def evaluated(self, run: Run) -> bool:
        """Whether the run's metrics are of its present record and of the present code."""
        metrics = whole_files.read_json(self.path(run, "metrics.json"))
        return self.trained(run) and bool(metrics) and metrics.get("version") == evaluation_version(run)

    def stale(self, run: Run) -> str | None:
        """'train' or 'evaluate', the first stage that must run again; None if neither.

        Models are not kept in version control: where one is missing or damaged, an outdated evaluation trains again.
        """
        if not self.trained(run):
            return "train"
        if self.evaluated(run):
            return None
        record = whole_files.read_json(self.path(run, "record.json"))
        whole = record["status"] != "ok" or self._model_is_whole(run, record)
        return "evaluate" if whole else "train"

    def _model_is_whole(self, run: Run, record: dict) -> bool:
        try:
            content = self.path(run, "model.safetensors").read_bytes()
        except OSError:
            return False
        # safetensors has no checksum of its own: a flipped bit would load, and be measured, in silence.
        return whole_files.sha256(content) == record.get("hashes", {}).get("model", whole_files.sha256(content))


def read(path: str | Path) -> tuple[Config, list[Run], Path]:
    """The config, its runs and its results folder, from a config (.yaml) or the pipeline's copy of it (.json).

    Raises:
        ConfigError: the file is neither.
    """
    if str(path).endswith(".json"):
        content = whole_files.read_json(path)
        if content is None:
            raise ConfigError(f"{path}: not there or not whole; expected a config (.yaml) or its copy (.json)")
        config = reading.check(content, [(str(path), content)])
    else:
        config = reading.load(path)
    return config, expand(config), Path("results") / config.name
