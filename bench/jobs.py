"""What the Snakefile asks of the config: its batches, which of them are stale, and the config as one file.

`python -m bench.jobs CONFIG.yaml OVERRIDES OUTPUT.json` writes that file: the config with all that it extends.
"""

import json
import sys
from functools import cache
from pathlib import Path

from bench import config as configs
from bench import store
from bench.config import ConfigError
from bench.runs import Results, Run, batches
from bench.store import sha256


class Jobs:
    """The batches of a config file under the values that Snakemake's --config overrides."""

    def __init__(self, configfiles: list[str], merged: dict | None = None):
        if len(configfiles) != 1:
            raise ConfigError(
                "give one config, for example: snakemake --configfile config/quick.yaml; "
                f"found {', '.join(map(str, configfiles)) or 'none'}"
            )
        self.configfile = str(configfiles[0])
        own = configs.read_yaml(Path(self.configfile))
        self.overrides = {k: v for k, v in (merged or {}).items() if k not in own or own[k] != v}
        self.config = configs.load(self.configfile, self.overrides)
        self.results = Results(self.config)
        self.batches = batches(self.config, self.results.runs)
        content = json.dumps(self.config.model_dump(mode="json"), sort_keys=True)
        self.digest = sha256(content.encode())[:8]
        self.stale = cache(self._stale)

    def _stale(self, batch: str, stage: str) -> tuple[Run, ...]:
        stages = ("train",) if stage == "train" else ("train", "evaluate")
        return tuple(run for run in self.batches[batch] if self.results.stale(run) in stages)

    def marker(self, batch: str, stage: str) -> str:
        """A file whose name holds what the batch's results of a stage must be of: missing, they are stale."""
        versions = "".join(
            run.id + (run.training_version if stage == "train" else run.evaluation_version)
            for run in self.batches[batch]
        )
        return f"{self.results.folder}/jobs/stale/{batch}-{stage}-{sha256(versions.encode())[:12]}"

    def summary(self, batch: str, stage: str) -> str:
        """'likelihood.mmd-0a1b2c3d: 2 of 3 runs (seeds 1 2)', for Snakemake's messages."""
        stale, runs = self.stale(batch, stage), self.batches[batch]
        return f"{batch}: {len(stale)} of {len(runs)} runs ({', '.join(run.id for run in stale)})"


def main(argv: list[str]) -> int:
    """The program."""
    try:
        config = configs.load(argv[0], json.loads(argv[1]))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    store.write_json(argv[2], config.model_dump(mode="json"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
