"""Measure the rows that need no training: `baselines.json` of a result set."""

import json

from bench.data import datasets
from bench.evaluate.baselines import ROWS
from bench.evaluate.measurement import Measurement
from bench.records import whole_files
from bench.records.freshness import Results, needed


def measure(results: Results) -> dict:
    """Write the rows of each experiment and seed into `baselines.json`; those of the present version are kept."""
    wanted, old = results.baseline_versions(), results.baselines()
    kept = {name for name in wanted if old["cells"].get(name) == wanted[name]}
    found = [row for row in old["rows"] if f"{row['experiment']} {row['seed']}" in kept]
    load = datasets.loader()
    measured: dict[tuple, list[tuple[str, list[Measurement]]]] = {}  # what experiments have in common, once
    cells = {f"{run.experiment} {run.seed}": run for run in reversed(results.runs)}
    for name in [name for name in wanted if name not in kept]:
        run = cells[name]
        s = run.settings
        for kind in s.evaluations:
            if kind in ROWS and (kind != "classification" or s.labels not in (0, "all")):
                same = kind, run.seed, json.dumps(needed(run), sort_keys=True)
                if same not in measured:
                    measured[same] = list(ROWS[kind](s, load(s), run.seed))
                for baseline, measurements in measured[same]:
                    base = {"experiment": run.experiment, "method": baseline, "seed": run.seed}
                    found += [base | m._asdict() for m in measurements]
                    print(f"{run.experiment}, {baseline}, seed {run.seed}: measured", flush=True)
    content = {"cells": wanted, "rows": found}
    whole_files.write_json(results.folder / "baselines.json", content)
    return content
