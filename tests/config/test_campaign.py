"""Random configs: each is refused in a line for each mistake before anything runs, or does all that it says."""

import shutil
from collections import Counter

import pytest
import torch
import yaml
from hypothesis import HealthCheck, Phase, given, settings

from bench.config import reading
from bench.config.reading import ConfigError, load
from bench.config.runs import batches, expand
from bench.evaluate import measure_runs
from bench.records import collect, plan, result_set
from bench.records.freshness import Results
from bench.train import train_runs
from tests.support.checkout import ROOT
from tests.support.outcomes import outcome
from tests.support.random_configs import EXPERIMENTS, texts

RANDOM = {"deadline": None, "suppress_health_check": list(HealthCheck), "phases": [Phase.explicit, Phase.generate]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where configs can extend config/smoke.yaml."""
    found = tmp_path_factory.mktemp("campaign")
    for name in ("base.yaml", "smoke.yaml"):
        shutil.copy(ROOT / "config" / name, found)
    return found


def loaded(folder, text):
    """The config, or None with the lines of its mistakes in order."""
    path = folder / "c.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        return load(path), []
    except ConfigError as error:
        return None, str(error).split("\n")


def judged(folder, text):
    """Assert that a config is refused in lines that name it, or expands to runs, all different."""
    config, lines = loaded(folder, text)
    if config is None:
        assert all(line.startswith(f"{folder}/") for line in lines), lines
        assert len({tuple(line.split(": ")[:2]) for line in lines}) >= 1
        assert max(map(len, lines)) < 2000
        assert len(lines) == len(set(lines))
        return
    runs = expand(config)
    named = {(e, m) for e, content in config.experiments.items() for m in content["methods"]}
    assert {(run.experiment, run.method) for run in runs} == named
    assert max(Counter(run.id for run in runs).values()) == 1
    assert sorted(run.id for batch in batches(config, runs).values() for run in batch) == sorted(run.id for run in runs)
    assert [run.id for run in expand(reading.restore(config.model_dump(mode="json"), "copy"))] == [
        run.id for run in runs
    ]
    assert plan.describe(plan.Plan(Results(config, folder / "results")).rows(), jobs=1)


@settings(max_examples=60, **RANDOM)
@given(text=texts())
def test_a_random_config_is_refused_in_lines_or_expands_to_runs(folder, text):
    judged(folder, text)


def ran(folder, text):
    """Train, measure and collect a config as a user would, and assert that every run has every number, once."""
    config, _ = loaded(folder, text)
    if config is None:
        return
    results = Results(config, folder / "results")
    shutil.rmtree(results.folder, ignore_errors=True)
    statuses = train_runs.train_all(results, results.runs, "cpu")
    torch.set_flush_denormal(False)  # Hypothesis refuses to draw floats otherwise
    assert {*statuses.values()} <= {"ok", "unsupported", "diverged"}
    assert measure_runs.measure_all(results, results.runs, "cpu") == statuses
    collect.collect(results)
    rows = list(result_set.tidy(results.folder))
    assert {row["run"] for row in rows} >= {run.id for run in results.runs}
    assert max(Counter((row["run"], row["metric"], row["split"]) for row in rows if row["metric"]).values()) == 1
    for run in (run for run in results.runs if statuses[run.id] == "ok"):
        assert not results.metrics(run)["failed"]
        found = {row["protocol"] for row in results.metrics(run)["rows"]}
        silent = {"reconstruction", "decomposition"} if run.settings.encoder != "gaussian" else {"reconstruction"}
        assert {*run.settings.evaluations} - found <= silent


@settings(max_examples=2, **RANDOM)
@given(text=texts(only=EXPERIMENTS, most=2).filter(lambda text: "labels" not in text))
def test_a_random_config_that_is_accepted_gives_every_number_once(folder, text):
    ran(folder, text)


@pytest.mark.faults
@settings(max_examples=200, **RANDOM)
@given(text=texts(only=EXPERIMENTS, most=2))
def test_hundreds_of_random_configs_that_are_accepted_give_every_number_once(folder, text):
    ran(folder, text)


def leaves(content, at=()):
    """The places of what a mapping says."""
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*at, key))
        else:
            yield (*at, key)


def without(content, at):
    """The mapping without what it says at a place."""
    key, *rest = at
    return {k: without(v, rest) if k == key else v for k, v in content.items() if k != key or rest}


@pytest.mark.faults
@settings(max_examples=300, **RANDOM)
@given(text=texts(only=EXPERIMENTS, most=2))
def test_whatever_an_accepted_config_says_changes_a_model_or_a_number(folder, tmp_path, text):
    """Each setting that is not what the config would have had anyway."""
    config, _ = loaded(folder, text)
    content = yaml.safe_load(text) if config else {}

    def differ(*contents):
        """Whether any run of the two configs comes to something else, or one of them is none."""
        configs = [loaded(folder, yaml.safe_dump(c, sort_keys=False))[0] for c in contents]
        if None in configs:
            return True
        runs, others = ({(r.experiment, r.method): r for r in expand(c)} for c in configs)
        changed = [cell for cell in runs if cell in others and runs[cell].settings != others[cell].settings]
        outcomes = ([outcome(found[cell], tmp_path / "run") for found in (runs, others)] for cell in changed)
        # A cell that its method does not support has no model to change.
        found = not changed or any(a != b or a == "unsupported" for a, b in outcomes)
        torch.set_flush_denormal(False)  # Hypothesis refuses to draw floats otherwise
        return found

    for at in (at for at in leaves(content) if at[0] in ("defaults", "methods", "experiments")):
        if at[-1] not in ("timeout", "deterministic", "title", "short", "seeds"):
            other = without(content, at)
            # What no run of `only` reads may be there for those that are left out.
            assert differ(content, other) or differ(without(content, ("only",)), without(other, ("only",))), at


@pytest.mark.faults
@settings(max_examples=2500, **RANDOM)
@given(text=texts())
def test_thousands_of_random_configs_are_refused_in_lines_or_expand_to_runs(folder, text):
    judged(folder, text)
