"""Trials: as many for each method, chosen on validation images alone, none lost; what a run costs."""

import math

import pandas as pd
import pytest
import yaml

from bench.config import reading
from bench.config.reading import ConfigError, load
from bench.config.runs import expand
from bench.config.schema import TUNING
from bench.evaluate import measure_runs
from bench.records.freshness import Results
from bench.tables.costs import cost_table
from bench.tables.tuning import chosen_settings, judge, ledger, ledger_table, tuned_table
from bench.train import train_runs
from tests.support.checkout import TINY

TRIALS = {"ae": [{"width": 8}, {"width": 32}], "mmd": [{"weight": 2, "title": "twice"}, {"weight": 0.5}]}


def written(folder, **changes):
    content = yaml.safe_load(TINY)
    content["experiments"]["likelihood"]["evaluations"] = ["likelihood"]
    content["tuning"] = {"experiment": "likelihood", "seeds": 2, "trials": TRIALS} | changes
    path = folder / "c.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def config(tmp_path):
    return load(written(tmp_path))


def measured(config, scores):
    """A tidy table with `scores[method, seed]` = (validation, test), None for a run that diverged."""
    found = []
    for run in expand(config):
        value = scores.get((run.method, run.seed), (0.0, 0.0))
        base = {"experiment": run.experiment, "method": run.method, "seed": run.seed, "run": run.id, "seconds": 3600.0}
        base |= {"device": "cpu", "machine": "A machine", "threads": 1}
        base |= {"status": "ok" if value else "diverged", "reason": None if value else "a loss", "epoch": 1}
        names = ("validation_log_likelihood", "log_likelihood")
        rows = [base | {"metric": m, "value": v} for m, v in zip(names, value, strict=True)] if value else [base]
        found += rows
    return pd.DataFrame(found, columns=[*base, "metric", "value"])


def test_trials_are_runs_like_others(config):
    runs = {(r.method, r.seed): r for r in expand(config) if r.experiment == TUNING}
    assert set(runs) == {(f"{m}_trial{i}", s) for m in TRIALS for i in (1, 2) for s in (0, 1)}
    assert runs["ae_trial2", 0].settings.width == 32
    assert runs["mmd_trial1", 0].settings.weight == 2
    default = reading.settings(config, "likelihood", "mmd")
    assert runs["mmd_trial1", 0].settings == default.model_copy(update={"weight": 2.0})
    assert config.methods["mmd_trial1"]["title"].endswith("twice")
    assert config.methods["ae_trial1"]["title"].endswith("width = 8")


def test_the_pipelines_copy_of_the_config_is_the_same(config):
    again = reading.restore(config.model_dump(mode="json"), "copy")
    assert again == config


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"trials": TRIALS | {"mmd": [{}]}}, "tuning.trials: every method must have as many trials as the others, at"),
        ({"trials": {"mdm": [{}]}}, "tuning.trials.mdm: unknown 'mdm'; did you mean 'mmd'? Valid: ae, mmd"),
        ({"trials": {"mmd": [{"wieght": 1}]}}, "tuning.trials.mmd.0.wieght: unknown 'wieght'; did you mean 'weight'?"),
        ({"experiment": "likelyhood"}, "tuning.experiment: unknown 'likelyhood'; did you mean 'likelihood'?"),
        ({"seeds": 0}, "tuning.seeds"),
    ],
)
def test_mistakes(tmp_path, changes, said):
    with pytest.raises(ConfigError) as error:
        load(written(tmp_path, **changes))
    assert f"c.yaml: {said}" in str(error.value)


def test_a_config_that_leaves_the_trials_out_may_leave_their_methods_out_too(tmp_path):
    written(tmp_path)
    child = tmp_path / "child.yaml"
    child.write_text("extends: c.yaml\nonly: [likelihood]\nexperiments: {likelihood: {methods: [ae]}}\n")
    assert {(r.experiment, r.method) for r in expand(load(child))} == {("likelihood", "ae")}
    child.write_text("extends: c.yaml\nonly: [likelihood, tuning]\nexperiments: {likelihood: {methods: [ae]}}\n")
    with pytest.raises(ConfigError, match=r"tuning\.trials\.mmd: unknown 'mmd'"):
        load(child)


def test_the_choice_is_by_validation_and_by_whole_trials_alone(config):
    scores = {("mmd", s): (10.0, 5.0) for s in (0, 1)}
    scores |= {("mmd_trial1", s): (12.0, 1.0) for s in (0, 1)}  # best on validation images, worst on test images
    scores |= {("mmd_trial2", 0): (99.0, 99.0), ("mmd_trial2", 1): None}
    table = measured(config, scores)
    found = ledger(config, table).set_index(["method", "trial"])
    assert found.loc[("mmd", "twice"), "chosen"]
    assert not found.loc[("mmd", "default"), "chosen"]
    assert not found.loc[("mmd", "weight = 0.5"), "chosen"]
    assert found.loc[("mmd", "weight = 0.5"), "note"].startswith("diverged at epoch 1")
    assert found["chosen"].groupby("method").sum().tolist() == [1, 1]
    assert found["seconds"].sum() == 3600 * 2 * 6
    shuffled = table.assign(value=table["value"].where(table["metric"] != "log_likelihood", -table["value"]))
    assert ledger(config, shuffled)["chosen"].tolist() == found["chosen"].tolist()
    assert yaml.safe_load(chosen_settings(config, ledger(config, table))) == {"methods": {"mmd": {"weight": 2}}}
    tuned = tuned_table(config, ledger(config, table)).rows[1]
    assert [e.text for e in tuned[1:]] == ["5.0 ± 0.0", "1.0 ± 0.0", "twice", "-4.0", "89.0", "1 of 6"]


def test_a_gain_is_an_improvement_of_an_error_too(config):
    config = config.model_copy(update={"tuning": config.tuning.model_copy(update={"metric": "validation_error"})})
    scores = {("mmd", s): (10.0, 8.0) for s in (0, 1)} | {("mmd_trial1", s): (7.0, 6.0) for s in (0, 1)}
    table = measured(config, {key: (9.0, 9.0) for key in [("mmd_trial2", 0), ("mmd_trial2", 1)]} | scores)
    table["metric"] = table["metric"].str.replace("log_likelihood", "error")
    frame = ledger(config, table)
    assert [e.text for e in tuned_table(config, frame).rows[1]][2:5] == ["6.00 ± 0.00", "twice", "+2.00"]


def test_the_ledgers_table_has_the_score_of_a_trial_that_ran_and_a_dash_for_another(config):
    scores = {("mmd_trial1", 0): (5.0, 1.0), ("mmd_trial1", 1): (7.0, 1.0)}
    frame = ledger(config, measured(config, scores | {("mmd_trial2", seed): None for seed in (0, 1)}))
    shown = [[str(getattr(e, "text", e)) for e in row] for row in ledger_table(config, frame).rows]
    own = {trial: cells for name, trial, *cells in shown if name == "Mmd"}
    assert own["twice"] == ["6.0 ± 1.4", "2 of 2", "2.0 h", "chosen"]
    assert own["weight = 0.5"][:2] == ["–", "0 of 2: diverged at epoch 1: a loss"]


def test_the_spread_of_a_trial_is_that_of_its_seeds(config):
    scores = {("mmd", 0): (10.0, 4.0), ("mmd", 1): (12.0, 7.0), ("mmd_trial1", 1): None}
    found = ledger(config, measured(config, scores)).set_index(["method", "trial"])
    default, trial = found.loc[("mmd", "default")], found.loc[("mmd", "twice")]
    assert (default["validation"], default["sd_over_seeds"]) == pytest.approx((11, math.sqrt(2)))
    assert (default["test"], default["test_sd_over_seeds"]) == pytest.approx((5.5, math.sqrt(4.5)))
    assert trial["seeds_finished"] == 1
    assert math.isnan(trial["sd_over_seeds"])
    assert math.isnan(trial["test_sd_over_seeds"])


def test_the_default_is_judged_on_the_seeds_of_the_trials(tmp_path):
    config = load(written(tmp_path, seeds=[1]))
    table = measured(config, {("mmd", 0): (100.0, 0.0), ("mmd", 1): (1.0, 0.0)})
    found = ledger(config, table)
    assert found.loc[found["trial"].eq("default") & found["method"].eq("mmd"), "validation"].item() == 1.0


def test_a_cell_may_have_seeds_of_its_own(tmp_path):
    content = yaml.safe_load(TINY)
    del content["seeds"]  # which no cell would have
    content["methods"]["mmd"]["seeds"] = 2
    content["experiments"]["likelihood"] |= {
        "methods": {"ae": {"seeds": [7]}, "mmd": None},
        "evaluations": ["likelihood"],
    }
    content["tuning"] = {"experiment": "likelihood", "seeds": 1, "trials": {"mmd": [{"weight": 2}]}}
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(content))
    found = sorted((r.experiment, r.method, r.seed) for r in expand(load(path)))
    likelihood = [("likelihood", "ae", 7), ("likelihood", "mmd", 0), ("likelihood", "mmd", 1)]
    assert [f for f in found if f[0] != "style"] == [*likelihood, ("tuning", "mmd_trial1", 0)]


def test_a_config_without_trials_is_refused(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(TINY)
    with pytest.raises(ConfigError, match="no trials to judge"):
        judge(path)


def test_trials_that_ran_are_judged_and_the_rest_is_written_as_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, seeds=1, trials={"ae": [{"width": 8}]})
    results = Results(load(path))
    with pytest.raises(ConfigError, match="no run has left anything yet"):
        judge(path)
    wide = [run for run in results.runs if run.method == "ae" and run.seed == 0]
    assert list(train_runs.train_all(results, wide, "cpu", False, 1e9).values()) == ["ok"]
    measure_runs.measure_all(results, wide, "cpu", False)
    assert "the defaults are the best trials" in judge(path)
    found = pd.read_csv(tmp_path / "results/tiny/tables/tuning_ledger.csv").set_index("trial")
    assert found["seeds_finished"].to_dict() == {"default": 1, "width = 8": 0}
    assert found.loc["width = 8", "note"] == "not run"
    assert found.loc["default", "validation"] < 0


def test_costs_are_multiples_of_the_plain_autoencoder(config):
    table = measured(config, {}).assign(peak_memory_mb=100.0)
    table.loc[table["method"] == "mmd", "seconds"] = 7200.0
    found = cost_table(config, table, "likelihood")
    assert {row[0].text: row[2].text for row in found.rows}.popitem()[1] == "2.00"
    assert cost_table(config, table.assign(status="failed"), "likelihood") is None
    alone = cost_table(config, table[table["method"] == "mmd"], "likelihood")
    assert alone.head == ["Method", "Seconds an epoch", "Peak memory (MB)"]
    assert {len(row) for row in alone.rows} == {3}


def test_times_of_another_machine_are_no_part_of_a_cost(config):
    table = measured(config, {}).assign(peak_memory_mb=100.0, device="cpu", threads=1, machine="usual")
    table.loc[table["method"] == "mmd", "seconds"] = 7200.0
    usual = cost_table(config, table, "likelihood")
    moved = (table["method"] == "mmd") & (table["seed"] == table["seed"].max())
    table.loc[moved, "machine"], table.loc[moved, "seconds"] = "slow", 72000.0
    found = cost_table(config, table, "likelihood")
    assert [row[2] for row in found.rows] == [row[2] for row in usual.rows]
    assert [row[1].value for row in found.rows] == [row[1].value for row in usual.rows]
    assert "the time of one run" in found.caption
    assert "another" not in usual.caption
