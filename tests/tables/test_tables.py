"""Tables say what the runs say: spreads, places, reasons, and verdicts on published numbers."""

import math
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from bench.config.reading import check, load
from bench.report import overall_tables
from bench.tables import experiment_tables, files, metric_names, paper_tables, published
from bench.tables.formats import number, spread, to_markdown
from bench.tables.metric_names import METRICS, metric
from bench.tables.words import words
from tests.support.tidy import tidy

LATENTS = {"latents": {"z": {"prior": "gaussian", "dim": 8}}, "decoder": ["z"], "evaluations": ["likelihood"]}


def config_of(preset="laptop", dataset="mnist", seeds=3, methods=("aae", "mmd", "vae", "broken")):
    content = {
        "name": "tiny", "preset": preset, "seeds": seeds, "defaults": {"dataset": dataset, "epochs": 1},
        "methods": {m: {"regularizer": "unregularized", "title": m.upper()} for m in methods},
        "experiments": {"likelihood": LATENTS | {"methods": list(methods), "title": "Likelihood"}},
    }  # fmt: skip
    return check(content, [("test", content)])


@pytest.fixture(scope="module")
def results():
    """The config, the tidy table and its summary: one seed diverged, one method is unsupported, one control."""
    table = tidy(
        {
            ("likelihood", "aae", "log_likelihood"): [340.0, 338.0, 345.0],
            ("likelihood", "mmd", "log_likelihood"): [352.0, 353.0, 350.5],
            ("likelihood", "vae", "log_likelihood"): [360.0, None, 361.0],
            ("likelihood", "k-means", "log_likelihood"): [400.0, 401.0, 399.0],
            ("likelihood", "aae", "sigma_1000000"): [0.1, 0.2, 0.3],
            ("likelihood", "aae", "referee_ks"): [0.1, 0.2, 0.3],
            ("likelihood", "aae", "referee_ks_floor"): [0.01, 0.02, 0.03],
        },
        standard_error=2.0,
        n=300.0,
    )
    broken = tidy({("likelihood", "broken", "sigma"): [None] * 3}).assign(status="unsupported", reason="no density")
    table, config = pd.concat([table, broken]), config_of()
    return config, table, experiment_tables.summary(config, table)


def cell(cells, method, name="log_likelihood"):
    """A row of the summary."""
    [row] = cells[(cells.method == method) & (cells.metric == name)].to_dict("records")
    return row


def test_data_with_options_have_a_name_in_the_papers_tables(results):
    config = config_of(dataset={"arrays": "mine.npz"})
    assert paper_tables.used(config) == ["arrays"]
    cells = experiment_tables.summary(config, results[1])
    found = paper_tables.paper_tables(config, cells, published.against_published(config, cells))
    assert any("Arrays, 10,000 samples: ours" in table.head for table in found)


def test_what_needs_no_model_is_no_run_of_the_provenance(results):
    rows = results[1].assign(device=results[1]["device"].where(results[1]["method"] != "k-means"))
    [row] = overall_tables.provenance(rows).rows
    assert row[-2].text == "8"  # of nine of three methods one diverged


def test_a_cell_is_the_mean_and_spread_of_its_seeds(results):
    row = cell(results[2], "aae")
    assert row["mean"] == 341
    assert row["sd_over_seeds"] == pytest.approx(math.sqrt(13))
    assert row["standard_error_over_images"] == 2.0
    assert (row["seeds_finished"], row["seeds"], row["images"]) == (3, 3, 300)


def test_a_seed_that_failed_is_told_and_never_best(results):
    row = cell(results[2], "vae")
    assert (row["seeds_finished"], row["seeds"]) == (2, 3)
    assert row["note"] == "seed 1 diverged at epoch 4: a loss is not finite"
    assert not row["best"]
    assert cell(results[2], "broken")["note"] == "unsupported: no density"
    assert cell(results[2], "mmd")["best"]


def test_a_seed_that_never_ran_is_told():
    table = tidy({("likelihood", "aae", "log_likelihood"): [340.0, 338.0]})
    cells = experiment_tables.summary(config_of(), table)
    assert cell(cells, "aae")["note"] == "seed 2 not run"
    assert (cell(cells, "aae")["seeds_finished"], cell(cells, "aae")["seeds"]) == (2, 3)
    assert cell(cells, "mmd")["note"] == "not run"


ERROR = metric("error")


def places(asked=3, **values):
    frame = pd.DataFrame(values)
    return experiment_tables.places(frame, dict.fromkeys(values, asked), ERROR)


def test_a_spread_that_hides_a_difference_makes_nothing_level():
    """35.2 ± 20 % beside 1.8 ± 0.1: no test tells them apart, and nobody should take them for equal."""
    found = places(mmd=[1.7, 1.8, 1.9], joint=[14.0, 36.6, 55.0], near=[1.75, 1.83, 1.97], away=[1.7, 2.4, 2.1])
    assert found == {"mmd": "best", "joint": "undecided", "near": "level", "away": "undecided"}


def test_who_is_surely_worse_but_by_less_than_matters_is_level():
    assert places(a=[1.0, 2.0, 3.0], b=[1.1, 2.11, 3.09])["b"] == "level"


@pytest.mark.parametrize(
    ("values", "asked", "best"),
    [
        ({"a": [3.0, 2.0, 1.0], "b": [0.5, 0.5, np.nan]}, {"a": 3, "b": 3}, {"a"}),
        ({"a": [3.0, 2.0, 1.0], "b": [0.5, np.nan, np.nan]}, {"a": 3, "b": 1}, {"a"}),
        ({"a": [3.0, 2.0, 1.0, np.nan], "b": [0.5, 0.5, 0.4, 0.5]}, {"a": 3, "b": 4}, {"b"}),
        ({"a": [0.1, 0.2, 0.3, np.nan], "b": [0.5, 0.5, 0.4, 0.5]}, {"a": 3, "b": 4}, {"a"}),
        ({"a": [1.0], "b": [0.99], "c": [0.99]}, {"a": 1, "b": 1, "c": 1}, {"b", "c"}),
        ({"a": [np.nan]}, {"a": 1}, set()),
    ],
)
def test_who_lacks_a_seed_or_was_asked_for_too_few_does_not_compete(values, asked, best):
    found = experiment_tables.places(pd.DataFrame(values), asked, ERROR)
    assert {m for m, place in found.items() if place == "best"} == best


def test_what_has_no_better_direction_has_no_best():
    assert experiment_tables.places(pd.DataFrame({"a": [1.0, 2.0, 3.0]}), {"a": 3}, metric("sigma")) == {}


def test_methods_without_a_common_seed_are_not_held_against_each_other():
    nan = np.nan
    found = places(a=[1.0, 2.0, 3.0, nan, nan, nan], b=[nan, nan, nan, 4.0, 5.0, 6.0])
    assert found == {"a": "best", "b": ""}


def test_an_experiment_has_only_the_tables_that_have_a_metric():
    config, table = config_of(), tidy({("likelihood", "aae", "log_likelihood"): [340.0, 338.0, 345.0]})
    tables = experiment_tables.experiment_tables(config, experiment_tables.summary(config, table), "likelihood")
    assert [t.name for t in tables] == ["likelihood"]


def test_rows_without_a_method_are_never_best(results):
    assert not cell(results[2], "k-means")["best"]


def test_markdown_shows_spread_reason_and_seeds(results):
    config, _, cells = results
    text = to_markdown(experiment_tables.experiment_tables(config, cells, "likelihood")[0])
    assert "Mean ± sd over seeds" in text
    assert "standard error over the 300 test images" in text
    assert "Italics: level with it" in text
    row = next(line for line in text.splitlines() if line.startswith("| BROKEN"))
    assert "–<sup>" in row
    assert "0 of 3" in row
    assert "unsupported: no density" in text
    assert "**351.8 ± 1.3 (2.0)**" in text


def test_a_heading_keeps_the_letters_of_mathematics(results):
    config, _, cells = results
    details = experiment_tables.experiment_tables(config, cells, "likelihood")[1]
    assert details.head == ["Method", "Seeds", "σ, 1,000,000 samples (pixel units)"]
    assert metric("log_likelihood_10000000").label == "Parzen, 10,000,000 samples"
    assert metric("σ_of_MSE").label == "σ of MSE"
    assert [metric(f"referee_{r}").label for r in ("ks_y", "mmd", "holes")] == ["KS y", "MMD", "Holes"]
    assert metric_names.initial("ßcharf") == "ßcharf"


def test_referees_stand_over_what_samples_of_the_prior_reach(results):
    config, _, cells = results
    others = cells.assign(experiment="of_another", mean=9.0)
    mismatch = experiment_tables.experiment_tables(config, pd.concat([cells, others]), "likelihood")[2]
    assert mismatch.name == "likelihood_mismatch"
    assert mismatch.head == ["Method", "Seeds", "KS"]
    assert [e.text for e in mismatch.rows[-1]] == ["Samples of the prior", "", "0.0200"]


def test_numbers_of_older_code_are_marked_and_counted(results):
    config, table, _ = results
    old = table.assign(current=~((table.method == "mmd") & (table.seed == 1)))
    cells = experiment_tables.summary(config, old)
    assert (cell(cells, "mmd")["older"], cell(cells, "aae")["older"]) == (1, 0)
    text = to_markdown(experiment_tables.experiment_tables(config, cells, "likelihood")[0])
    assert re.search(r"\| MMD +\| +3<sup>", text)
    assert "1 of these runs from an earlier version of the code" in text
    everything = experiment_tables.summary(config, table.assign(current=False))
    text = to_markdown(experiment_tables.experiment_tables(config, everything, "likelihood")[0])
    assert "Every number is from an earlier version of the code." in text
    assert "of these runs" not in text


def test_one_seed_prints_no_spread():
    config = config_of(seeds=1)
    cells = experiment_tables.summary(config, tidy({("likelihood", "aae", "log_likelihood"): [340.0]}))
    text = to_markdown(experiment_tables.experiment_tables(config, cells, "likelihood")[0])
    assert "One seed: no spread" in text
    assert "±" not in text


def test_every_table_is_written_in_every_form(results, tmp_path):
    config, table, cells = results
    written = files.write_tables(config, table, cells, tmp_path)
    assert {"likelihood", "likelihood_details", "likelihood_mismatch", *words()["paper"]} <= set(written)
    for name in written:
        assert all((tmp_path / f"{name}.{suffix}").stat().st_size for suffix in ("csv", "md", "tex"))
    again = tmp_path / "again"
    files.write_tables(config, table, experiment_tables.summary(config, table), again)
    assert all((again / p.name).read_bytes() == p.read_bytes() for p in tmp_path.iterdir() if p.is_file())
    rows = pd.read_csv(tmp_path / "likelihood_mismatch.csv", keep_default_na=False)
    assert set(rows["metric"]) == {"referee_ks"}


def test_latex_compiles(results, tmp_path):
    if not shutil.which("pdflatex"):
        pytest.skip("pdflatex is not installed")
    config, table, cells = results
    names = files.write_tables(config, table, cells, tmp_path)
    body = "\n".join(rf"\input{{{name}}}" for name in names)
    text = rf"\documentclass{{article}}\usepackage{{booktabs,graphicx}}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "all.tex").write_text(text)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-1500:]


def verdict_on(values, preset="paper", dataset="mnist"):
    """The verdict on the published 340 ± 2 of the paper's Table 1."""
    config = config_of(preset, dataset, methods=("aae",))
    table = tidy({("likelihood", "aae", "log_likelihood"): values or [None]})
    found = published.against_published(config, experiment_tables.summary(config, table))
    [row] = found[(found.published == 340) & (found.dataset == "mnist")].to_dict("records")
    return row["verdict"]


@pytest.mark.parametrize(
    ("values", "options", "expected"),
    [
        ([340.0, 341.0, 342.0], {}, "reproduced"),
        ([331.0, 341.0, 351.0], {}, "undecided"),
        ([335.0, 345.0], {}, "undecided"),
        ([341.0], {}, "undecided"),
        ([299.0, 300.0, 301.0], {}, "short"),
        ([379.0, 380.0, 381.0], {}, "above"),
        ([340.0, 341.0, 342.0], {"preset": "modern"}, "protocol differs"),
        ([340.0, 341.0, 342.0], {"dataset": "digits"}, "not run"),
        (None, {}, "not run"),
    ],
)
def test_verdicts(values, options, expected):
    assert verdict_on(values, **options) == expected


def test_published_numbers_keep_their_source_and_map_to_what_exists():
    rows = published.published()
    base = load(published.CONFIG / "full.yaml")
    assert (rows.source.str.len() > 0).all()
    assert set(rows.provenance) == {"primary", "secondary", published.UNREAD, "reproduction"}
    ours = rows[rows.method != ""]
    assert set(ours.method) <= set(base.methods)
    assert all(metric(m).higher_is_better is not None for m in ours.our_metric)
    epitomic = rows[(rows.table == "eVAE Table 2") & (rows.dataset == "mnist")].groupby("system")["value"].first()
    assert sorted(epitomic) == ["290", "325", "331", "333", "337", "338"]


def test_no_verdict_and_no_table_of_the_papers_rests_on_a_source_that_was_not_read(results):
    rows = published.published()
    unread = rows[rows.provenance == published.UNREAD]
    config = config_of("paper", methods=("aae",))
    table = tidy({("likelihood", "aae", "log_likelihood_10000000"): [426.9, 427.0, 427.1]})
    cells = experiment_tables.summary(config, table)
    against = published.against_published(config, cells)
    assert against.loc[against["published"] == 427, "verdict"].tolist() == ["source not read"]
    assert published.published_of(config, "likelihood", "log_likelihood_10000000", "aae") is None
    assert published.published_of(config, "likelihood", "log_likelihood", "aae") == 340
    for content in paper_tables.paper_tables(config, cells, against):
        shown = {e.text for row in content.rows for e in row[1:]}
        assert not shown & set(unread[unread.table.isin(p["tables"][0] for p in words()["paper"].values())].value)


def test_ours_stand_beside_the_published_values(results):
    config, _, cells = results
    [first, *_] = paper_tables.paper_tables(config, cells, published.against_published(config, cells))
    by_system = {row[0].text: [e.text for e in row] for row in first.rows}
    assert first.head[1:3] == ["MNIST, 10,000 samples: ours", "MNIST, 10,000 samples: published"]
    assert first.head[-1] == "Verdict"
    assert by_system["AAE"][1:3] == ["341.0 ± 3.6", "340 ± 2"]
    assert by_system["AAE"][-1] == "protocol differs"
    assert "MMD" in by_system
    assert "k-means (control)" in {name.lower() for name in by_system}
    assert by_system["GAN"][1:3] == ["", "225 ± 2"]
    assert by_system["eVAE- (AAE architecture)"][2] == "331 ± 2"


def test_a_caption_says_which_metric_has_fewer_images():
    counts = pd.Series({"log_likelihood": 10000.0, "ais_log_likelihood": 100.0, "reconstruction": 10000.0})
    assert experiment_tables.test_images(counts) == "10,000 test images (AIS log-likelihood: 100)"
    assert experiment_tables.test_images(counts[:1]) == "10,000 test images"


def test_every_declared_metric_has_a_direction_or_none_and_a_margin_only_with_one():
    assert all(m.higher_is_better in (True, False, None) for m in METRICS.values())
    assert all(m.higher_is_better is not None for m in METRICS.values() if m.margin)
    assert metric("referee_ks_y").group == "referee"
    assert metric("referee_ks_floor").group == "floor"
    assert metric("something_new").higher_is_better is None


def test_clusters_are_ranked_by_the_majority_with_the_papers_rule_beside():
    names = sorted(["nmi", "clustering_error", "reconstruction", "clustering_error_majority"], key=metric_names.order)
    assert names[:2] == ["clustering_error_majority", "clustering_error"]


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(1.25, 1, "1.2"), (-0.0, 1, "0.0"), (0.0001, 2, "1.00e-04"), (math.nan, 1, "–"), (None, 1, "–"), (-3, 0, "-3")],
)
def test_numbers(value, digits, text):
    assert number(value, digits) == text


def test_a_small_spread_is_not_printed_as_zero():
    assert spread(10.0, 0.004, 1) == "10.0 ± 0.004"
    assert spread(10.0, 0.0, 1) == "10.0 ± 0.0"
    assert spread(10.0, math.nan, 1) == "10.0"
