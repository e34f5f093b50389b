"""Parzen estimates against brute force, two libraries, an identity, and a number known for real images."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import gaussian_kde
from sklearn.neighbors import KernelDensity

from bench.evaluate import parzen


def brute_force(test, samples, sigma):
    """The definition, in float64, one difference at a time."""
    x, y = test.double().numpy(), samples.double().numpy()
    square = np.stack([((row - y) ** 2).sum(1) for row in x])
    d = x.shape[1]
    return logsumexp(-square / (2 * sigma**2), axis=1) - np.log(len(y)) - d * np.log(sigma * np.sqrt(2 * np.pi))


def images(n, d=784, noise=0.1):
    """Sparse, bounded, in clusters: like pixels, unlike noise."""
    centers = torch.rand(20, d, generator=torch.Generator().manual_seed(5)) ** 4
    return (centers[torch.randint(20, (n,))] + noise * torch.randn(n, d)).clamp(0, 1)


@pytest.mark.parametrize("sigma", [0.03, 0.1, 0.3, 1.0])
def test_float32_is_the_brute_force_sum(sigma):
    test, samples = images(50), images(3000)
    ours = parzen.log_likelihood(test, samples, sigma)
    np.testing.assert_allclose(ours, brute_force(test, samples, sigma), atol=4e-5 / sigma**2, rtol=1e-6)


def test_float64_is_the_brute_force_sum_to_the_last_digits():
    test, samples = images(20).double(), images(500)
    ours = parzen.log_likelihood(test, samples, 0.1)
    np.testing.assert_allclose(ours, brute_force(test, samples, 0.1), rtol=1e-10)


def test_far_from_the_origin_nothing_cancels():
    test, samples = images(20) + 10, images(500) + 10
    ours = parzen.log_likelihood(test, samples, 0.2)
    np.testing.assert_allclose(ours, brute_force(test, samples, 0.2), atol=2e-2)


def test_scikit_learns_kernel_density_with_one_leaf():
    """With several leaves its answer is wrong at this dimension, by hundreds of nats."""
    test, samples = images(20).double(), images(400).double()
    reference = KernelDensity(bandwidth=0.2, leaf_size=401).fit(samples.numpy()).score_samples(test.numpy())
    np.testing.assert_allclose(parzen.log_likelihood(test, samples, 0.2), reference, rtol=1e-9)


def test_scipys_gaussian_kde_on_a_line():
    test, samples = torch.randn(30, 1), torch.randn(200, 1)
    kde = gaussian_kde(samples[:, 0].double().numpy(), bw_method=0.3 / samples.double().std().item())
    ours = parzen.log_likelihood(test, samples, 0.3)
    np.testing.assert_allclose(ours, kde.logpdf(test[:, 0].double().numpy()), atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 90), st.floats(0.02, 3), st.integers(0, 999))
def test_shrinking_the_bandwidth_cannot_gain_more_than_d_nats_per_e_fold(d, n, sigma, seed):
    """d log p / d log σ = E‖x − y‖²/σ² − D ≥ −D."""
    torch.manual_seed(seed)
    x, y = torch.randn(7, d), torch.randn(n, d)
    step = 0.05
    estimate = parzen.Parzen(x.double(), [sigma, sigma * np.exp(step)]).add(y)
    narrow, wide = estimate.log_likelihood
    assert ((wide - narrow) / step >= -d - 1e-6).all()


def protocol_of_2014(validation, test, samples):
    """The evaluation program of the GAN paper, line for line in its order, in float64."""

    def log_mean_exp(a):
        high = a.max(1)
        return high + np.log(np.mean(np.exp(a - high[:, None]), 1))

    def parzen_window(x, mu, sigma):
        a = (x[:, None, :] - mu[None]) / sigma
        return log_mean_exp(-0.5 * (a**2).sum(2)) - mu.shape[1] * np.log(sigma * np.sqrt(np.pi * 2))

    def nll(x, mu, sigma, batch_size=10):
        batches = int(np.ceil(len(x) / batch_size))
        return np.concatenate([parzen_window(x[i::batches], mu, sigma) for i in range(batches)])

    sigmas = np.logspace(-1, 0, num=10)
    sigma = sigmas[np.argmax([nll(validation[:1000], samples, s).mean() for s in sigmas])]
    ll = nll(test, samples, sigma)
    return sigma, ll.mean(), ll.std() / np.sqrt(test.shape[0])


def test_the_protocol_of_2014():
    validation, test, samples = (images(n, 100, noise=0.3) for n in (60, 70, 150))
    sigma, mean, se = protocol_of_2014(*(t.double().numpy() for t in (validation, test, samples)))
    chosen = parzen.PROTOCOLS["paper"].select(validation, samples)
    [score] = parzen.Parzen(test, [chosen.sigma]).add(samples).scores()
    assert chosen.sigma == pytest.approx(sigma)
    assert not chosen.at_edge
    assert (score.mean, score.standard_error) == pytest.approx((mean, se), abs=1e-3)


def test_a_grid_costs_no_accuracy():
    test, samples = images(30, 200), images(500, 200)
    grid = parzen.PROTOCOLS["fine"].grid[10:]
    for sigma, row in zip(grid, parzen.Parzen(test, grid).add(samples).log_likelihood, strict=True):
        torch.testing.assert_close(row, parzen.log_likelihood(test, samples, sigma), atol=1e-6, rtol=1e-9)


def test_the_edge_of_a_grid_is_reported_and_the_fine_search_passes_it():
    validation, samples = images(100), images(800)
    narrow = parzen.Protocol((0.3, 0.6)).select(validation, samples)
    assert (narrow.sigma, narrow.at_edge) == (0.3, True)
    fine = parzen.PROTOCOLS["fine"].select(validation, samples)
    assert not fine.at_edge
    for nudge in (0.99, 1.01):
        assert parzen.log_likelihood(validation, samples, nudge * fine.sigma).mean() <= fine.mean + 1e-6


@pytest.mark.parametrize("grid", [(0.001, 0.01, 0.1, 1.0, 10.0), (0.001, 0.01, 0.1, 1.0), (0.001, 0.01, 0.1)])
def test_each_round_looks_between_the_neighbours_of_the_best(grid):
    """One round: nine more, even in log σ, between those beside the best."""
    validation, samples = images(30, 20), images(100, 20)
    tried, scores = [], parzen.Parzen.scores
    protocol = parzen.Protocol(grid, rounds=1)

    def kept(self):
        tried.append(self.sigmas)
        return scores(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parzen.Parzen, "scores", kept)
        best = protocol.select(validation, samples)
    assert tried[1] == pytest.approx(np.geomspace(0.01, min(1, grid[-1]), 11)[1:-1])
    assert best.sigma in tried[0] + tried[1]


def test_what_has_no_density_is_an_error():
    test = torch.rand(4, 3)
    with pytest.raises(ValueError, match="at least one sample"):
        _ = parzen.Parzen(test, [0.1]).log_likelihood
    with pytest.raises(ValueError, match="finite"):
        parzen.log_likelihood(test, torch.full((5, 3), torch.nan), 0.1)
    with pytest.raises(ValueError, match="positive"):
        parzen.log_likelihood(test, test, 0.0)


def test_the_nearest_sample():
    test, samples = torch.rand(30, 5), torch.rand(500, 5)
    nearest = parzen.Parzen(test, [0.1]).add(samples).nearest
    expected = torch.cdist(test.double(), samples.double()).square().amin(1)
    torch.testing.assert_close(nearest, expected, atol=1e-5, rtol=0)
    [score] = parzen.Parzen(test, [0.1]).add(samples).scores()
    assert score.nearest == pytest.approx(expected.mean().item() / 5, abs=1e-5)


@pytest.mark.skipif("DATA_ROOT" not in os.environ, reason="DATA_ROOT names no folder with MNIST")
def test_ten_thousand_training_images_of_mnist():
    """The control that the likelihood tables print: 244.6 nats, whatever the model."""
    from torchvision.datasets import MNIST

    root = Path(os.environ["DATA_ROOT"])
    train, test = (MNIST(root, train=t).data.flatten(1) / 255 for t in (True, False))
    samples = train[torch.randperm(50_000)[:10_000]]
    chosen = parzen.PROTOCOLS["paper"].select(train[50_000:], samples)
    [score] = parzen.Parzen(test, [chosen.sigma]).add(samples).scores()
    assert score.mean == pytest.approx(244.6, abs=3)
    assert score.standard_error == pytest.approx(2, abs=1)
