"""Successive halving of a tuning's trials (Jamieson & Talwalkar, 2016): after each seed the worse half is dropped.

What is dropped has a record that says so, and is no run that a pipeline would still train. Free of torch.
"""

from bench.config.runs import Run
from bench.config.schema import TUNING
from bench.config.trials import trial_name, trial_seeds
from bench.records import whole_files
from bench.records.collect import UNMEASURED
from bench.records.freshness import TIMING, Results, training_version
from bench.tables.metric_names import metric as describe

DROPPED = "dropped"


def kept(results: Results, method: str, rung: int) -> list[str]:
    """The trials of a method that go on after so many seeds, by their mean on validation images; the best come first.

    A trial with a failed seed goes on no longer. Of an odd number the larger half is kept.
    """
    tuning, runs = results.config.tuning, {(r.experiment, r.method, r.seed): r for r in results.runs}
    names = [trial_name(method, i) for i in range(1, len(tuning.trials[method]) + 1)]
    sign = 1 if describe(tuning.metric).higher_is_better is False else -1
    for count in range(1, rung + 1):
        scores = {}
        for name in names:
            found = [_score(results, runs[TUNING, name, seed]) for seed in trial_seeds(results.config)[:count]]
            if None not in found:
                scores[name] = sign * sum(found) / count
        names = sorted(scores, key=scores.get)[: -(-len(names) // 2)]
    return names


def _score(results: Results, run: Run) -> float | None:
    rows = (results.metrics(run) or {"rows": []})["rows"]
    return next((row["value"] for row in rows if row["metric"] == results.config.tuning.metric), None)


def on_rung(results: Results, rung: int) -> list[Run]:
    """The runs of a rung: of its seed the defaults, and the trials that go on until then."""
    tuning, seed = results.config.tuning, trial_seeds(results.config)[rung]
    wanted = {(TUNING, name) for method in tuning.trials for name in kept(results, method, rung)}
    wanted |= {(tuning.experiment, method) for method in tuning.trials}
    return [run for run in results.runs if run.seed == seed and (run.experiment, run.method) in wanted]


def drop(results: Results, rung: int) -> list[Run]:
    """Give the trials that do not go on after a rung their records; what was trained all the same keeps its own."""
    seeds, after, found = trial_seeds(results.config), rung + 1, []
    later = seeds[after:]
    for method, trials in results.config.tuning.trials.items():
        going = kept(results, method, after)
        names = {trial_name(method, i) for i in range(1, len(trials) + 1)} - {*going}
        found += [r for r in results.runs if r.experiment == TUNING and r.method in names and r.seed in later]
    found = [run for run in found if results.stale(run)]
    for run in found:
        content = {
            "run": run.to_json(), "id": run.id, "version": training_version(run), "status": DROPPED,
            "reason": f"by halving, after {after} of {len(seeds)} seeds", "epoch": 0, "hashes": {},
            "facts": {}, "opening": None, "seconds": 0.0,
        }  # fmt: skip
        for name in ("model.safetensors", TIMING):  # of older code
            results.path(run, name).unlink(missing_ok=True)
        whole_files.write_json(results.path(run, "record.json"), content)
        metrics = UNMEASURED | {"status": DROPPED, "reason": content["reason"]}
        whole_files.write_json(results.path(run, "metrics.json"), metrics)
    return found
