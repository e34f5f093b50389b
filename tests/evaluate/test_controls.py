"""Controls on real scans of digits: what is known of them, and that they are the same each time."""

import pytest
import torch
from sklearn.datasets import load_digits

from bench.config.schema import Settings
from bench.data import datasets
from bench.data.labelled_subsets import labelled_subset
from bench.evaluate import baselines, parzen
from bench.train.autoencoder import Autoencoder


@pytest.fixture(scope="module")
def digits():
    x, y = (torch.from_numpy(a) for a in load_digits(return_X_y=True))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    return x[order].float() / 16, y[order]


def samples_of(train, n, seed):
    return {name: make(train, n, seed) for name, make in baselines.SAMPLES.items()}


def test_likelihood_controls_are_images_of_the_asked_number(digits):
    train = digits[0][:1200]
    found = samples_of(train, 400, seed=0)
    assert {name: len(samples) for name, samples in found.items()} == {
        "training images": 400,
        "k-means centroids": 240,
        "PCA + Gaussian mixture": 400,
    }
    for samples in found.values():
        assert samples.shape[1] == 64
        assert samples.min() >= 0
        assert samples.max() <= 1
    again = samples_of(train, 400, seed=0)
    other = samples_of(train, 400, seed=1)
    for name, samples in found.items():
        assert torch.equal(samples, again[name])
        assert not torch.equal(samples, other[name])


def test_every_draw_is_of_a_named_stream(digits, monkeypatch):
    """Where all streams are one, no seed makes a difference."""
    monkeypatch.setattr(baselines, "stream", lambda seed, name: 7)
    monkeypatch.setattr(baselines, "IMAGES", 400)
    x, y = digits
    for find in (
        lambda seed: samples_of(x[:300], 100, seed),
        lambda seed: {"graph": baselines.label_spreading((x[:50], y[:50]), x[50:900], (x[900:], y[900:]), seed)},
        lambda seed: baselines.k_means(x[:300], (x[300:400], y[300:400]), (x[400:], y[400:]), 16, seed),
    ):
        first, second = find(0), find(1)
        assert all(torch.equal(torch.as_tensor(first[name]), torch.as_tensor(second[name])) for name in first)


def test_training_images_are_drawn_once_each(digits):
    train = digits[0][:300]
    samples = baselines.training_images(train, 300, seed=0)
    assert torch.equal(samples.sort(0).values, train.sort(0).values)
    assert not torch.equal(samples, train)


def test_centroids_score_above_the_true_distribution(digits):
    """The absurdity that these rows are there to show (Theis et al., 2016)."""
    x = digits[0]
    means = baselines.centroids(x[:1200], 240, seed=0)
    images = baselines.training_images(x[:1200], 240, seed=0)
    noise = torch.rand(240, 64)
    best = {}
    for name, samples in {"means": means, "images": images, "noise": noise}.items():
        sigma = parzen.PROTOCOLS["fine"].select(x[1200:1500], samples).sigma
        best[name] = parzen.log_likelihood(x[1500:], samples, sigma).mean().item()
    assert best["means"] > best["images"] + 1 > best["noise"] + 10


def test_the_pca_mixture_resembles_the_images(digits):
    x = digits[0]
    samples = baselines.pca_mixture(x[:1200], 800, seed=0)
    nearest = parzen.Parzen(x[1200:], [0.3]).add(samples).nearest.mean()
    noise = parzen.Parzen(x[1200:], [0.3]).add(x[:800, torch.randperm(64)]).nearest.mean()
    assert nearest < 0.6 * noise
    torch.testing.assert_close(samples.mean(0), x[:1200].mean(0), atol=0.08, rtol=0)


@pytest.mark.parametrize(("n", "components"), [(30, 2), (100, 6), (500, 20)])
def test_the_pca_mixture_has_a_component_for_every_twenty_images_and_at_most_twenty(digits, n, components, monkeypatch):
    asked, mixture = [], baselines.GaussianMixture
    monkeypatch.setattr(baselines, "GaussianMixture", lambda k, **own: (asked.append((k, own)), mixture(k, **own))[1])
    baselines.pca_mixture(digits[0][:n], 10, seed=0)
    [(k, own)] = asked
    assert (k, own["reg_covar"]) == (components, 1e-4)


def test_unlabelled_images_help_the_graph(digits):
    x, y = digits
    known, test = (x[:30], y[:30]), (x[1300:], y[1300:])
    spread = baselines.label_spreading(known, x[30:1300], test, seed=0)
    assert spread < baselines.neighbour_probe(known, test, neighbours=1) < 0.5


def test_k_means_of_the_pixels(digits):
    x, y = digits
    splits = (x[1000:1300], y[1000:1300]), (x[1300:], y[1300:])
    ten, thirty = (baselines.k_means(x[:1000], *splits, k, seed=0) for k in (10, 30))
    assert 10 < ten["clustering_error_hungarian"] < 35
    assert thirty["clustering_error_majority"] < ten["clustering_error_majority"] < 35
    assert thirty["clustering_error"] < 25


def test_random_codes_are_those_of_all_continuous_latents_and_keep_some_of_the_class(digits):
    x, y = digits
    latents = {"y": {"head": "categorical", "prior": "one_hot", "dim": 4}, "z": {"dim": 10}, "w": {"dim": 3}}
    settings = Settings(
        dataset="digits", regularizer="unregularized", epochs=1, width=32, latents=latents, decoder=["y", "z", "w"],
        batch_norm="encoder", input_dropout=0.5,
    )  # fmt: skip
    encoder = Autoencoder(settings, (1, 8, 8), 10).initialise(0)
    codes = baselines.random_codes(encoder, x, chunk=700)
    assert codes.shape == (len(x), 13)
    torch.testing.assert_close(codes, baselines.random_codes(encoder, x))
    error = baselines.neighbour_probe((codes[:1000], y[:1000]), (codes[1000:], y[1000:]))
    pixels = baselines.neighbour_probe((x[:1000], y[:1000]), (x[1000:], y[1000:]))
    assert pixels < error < 0.5


def rows_of(find, settings, seed):
    return {name: {m.metric: m for m in measured} for name, measured in find(settings, datasets.load("digits"), seed)}


SETTINGS = Settings(
    dataset="digits", regularizer="unregularized", epochs=1, width=32, decoder=["y", "z"], labels=100,
    latents={"y": {"head": "categorical", "prior": "one_hot", "dim": 12}, "z": {"prior": "gaussian", "dim": 4}},
    terms=["reconstruction", "regularization"],
)  # fmt: skip


def test_the_controls_of_classes_have_the_labels_of_the_seed():
    found, data = rows_of(baselines.classification_rows, SETTINGS, 3), datasets.load("digits")
    chosen = labelled_subset(data.train.y, 100, 3, 10)
    encoder = Autoencoder(SETTINGS, data.shape, 10).initialise(3).eval()
    known, test = (data.train.x[chosen], data.train.y[chosen]), data.test

    def nearest(of):
        return 100 * (known[1][torch.cdist(of(test.x), of(known[0])).argmin(1)] != test.y).double().mean().item()

    with torch.no_grad():
        expected = {
            "nearest labelled image": nearest(lambda x: x),
            "label spreading": 100 * baselines.label_spreading(known, data.train.x, (test.x, test.y), 3),
            "nearest labelled code, random encoder": nearest(lambda x: encoder.encode(x)["z"].mean),
        }
    assert {name: row["error"].value for name, row in found.items()} == pytest.approx(expected)
    assert {row["error"].n for row in found.values()} == {300}


def test_the_controls_of_clusters_have_the_clusters_of_the_code():
    found, data = rows_of(baselines.clustering_rows, SETTINGS, 3), datasets.load("digits")
    splits = [(data.validation.x, data.validation.y), (data.test.x, data.test.y)]
    encoder = Autoencoder(SETTINGS, data.shape, 10).initialise(3)
    codes = [(baselines.random_codes(encoder, x), y) for x, y in splits]
    expected = {
        "k-means": baselines.k_means(data.train.x, *splits, 12, 3),
        "k-means, random encoder": baselines.k_means(baselines.random_codes(encoder, data.train.x), *codes, 12, 3),
    }
    assert {n: {k: m.value for k, m in row.items()} for n, row in found.items()} == expected
    assert {m.n for row in found.values() for m in row.values()} == {300}
