"""The split of the average KL where its parts are known."""

import math

import pytest
import torch

from bench.evaluate.kl_parts import decompose
from regularizers import Gaussian, OneHot, Petals, Prior


def test_posteriors_that_do_not_overlap_carry_log_n():
    mean = 100 * torch.arange(128.0).reshape(64, 2)
    d = decompose(mean, torch.ones(64, 2), Gaussian(2))
    assert d.mutual_information == pytest.approx(math.log(64))
    assert d.standard_error == pytest.approx(0, abs=1e-9)


def test_posteriors_that_ignore_the_image_carry_nothing():
    d = decompose(torch.ones(50, 3), 0.25 * torch.ones(50, 3), Gaussian(3))
    assert d.mutual_information == pytest.approx(0, abs=1e-9)
    assert d.marginal_kl == pytest.approx(3 * 0.5 * (0.25 + 1 - 1 - math.log(0.25)))


@pytest.mark.parametrize("spread", [0.3, 0.8, 1.5])
def test_a_linear_gaussian_encoder(spread):
    """Means N(0, s²) and variance v make q(z) = N(0, s² + v): both parts in closed form."""
    n, v = 4000, 0.36
    mean = torch.distributions.Normal(0, spread).icdf((torch.arange(n) + 0.5) / n)[:, None]
    d = decompose(mean, torch.full((n, 1), v), Gaussian(1))
    total = spread**2 + v
    assert d.mutual_information == pytest.approx(0.5 * math.log(total / v), abs=0.05)
    assert d.marginal_kl == pytest.approx(0.5 * (total - 1 - math.log(total)), abs=0.05)
    assert d.average_kl == pytest.approx(d.marginal_kl + d.mutual_information)


def test_the_average_to_a_correlated_gaussian_is_exact():
    L = torch.tensor([[1.0, 0.0], [0.7, 0.5]])
    prior = Prior(torch.ones(1), torch.tensor([[1.0, -2.0]]), L[None])
    mean, variance = torch.randn(20, 2), torch.rand(20, 2) + 0.1
    covariance = L @ L.mT
    precision, delta = covariance.inverse(), mean - prior.means[0]
    squares = ((delta @ precision) * delta).sum(1) + variance @ precision.diagonal()
    expected = 0.5 * (squares - 2 + covariance.logdet() - variance.log().sum(1)).mean().item()
    assert decompose(mean, variance, prior).average_kl == pytest.approx(expected, rel=1e-5)


def test_a_mixture_that_equals_a_gaussian_gives_its_numbers():
    double = Prior(torch.tensor([0.5, 0.5]), torch.zeros(2, 2), torch.eye(2).repeat(2, 1, 1))
    mean, variance = torch.randn(3000, 2), torch.full((3000, 2), 0.5)
    sampled, exact = decompose(mean, variance, double), decompose(mean, variance, Gaussian(2))
    assert sampled.average_kl == pytest.approx(exact.average_kl, abs=0.05)


def test_chunks_and_the_full_sum_agree():
    mean, variance = torch.randn(300, 4), torch.rand(300, 4) + 0.1
    torch.manual_seed(1)
    whole = decompose(mean, variance, Gaussian(4))
    torch.manual_seed(1)
    assert decompose(mean, variance, Gaussian(4), chunk=1000) == pytest.approx(whole)


def test_what_has_no_decomposition():
    with pytest.raises(ValueError, match="no density"):
        decompose(torch.rand(5, 3), torch.rand(5, 3), OneHot(3))
    with pytest.raises(ValueError, match="positive"):
        decompose(torch.rand(5, 3), torch.zeros(5, 3), Gaussian(3))
    petals = decompose(torch.rand(5, 2), torch.ones(5, 2), Petals())
    assert petals.average_kl > petals.mutual_information >= 0
