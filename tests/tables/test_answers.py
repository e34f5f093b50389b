"""The picture and its sentences: one rule, and every word of it follows from the numbers."""

import re

import numpy as np
import pandas as pd
import pytest

from bench.config.reading import check
from bench.tables import answers, words
from bench.tables.experiment_tables import against_reference, summary
from tests.support.tidy import tidy

LATENTS = {"latents": {"z": {"prior": "gaussian", "dim": 2}}, "decoder": ["z"], "evaluations": ["likelihood"]}
BASE = np.array([300.0, 310.0, 305.0, 299.0])


def config_of(*methods, preset="laptop", **experiments):
    content = {
        "name": "tiny", "preset": preset, "seeds": 4, "defaults": {"dataset": "mnist", "epochs": 2},
        "methods": {m: {"regularizer": "unregularized", "title": m.upper()} for m in methods},
        "experiments": {e: LATENTS | {"methods": list(methods)} | more for e, more in experiments.items()},
    }  # fmt: skip
    return check(content, [("test", content)])


@pytest.fixture
def asked(monkeypatch):
    """A question of two measures that count and one that does not."""
    question = {
        "title": "Is it?", "challenger": ["mmd"], "reference": ["aae"], "references_name": "the best adversary",
        "plain": "ae", "left_out": ["hidden"], "controls": ["k-means"],
        "measures": [
            {"experiment": "likelihood", "metric": "log_likelihood", "label": "10k", "counts": False},
            {"experiment": "likelihood", "metric": "log_likelihood_1000000", "label": "1M"},
            {"experiment": "classes", "metric": "error", "label": "labels"},
            {"experiment": "likelihood", "metric": "step_cost", "label": "step", "counts": False},
        ],
    }  # fmt: skip
    content = {"question": question, "presets": {"laptop": "These are few epochs"}}
    monkeypatch.setattr(answers, "words", lambda: content)
    for module in ("costs", "experiment_tables"):
        monkeypatch.setattr(f"bench.tables.{module}.words", lambda: content)
    return question


@pytest.fixture
def config():
    return config_of("ae", "aae", "mmd", "hidden", "own", likelihood={}, classes={})


NOISY = np.array([4.0, -3.0, 2.0, -2.0])  # percent


def gains(million, error):
    """A table in which the MMD is ahead of the AAE by so much, with some noise between seeds."""
    noise = np.array([0.5, -0.4, 0.1, -0.2])
    return tidy(
        {
            ("likelihood", "aae", "log_likelihood_1000000"): BASE,
            ("likelihood", "mmd", "log_likelihood_1000000"): BASE + million + noise,
            ("likelihood", "own", "log_likelihood_1000000"): BASE + 20 * noise - 3,
            ("likelihood", "hidden", "log_likelihood_1000000"): BASE,
            ("likelihood", "k-means", "log_likelihood_1000000"): BASE + 30 + noise,
            ("classes", "aae", "error"): [9.0, 8.0, 7.0, 8.5],
            ("classes", "mmd", "error"): np.array([9.0, 8.0, 7.0, 8.5]) - error + noise / 10,
        }
    )


@pytest.mark.parametrize(
    ("million", "error", "said"),
    [
        (40, 2, "Yes: MMD is better than AAE on 1M and labels, and worse on nothing that counts."),
        (-40, -2, "No: AAE is better than MMD on 1M and labels, and worse on nothing that counts."),
        (40, -2, "It depends on the task: MMD is better than AAE on 1M, and worse on labels."),
        (0, 0, "It adds nothing: MMD and AAE are level on 1M and labels."),
        (40, NOISY, "Partly decided: MMD is better than AAE on 1M, and undecided on labels."),
        (-40, NOISY, "Partly decided: AAE is better than MMD on 1M, and undecided on labels."),
        (0, NOISY, "Partly decided: MMD and AAE are level on 1M, and undecided on labels."),
    ],
)
def test_the_answer_follows_from_the_verdicts(asked, config, million, error, said):
    assert answers.picture(config, gains(million, error)).answer == said


def test_a_cell_is_the_paired_difference_with_its_interval(asked, config):
    found = answers.picture(config, gains(40, 2))
    assert [m.label for m in found.measures] == ["1M", "labels"]
    by_method = {row.method: row for row in found.rows}
    cell = by_method["mmd"].cells[0]
    difference = 40 + np.array([0.5, -0.4, 0.1, -0.2])
    half = 3.18245 * difference.std(ddof=1) / 2
    assert (cell.difference, cell.low, cell.high) == pytest.approx((40, 40 - half, 40 + half), rel=1e-4)
    assert (cell.word, cell.seeds) == ("better", 4)
    assert cell.mean == pytest.approx(BASE.mean() + 40)
    assert by_method["mmd"].cells[1].difference == pytest.approx(2)  # fewer errors are an improvement
    assert by_method["aae"].cells[0].word == "reference"
    assert by_method["own"].cells[0].word == "undecided"
    assert by_method["own"].cells[1] is None
    assert "hidden" not in by_method
    assert by_method["k-means"].family == "control"


def test_one_seed_decides_nothing(asked, config):
    table = gains(40, 2)
    found = answers.picture(config, table[table["seed"] == 0])
    assert {c.word for row in found.rows for c in row.cells if c} == {"reference", "undecided"}
    assert found.answer == "Undecided: no measure that counts tells MMD from AAE."


def test_nothing_measured_is_no_answer(asked, config):
    table = gains(40, 2)
    found = answers.picture(config, table[table["method"] == "ae"])
    assert (found.answer[:16], found.rows) == ("Not answered yet", [])
    assert answers.text(found)


def test_the_caveat_counts_what_is_decided_and_what_is_old(asked, config):
    table = gains(40, 2)
    table.loc[(table["method"] == "mmd") & (table["seed"] == 2), "current"] = False
    found = answers.picture(config, table)
    assert found.caveat == (
        "These are few epochs; with 4 seeds 3 of 4 differences are decided (3 after Holm's adjustment) and 0 level; "
        "2 of 28 runs come from an earlier version of the code."
    )


def test_a_caveat_says_if_nothing_that_the_answer_names_outlives_holm(asked, config):
    found = answers.picture(config, gains(np.array([3.0, 6.0, 7.0, 2.5]), NOISY))
    assert found.answer == "Partly decided: MMD is better than AAE on 1M, and undecided on labels."
    assert "2 of 4 differences are decided (1 after Holm's adjustment, none that the answer names)" in found.caveat


def test_who_stands_in_for_the_challenger_is_named(asked, config):
    asked["challenger"] = ["mmd", "own"]
    table = gains(40, 2)
    table = table[(table["experiment"] != "classes") | (table["method"] != "mmd")]
    extra = tidy({("classes", "own", "error"): [7.0, 6.1, 4.8, 6.5]})
    found = answers.picture(config, pd.concat([table, extra]))
    assert found.answer == "Yes: MMD is better than AAE on 1M and labels (OWN), and worse on nothing that counts."


def test_a_caveat_has_no_empty_part_and_none_is_said_of_no_runs(asked):
    config = config_of("ae", "aae", "mmd", "hidden", "own", likelihood={}, classes={}, preset="other")
    assert answers.picture(config, gains(40, 2)).caveat.startswith("with 4 seeds 3 of 4 differences")
    assert answers.caveat(config, gains(40, 2)[:0], [], []) == "No run has finished yet."
    table = gains(40, 2)
    table.loc[table["method"] == "aae", "status"] = "failed"
    runs = table.drop_duplicates(["experiment", "method", "seed"])["status"].value_counts()
    said = f"{runs['ok']} of {runs.sum()} runs have finished; {runs['failed']} failed."
    assert answers.caveat(config, table, [], []) == said


def test_of_several_references_the_best_is_each_measures(asked, config):
    asked["reference"] = ["aae", "own"]
    table = gains(40, 2)
    extra = tidy({("classes", "own", "error"): [1.0, 1.1, 1.2, 1.3]})
    found = answers.picture(config, pd.concat([table, extra]))
    assert [m.reference for m in found.measures] == ["aae", "own"]
    assert found.reference == "the best adversary"
    assert found.answer.startswith("It depends on the task: MMD is better than the best adversary on 1M, and worse on")


def test_the_best_reference_is_that_of_the_best_mean_however_many_its_seeds():
    values = pd.DataFrame({"few": [5.0, np.nan, np.nan], "many": [3.0, 4.0, 4.0], "none": [np.nan] * 3})
    assert answers.references(["few", "many", "none"], values, True) == "few"
    assert answers.references(["few", "many", "none"], values, False) == "many"
    assert answers.references(["none"], values, True) is None


def test_a_method_of_trials_alone_is_no_row(asked):
    config = config_of("ae", "aae", "mmd", likelihood={"methods": ["ae", "aae"]}, classes={})
    config.experiments[answers.TUNING] = config.experiments.pop("classes")
    assert answers.shown_methods(config) == ["k-means", "ae", "aae"]


def test_the_cost_of_a_step_is_a_multiple_of_the_plain_autoencoders(asked, config):
    table = tidy({("likelihood", m, "reconstruction"): [1.0] * 4 for m in ("ae", "aae", "mmd")})
    table["seconds"] = table["method"].map({"ae": 10.0, "aae": 35.0, "mmd": 20.0}) * (1 + (table["seed"] - 1).abs())
    found = answers.picture(config, table)
    assert [m.label for m in found.measures] == ["step"]
    by_method = {row.method: row.cells[0] for row in found.rows}
    assert by_method["aae"].mean == 3.5  # of the fastest seed: others were disturbed
    assert by_method["mmd"].difference == 1.5
    assert by_method["mmd"].word == "undecided"


def test_times_of_another_machine_are_no_cost(asked, config):
    table = tidy({("likelihood", m, "reconstruction"): [1.0] * 4 for m in ("ae", "aae", "mmd")})
    table["seconds"] = table["method"].map({"ae": 10.0, "aae": 35.0, "mmd": 20.0})
    slow = (table["method"] == "aae") & (table["seed"] == 3)
    table.loc[slow, ["machine", "seconds"]] = ["slow", 500.0]
    assert {row.method: row.cells[0].mean for row in answers.picture(config, table).rows}["aae"] == pytest.approx(3.5)


def test_the_text_fits_a_terminal(asked, config):
    text = answers.text(answers.picture(config, gains(40, 2)))
    assert max(map(len, text.splitlines())) <= 100
    assert re.search(r"MMD +\+40 \[\+39, \+41\] \+ +\+2\.0 \[\+1\.9, \+2\.1\] \+", text)
    assert "- worse" in text


def test_ten_methods_and_four_measures_fit_100_columns():
    digits = answers.Verdict(-258.4, -281.2, -234.9, "worse", 31.4, 3, True)
    measure = answers.Measure("likelihood", "log_likelihood", "Parzen 10k", "nats", True, "", 4.0, True, "aae")
    rows = [answers.Row(f"m{i}", "MMD-energy-norm", "sampled", [digits] * 4) for i in range(10)]
    text = answers.text(answers.Picture("?", "!", ".", "", "AAE", [measure] * 4, rows))
    assert max(map(len, text.splitlines())) <= 100
    assert sum("MMD-energy-norm" in line for line in text.splitlines()) == 10


def test_a_cell_says_the_same_everywhere():
    measure = answers.Measure("e", "error", "100 labels", "%", False, "", 0.3, True, "aae")
    cell = answers.Verdict(-0.02, -0.61, 0.57, "undecided", 4.5, 3, True)
    assert answers.in_cell(cell, measure) == ("+0.0", "−0.6 to +0.6")
    assert answers.in_cell(cell._replace(difference=14.4, low=-2.6, high=31.4), measure) == ("+14", "−3 to +31")
    assert answers.in_cell(cell._replace(low=float("nan"), high=float("nan")), measure) == ("+0.0", "")
    assert answers.in_cell(cell._replace(word="reference"), measure) == ("4.50", "")


def test_each_method_is_held_against_the_reference_with_what_it_would_take(asked, config):
    table = gains(40, 2)
    found = against_reference(config, table, summary(config, table), "likelihood")
    by_name = {row[0].text: [e.text for e in row] for row in found.rows}
    assert by_name["MMD"][3] == "better"
    assert by_name["OWN"][3] == "undecided"
    assert int(by_name["OWN"][6].replace(",", "")) > 4
    assert "AAE" not in by_name
    p = {row[0].text: row[4].value for row in found.rows}
    both = [c.p for row in answers.picture(config, table).rows for c in row.cells if c and row.method in ("mmd", "own")]
    assert 0 < p["MMD"] < 0.001 < 0.05 < p["OWN"] < 1
    assert len(both) == 3
    once = table[table["seed"] == 0]
    [[*_, p, pairs, needed]] = [
        r for r in against_reference(config, once, summary(config, once), "likelihood").rows if r[0].text == "MMD"
    ]
    assert (p.value, pairs.text, needed.value) == (None, "1", None)  # no spread, no test


def test_a_table_opens_with_what_the_picture_has_of_its_experiment(asked):
    assert answers.shown_measures("likelihood") == ["log_likelihood", "log_likelihood_1000000", "step_cost"]
    assert answers.shown_measures("classes") == ["error"]


def test_the_words_name_what_is_there():
    """The question's methods and measures are those of the base config."""
    from bench.config.reading import load
    from bench.tables.metric_names import metric

    base, q = load(words.SHARE / "config/mnist_wide.yaml"), words.words()["question"]
    assert {*q["left_out"], *q["challenger"], q["plain"], *q["reference"]} <= {*base.methods}
    assert all(m["experiment"] in base.experiments for m in q["measures"])
    assert all(metric(m["metric"]).higher_is_better is not None and metric(m["metric"]).margin for m in q["measures"])
    assert len(answers.shown_methods(base)) <= 12
