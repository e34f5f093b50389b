"""Priors: what they say of themselves agrees with their samples, and with other implementations."""

import math
import re
from importlib.metadata import entry_points
from inspect import signature

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch.distributions import Independent, Normal, kl_divergence

from regularizers import (
    PRIORS,
    Gaussian,
    Mixture,
    OneHot,
    Petals,
    Point,
    Prior,
    Product,
    Simplex,
    SwissRoll,
    labelled,
    prior,
    product,
    rms,
)

N = 50_000
EXAMPLES = {
    "gaussian": Gaussian(3),
    "wide": Gaussian(2, 5.0),
    "petals": Petals(),
    "swiss_roll": SwissRoll(),
    "one_hot": OneHot(5),
    "mixture": Mixture(2, [[0, 0], [3, 1]], [0.5, [[2.0, 0.6], [0.6, 1.0]]], weights=[0.2, 0.8]),
    "joint": product([OneHot(4), Gaussian(3), Petals(components=5)]),
    "labelled": labelled(Petals(), 0.2),
}
# Those of packages too, in two dimensions and by their defaults.
NAMES = [*EXAMPLES, *sorted(e.name for e in entry_points(group="latentbench.priors"))]


def example(name):
    if name not in EXAMPLES and needed(prior(name)):
        pytest.skip(f"{name} needs {', '.join(needed(prior(name)))}")
    return EXAMPLES[name] if name in EXAMPLES else prior(name)(2)


def needed(kind):
    """The settings without a default."""
    _, *settings = signature(kind).parameters.values()
    return [p.name for p in settings if p.default is p.empty]


def moments(prior):
    """Mean and covariance of a mixture, in float64."""
    w, m, C = prior.weights.double(), prior.means.double(), prior.covariances.double()
    mean = w @ m
    return mean, (w[:, None, None] * (C + (m - mean)[:, :, None] * (m - mean)[:, None, :])).sum(0)


@pytest.mark.parametrize("name", NAMES)
def test_samples_have_the_moments_of_the_mixture(name):
    prior = example(name)
    z = prior.sample(N).double()
    mean, covariance = moments(prior)
    s = rms(prior)
    assert z.shape == (N, prior.dim)
    torch.testing.assert_close(z.mean(0) / s, mean / s, atol=6 / math.sqrt(N), rtol=0)
    torch.testing.assert_close(z.mT.cov() / s**2, covariance / s**2, atol=20 / math.sqrt(N), rtol=0)
    assert z.var(0).mean().item() == pytest.approx(prior.variance, rel=0.03)


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_a_distribution_and_samples_repeat_under_a_seed(name):
    prior = example(name)
    assert prior.weights.sum().item() == pytest.approx(1, abs=1e-5)
    assert (prior.weights > 0).all()
    torch.manual_seed(3)
    first = prior.sample(5)
    torch.manual_seed(3)
    assert torch.equal(first, prior.sample(5))


@pytest.mark.parametrize("name", [n for n in NAMES if n not in EXAMPLES or EXAMPLES[n].has_density])
def test_log_density_is_scipys(name):
    prior = example(name)
    if not prior.has_density:
        pytest.skip("no density")
    z = prior.sample(20)
    parts = [
        multivariate_normal(m, L @ L.T).pdf(z.double().numpy())
        for m, L in zip(prior.means.double().numpy(), prior.scale_tril.double().numpy(), strict=True)
    ]
    expected = np.log(prior.weights.double().numpy() @ np.array(parts))
    np.testing.assert_allclose(prior.distribution.log_prob(z), expected, rtol=1e-3, atol=1e-3)
    joint = prior.weights.double().numpy() * np.array(parts).T
    np.testing.assert_allclose(prior.log_joint(z).double().exp(), joint, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["wide", "petals"])
def test_density_integrates_to_the_share_of_samples(name):
    """Over a square, by a Riemann sum: density and samples are of the same distribution."""
    prior, side, step = EXAMPLES[name], 4.0, 0.05
    axis = torch.arange(-side, side, step) + step / 2
    grid = torch.cartesian_prod(axis, axis)
    mass = prior.distribution.log_prob(grid).exp().sum().item() * step**2
    inside = (prior.sample(N).abs() < side).all(1).float().mean().item()
    assert 0.05 < inside < 0.95
    assert mass == pytest.approx(inside, abs=0.01)


def test_singular_priors_say_so():
    assert {name for name, prior in EXAMPLES.items() if not prior.has_density} == {"one_hot", "joint", "labelled"}


def test_one_hot_is_uniform_over_vertices():
    y = OneHot(5).sample(N)
    assert torch.equal(y.sum(1), torch.ones(N))
    assert set(y.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(y.mean(0), torch.full((5,), 0.2), atol=0.01, rtol=0)
    assert OneHot(5).distribution.log_prob(torch.eye(5)[2]).item() == pytest.approx(-math.log(5))


def test_product_is_independent_and_side_by_side():
    y, z, petals = EXAMPLES["joint"].sample(N).split([4, 3, 2], dim=1)
    assert set(y.unique().tolist()) == {0.0, 1.0}
    for k in range(4):  # given y, z and the petals are what they are without it
        chosen = y[:, k] == 1
        assert chosen.float().mean().item() == pytest.approx(0.25, abs=0.01)
        assert z[chosen].mean(0).abs().max() < 0.05
        torch.testing.assert_close(z[chosen].mT.cov(), torch.eye(3), atol=0.06, rtol=0)
        torch.testing.assert_close(petals[chosen].mT.cov(), moments(Petals(components=5))[1].float(), atol=0.35, rtol=0)
    single = Gaussian(2)
    assert product([single]) is single


def test_labelled_prior_pairs_each_class_with_its_components():
    z, y = labelled(Petals(), 0.3).sample(N).split([2, 11], dim=1)
    assert torch.equal(y.sum(1), torch.ones(N))
    share = 1 - y[:, 10].mean().item()
    assert share == pytest.approx(0.3, abs=0.01)
    for k in range(10):
        petal = z[y[:, k] == 1]
        torch.testing.assert_close(petal.mean(0), Petals().means[k], atol=0.2, rtol=0)
        torch.testing.assert_close(petal.mT.cov(), Petals().covariances[k], atol=0.4, rtol=0)
    unlabelled = z[y[:, 10] == 1]
    torch.testing.assert_close(unlabelled.mT.cov(), moments(Petals())[1].float(), atol=0.3, rtol=0)


def test_labelled_swiss_roll_goes_outwards_by_class():
    roll = labelled(SwissRoll(), 1.0)
    z, y = roll.sample(N).split([2, 11], dim=1)
    assert not y[:, 10].any()
    radii = torch.stack([z[y[:, k] == 1].norm(dim=1).mean() for k in range(10)])
    assert (radii.diff() > 0).all()


def test_labelled_without_labels_is_the_prior_itself():
    z, y = labelled(Petals(), 0.0).sample(1000).split([2, 11], dim=1)
    assert y[:, 10].all()
    assert z.norm(dim=1).max() < 20


def test_labelled_refuses_components_that_cannot_be_shared_out():
    with pytest.raises(ValueError, match="7 components cannot be shared out to 10 classes"):
        labelled(Petals(components=7), 0.5)


@pytest.mark.parametrize("kind", [Petals, SwissRoll])
def test_plane_priors_refuse_other_dimensions(kind):
    with pytest.raises(ValueError, match="in 2 dimensions, not 3"):
        kind(3)


def test_petals_point_away_from_the_origin():
    prior = Petals(components=8, radius=6.0, length=2.0, width=0.5)
    eigenvalues, axes = torch.linalg.eigh(prior.covariances)
    torch.testing.assert_close(eigenvalues.sqrt(), torch.tensor([[0.5, 2.0]]).expand(8, 2), atol=1e-4, rtol=1e-4)
    outward = prior.means / 6
    torch.testing.assert_close((axes[:, :, 1] * outward).sum(1).abs(), torch.ones(8), atol=1e-4, rtol=0)


def test_swiss_roll_lies_on_the_curve():
    """r = 3 √u at angle 4 π √u: the angle is known from the radius."""
    z = SwissRoll(components=400, thickness=0.001).sample(2000)
    r = z.norm(dim=1)
    angle = torch.atan2(z[:, 1], z[:, 0])
    off = torch.remainder(angle - 4 * math.pi * r / 3 + math.pi, 2 * math.pi) - math.pi
    assert (off * r).abs()[r > 0.5].quantile(0.99) < 0.1
    assert torch.quantile((r / 3) ** 2, 0.5).item() == pytest.approx(0.5, abs=0.05)  # u is uniform


def test_a_piece_of_the_swiss_roll_is_as_long_as_its_share_of_the_curve():
    """As a uniform distribution over it, whose variance is its length squared over 12, and as thick as asked."""
    u = torch.linspace(0, 1, 51, dtype=torch.float64).sqrt()
    ends = torch.stack([3 * u * (4 * math.pi * u).cos(), 3 * u * (4 * math.pi * u).sin()], 1)
    variances = SwissRoll(components=50, thickness=0.02).covariances.diagonal(dim1=1, dim2=2).sum(1)
    expected = ends.diff(dim=0).square().sum(1) / 12 + 0.02**2
    torch.testing.assert_close(variances.double(), expected, rtol=1e-4, atol=1e-6)


def test_a_gaussian_is_centred_and_as_wide_as_its_scale():
    prior = Gaussian(3, 2.0)
    assert prior.means.tolist() == [[0.0, 0.0, 0.0]]
    assert torch.equal(prior.covariances[0], 4 * torch.eye(3))
    torch.testing.assert_close(prior.distribution.variance, torch.full((3,), 4.0))


def test_kl_to_a_gaussian_is_exact():
    q = Independent(Normal(torch.randn(4, 3), torch.rand(4, 3) + 0.1), 1)
    p = Gaussian(3, 2.0).distribution
    samples = q.rsample((50_000,))
    estimate = (q.log_prob(samples) - p.log_prob(samples)).mean(0)
    torch.testing.assert_close(kl_divergence(q, p), estimate, atol=0.05, rtol=0.02)


def test_names_build_a_prior_from_its_dimension_and_keywords():
    own = {"mixture": {"means": [[0, 1], [2, 3]], "covariances": [1, 1]}}
    built = {name: prior(name)(2, **own.get(name, {})) for name in PRIORS}
    assert all(isinstance(kind, Prior) and kind.dim == 2 for kind in built.values())
    with pytest.raises(LookupError, match="no prior 'gausian'; there are gaussian, "):
        prior("gausian")


def test_a_mixture_has_the_moments_that_it_was_given():
    matrix = [[2.0, 0.6], [0.6, 1.0]]
    mixture = Mixture(2, [[0, 0], [3, 1], [-1, 2]], [0.5, [1.0, 4.0], matrix], weights=[0.2, 0.3, 0.5])
    expected = torch.tensor([[[0.5, 0.0], [0.0, 0.5]], [[1.0, 0.0], [0.0, 4.0]], matrix])
    torch.testing.assert_close(mixture.covariances, expected)
    torch.testing.assert_close(mixture.weights, torch.tensor([0.2, 0.3, 0.5]))
    assert mixture.has_density
    assert not Mixture(2, [[0, 0], [3, 1]], [0, 1]).has_density
    samples = mixture.sample(200_000)
    torch.testing.assert_close(samples.mean(0), mixture.weights @ mixture.means, atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"covariances": [1]}, "2 means need as many weights and covariances, not 2 and 1"),
        ({"weights": [0.3, 0.6]}, "weights: expected a sum of 1, found 0.9"),
        ({"means": [[0, 0, 0], [1, 1, 1]]}, "means: expected 2 numbers in each, found 3"),
        (
            {"covariances": [1, [1, 2, 3]]},
            "covariances.1: expected a variance, 2 variances or a symmetric 2 x 2 matrix",
        ),
        ({"covariances": ["wide", 1]}, "covariances.0: expected a variance"),
        ({"covariances": [[[1, 2], [2, 1]], 1]}, "covariances.0: expected 0, or positive definite"),
        ({"covariances": [[[1, 0.5], [0.2, 1]], 1]}, "covariances.0: expected a variance"),
        ({"covariances": [-1, 1]}, "covariances.0: expected 0, or positive definite"),
        ({"covariances": [1e-14, 1]}, "covariances.0: expected 0, or positive definite and within 1e-6 to 1e6"),
    ],
)
def test_a_mixture_that_is_none_is_refused_in_a_line(given, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        Mixture(2, **({"means": [[0, 0], [3, 1]], "covariances": [1, 1]} | given))


def test_posteriors_have_the_moments_of_their_codes():
    logits, mean = torch.randn(6, 4), torch.randn(6, 2)
    posterior = Product([Simplex(logits), Point(mean)])
    codes = posterior.rsample()
    assert posterior.event_shape == (6,)
    torch.testing.assert_close(codes, torch.cat([logits.softmax(1), mean], dim=1))
    torch.testing.assert_close(posterior.mean, codes)
    assert not posterior.variance.any()


def test_the_petals_and_the_roll_are_as_large_as_their_docstrings_say():
    petals, roll = Petals(), SwissRoll()
    torch.testing.assert_close(petals.means.norm(dim=1), torch.full((10,), 4.2))
    torch.testing.assert_close(torch.linalg.eigvalsh(petals.covariances).sqrt(), torch.tensor([[0.3, 1.5]] * 10))
    assert len(roll.weights) == 200
    torch.testing.assert_close(torch.linalg.eigvalsh(roll.covariances)[10:, 1].sqrt(), torch.full((190,), 0.05))
