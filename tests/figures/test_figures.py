"""Figures: drawn from a result set's files alone, the same bytes twice; one that fails costs itself."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from bench.config.reading import load, settings
from bench.figures import answer, curves, densities, drawing, images, planes, scores, style
from bench.figures.codes import Codes
from bench.figures.codes import load as load_codes
from bench.records import result_set
from bench.tables import statistics
from bench.tables.answers import picture
from bench.tables.tidy_table import FAMILIES, family, read_metrics
from tests.support import result_sets
from tests.support.checkout import ROOT
from tests.support.tidy import tidy


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A result set with all figures drawn once: its folder, config, table, the figures, and what they are."""
    folder = tmp_path_factory.mktemp("figures")
    path, metrics = result_sets.write(folder)
    config, table = load(path), read_metrics(metrics)
    made = {e: drawing.make(config, table, e, metrics.parent, folder / "figures") for e in config.experiments}
    return metrics.parent, config, table, folder / "figures", made


def test_every_figure_that_can_be_is_drawn(drawn):
    _, _, _, folder, made = drawn
    assert list(made["likelihood"]["figures"]) == ["scores", "learning", "samples", "manifold", "codes"]
    assert list(made["style"]["figures"]) == ["scores", "learning", "samples", "relabelled"]
    assert [content["left_out"] for content in made.values()] == [{}, {}]
    for experiment, content in made.items():
        for name, figure in content["figures"].items():
            assert (folder / experiment / f"{name}.png").read_bytes().startswith(b"\x89PNG")
            assert figure["caption"].endswith(".")
            assert figure["alt"]
            assert figure["title"]


def test_captions_say_n_spread_and_seed(drawn):
    figures = drawn[4]["likelihood"]["figures"]
    for said in ("at most 3", "300 test images", "95 % interval"):
        assert said in figures["scores"]["caption"]
    assert "Seed 0 of each method" in figures["samples"]["caption"]


def test_the_same_bytes_in_another_folder_and_without_runs(drawn, tmp_path):
    source, config, table, folder, _ = drawn
    clone = tmp_path / "clone"
    clone.mkdir()
    for path in source.iterdir():
        if path.is_file():
            (clone / path.name).write_bytes(path.read_bytes())
    for experiment in config.experiments:
        drawing.make(config, table, experiment, clone, tmp_path / "figures")
    again = sorted(p.relative_to(tmp_path / "figures") for p in (tmp_path / "figures").rglob("*.png"))
    assert again == sorted(p.relative_to(folder) for p in folder.rglob("*.png"))
    for path in again:
        assert (tmp_path / "figures" / path).read_bytes() == (folder / path).read_bytes(), path


def test_pdf_and_svg_are_drawn_when_asked_and_are_the_same_twice(drawn, tmp_path):
    source, config, table, *_ = drawn
    for name in ("a", "b"):
        drawing.make(config, table, "style", source, tmp_path / name, ("png", "pdf", "svg"))
    assert (tmp_path / "a/style/scores.pdf").read_bytes().startswith(b"%PDF")
    assert b"<svg" in (tmp_path / "a/style/scores.svg").read_bytes()
    for path in (tmp_path / "a/style").iterdir():
        assert path.read_bytes() == (tmp_path / "b/style" / path.name).read_bytes(), path.name


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "no such backend"])
def test_a_users_own_settings_change_no_byte(drawn, tmp_path, backend):
    source, _, _, folder, _ = drawn
    (tmp_path / "matplotlibrc").write_text(
        "text.usetex: True\nfont.size: 25\nfont.family: serif\naxes.facecolor: pink\n"
    )
    program = (
        "import sys; from pathlib import Path; from bench.figures import drawing;"
        "from bench.config.reading import load;"
        "from bench.tables.tidy_table import read_metrics; config, source, output = map(Path, sys.argv[1:]);"
        "drawing.make(load(config), read_metrics(source / 'metrics.csv'), 'style', source, output)"
    )
    own = {"MPLBACKEND": backend, "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"), "LC_ALL": "C"}
    config = source.parents[1] / "config/tiny.yaml"
    done = subprocess.run(
        [sys.executable, "-c", program, config, source, tmp_path], env=os.environ | own, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for name in ("scores", "learning", "samples"):
        assert (tmp_path / f"style/{name}.png").read_bytes() == (folder / f"style/{name}.png").read_bytes(), name


def test_an_experiment_without_numbers_says_so(drawn, tmp_path):
    _, config, table, *_ = drawn
    empty = table.assign(metric=None, value=None, status="missing", run=None).drop_duplicates(["method", "seed"])
    content = drawing.make(config, empty, "likelihood", tmp_path, tmp_path / "figures")
    assert content["figures"] == {}
    assert "no run has a number yet" in content["left_out"]["scores"]


def test_a_figure_that_fails_costs_itself_and_says_why(drawn, tmp_path, monkeypatch):
    source, config, table, *_ = drawn

    def fail(*_):
        raise ArithmeticError("a bad cell")

    monkeypatch.setattr(scores, "score_figure", fail)
    content = drawing.make(config, table, "likelihood", source, tmp_path)
    assert list(content["figures"]) == ["learning", "samples", "manifold", "codes"]
    assert "a bad cell" in content["left_out"]["scores"]
    assert not (tmp_path / "likelihood/scores.png").exists()


def test_a_kind_of_figure_whose_numbers_cannot_be_read_costs_itself(drawn, tmp_path, monkeypatch):
    source, config, table, *_ = drawn
    clone = tmp_path / "clone"
    clone.mkdir()
    for path in source.iterdir():
        if path.is_file():
            (clone / path.name).write_bytes(path.read_bytes())
    whole = (clone / "arrays.npz").read_bytes()
    (clone / "arrays.npz").write_bytes(whole[: len(whole) // 2])  # as an interrupted copy leaves it
    content = drawing.make(config, table, "likelihood", clone, tmp_path / "figures")
    assert list(content["figures"]) == ["scores", "learning"]
    assert "arrays.npz" in content["left_out"]["images"]


@pytest.mark.parametrize("title", ["$x_{$", "$$", "a\nb", "100 % & <b>", "\\frac{1}{2}", "汉字 ✓", "x" * 200])
def test_any_title_can_be_drawn(tmp_path, title):
    path, metrics = result_sets.write(tmp_path, seeds=2)
    config = load(path)
    named = config.model_copy(update={"methods": config.methods | {"mmd": config.methods["mmd"] | {"title": title}}})
    content = drawing.make(named, read_metrics(metrics), "style", metrics.parent, tmp_path / "figures")
    assert content["left_out"] == {}
    assert len(content["figures"]) == 4


def test_a_method_looks_as_its_family_does_everywhere(drawn):
    config = drawn[1]
    assert {family(config, m) for m in config.methods} == {"other"}  # none of them declares one
    for looks in (style.COLORS, style.MARKERS):  # also in grey
        assert len({*looks.values()}) == len(looks) == len(FAMILIES)


def test_a_method_that_failed_does_not_flatten_the_others():
    rng, means = np.random.default_rng(0), {f"m{i}": 300.0 + i for i in range(10)} | {"failed": 31.0}
    values = {("likelihood", m, "log_likelihood"): list(mean + rng.normal(size=3)) for m, mean in means.items()}
    frame = tidy(values).assign(family="other")
    low, high = scores.limits(frame)
    assert 290 < low < 300
    assert 309 < high < 320
    with style.own_style():
        figure = scores.score_figure(frame, {m: m for m in means}, {"log_likelihood": None})
    failed = frame.loc[frame["method"] == "failed", "value"].mean()
    assert [t.get_text() for t in figure.axes[0].texts] == [f"{failed:.1f}"]


def test_a_bar_is_the_mean_with_its_interval():
    frame = tidy({("e", "a", "error"): [1.0, 2.0, 3.0], ("e", "b", "error"): [2.0]}).assign(family="KL")
    with style.own_style():
        ax = scores.score_figure(frame, {"a": "A", "b": "B"}, {"error": 2.0}).axes[0]
    bars = [np.asarray(line.get_xdata(), float) for line in ax.lines]
    [interval] = [x for x in bars if len(x) == 2 and x[0] != x[1] and np.isfinite(x).all()]
    np.testing.assert_allclose(interval, statistics.mean_interval([1.0, 2.0, 3.0]))
    assert sorted(map(tuple, ax.collections[0].get_offsets().tolist())) == [(1, 0), (2, 0), (2, 1), (3, 0)]


@pytest.mark.parametrize("values", [[5.0, 5.0, 5.0], [0.0, 0.0, 0.0], [1.0, 2.0, 1e9]])
def test_a_scale_has_two_ends(values):
    low, high = scores.limits(tidy({("e", f"m{i}", "error"): [v, v] for i, v in enumerate(values)}))
    assert np.isfinite([low, high]).all()
    assert low < high


def test_a_learning_curve_is_that_of_the_histories(drawn):
    source, config, table, *_ = drawn
    own = table[(table["experiment"] == "style") & (table["method"] == "aae")]
    found = curves.histories(own, source)
    assert len(found) == 3 * 4
    with style.own_style():
        figure = curves.learning_figure(found, ["reconstruction"], {"aae": "AAE"}, config)
    line = figure.axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(line, found.groupby("epoch")["reconstruction"].mean())


def test_learning_curves_are_drawn_beside_a_method_that_has_no_such_loss(drawn, tmp_path):
    """As a classifier alone has none of the reconstruction."""
    source, config, table, *_ = drawn
    rows = result_set.history(source)
    for run in [run for run in rows if run.startswith("style/aae")]:
        rows[run] = [{"epoch": row["epoch"], "classification": 1.0} for row in rows[run]]
    lines = [f"{run},{r['epoch']},{r.get('reconstruction', '')},{r.get('classification', '')}"
             for run, own in rows.items() for r in own]  # fmt: skip
    (tmp_path / "history.csv").write_text("\n".join(["run,epoch,reconstruction,classification", *lines]) + "\n")
    with style.own_style():
        [learning] = curves.drawings(config, table, "style", tmp_path)
        assert len(learning.draw().axes) == 2


@pytest.mark.parametrize("name", ["mnist", "fashion"])
def test_no_learning_curve_of_the_committed_results_is_left_out(name):
    config, folder = load(ROOT / f"config/{name}.yaml"), ROOT / f"results/{name}"
    table = read_metrics(folder / "metrics.csv")
    with style.own_style():
        for experiment in (name for name in config.experiments if name in set(table["experiment"])):  # that has run
            for learning in curves.drawings(config, table, experiment, folder):
                assert learning.draw().axes


@pytest.mark.parametrize(("clusters", "rows"), [(10, 8), (16, 3)])
def test_a_row_of_relabelled_images_is_one_test_image(drawn, clusters, rows):
    s = settings(drawn[1], "style", "mmd")
    if clusters != 10:
        cluster = s.latents["z"].model_copy(update={"head": "categorical", "prior": "one_hot", "dim": clusters})
        s = s.model_copy(update={"latents": {"y": cluster}, "decoder": ["y"]})
    pixels = np.repeat(np.arange(rows, dtype=np.uint8), clusters + 1)[:, None].repeat(64, axis=1)
    found = [Codes(m, m, 0, {"relabelled": pixels}, s) for m in ("aae", "mmd")]
    shown = [ax.images[0] for ax in images.panels(found, "relabelled", (1, 8, 8)).axes]
    assert len(shown) == 2
    for image in shown:
        lines = np.asarray(image.get_array())[1::9, 1:-1, 0]
        assert lines.shape == (rows, 9 * (clusters + 1) - 1)
        assert all(set(line) - {255} == {i} for i, line in enumerate(lines))


def test_a_montage_puts_images_in_rows():
    pixels = np.arange(3, dtype=np.uint8)[:, None].repeat(4, axis=1) * 50
    found = images.montage(pixels, (1, 2, 2), 2)
    assert found.shape == (7, 7, 3)
    assert [int(found[y, x, 0]) for y, x in ((1, 1), (1, 4), (4, 1), (4, 4), (0, 0))] == [0, 50, 100, 255, 255]


def test_samples_are_the_stored_bytes(drawn):
    source, config, table, *_ = drawn
    found, _ = load_codes(config, table, "likelihood", source)
    shown = images.panels(found, "samples", (1, 8, 8)).axes[0].images[0].get_array()
    sample = np.random.default_rng(0).integers(0, 255, (40, 64), np.uint8)[0].reshape(8, 8)
    assert (np.asarray(shown)[1:9, 1:9, 0] == sample).all()


def test_far_codes_of_one_method_do_not_shrink_the_panels_of_the_others():
    s = settings(load("config/full.yaml"), "latent_2d", "aae")
    z = np.random.default_rng(0).normal(size=(500, 2))
    found = [Codes("aae", "AAE", 0, {"test_z": spread * z}, s) for spread in (1, 1, 50)]
    assert np.abs(planes.limits(found)).max() < 4
    assert np.abs(planes.limits(found[2:])).min() > 50


@pytest.mark.parametrize("scale", [1.0, 1e-12])
def test_a_plane_is_drawn_whatever_its_prior(scale):
    from regularizers import Gaussian

    prior, grid = Gaussian(2, scale), np.stack([np.linspace(-2, 2, 150)] * 2)
    heights = planes.levels(densities.contours(prior, grid))
    assert len(heights) == (3 if scale == 1 else 0)


def test_contours_are_the_density_of_the_prior():
    from scipy import stats

    from regularizers import Gaussian

    grid = np.stack([np.linspace(-2, 2, 5)] * 2)
    found = densities.contours(Gaussian(2), grid)
    np.testing.assert_allclose(found[2, 3], stats.norm.pdf(0) * stats.norm.pdf(1), 1e-5)


def test_a_figure_is_as_tall_as_its_legend():
    heights = []
    for n in (2, 40):
        figure, [ax] = style.canvas(6.0, 3.0)
        for i in range(n):
            ax.plot([0, 1], [0, i], label=f"method {i}")
        style.legend(figure)
        figure.draw_without_rendering()
        [found] = figure.legends
        assert found.get_window_extent().y0 >= 0
        heights.append(figure.get_size_inches()[1])
    assert heights[0] == 3 < heights[1]


def test_no_setting_of_matplotlib_is_left_changed(drawn, tmp_path):
    source, config, table, *_ = drawn
    before = dict(matplotlib.rcParams)
    drawing.make(config, table, "style", source, tmp_path)
    assert dict(matplotlib.rcParams) == before


def test_the_picture_of_the_answer_says_what_the_tables_say(drawn, tmp_path):
    config, metrics = drawn[0].parents[1] / "config/tiny.yaml", drawn[0] / "metrics.csv"
    found = picture(load(config), read_metrics(metrics))
    for folder in ("once", "again"):
        answer.write(found, tmp_path / folder)
    for name in ("answer-light.svg", "answer-dark.svg"):
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    ax = answer.draw(found, answer.THEMES["dark"]).axes[0]
    said = [line for t in ax.texts for line in t.get_text().split("\n")]
    assert [t.get_text().strip() for t in ax.get_yticklabels()] == [row.short for row in found.rows]
    for row in found.rows:
        for cell, measure in zip(row.cells, found.measures, strict=True):
            if cell is not None:
                value, ends = answer.in_cell(cell, measure)
                assert any(text.endswith(value) for text in said)
                assert not ends or ends in said


@pytest.mark.parametrize("theme", answer.THEMES.values(), ids=list(answer.THEMES))
def test_verdicts_are_told_apart_in_grey_and_their_words_can_be_read(theme):
    def luminance(color):
        rgb = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    def contrast(a, b):
        light, dark = max(luminance(a), luminance(b)), min(luminance(a), luminance(b))
        return (light + 0.05) / (dark + 0.05)

    for fill, ink in theme.verdicts.values():
        assert contrast(fill, ink) >= 4.5
    assert contrast(theme.verdicts["better"][0], theme.verdicts["worse"][0]) >= 2.5
    for word in ("better", "worse"):
        assert contrast(theme.verdicts[word][0], theme.verdicts["undecided"][0]) >= 1.5


def test_the_page_and_the_file_have_the_same_colours():
    css = Path(answer.__file__).parents[1] / "report/assets/page.css"
    text = css.read_text(encoding="utf-8")
    for theme in answer.THEMES.values():
        for fill, ink in (theme.verdicts[w] for w in ("better", "worse", "level", "undecided")):
            assert fill in text.replace("#fff;", "#ffffff;")
            assert ink in text.replace("#fff;", "#ffffff;")
    for color in style.COLORS.values():
        assert color in text
