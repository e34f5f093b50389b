"""Referees pass codes that are the prior's, and each notices what it is there to notice."""

import functools
import math

import numpy as np
import pytest
import torch

from bench.evaluate import prior_mismatch as r
from regularizers import Gaussian, OneHot, Petals, Prior

N = 600


def judge(codes, prior, draws=2):
    return r.referees(codes, prior, seed=0, draws=draws)


@pytest.mark.parametrize("prior", [Gaussian(2, scale=5.0), Petals(), OneHot(5)], ids=["gaussian", "petals", "one_hot"])
def test_prior_samples_are_at_the_floor(prior):
    torch.manual_seed(0)
    others = {
        name: [referee(prior.sample(N), prior) for _ in range(8)] for name, referee in r.applicable(prior).items()
    }
    for name, (value, floor) in judge(prior.sample(N), prior, draws=6).items():
        deviation = np.std(others[name], ddof=1)
        assert abs(value - floor) < 6 * deviation + 0.02 * abs(floor) + 1e-4, name
        assert abs(np.mean(others[name]) - floor) < 4 * deviation + 1e-4, name


@pytest.mark.parametrize("name", ["sliced_wasserstein", "sinkhorn", "energy", "mmd", "two_sample_test", "ks"])
@pytest.mark.parametrize(
    "change", [lambda z: z + 0.7, lambda z: 2 * z, lambda z: 0.3 * z], ids=["moved", "wide", "narrow"]
)
def test_distances_see_a_wrong_place_and_scale(name, change):
    prior = Gaussian(2)
    referee = r.applicable(prior)[name]
    floor = max(referee(prior.sample(N), prior) for _ in range(3))
    assert referee(change(prior.sample(N)), prior) > floor + 0.02


def test_distances_do_not_depend_on_the_unit():
    torch.manual_seed(2)
    z = 1.5 * torch.randn(N, 2)
    for name in ("sliced_wasserstein", "sinkhorn", "energy", "mmd", "ks"):
        values = []
        for scale in (1.0, 7.0):
            torch.manual_seed(3)
            values.append(r.applicable(Gaussian(2))[name](scale * z, Gaussian(2, scale=scale)))
        assert values[1] == pytest.approx(values[0], rel=0.02), name


def test_sliced_wasserstein_of_a_translation_is_known():
    """W₂² along a direction is (θ·δ)², on average |δ|²/D."""
    value = r.sliced_wasserstein(torch.randn(4000, 3) + 2.0, Gaussian(3), directions=500)
    assert value == pytest.approx(4.0, rel=0.1)


def test_ks_is_scipys():
    from scipy.stats import kstest

    z, prior = torch.randn(200, 3) + torch.tensor([0.0, 0.4, 0.0]), Gaussian(3)
    expected = max(kstest(z[:, d].double().numpy(), "norm").statistic for d in range(3))
    assert r.ks(z, prior) == pytest.approx(expected, abs=1e-6)


def test_codes_from_the_prior_leave_five_percent_holes_and_half_of_it_leaves_half():
    prior = Gaussian(2)
    assert r.holes(prior.sample(2000), prior) == pytest.approx(0.05, abs=0.02)
    half = prior.sample(2000)
    half[:, 0] = half[:, 0].abs()
    assert 0.3 < r.holes(half, prior) < 0.55


def test_occupancy_counts_components():
    prior = Petals()
    assert r.occupancy_error(prior.sample(5000), prior) < 0.02
    z = prior.means[:3].repeat(100, 1)
    assert r.occupancy_error(z, prior) == pytest.approx(1 / 3 - 0.1)
    soft = torch.eye(5)[torch.randint(2, (300,))] * 0.8 + 0.04
    assert r.occupancy_error(soft, OneHot(5)) == pytest.approx(1 / 2 - 1 / 5, abs=0.1)


def test_each_prior_has_the_referees_that_make_sense():
    assert "occupancy_error" not in r.applicable(Gaussian(2))
    assert {"holes", "occupancy_error"} <= set(r.applicable(Petals()))
    assert not {"holes", "ks", "two_sample_test"} & set(r.applicable(OneHot(5)))


def test_the_same_seed_gives_the_same_numbers_and_leaves_the_random_state():
    prior, z = Gaussian(2), torch.randn(200, 2)
    before = torch.get_rng_state()
    first = judge(z, prior)
    assert torch.equal(before, torch.get_rng_state())
    torch.randn(5)
    assert judge(z, prior) == first


def test_what_cannot_be_judged():
    with pytest.raises(ValueError, match="finite"):
        judge(torch.full((200, 2), math.nan), Gaussian(2))
    with pytest.raises(ValueError, match="100"):
        judge(torch.randn(99, 2), Gaussian(2))
    assert judge(torch.randn(100, 2), Gaussian(2))


@pytest.mark.parametrize("name", ["energy", "mmd"])
def test_kernel_distances_are_the_unbiased_sums_over_pairs(name):
    z, prior = 2 * torch.randn(6, 2) + 1, Gaussian(2, scale=3.0)
    torch.manual_seed(4)
    found = r.applicable(prior)[name](z, prior)
    torch.manual_seed(4)
    z, y = z / 3, prior.sample(12) / 3
    k = {"energy": lambda d: -d, "mmd": lambda d: 4 / (4 + d**2)}[name]

    def mean(a, b, apart):
        pairs = [(i, j) for i in range(len(a)) for j in range(len(b)) if i != j or not apart]
        return np.mean([k((a[i] - b[j]).norm().item()) for i, j in pairs])

    assert found == pytest.approx(mean(z, z, True) - 2 * mean(z, y, False) + mean(y, y, True), abs=1e-5)


@pytest.mark.parametrize(
    ("name", "most"), [("sinkhorn", 1000), ("energy", 2000), ("mmd", 2000), ("two_sample_test", 2000), ("holes", 10000)]
)
def test_codes_beyond_a_referees_number_are_not_looked_at(name, most):
    prior, found = Gaussian(2), []
    for tail in (torch.zeros(1, 2)[:0], torch.full((1, 2), 1.0), torch.full((1, 2), 300.0)):
        torch.manual_seed(0)
        z = torch.cat([prior.sample(most), tail])
        torch.manual_seed(1)
        found.append(r.applicable(prior)[name](z, prior))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("prior", [Gaussian(2), Petals()], ids=["gaussian", "petals"])
def test_referees_of_one_number_are_those_of_their_definition(prior):
    z = prior.sample(150) + 0.3
    cdf = prior.weights @ torch.distributions.Normal(
        prior.means, prior.covariances.diagonal(dim1=1, dim2=2).sqrt()
    ).cdf(z[:, None]).permute(2, 1, 0).double().transpose(0, 1).flatten(1).reshape(len(prior.weights), -1).to(z)
    below = (z[:, None] >= z[None]).double().mean(1).T.flatten()
    assert r.ks(z, prior) == pytest.approx(
        max((cdf - below).abs().max().item(), (cdf - below + 1 / 150).abs().max().item()), abs=1e-5
    )


def test_two_components_have_an_occupancy():
    two = Prior(torch.tensor([0.25, 0.75]), torch.tensor([[-5.0], [5.0]]), torch.ones(2, 1, 1))
    assert r.applicable(two)["occupancy_error"](torch.tensor([[-5.0], [5.0]]), two) == pytest.approx(0.25)


def test_kernel_distances_of_a_translation_are_known():
    """N(δ, 1) to N(0, 1) on a line: the differences are N(δ, 2), N(0, 2) and N(0, 2)."""
    delta, n = 1.0, 2000
    z, prior = torch.randn(n, 1) + delta, Gaussian(1)
    difference = torch.randn(10**6) * math.sqrt(2)
    far, near = (difference + delta).abs(), difference.abs()
    assert r.energy(z, prior) == pytest.approx(2 * (far.mean() - near.mean()).item(), abs=0.06)
    kernel = [(2 / (2 + d.square())).mean().item() for d in (near, far)]
    assert r.mmd(z, prior) == pytest.approx(2 * (kernel[0] - kernel[1]), abs=0.02)


def test_floors_known_from_another_method_change_nothing(monkeypatch):
    """Bit by bit, though only the first judgement of a prior and a seed computes its floors."""
    prior = Petals()
    first, second = prior.sample(300), prior.sample(300) * 1.5
    calls = []

    @functools.wraps(r.ks)
    def counted(*arguments, f=r.ks):
        calls.append(arguments)
        return f(*arguments)

    monkeypatch.setattr(r, "ks", counted)
    monkeypatch.setattr(r, "_floors", {})
    fresh = r.referees(second, prior, seed=3)
    assert len(calls) == 5
    monkeypatch.setattr(r, "_floors", {})
    r.referees(first, prior, seed=3)
    assert r.referees(second, prior, seed=3) == fresh
    assert len(calls) == 11
    assert r.referees(second, prior, seed=4)["ks"].floor != fresh["ks"].floor
