"""Annealed importance sampling where the likelihood is known: a linear decoder and Gaussian mixtures."""

import math

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from bench.evaluate.ais import Annealing, Model
from regularizers import Gaussian, OneHot, Petals

PRIORS = {"gaussian": Gaussian(3, scale=2.0), "petals": Petals(radius=1.5, length=1.0, width=0.5)}
SIGMA = 1.0


@pytest.fixture(params=PRIORS)
def linear(request):
    """A model with f(z) = W z + b, and the exact log p(x)."""
    prior = PRIORS[request.param]
    W, b = torch.randn(12, prior.dim), torch.randn(12)
    covariance = W @ prior.covariances @ W.mT + SIGMA**2 * torch.eye(12)
    components = MultivariateNormal(prior.means @ W.mT + b, covariance)
    exact = MixtureSameFamily(Categorical(probs=prior.weights), components)
    return Model(lambda z: z @ W.mT + b, prior, SIGMA), exact.log_prob


def test_the_estimate_is_the_exact_likelihood_of_a_linear_decoder(linear):
    """Within 0.2 nats on average and 1 per image of about −20, with 200 temperatures and 48 chains."""
    model, exact = linear
    x, _ = model.simulate(12)
    found = Annealing(model, temperatures=200, chains=48, leapfrog=4).log_likelihood(x)
    error = found - exact(x)
    assert abs(error.mean()) < 0.2
    assert error.abs().max() < 1


def test_the_bracket_holds_the_truth(linear):
    model, exact = linear
    annealing = Annealing(model, temperatures=120, chains=16, leapfrog=4)
    torch.manual_seed(3)
    bracket = annealing.bracket(24)
    torch.manual_seed(3)
    truth = exact(model.simulate(24)[0])
    assert bracket.lower.mean() - 0.15 < truth.mean() < bracket.upper.mean() + 0.15
    assert -0.15 < bracket.gap < 1


def test_chains_take_leaps_of_the_same_length_at_a_temperature_in_both_directions(monkeypatch):
    found = []

    def kept(self, x, z, lengths, betas):
        found.append({beta: row.tolist() for beta, row in zip(betas[1:-1], lengths, strict=True)})
        return torch.zeros(self.chains, len(x), dtype=torch.float64)

    monkeypatch.setattr(Annealing, "anneal", kept)
    Annealing(Model(lambda z: z, Gaussian(2), 0.3), temperatures=9).bracket(4)
    forward, backward = found
    assert forward == backward
    assert len({tuple(row) for row in forward.values()}) == 8


def test_the_bracket_of_hasty_annealing_is_wide():
    torch.manual_seed(1)
    W = torch.randn(12, 3)
    model = Model(lambda z: z @ W.mT, Gaussian(3), 0.5)
    hasty, slow = (Annealing(model, temperatures=t, chains=8, leapfrog=4).bracket(16).gap for t in (10, 200))
    assert hasty > 10 * slow


@pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS)
def test_the_prior_and_its_gradient_are_those_of_its_distribution(prior):
    z = (3 * torch.randn(50, prior.dim)).requires_grad_()
    expected = prior.distribution.log_prob(z)
    value, gradient = Model(lambda z: z, prior, 1.0).log_prior(z.detach())
    torch.testing.assert_close(value, expected.detach(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected.sum(), z)[0], rtol=1e-3, atol=1e-3)


def test_the_likelihood_is_that_of_independent_normals_of_any_width():
    model = Model(lambda z: z.repeat(1, 2), Gaussian(2), 0.4)
    x, z = torch.randn(7, 4), torch.randn(7, 2)
    expected = torch.distributions.Normal(z.repeat(1, 2), 0.4).log_prob(x).sum(1)
    torch.testing.assert_close(model.log_likelihood(x, z), expected)


def test_two_temperatures_are_plain_importance_sampling_from_the_prior():
    torch.manual_seed(1)
    model = Model(lambda z: z, Gaussian(1), 1.0)
    x = torch.linspace(-2, 2, 5)[:, None]
    found = Annealing(model, temperatures=1, chains=20_000).log_likelihood(x)
    exact = torch.distributions.Normal(0, math.sqrt(2)).log_prob(x[:, 0])
    torch.testing.assert_close(found, exact.double(), atol=0.05, rtol=0)


def test_a_step_leaves_the_posterior_as_it_is():
    """Exact posterior samples have its mean and variance after ten steps of any length."""
    model = Model(lambda z: z, Gaussian(1), 1.0)
    x = torch.full((20_000, 1), 1.0)
    z = 0.5 + math.sqrt(0.5) * torch.randn(20_000, 1)
    annealing, s = Annealing(model), model.state(x, z)
    for _ in range(10):
        s, probability = annealing.step(x, s, 1.0, torch.full((20_000,), 0.9))
    assert probability.mean() < 0.98
    assert s.z.mean() == pytest.approx(0.5, abs=0.03)
    assert s.z.var() == pytest.approx(0.5, abs=0.03)


def test_a_step_is_so_many_leaps_each_of_half_a_kick_a_drift_and_half_a_kick():
    """The energy's gradient at temperature β is z − β (x − z) / σ²; what is accepted moves to where the leaps end."""
    beta, x, z, e = 0.4, torch.full((50, 1), 2.0), torch.randn(50, 1), 0.8
    annealing = Annealing(Model(lambda z: z, Gaussian(1), 0.7), leapfrog=3)
    torch.manual_seed(5)
    after, probability = annealing.step(x, annealing.model.state(x, z), beta, torch.full((50,), e))
    torch.manual_seed(5)
    p = start = torch.randn(50, 1)
    end = z
    for _ in range(3):
        p = p + e / 2 * (beta * (x - end) / 0.7**2 - end)
        end = end + e * p
        p = p + e / 2 * (beta * (x - end) / 0.7**2 - end)
    energy = [(q**2 + y**2 + beta * (x - y) ** 2 / 0.7**2).sum(1) / 2 for q, y in ((start, z), (p, end))]
    torch.testing.assert_close(probability, (energy[0] - energy[1]).exp().clamp(max=1), rtol=1e-3, atol=1e-5)
    moved = after.z[:, 0] != z[:, 0]
    assert 0 < moved.sum() < 50
    torch.testing.assert_close(after.z[moved], end[moved])


def test_dynamics_that_overflow_are_refused():
    annealing, x, z = Annealing(Model(lambda z: z, Gaussian(1), 1.0)), torch.ones(20, 1), torch.randn(20, 1)
    after, probability = annealing.step(x, annealing.model.state(x, z), 1.0, torch.full((20,), 1e30))
    assert probability.tolist() == [0] * 20
    assert torch.equal(after.z, z)


def test_the_length_of_a_leap_is_tuned_to_the_acceptance():
    torch.manual_seed(1)
    model = Model(lambda z: z, Gaussian(2), 0.3)
    x = torch.zeros(400, 2)
    annealing = Annealing(model, temperatures=200, pilot=8)
    last = annealing.tune(x)[-1]
    exact = math.sqrt(0.3**2 / (1 + 0.3**2)) * torch.randn(400, 2)
    _, probability = annealing.step(x, model.state(x, exact), annealing.betas[-2], last)
    assert probability.mean() == pytest.approx(0.65, abs=0.1)


def test_a_curved_decoder_against_quadrature():
    model = Model(lambda z: torch.cat([z, z.square() - 1, z.sin()], 1), Gaussian(1), 0.2)
    x, _ = model.simulate(10)
    grid = torch.linspace(-6, 6, 4001)[:, None]
    likelihood = torch.stack([model.log_likelihood(row.expand(4001, 3), grid) for row in x]).double()
    exact = (likelihood + model.log_prior(grid)[0]).logsumexp(1) + math.log(12 / 4000)
    found = Annealing(model, temperatures=150, chains=32, leapfrog=4).log_likelihood(x)
    torch.testing.assert_close(found, exact, atol=0.5, rtol=0)


@pytest.mark.parametrize("linear", ["gaussian"], indirect=True)  # whose posterior is Gaussian
def test_the_importance_weighted_bound_of_the_exact_posterior_is_exact(linear):
    model, exact = linear
    x, _ = model.simulate(20)
    b = model.decoder(torch.zeros(1, model.prior.dim))
    W = (model.decoder(torch.eye(model.prior.dim)) - b).mT
    precision = W.mT @ W / SIGMA**2 + torch.eye(3) / model.prior.variance
    mean = (x - b) @ W @ torch.linalg.inv(precision) / SIGMA**2
    wide = torch.linalg.inv(precision).diagonal()[None].repeat(20, 1) * 1.5
    loose, tight = (model.importance_weighted(x, mean, wide, k) for k in (1, 3000))
    truth = exact(x).double()
    assert abs((tight - truth).mean()) < 0.1
    assert (tight - truth).abs().max() < 0.5
    assert (loose - truth).mean() < -0.1


def test_what_cannot_be_annealed():
    with pytest.raises(ValueError, match="no density"):
        Model(lambda z: z, OneHot(3), 0.1)
    with pytest.raises(ValueError, match="positive"):
        Model(lambda z: z, Gaussian(3), 0.0)
    with pytest.raises(ValueError, match="at least 1"):
        Annealing(Model(lambda z: z, Gaussian(3), 1.0), chains=0)
