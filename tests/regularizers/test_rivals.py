"""What is particular to a regularizer, against independent formulas; hyperparameters; what `fit` learns."""

import inspect
import math
from collections.abc import Sequence
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.special import hyp1f1
from torch.distributions import Independent, MultivariateNormal, Normal
from torch.func import grad, jacrev

import regularizers
from regularizers import Gaussian, OneHot, Petals, Point, Prior, Regularizer, Simplex, load, product
from regularizers._gradient import with_gradient
from tests.support.plug_ins import loaded

NAMES = regularizers.names()
# A plug-in that never ends is named by the test in which it does not.
pytestmark = pytest.mark.timeout(100)
SMALL = {"width": 64, "steps": 30}  # hyperparameters that cost time, in whatever has them
HYPERPARAMETERS = [
    (name, key, SMALL.get(key, p.default))
    for name, kind in loaded().items()
    for key, p in inspect.signature(kind.__init__).parameters.items()
    if key not in ("self", "prior")
]


def build(name, prior, **given):
    small = {k: v for n, k, v in HYPERPARAMETERS if n == name and k in SMALL}
    return load(name)(prior, **(small | given))


def value(regularizer, z, seed=0):
    torch.manual_seed(seed)
    return regularizer(z, Point(z)).item()


def prior_samples(prior, n, seed=0):
    torch.manual_seed(seed)
    return prior.sample(n).double().numpy()


def energy_distance(z, y):
    return 2 * cdist(z, y).mean() - cdist(z, z).mean() - cdist(y, y).mean()


def test_sampled_mmd_is_the_integral_at_a_known_shift():
    """Not divided by the number of pairs twice, not averaged over dimensions: E C / (C + r²) by quadrature."""
    D, scales, shift = 4, (0.1, 1.0, 5.0), 1.5

    def expectation(C, delta2, v=2.0):
        return quad(lambda t: math.exp(-t - t * delta2 / (C + 2 * t * v)) * (1 + 2 * t * v / C) ** (-D / 2), 0, 60)[0]

    exact = sum(2 * expectation(2 * D * c, 0) - 2 * expectation(2 * D * c, D * shift**2) for c in scales)
    regularizer = load("wae_mmd")(Gaussian(D), scales=scales)
    for n in (20, 200):
        estimates = [value(regularizer, torch.randn(n, D) + shift, seed) for seed in range(2000 // n)]
        assert np.mean(estimates) == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_penalty_of_a_shift_does_not_depend_on_the_batch_size(name):
    regularizer = load(name)(Gaussian(3))
    small, large = (
        np.mean([regularizer(z, Independent(Normal(z, 1.0), 1)).item() for z in torch.randn(16, n, 3) + 2])
        for n in (32, 256)
    )
    assert small == pytest.approx(large, rel=0.25)


@pytest.mark.parametrize("name", NAMES)
def test_a_penalty_sees_codes_and_posterior_only(name):
    """The reconstruction and its scale belong to the trainer, the same for all."""
    assert list(inspect.signature(load(name).forward).parameters) == ["self", "codes", "posterior"]
    assert not [v for v in vars(load(name)).values() if isinstance(v, torch.nn.Module)]


def changed(default):
    """Another valid value of a hyperparameter, or None."""
    if isinstance(default, bool):
        return not default
    if isinstance(default, int):
        return default + 1
    if isinstance(default, float):
        return 0.8 * default or 1.0
    if isinstance(default, Sequence) and not isinstance(default, str):
        return tuple(0.8 * v for v in default)
    return None


def observe(name, **hyperparameters):
    """Everything that a hyperparameter can change."""
    torch.manual_seed(0)
    regularizer = build(name, Gaussian(3), **hyperparameters)
    z = torch.randn(40, 3) * torch.tensor([0.5, 1.0, 2.0]) + 1
    seen = [regularizer.inner_steps, regularizer(z, Independent(Normal(z, 0.5), 1)).item()]
    if regularizer.inner_steps:
        regularizer.inner_loss(z).backward()
        with torch.no_grad():  # what the encoder faces once the critic has learnt
            for parameter in regularizer.parameters():
                parameter -= 0 if parameter.grad is None else parameter.grad
        seen += [regularizer.inner_loss(z).item(), regularizer(z, Independent(Normal(z, 0.5), 1)).item()]
    if load(name).unsupported(OneHot(3), "deterministic") is None:  # what acts on categories alone
        torch.manual_seed(0)
        seen.append(build(name, OneHot(3), **hyperparameters)(z.softmax(1), Simplex(z)).item())
    torch.manual_seed(0)
    regularizer.fit(z)
    return [*seen, *regularizer.sample(4).flatten().tolist()]


@pytest.mark.parametrize(("name", "key", "default"), HYPERPARAMETERS)
def test_every_hyperparameter_has_an_effect(name, key, default):
    if changed(default) is None:
        pytest.skip("a choice among names")
    assert observe(name, **{key: changed(default)}) != observe(name, **{key: default})


@pytest.mark.parametrize("name", sorted({name for name, *_ in HYPERPARAMETERS}))
def test_integers_mean_the_same_as_floats(name):
    """YAML says 4 for 4.0. Without the type checks of the tests, which are stricter than Python."""
    spec = spec_from_file_location(f"plain_{name}", Path(inspect.getfile(load(name))))
    spec.loader.exec_module(module := module_from_spec(spec))
    [kind] = [v for v in vars(module).values() if isinstance(v, type) and v.__module__ == spec.name]
    pairs = []
    for n, key, default in HYPERPARAMETERS:
        if n == name and isinstance(default, float) and default >= 1:
            pairs.append((key, round(default), float(round(default))))
        if n == name and isinstance(default, tuple) and all(isinstance(v, float) for v in default):
            pairs.append((key, (1, 4), (1.0, 4.0)))
    for key, integer, real in pairs:
        z = torch.randn(16, 3)
        results = []
        for v in (integer, real):
            torch.manual_seed(0)
            results.append(kind(Gaussian(3), **{key: v})(z, Independent(Normal(z, 1.0), 1)))
        assert results[0].isfinite()
        assert torch.equal(*results)


@pytest.mark.parametrize("prior", [Gaussian(3), Gaussian(3, 5.0), Petals(), OneHot(5)], ids=str)
def test_energy_is_twice_the_librarys(prior):
    """2 E|z - y| - E|z - z'| - E|y - y'|, without geomloss' one half, in units of the prior."""
    z = 2 * torch.randn(50, prior.dim) + 1
    expected = energy_distance(z.double().numpy(), prior_samples(prior, 50)) / math.sqrt(prior.variance)
    regularizer = load("energy")(prior)
    assert value(regularizer, z) == pytest.approx(expected, rel=1e-4)
    assert "dense" in regularizer.describe()["backend"]


@pytest.mark.parametrize("prior", [Gaussian(3), Petals()], ids=str)
def test_sinkhorn_is_optimal_transport_at_small_blur(prior):
    z = torch.randn(40, prior.dim) + 4
    cost = cdist(z.double().numpy(), prior_samples(prior, 40), "sqeuclidean") / prior.variance
    expected = cost[linear_sum_assignment(cost)].mean()
    assert value(load("sinkhorn")(prior, blur=0.02, scaling=0.9), z) == pytest.approx(expected, rel=0.02)


def test_sliced_wasserstein_of_a_shift():
    """W₂² along θ of a shift by δ is ⟨θ, δ⟩², on average |δ|²/D: nothing else, with the prior's own samples."""
    prior = Gaussian(3, 2.0)
    torch.manual_seed(0)
    torch.randn(3, 20_000)  # the directions come first
    z = prior.sample(30) + torch.tensor([3.0, 0.0, 0.0])
    assert value(load("sliced_wasserstein")(prior, projections=20_000), z) == pytest.approx(3 / 4, rel=0.05)


def test_moments_are_the_priors_own():
    prior = product([OneHot(4), Petals()])
    y = prior_samples(prior, 200_000)
    regularizer = load("moment_matching")(prior)
    np.testing.assert_allclose(regularizer.mean, y.mean(0), atol=0.03)
    np.testing.assert_allclose(regularizer.covariance, np.cov(y.T), atol=0.1)
    assert value(regularizer, torch.tensor(y).float()) < 1e-3


def smoothed_slices(z, p, gamma, direction):
    """∫ (density of ⟨v, z⟩ - density of ⟨v, y⟩)², both smoothed with variance γ, on a grid."""
    t = np.linspace(-12, 12, 2001)

    def density(centres, variances, weights):
        return (
            weights * np.exp(-((t[:, None] - centres) ** 2) / (2 * variances)) / np.sqrt(2 * np.pi * variances)
        ).sum(1)

    q = density(z @ direction, gamma, 1 / len(z))
    spread = ((p.scale_tril.double().mT.numpy() @ direction) ** 2).sum(-1)
    return ((q - density(p.means.double().numpy() @ direction, gamma + spread, p.weights.numpy())) ** 2).sum() * (
        t[1] - t[0]
    )


ISOTROPIC = Prior(
    torch.tensor([0.3, 0.7]),
    torch.tensor([[1.2, 0.0, 0.0], [-0.5, 0.6, 0.0]]),
    torch.tensor([0.3, 0.8])[:, None, None] * torch.eye(3),
)


@pytest.mark.parametrize("prior", [Gaussian(3), ISOTROPIC, OneHot(3)], ids=["gaussian", "mixture", "one_hot"])
def test_cramer_wold_is_the_average_over_all_directions(prior):
    s, z = math.sqrt(prior.variance), torch.randn(20, 3) + 0.5
    unit = Prior(prior.weights, prior.means / s, prior.scale_tril / s)
    directions = np.random.default_rng(0).normal(size=(400, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    gamma = (4 / (3 * len(z))) ** 0.4
    slices = [smoothed_slices(z.double().numpy() / s, unit, gamma, v) for v in directions]
    error = np.std(slices) / math.sqrt(len(slices))
    assert value(load("cramer_wold")(prior), z) == pytest.approx(np.mean(slices), abs=4 * error + 1e-6)
    assert value(load("cramer_wold")(prior, log=True), z) == pytest.approx(
        math.log(value(load("cramer_wold")(prior), z))
    )


@pytest.mark.parametrize("D", [1, 2, 3, 8, 64])
def test_cramer_wold_interpolates_scipy(D):
    regularizer = load("cramer_wold")(Gaussian(D))
    r = torch.linspace(0, 20, 300)[:, None] * torch.nn.functional.normalize(torch.ones(1, D))
    ours = regularizer.overlap(r, torch.zeros(1, D), torch.tensor(0.7)).squeeze(1).double()
    exact = hyp1f1(0.5, D / 2, -(r.double().square().sum(1) / 1.4).numpy()) / math.sqrt(2 * math.pi * 0.7)
    np.testing.assert_allclose(ours, exact, rtol=3e-5, atol=1e-7)


def test_cramer_wold_refuses_what_it_cannot_integrate():
    assert "isotropic" in load("cramer_wold").unsupported(Petals(), "deterministic")


@pytest.mark.parametrize("prior", [Gaussian(8), ISOTROPIC, OneHot(4)], ids=["gaussian", "mixture", "one_hot"])
def test_sigreg_without_slices_is_cramer_wold(prior):
    """2π CW at γ = 1/2: both integrate the same characteristic functions, one over all directions exactly."""
    z = 1.3 * torch.randn(100, prior.dim) + 0.3
    exact = 2 * math.pi * value(load("cramer_wold")(prior, gamma=0.5), z)
    assert value(load("sigreg")(prior, projections=20_000, reach=8.0, knots=65), z) == pytest.approx(exact, rel=0.02)


def test_sigreg_is_the_epps_pulley_statistic():
    """Whose closed form in one dimension is √(2π) MMD², V-statistic, with a Gaussian kernel of bandwidth 1."""
    z = torch.randn(30, 1) + 0.7
    x = z.double().numpy()
    zz = np.exp(-((x - x.T) ** 2) / 2).mean()
    zp, pp = (np.exp(-(x**2) / 4) / math.sqrt(2)).mean(), 1 / math.sqrt(3)
    exact = math.sqrt(2 * math.pi) * (zz - 2 * zp + pp)
    assert value(load("sigreg")(Gaussian(1), reach=8.0, knots=200), z) == pytest.approx(exact, rel=1e-3)
    assert value(load("sigreg")(Gaussian(1)), z) == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize("prior", [Petals(), product([OneHot(4), Gaussian(3)])], ids=["petals", "joint"])
def test_sigreg_vanishes_for_many_samples_of_a_mixture(prior):
    torch.manual_seed(1)
    z = prior.sample(20_000)
    assert value(load("sigreg")(prior, projections=32), z) < 3e-4
    assert value(load("sigreg")(prior, projections=32), z[z[:, 0] > 0]) > 1e-2


def test_sigreg_gradient_is_that_of_its_value():
    torch.manual_seed(2)
    regularizer = load("sigreg")(Gaussian(3)).double()
    theta, phi = torch.randn(3, 5).double(), torch.randn(17, 5, dtype=torch.complex128)
    codes = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(partial(with_gradient, partial(regularizer.statistic, theta, phi)), codes)


MIXTURE = Prior(torch.tensor([0.3, 0.7]), torch.tensor([[1.2, 0.0], [-0.5, 0.6]]), Petals().scale_tril[:2])


@pytest.mark.parametrize("prior", [Gaussian(3, 2.0), MIXTURE, OneHot(4)], ids=["gaussian", "mixture", "one_hot"])
def test_sliced_energy_is_the_energy_distance_on_average(prior):
    """Of all directions; with the closed form in all of space as the oracle."""
    z = 1.5 * prior.sample(40) + 0.3
    exact = value(load("mmd")(prior, kernel="energy"), z) / math.sqrt(prior.variance)
    assert value(load("sliced_energy")(prior, projections=20_000), z) == pytest.approx(exact, rel=0.01)


def test_sliced_energy_in_one_dimension_needs_no_direction():
    z, y = torch.randn(30, 1).double().numpy() + 0.5, np.linspace(-9, 9, 4001)[:, None]
    p = np.exp(-(y**2) / 2) * (y[1] - y[0]) / math.sqrt(2 * math.pi)
    pairs = cdist(z, z).sum() / (30 * 29)
    exact = 2 * (cdist(z, y) @ p).mean() - pairs - (p.T @ cdist(y, y) @ p).item()
    assert value(load("sliced_energy")(Gaussian(1), projections=1), torch.tensor(z).float()) == pytest.approx(
        exact, 1e-3
    )


def test_sliced_energy_gradient_is_that_of_its_value():
    regularizer, theta = load("sliced_energy")(MIXTURE).double(), torch.randn(2, 5).double()
    codes = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(partial(with_gradient, partial(regularizer.distance, theta)), codes)


@pytest.mark.parametrize("L", [2, 3, 7])
def test_sliced_energy_is_less_noisy_along_orthogonal_directions(L):
    """Three of them in three dimensions see every shift alike, to first order."""
    z, regularizer = 0.1 * torch.randn(50, 3) + torch.tensor([3.0, 0.0, 0.0]), load("sliced_energy")(Gaussian(3), L)
    own = np.std([value(regularizer, z, seed) for seed in range(200)])
    alone = load("sliced_energy")(Gaussian(3), 1)
    one = np.std([value(alone, z, seed) for seed in range(200)])
    assert own < 0.8 * one / math.sqrt(L)


def test_kernel_stein_of_a_shift_and_of_a_scale():
    """Where codes are normal, the scores differ by a known vector d, and it is E k(x, y) dᵀd' / D."""
    torch.manual_seed(0)
    noise = torch.randn(2000, 3).double()
    k = (1 + torch.tensor(cdist(noise, noise, "sqeuclidean")) / 6).rsqrt()
    mean_k = (k.sum() - 2000) / (2000 * 1999)
    regularizer, n = load("kernel_stein")(Gaussian(3, 2.0)).double(), 2000
    assert value(regularizer, 2 * (noise + 1.5)) == pytest.approx(1.5**2 * mean_k.item(), rel=0.03)
    z = 0.5 * noise
    k, inner = (1 + torch.tensor(cdist(z, z, "sqeuclidean")) / 6).rsqrt(), z @ z.mT
    wide = (1 / 0.25 - 1) ** 2 * (k * inner).fill_diagonal_(0).sum() / (n * (n - 1) * 3)
    assert value(regularizer, 2 * z) == pytest.approx(wide.item(), rel=0.06)


def test_kernel_stein_is_its_definition():
    """Every derivative by automatic differentiation, for a prior that is not isotropic."""
    L = torch.tensor([[1.0, 0.0], [0.7, 0.4]])
    prior = Prior(torch.ones(1), torch.tensor([[0.3, -1.0]]), L[None])
    s, z = math.sqrt(prior.variance), torch.randn(5, 2).double()
    p = MultivariateNormal((prior.means[0] / s).double(), scale_tril=(L / s).double())
    score, k = grad(lambda x: p.log_prob(x)), lambda x, y: (1 + (x - y).square().sum() / 4) ** -0.5
    total = 0.0
    for i, j in permutations(range(5), 2):
        x, y = z[i], z[j]
        total += score(x) @ score(y) * k(x, y) + score(x) @ grad(k, 1)(x, y) + score(y) @ grad(k)(x, y)
        total += jacrev(grad(k), 1)(x, y).trace()
    ours = load("kernel_stein")(prior).double()
    assert value(ours, z * s) == pytest.approx(total.item() / (2 * 20), rel=1e-4)
    assert "weights" in load("kernel_stein").unsupported(Petals(), "deterministic")
    assert "density" in load("kernel_stein").unsupported(OneHot(3), "deterministic")


def test_information_maximisation_is_a_mutual_information():
    """log K - I(x; y) by the joint distribution of a batch, each image as likely as the others."""
    q = Simplex(2 * torch.randn(20, 5))
    joint = q.probs.double().numpy() / 20
    independent = joint.sum(1, keepdims=True) * joint.sum(0)
    information = (joint * np.log(joint / independent)).sum()
    own = load("information_maximisation")(OneHot(5), entropy=1.0)
    assert own(q.probs, q).item() == pytest.approx(math.log(5) - information, rel=1e-5)
    balanced, one = Simplex(200 * torch.eye(5).repeat(3, 1)), Simplex(200 * torch.eye(5)[:1].repeat(3, 1))
    assert own(balanced.probs, balanced).item() == pytest.approx(0, abs=1e-5)
    assert own(one.probs, one).item() == pytest.approx(math.log(5), rel=1e-5)


def test_information_maximisation_of_saturated_codes_has_finite_gradients():
    logits = (1e4 * torch.randn(16, 5)).requires_grad_()
    load("information_maximisation")(OneHot(5))(logits.softmax(1), Simplex(logits)).backward()
    assert logits.grad.isfinite().all()


def test_information_maximisation_of_continuous_codes_is_the_energy_distance():
    prior, z = Gaussian(3, 2.0), torch.randn(20, 3)
    expected = value(load("mmd")(prior, kernel="energy"), z) / 2
    assert value(load("information_maximisation")(prior), z) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", [n for n, kind in loaded().items() if "inner_loss" in vars(kind)])
def test_discriminator_takes_the_prior_for_real_and_codes_for_fake(name):
    """With the targets swapped, fooling it would push codes away from the prior."""
    regularizer, codes = build(name, Gaussian(2)), torch.randn(256, 2) + torch.tensor([3.0, 0.0])
    optimizer = torch.optim.Adam(regularizer.parameters(), lr=1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        regularizer.inner_loss(codes).backward()
        optimizer.step()
    codes.requires_grad_()
    fooling = regularizer(codes, Point(codes))
    fooling.backward()
    real = torch.randn(256, 2)
    assert regularizer(real, Point(real)) < 0.5 < 1.5 < fooling
    assert codes.grad[:, 0].mean() > 0  # descent moves them to the left, to the prior


FITTED = [n for n, kind in loaded().items() if kind.sample is not Regularizer.sample]


def codes_of_an_autoencoder(dim, n):
    """Two skewed clusters, far from any prior."""
    z = torch.randn(n, dim) * torch.linspace(0.5, 2, dim)
    z[:, 0] += 0.5 * z[:, -1] ** 2 + 4
    z[: n // 2] = 5 - z[: n // 2]
    return z


def codes_on_a_simplex(dim, n):
    """Near the vertices, two of which are never used."""
    return torch.softmax(8 * torch.randn(n, dim) - 50 * (torch.arange(dim) < 2), dim=1)


@pytest.mark.parametrize("prior", [Gaussian(3), Petals(), OneHot(5)], ids=["gaussian", "petals", "one_hot"])
@pytest.mark.parametrize("name", FITTED)
def test_fitted_samples_are_like_the_codes(name, prior):
    make = codes_of_an_autoencoder
    if not prior.has_density:
        make = codes_on_a_simplex
    if reason := load(name).unsupported(prior, load(name).encoders[0]):
        pytest.skip(reason)
    longer = {k: 5 * v for n, k, v in HYPERPARAMETERS if (n, k) == (name, "steps")}
    regularizer, codes, unseen = build(name, prior, **longer), make(prior.dim, 3000), make(prior.dim, 1000).numpy()
    before = regularizer.sample(1000).numpy()
    assert energy_distance(before, prior.sample(1000).numpy()) < 0.02  # nothing fitted: still the prior
    with torch.no_grad():  # as an evaluation calls it
        regularizer.fit(codes)
    after = regularizer.sample(1000)
    assert after.isfinite().all()
    assert not after.requires_grad
    assert energy_distance(after.numpy(), unseen) < 0.4 * energy_distance(before, unseen)
    other = build(name, prior)
    other.load_state_dict(regularizer.state_dict())
    torch.manual_seed(3)
    first = other.sample(10)
    torch.manual_seed(3)
    assert torch.equal(first, regularizer.sample(10))


@pytest.mark.parametrize("name", FITTED)
def test_same_seed_same_fit(name):
    samples = []
    for _ in range(2):
        torch.manual_seed(5)
        regularizer = build(name, Gaussian(2))
        regularizer.fit(torch.randn(500, 2))
        samples.append(regularizer.sample(10))
    assert torch.equal(*samples)


@pytest.mark.parametrize("width", [0.7, 1.0], ids=["narrow", "matched"])
@pytest.mark.parametrize(("prior", "low"), [(Gaussian(8), 0.04), (Petals(), 0.25)], ids=["gaussian", "petals"])
def test_the_annealing_of_sinkhorn_stays_as_near_to_the_converged_value_as_it_says(prior, low, width):
    z = width * prior.sample(120)[60:]
    for blur in (0.3, 2.0):
        quick = value(load("sinkhorn")(prior, blur=blur), z)
        converged = value(load("sinkhorn")(prior, blur=blur, scaling=0.98), z)
        assert -low < quick / converged - 1 < 0.02


def test_a_learnt_source_sees_standardised_codes_at_a_rate_that_falls_to_nothing(monkeypatch):
    rates, step = [], torch.optim.Adam.step
    monkeypatch.setattr(
        torch.optim.Adam, "step", lambda self: (rates.append(self.param_groups[0]["lr"]), step(self))[1]
    )
    source, seen = load("gmmn")(Gaussian(2), steps=4), []
    loss = source.loss
    monkeypatch.setattr(source, "loss", lambda codes: (seen.append(codes), loss(codes))[1])
    source.fit(torch.tensor([3.0, -1.0]) + torch.tensor([0.1, 5.0]) * torch.randn(2000, 2))
    assert rates == pytest.approx([1e-3, 0.75e-3, 0.5e-3, 0.25e-3])
    codes = torch.cat(seen)
    assert codes.shape == (4 * 256, 2)
    torch.testing.assert_close(codes.mean(0), torch.zeros(2), atol=0.15, rtol=0)
    torch.testing.assert_close(codes.std(0), torch.ones(2), atol=0.15, rtol=0)


def test_a_sample_follows_the_flow_from_noise(monkeypatch):
    """Of ẋ = x + 2t the solution at 1 is (y + 2) e − 4; the midpoint rule's error is of the second order."""
    flow = load("flow_matching")(Gaussian(2))
    monkeypatch.setattr(flow, "velocity", lambda x, t: x + 2 * t)
    torch.manual_seed(0)
    x = flow.generate(100)
    torch.manual_seed(0)
    torch.testing.assert_close(x, (torch.randn(100, 2) + 2) * math.e - 4, atol=2e-3, rtol=0)


def test_the_short_codes_of_rae_are_the_kl_divergence_of_means():
    z = torch.randn(50, 3) + 1
    posterior = Independent(Normal(z, torch.ones_like(z)), 1)
    assert load("rae")(Gaussian(3), components=2)(z, Point(z)) == pytest.approx(
        load("kl")(Gaussian(3))(z, posterior).item(), rel=1e-5
    )
    assert load("rae")(Gaussian(3, 2.0), components=2)(z, Point(z)) == pytest.approx(z.square().sum(1).mean() / 8)


def test_the_second_stage_descends_the_bound_of_a_vae():
    stage, z = load("two_stage")(Gaussian(3), width=8), torch.randn(50, 3)
    with torch.no_grad():
        stage.log_gamma.fill_(0.3)
    torch.manual_seed(0)
    loss = stage.loss(z)
    torch.manual_seed(0)
    mean, log_variance = stage.encoder(z).chunk(2, dim=1)
    q = Normal(mean, (log_variance / 2).exp())
    u = q.rsample()
    bound = Normal(stage.decoder(u), math.exp(0.15)).log_prob(z) - torch.distributions.kl_divergence(q, Normal(0, 1))
    torch.testing.assert_close(loss, -bound.sum(1).mean())


def test_wae_mmd_is_the_unbiased_statistic_of_codes_and_as_many_prior_samples():
    z, scales = torch.randn(20, 3), (0.5, 2.0)
    torch.manual_seed(0)
    found = load("wae_mmd")(Gaussian(3, 2.0), scales=scales)(z, Point(z))
    torch.manual_seed(0)
    y = Gaussian(3, 2.0).sample(20)

    def k(a, b):
        return sum(c / (c + cdist(a, b, "sqeuclidean") / (2 * 3 * 4)) for c in scales)

    off = ~np.eye(20, dtype=bool)
    assert found.item() == pytest.approx(k(z, z)[off].mean() + k(y, y)[off].mean() - 2 * k(z, y).mean(), abs=1e-5)
