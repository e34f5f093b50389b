"""Figures: drawn from what is there, the same bytes twice, kept when the codes are gone."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from bench.config.reading import load, settings
from bench.data import datasets
from bench.evaluate.decoded_grids import PAIRS, SHOWN, SIDE, STEPS, STYLES, pictures, quantiles
from bench.figures import drawing, planes, style
from bench.figures.codes import Codes
from bench.tables.tidy_table import read_metrics
from bench.train.autoencoder import Autoencoder
from regularizers import Gaussian, Petals
from tests.support import result_sets


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A result set with all figures drawn once: folder, config, table, what figures.json says by experiment."""
    folder = tmp_path_factory.mktemp("figures")
    path, metrics = result_sets.write(folder, referees=True)
    config, table = load(path), read_metrics(metrics)
    found = {e: drawing.make(config, table, e, metrics.parent / "runs", folder / "figures") for e in config.experiments}
    return folder, config, table, metrics.parent / "runs", found


def test_every_figure_that_can_be_is_drawn(drawn):
    folder, _, _, _, found = drawn
    both = {"scores", "learning", "cost", "referees", "samples", "reconstructions", "interpolations", "latents"}
    assert set(found["likelihood"]["figures"]) == both | {"manifold"}
    assert set(found["style"]["figures"]) == both | {"styles", "relabelled"}
    assert "weight sweep" in found["style"]["left_out"]["weights"]
    for experiment, content in found.items():
        for name, figure in content["figures"].items():
            assert (folder / "figures" / experiment / f"{name}.png").read_bytes().startswith(b"\x89PNG")
            assert (folder / "figures" / experiment / f"{name}.pdf").read_bytes().startswith(b"%PDF")
            assert figure["caption"].endswith(".")
            assert figure["alt"]
            assert figure["title"]


def test_captions_say_n_spread_and_split(drawn):
    caption = drawn[4]["likelihood"]["figures"]["scores"]["caption"]
    assert "3 seeds" in caption
    assert "300 test images" in caption
    assert "95 % interval" in caption


def test_the_same_bytes_in_another_folder(drawn, tmp_path):
    folder, config, table, runs, _ = drawn
    drawing.make(config, table, "style", runs, tmp_path)
    for path in (tmp_path / "style").iterdir():
        assert path.read_bytes() == (folder / "figures/style" / path.name).read_bytes(), path.name


def test_what_has_not_changed_is_not_drawn_again(drawn, monkeypatch):
    folder, config, table, runs, found = drawn
    monkeypatch.setattr(drawing, "save", lambda *_: pytest.fail("drawn again"))
    assert drawing.make(config, table, "likelihood", runs, folder / "figures") == found["likelihood"]


def test_a_changed_number_is_drawn_again(drawn, tmp_path, monkeypatch):
    folder, config, table, runs, _ = drawn
    changed = table.assign(value=table.value + (table.metric == "log_likelihood"))
    names = []
    monkeypatch.setattr(drawing, "save", lambda figure, path: names.append(path.name))
    monkeypatch.setattr(drawing.whole_files, "write", lambda *_: None)
    drawing.make(config, changed, "likelihood", runs, folder / "figures")
    assert set(names) == {"scores", "cost"}


def test_figures_of_codes_outlive_the_codes(drawn, tmp_path):
    folder, config, table, runs, found = drawn
    hidden = [path.rename(path.with_suffix(".hidden")) for path in runs.glob("**/codes.npz")]
    try:
        assert drawing.make(config, table, "style", runs, folder / "figures") == found["style"]
        fresh = drawing.make(config, table, "style", runs, tmp_path)
    finally:
        for path in hidden:
            path.rename(path.with_suffix(".npz"))
    assert set(fresh["figures"]) == {"scores", "learning", "cost", "referees"}
    assert "because the codes are not kept with the results" in fresh["left_out"]["pictures"]


def test_an_experiment_without_numbers_says_so(drawn, tmp_path):
    _, config, table, _, _ = drawn
    empty = table.assign(metric=None, value=None, status="missing", run=None).drop_duplicates(["method", "seed"])
    content = drawing.make(config, empty, "likelihood", tmp_path, tmp_path / "figures")
    assert content["figures"] == {}
    assert "no run has a number yet" in content["left_out"]["scores"]


def test_a_method_looks_the_same_everywhere_and_unlike_others(drawn):
    _, config, table, _, _ = drawn
    looks = style.looks(config, table)
    assert looks == style.looks(config, table[table.experiment == "style"])
    many = {f"m{i}": {"regularizer": "energy"} for i in range(20)}
    assert len(set(style.looks(config.model_copy(update={"methods": many}), table).values())) >= 20


def model_of(drawn, experiment):
    """An untrained model, the data set and its test codes."""
    dataset, s = datasets.load("digits"), settings(drawn[1], experiment, "mmd")
    model = Autoencoder(s, dataset.pixels, dataset.classes).initialise(0).eval()
    with torch.no_grad():
        return model, dataset, {"z": model.encode(dataset.test.x[:])["z"].mean}


def test_pictures_have_their_sizes(drawn):
    flat = pictures(*model_of(drawn, "likelihood"))
    assert {k: len(v) for k, v in flat.items()} == {
        "originals": SHOWN, "reconstructions": SHOWN, "interpolations": PAIRS * STEPS, "manifold": SIDE**2,
        "manifold_axes": 2,
    }  # fmt: skip
    styled = pictures(*model_of(drawn, "style"))
    assert len(styled["styles"]) == STYLES * 10
    assert len(styled["relabelled"]) == STYLES * 11
    assert all(v.dtype == np.uint8 for k, v in styled.items())


def test_pictures_are_what_they_say(drawn):
    model, dataset, codes = model_of(drawn, "likelihood")
    found = pictures(model, dataset, codes)
    with torch.no_grad():
        decoded = model.decode({"z": codes["z"][:2]}).clamp(0, 1)
        corner = model.decode({"z": torch.tensor([[found["manifold_axes"][0][0], found["manifold_axes"][1][-1]]])})
    ends = found["interpolations"].reshape(PAIRS, STEPS, -1)[0, [0, -1]]
    np.testing.assert_allclose(ends / 255, decoded, atol=0.003)
    np.testing.assert_allclose(found["reconstructions"][:2] / 255, decoded, atol=0.003)
    np.testing.assert_allclose(found["manifold"][0] / 255, corner[0], atol=0.003)  # top left: low x, high y
    np.testing.assert_allclose(found["originals"] / 255, dataset.test.x[:SHOWN], atol=0.003)


def test_a_style_grid_keeps_the_style_along_a_row(drawn):
    model, dataset, codes = model_of(drawn, "style")
    relabelled = pictures(model, dataset, codes)["relabelled"].reshape(STYLES, 11, -1)
    with torch.no_grad():
        expected = model.decode({"z": codes["z"][2:3], "label": torch.eye(10)[4:5]})
    np.testing.assert_allclose(relabelled[2, 5] / 255, expected[0], atol=0.003)


def test_an_untrained_decoder_shows_nothing(drawn):
    model, dataset, codes = model_of(drawn, "likelihood")
    model.settings = model.settings.model_copy(update={"terms": ["classification"]})
    assert pictures(model, dataset, codes) == {}


def test_quantiles_of_a_mixture():
    u = torch.tensor([0.025, 0.5, 0.9], dtype=torch.float64)
    np.testing.assert_allclose(quantiles(Gaussian(2, 5.0), u)[0], stats.norm.ppf(u, scale=5), atol=1e-6)
    found, sample = quantiles(Petals(), u), Petals().sample(200_000)
    np.testing.assert_allclose(found[1], np.quantile(sample[:, 1], u), atol=0.05)


@pytest.mark.parametrize(("kind", "clusters"), [("styles", 10), ("styles", 16), ("relabelled", 16)])
def test_a_row_of_a_style_grid_is_one_style(drawn, kind, clusters):
    per_row = clusters + (kind == "relabelled")
    images = np.repeat(np.arange(STYLES, dtype=np.uint8), per_row)[:, None].repeat(64, axis=1)
    found = [Codes(m, 0, {kind: images}, settings(drawn[1], "style", m)) for m in ("aae", "mmd")]
    shown = images.panels(found, kind, (1, 8, 8), drawn[1]).axes[0].images
    assert len(shown) == 2
    for image in shown:
        rows = np.asarray(image.get_array())[1::9, 1:-1, 0]
        assert rows.shape == (STYLES, 9 * per_row - 1)
        assert all(set(row) - {255} == {i} for i, row in enumerate(rows))


def test_a_montage_puts_images_in_rows():
    images = np.arange(3, dtype=np.uint8)[:, None].repeat(4, axis=1) * 50
    found = images.montage(images, (1, 2, 2), 2)
    assert found.shape == (7, 7, 3)
    assert [int(found[y, x, 0]) for y, x in ((1, 1), (1, 4), (4, 1), (4, 4), (0, 0))] == [0, 50, 100, 255, 255]


def test_far_codes_of_one_method_do_not_shrink_the_panels_of_the_others():
    s = settings(load("config/full.yaml"), "latent_2d", "aae")
    z = np.random.default_rng(0).normal(size=(500, 2))
    found = [planes.Codes("aae", 0, {"test_z": spread * z}, s) for spread in (1, 1, 50)]
    assert np.abs(planes.limits(found)).max() < 4
    assert np.abs(planes.limits(found[2:])).min() > 50


def test_contours_are_the_density_of_the_prior():
    grid = np.stack([np.linspace(-2, 2, 5)] * 2)
    np.testing.assert_allclose(planes.contours(Gaussian(2), grid)[2, 3], stats.norm.pdf(0) * stats.norm.pdf(1), 1e-5)


def test_a_critical_difference_diagram_needs_five_experiments(tmp_path):
    config = load(result_sets.write(tmp_path, seeds=1)[0])
    scores = pd.DataFrame({"aae": [3.0, 2, 3, 3, 3, 3], "mmd": [2.0, 3, 2, 2, 2, 2], "vae": [1.0] * 6})
    made = drawing.make_ranks(config, scores, tmp_path / "figures")
    assert "6 experiments" in made["figures"]["ranks"]["caption"]
    first = (tmp_path / "figures/all/ranks.png").read_bytes()
    (tmp_path / "figures/all/ranks.png").unlink()
    drawing.make_ranks(config, scores, tmp_path / "figures")
    assert (tmp_path / "figures/all/ranks.png").read_bytes() == first
    made = drawing.make_ranks(config, scores.iloc[:4], tmp_path / "few")
    assert "at least 5" in made["left_out"]["ranks"]


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
