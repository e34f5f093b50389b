"""Tables say what the runs say: spreads, ties, reasons, and verdicts on published numbers."""

import math
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.config.reading import ConfigError, check, load
from bench.tables import experiment_tables, published, tidy_table
from bench.tables.formats import Entry, Table, escape, number, spread, to_csv, to_latex, to_markdown
from bench.tables.metric_names import METRICS, metric
from bench.tables.tidy_table import read_metrics
from tests.support import result_sets


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The config, the tidy table and its summary."""
    path, metrics = result_sets.write(tmp_path_factory.mktemp("tables"), codes=False)
    config, table = load(path), tidy_table.read_metrics(metrics)
    return config, table, experiment_tables.summary(config, table)


def cell(cells, experiment, method, name):
    """A row of the summary."""
    [row] = cells[(cells.experiment == experiment) & (cells.method == method) & (cells.metric == name)].to_dict(
        "records"
    )
    return row


def test_a_cell_is_the_mean_and_spread_of_its_seeds(results):
    _, table, cells = results
    x = table[(table.experiment == "likelihood") & (table.method == "mmd") & (table.metric == "log_likelihood")].value
    row = cell(cells, "likelihood", "mmd", "log_likelihood")
    assert row["mean"] == pytest.approx(np.mean(x))
    assert row["sd_over_seeds"] == pytest.approx(np.std(x, ddof=1))
    assert row["standard_error_over_images"] == 2.0
    assert (row["seeds_finished"], row["seeds"], row["images"]) == (3, 3, 300)


def test_a_seed_that_failed_is_told_and_never_best(results):
    _, _, cells = results
    row = cell(cells, "likelihood", "vae", "log_likelihood")
    assert (row["seeds_finished"], row["seeds"]) == (2, 3)
    assert row["note"] == "seed 1 diverged at epoch 3: a loss is not finite"
    assert not row["best"]
    assert cell(cells, "likelihood", "broken", "sigma")["note"] == "unsupported: needs a second look"


def frames(**values):
    """Scores by seed and the runs they are from."""
    scores = pd.DataFrame(values)
    runs = pd.DataFrame([(m, s) for m in scores for s in scores.index], columns=["method", "seed"])
    return scores, runs


def test_ties_are_those_a_test_cannot_tell_apart():
    a = [10.0, 11.0, 9.0, 10.5]
    scores, runs = frames(a=a, close=[9.9, 11.2, 8.8, 10.4], far=[x - 5 + 0.01 * i for i, x in enumerate(a)])
    assert experiment_tables.best_methods(scores, runs, True) == {"a", "close"}
    assert experiment_tables.best_methods(scores, runs, False) == {"far"}
    assert experiment_tables.best_methods(scores, runs, None) == set()


def test_a_method_that_lacks_a_seed_does_not_compete():
    scores, runs = frames(a=[1.0, 2.0, 3.0], b=[9.0, 9.0, np.nan])
    assert experiment_tables.best_methods(scores, runs, True) == {"a"}


def test_a_method_that_was_asked_for_fewer_seeds_does_not_compete():
    scores, runs = frames(a=[1.0, 2.0, 3.0], b=[9.0, np.nan, np.nan])
    assert experiment_tables.best_methods(scores, runs[~((runs.method == "b") & (runs.seed > 0))], True) == {"a"}


def test_more_seeds_than_enough_leave_the_others_in_the_race():
    scores, runs = frames(a=[1.0, 2.0, 3.0, np.nan], b=[9.0, 9.5, 9.2, 9.1], c=[9.1, 9.4, np.nan, np.nan])
    runs = runs[~((runs.method != "b") & (runs.seed > 2)) & ~((runs.method == "c") & (runs.seed > 1))]
    assert experiment_tables.best_methods(scores, runs, True) == {"b"}
    assert experiment_tables.best_methods(scores, runs, False) == {"a"}


def test_one_seed_has_no_ties_but_equals():
    scores, runs = frames(a=[1.0], b=[0.999], c=[1.0])
    assert experiment_tables.best_methods(scores, runs, True) == {"a", "c"}


def test_rows_without_a_method_are_never_best(results):
    config, table, _ = results
    control = table[(table.method == "mmd")].assign(method="centroids", value=lambda t: t.value + 100)
    cells = experiment_tables.summary(config, pd.concat([table, control]))
    assert not cell(cells, "likelihood", "centroids", "log_likelihood")["best"]
    assert cell(cells, "likelihood", "mmd", "log_likelihood")["best"]


def test_markdown_shows_spread_reason_and_seeds(results):
    config, _, cells = results
    text = to_markdown(experiment_tables.experiment_tables(config, cells, "likelihood")[0])
    assert "Mean ± sd over seeds" in text
    assert "standard error over the 300 test images" in text
    row = next(line for line in text.splitlines() if line.startswith("| Broken"))
    assert "–<sup>" in row
    assert "0 of 3" in row
    assert "unsupported: needs a second look" in text
    assert re.search(r"\*\*35\d\.\d ± \d\.\d \(2\.0\)\*\*", text)


def test_one_seed_prints_no_spread(tmp_path):
    path, metrics = result_sets.write(tmp_path, seeds=1, codes=False)
    config = load(path)
    cells = experiment_tables.summary(config, tidy_table.read_metrics(metrics))
    text = to_markdown(experiment_tables.experiment_tables(config, cells, "likelihood")[0])
    assert "One seed: there is no spread" in text
    assert "±" not in text


def test_the_program_writes_every_form(results, tmp_path):
    config, table, _ = results
    written = experiment_tables.write_tables(config, table, experiment_tables.summary(config, table), tmp_path)
    expected = {"likelihood", "likelihood_details", "style", *published.PAPER}
    assert expected <= set(written)
    for name in written:
        assert all((tmp_path / f"{name}.{suffix}").stat().st_size for suffix in ("csv", "md", "tex"))
    again = tmp_path / "again"
    experiment_tables.write_tables(config, table, experiment_tables.summary(config, table), again)
    assert all((again / p.name).read_bytes() == p.read_bytes() for p in tmp_path.iterdir() if p.is_file())


def test_latex_compiles(results, tmp_path):
    if not shutil.which("pdflatex"):
        pytest.skip("pdflatex is not installed")
    config, table, _ = results
    names = experiment_tables.write_tables(config, table, experiment_tables.summary(config, table), tmp_path)
    body = "\n".join(rf"\input{{{name}}}" for name in names)
    text = rf"\documentclass{{article}}\usepackage{{booktabs,graphicx}}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "all.tex").write_text(text)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-1500:]
    assert r"\textbf{" in (tmp_path / "likelihood.tex").read_text()
    assert r"\toprule" in (tmp_path / "likelihood.tex").read_text()


SYSTEM = {"latents": {"z": {"prior": "gaussian", "dim": 8}}, "decoder": ["z"], "evaluations": ["likelihood"]}


def verdict_on(mean, preset="paper", dataset="mnist", spread_of=1.0):
    """The verdict on the published 340 ± 2 of the paper's Table 1."""
    content = {
        "name": "tiny", "preset": preset, "seeds": 3, "defaults": {"dataset": dataset, "epochs": 1},
        "methods": {"aae": {"regularizer": "adversarial"}},
        "experiments": {"likelihood": SYSTEM | {"methods": ["aae"]}},
    }  # fmt: skip
    config = check(content, [("test", content)])
    values = [] if mean is None else [mean - spread_of, mean, mean + spread_of]
    rows = [
        {"experiment": "likelihood", "method": "aae", "seed": i, "metric": "log_likelihood", "value": v,
         "standard_error": 2.0, "n": 10000, "split": "test", "status": "ok", "reason": None}
        for i, v in enumerate(values)
    ]  # fmt: skip
    columns = [*tidy_table.RUN, "metric", "value", "standard_error", "n", "split", "status", "reason"]
    missing = {"experiment": "likelihood", "method": "aae", "seed": 0, "status": "missing"}
    cells = experiment_tables.summary(config, pd.DataFrame(rows or [missing], columns=columns))
    found = published.against_published(config, cells)
    [row] = found[(found.published == 340) & (found.dataset == "mnist")].to_dict("records")
    return row["verdict"]


@pytest.mark.parametrize(
    ("mean", "options", "expected"),
    [
        (341.0, {}, "reproduced"),
        (300.0, {}, "short"),
        (380.0, {}, "above"),
        (341.0, {"preset": "modern"}, "protocol differs"),
        (341.0, {"dataset": "digits"}, "not run"),
        (None, {}, "not run"),
    ],
)
def test_verdicts(mean, options, expected):
    assert verdict_on(mean, **options) == expected


def test_published_numbers_keep_their_source_and_map_to_what_exists():
    rows = published.published()
    base = load(published.CONFIG / "full.yaml")
    assert (rows.source.str.len() > 0).all()
    assert set(rows.provenance) == {"primary", "secondary", "memory, unverified", "reproduction"}
    ours = rows[rows.method != ""]
    assert set(ours.method) <= set(base.methods)
    assert all(metric(m).higher_is_better is not None for m in ours.our_metric)
    known = rows[(rows.table == "AAE Table 1") & (rows.system == "AAE") & (rows.dataset == "mnist")]
    assert dict(zip(known.setting, known.value, strict=True)) == {"10K samples": "340", "10M samples": "427"}


def test_ours_stand_beside_the_published_values(results):
    config, _, cells = results
    [first, *_] = published.paper_tables(config, cells, published.against_published(config, cells))
    by_system = {row[0].text: row for row in first.rows}
    assert "338" < by_system["AAE"][1].text < "343"
    assert "340 ± 2" in [e.text for e in by_system["AAE"]]
    assert by_system["AAE"][2].text == "not run"  # not on this data set
    assert "MMD & co_1 (50 %) (ours)" in by_system
    assert by_system["GAN"][1].text == ""


def test_every_declared_metric_has_a_direction_or_none():
    assert all(m.higher_is_better in (True, False, None) for m in METRICS.values())
    assert metric("referee_ks_y").group == "referee"
    assert metric("referee_ks_floor").group == "floor"
    assert metric("log_likelihood_10000000").label == "Parzen, 10,000,000 samples"
    assert metric("something_new").higher_is_better is None


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


@given(st.text(max_size=40))
def test_any_text_becomes_latex_that_has_no_special_character(text):
    content = Table("t", text, ["a", "b"], [[Entry(text), Entry(text, bold=True)]])
    for symbol in "&%#$_":
        assert not re.search(rf"(?<!\\){re.escape(symbol)}", escape(symbol))
    assert "\\toprule" in to_latex(content)
    assert to_csv(content).startswith("a,b\n")


def test_a_table_that_is_none_is_named(tmp_path):
    (tmp_path / "metrics.csv").write_text("a,b\n1,2\n")
    for path in (tmp_path / "metrics.csv", tmp_path / "absent.csv"):
        with pytest.raises(ConfigError, match=path.name):
            read_metrics(path)
