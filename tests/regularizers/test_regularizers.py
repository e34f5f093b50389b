"""Every regularizer honours the contract: found by itself, on every prior and encoder, in what it can do."""

import contextlib
import functools
import inspect

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch import nn
from torch.distributions import Independent, Normal
from torch.nn.functional import one_hot

import regularizers
from regularizers import Gaussian, OneHot, Petals, Point, Prior, Product, Simplex, labelled, product, rms

# A prior, and the parts of a code under it: y is a categorical code, z a continuous one, l a label that is given.
PRIORS = {
    "gaussian": (Gaussian(3), {"z": 3}),
    "wide": (Gaussian(3, 5.0), {"z": 3}),
    "petals": (Petals(), {"z": 2}),
    "one_hot": (OneHot(5), {"y": 5}),
    "joint": (product([OneHot(4), Gaussian(3)]), {"y": 4, "z": 3}),
    "labelled": (labelled(Petals(), 0.2), {"z": 2, "l": 11}),
}
SMALL = {"width": 64, "projections": 50, "steps": 20}  # hyperparameters that cost time, in whatever has them
NAMES = regularizers.names()
# A plug-in that never ends is named by the test in which it does not.
pytestmark = pytest.mark.timeout(100)
BLIND = "if the method cannot see this under such a prior, its `unsupported` says so, with the reason"


def declines(name, prior, encoder=None):
    """Whether a regularizer says that it cannot; one that breaks has all tests, to say so in them."""
    with contextlib.suppress(Exception):
        kind = regularizers.load(name)
        return kind.unsupported(PRIORS[prior][0], encoder or kind.encoders[0]) is not None
    return False


# Codes of a universal encoder are points, too: to a regularizer it is a deterministic one. Of the wide Gaussian, what
# is the same in any units is not tried again.
MATRIX = [
    (name, prior, encoder)
    for name in NAMES
    for prior in PRIORS
    for encoder in regularizers.ENCODERS
    if prior != "wide" and not declines(name, prior, encoder)
    if encoder != "universal" or declines(name, prior, "deterministic")
]
pairs = pytest.mark.parametrize(
    ("name", "prior"), [(name, prior) for name in NAMES for prior in PRIORS if not declines(name, prior)]
)


def hyperparameters(name):
    signature = inspect.signature(regularizers.load(name).__init__)
    return {k: p.default for k, p in signature.parameters.items() if k not in ("self", "prior")}


def build(name, prior, encoder=None, **changed):
    """The regularizer, or a skip for its own reason why not."""
    kind = regularizers.load(name)
    if reason := kind.unsupported(prior, encoder or kind.encoders[0]):
        pytest.skip(reason)
    small = {k: v for k, v in SMALL.items() if k in hyperparameters(name)}
    return kind(prior, **(small | changed))


def penalises(regularizer):
    """False for a plain autoencoder, regularized only in what `fit` does afterwards."""
    z = torch.randn(8, regularizer.prior.dim)
    return bool(regularizer(z, Independent(Normal(z, 0.1), 1)) != 0)


def spare_rescaled(regularizer):
    """Leave out the wide Gaussian in long tests of whatever passes the test that scales do not matter."""
    if regularizer.prior is PRIORS["wide"][0] and not regularizer.inner_steps:
        pytest.skip("the same as for the unit Gaussian, by the test of scales")


def needs_penalty(regularizer):
    if type(regularizer).sample is not regularizers.Regularizer.sample:
        pytest.skip("it learns the codes instead of moving them to the prior")
    if regularizer.prior.has_density and not penalises(regularizer):
        pytest.skip("it has no penalty")
    if not regularizer.prior.has_density and not penalises(type(regularizer)(Gaussian(2))):
        pytest.skip("it has no penalty")


def sees_aggregate(regularizer):
    """Whether it judges the codes together, rather than each posterior by itself."""
    return "deterministic" in regularizer.encoders


class Encoder(nn.Module):
    """A linear head for each part of the code, of the given kind."""

    def __init__(self, parts, kind):
        super().__init__()
        self.kind, self.parts = kind, parts
        self.heads = nn.ModuleDict({part: nn.Linear(6, 2 * dim) for part, dim in parts.items() if part != "l"})

    def forward(self, x, noise):
        posteriors = [self.part(part, x, noise) for part in self.parts]
        return Product(posteriors) if len(posteriors) > 1 else posteriors[0]

    def part(self, part, x, noise):
        if part == "l":
            return Point(one_hot(10 * (x[:, 0] > 0), self.parts[part]).float())
        mean, log_std = self.heads[part](x + noise if self.kind == "universal" else x).chunk(2, dim=-1)
        if part == "y":
            return Simplex(mean)
        return Independent(Normal(mean, log_std.exp()), 1) if self.kind == "gaussian" else Point(mean)


@pytest.fixture(params=MATRIX, ids="-".join)
def case(request):
    """A regularizer, an encoder, a batch for it."""
    name, prior, encoder = request.param
    prior, parts = PRIORS[prior]
    return build(name, prior, encoder), Encoder(parts, encoder), torch.randn(2, 16, 6)


def penalty(regularizer, codes, posterior, seed=1):
    torch.manual_seed(seed)
    return regularizer(codes, posterior)


def inner_trainer(regularizer):
    """Updates the regularizer's own parameters on given codes; does nothing where there are none to update."""
    if not regularizer.inner_steps:
        return lambda codes, steps=1: None
    optimizer = torch.optim.Adam(regularizer.parameters(), lr=3e-3, betas=(0.5, 0.9))

    def train(codes, steps=1):
        for _ in range(steps):
            optimizer.zero_grad()
            regularizer.inner_loss(codes.detach()).backward()
            optimizer.step()

    return train


def distorted(regularizer, n, shift=0.0, factor=1.0, dropped=0):
    """Codes from the prior, but moved by `shift` standard deviations, stretched, or without some components.

    A regularizer that judges each posterior gets posteriors: a single one for all codes where the
    prior is a single Gaussian, small ones around the codes where it is a mixture.
    """
    p = regularizer.prior
    mean = p.weights @ p.means
    kept = p
    if dropped:
        w = p.weights[:-dropped]
        kept = Prior(w / w.sum(), p.means[:-dropped], p.scale_tril[:-dropped])
    codes = mean + factor * (kept.sample(n) - mean) + shift * rms(p)
    if sees_aggregate(regularizer):
        return codes, Point(codes)
    if not p.has_density:
        pytest.skip("it judges distributions over the vertices, not points")
    if len(p.weights) == 1:
        return codes, Independent(Normal((mean + shift * rms(p)).expand(n, -1), factor * rms(p)), 1)
    posterior = Independent(Normal(codes, 0.2 * rms(p)), 1)
    return posterior.rsample(), posterior


@functools.cache
def mean_penalty(name, prior, n=128, draws=4, **distortion):
    """The penalty of distorted prior samples, of a discriminator after it has seen them."""
    values = []
    for seed in range(draws):
        torch.manual_seed(seed)
        regularizer = build(name, prior)
        codes, posterior = distorted(regularizer, n, **distortion)
        inner_trainer(regularizer)(codes, 40)
        values.append(regularizer(codes, posterior).item())
        if regularizer.inner_steps:
            break  # training takes long, and averages by itself
    return np.mean(values)


def test_penalty_is_a_finite_differentiable_scalar_of_seed_and_codes_whatever_their_order(case):
    regularizer, encoder, (x, noise) = case
    posterior = encoder(x, noise)
    codes, order = posterior.rsample(), torch.randperm(len(x))
    value = penalty(regularizer, codes, posterior)
    assert torch.equal(value, penalty(regularizer, codes, posterior))
    again = penalty(regularizer, codes[order], encoder(x[order], noise[order]))
    torch.testing.assert_close(value, again, rtol=1e-4, atol=1e-5)
    assert value.shape == ()
    assert value.isfinite()
    value.backward()
    gradients = [p.grad for p in encoder.parameters() if p.grad is not None]
    assert gradients
    assert all(g.isfinite().all() for g in gradients)
    if penalises(type(regularizer)(Gaussian(2))):
        assert any(g.abs().sum() > 0 for g in gradients)


def test_last_batch_of_an_epoch_may_be_smaller(case):
    """One code fewer is fine. A single one is a clear error, unless a penalty is a mean over codes anyway."""
    regularizer, encoder, (x, noise) = case
    posterior = encoder(x, noise)
    codes = posterior.rsample()
    assert regularizer(codes, posterior).isfinite()
    assert regularizer(codes[1:], encoder(x[1:], noise[1:])).isfinite()
    try:
        single = [regularizer(codes[i : i + 1], encoder(x[i : i + 1], noise[i : i + 1])) for i in range(len(x))]
    except ValueError as error:
        assert "needs at least 2, got 1" in str(error)  # noqa: PT017
    else:
        torch.testing.assert_close(torch.stack(single).mean(), regularizer(codes, posterior), rtol=1e-3, atol=1e-4)


def test_inner_loss_trains_the_regularizer_and_its_state_restores_the_penalty(case):
    """On codes that are cut from the encoder: the loop does that, and a test of the loop says so."""
    regularizer, encoder, (x, noise) = case
    posterior = encoder(x, noise)
    codes = posterior.rsample().detach()
    changed = {k: v for k, v in SMALL.items() if k in inspect.signature(type(regularizer).__init__).parameters}
    other = type(regularizer)(regularizer.prior, **changed)
    if not regularizer.inner_steps:
        with pytest.raises(TypeError, match="inner_loss"):
            regularizer.inner_loss(codes)
    else:
        loss = regularizer.inner_loss(codes)
        loss.backward()
        assert loss.shape == ()
        gradients = [p.grad for p in regularizer.parameters() if p.requires_grad]
        assert all(g.isfinite().all() for g in gradients)
        assert any(g.abs().sum() > 0 for g in gradients)
        inner_trainer(regularizer)(codes, 3)
        assert penalty(other, codes, posterior) != penalty(regularizer, codes, posterior)
    other.load_state_dict(regularizer.state_dict())
    assert torch.equal(penalty(other, codes, posterior), penalty(regularizer, codes, posterior))


@pairs
def test_codes_ten_deviations_away_are_finite_and_pulled_back(name, prior):
    regularizer = build(name, PRIORS[prior][0])
    codes, posterior = distorted(regularizer, 64, shift=10.0)
    codes.requires_grad_()
    if not sees_aggregate(regularizer):
        posterior = Independent(Normal(codes, posterior.stddev), 1)
    value = regularizer(codes, posterior)
    value.backward()
    assert value.isfinite()
    assert codes.grad.isfinite().all()
    if not regularizer.inner_steps:
        needs_penalty(regularizer)
        assert codes.grad.sum() > 0


@pairs
def test_collapsed_and_exploded_codes_are_finite(name, prior):
    regularizer = build(name, PRIORS[prior][0])
    for factor in (0.0, 1e-6, 1e4):
        codes = (factor * torch.randn(32, regularizer.prior.dim)).requires_grad_()
        posterior = Point(codes) if sees_aggregate(regularizer) else Independent(Normal(codes, 1.0), 1)
        if isinstance(regularizer.prior, OneHot) and not sees_aggregate(regularizer):
            posterior = Simplex(codes)
        value = regularizer(codes, posterior)
        value.backward()
        assert value.isfinite(), factor
        assert codes.grad.isfinite().all(), factor


@pytest.mark.parametrize("name", NAMES)
def test_hyperparameters_mean_the_same_at_any_scale_of_the_prior(name):
    """The same codes and prior in other units have the same penalty, so one weight serves both."""
    near, far = build(name, Gaussian(3)), build(name, Gaussian(3, 5.0))
    if near.inner_steps:
        pytest.skip("its network sees the latent's own units")
    z = torch.randn(32, 3) + 1
    first = penalty(near, z, Independent(Normal(z, 0.1), 1))
    second = penalty(far, 5 * z, Independent(Normal(5 * z, 0.5), 1))
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)


@pairs
def test_penalty_is_near_zero_at_the_prior(name, prior):
    prior = PRIORS[prior][0]
    regularizer = build(name, prior)
    needs_penalty(regularizer)
    spare_rescaled(regularizer)
    if regularizer.inner_steps:
        pytest.skip("a discriminator's loss is log 2 there")
    if not sees_aggregate(regularizer) and len(prior.weights) > 1:
        pytest.skip("it matches each posterior to the whole mixture")
    assert abs(mean_penalty(name, prior)) < 0.25 * mean_penalty(name, prior, shift=1.0), BLIND


@pairs
def test_penalty_grows_with_the_distortion(name, prior):
    """With a mean shift, with a scale error to either side, and with dropped components."""
    prior = PRIORS[prior][0]
    regularizer = build(name, prior)
    needs_penalty(regularizer)
    spare_rescaled(regularizer)
    none, K = mean_penalty(name, prior), len(prior.weights)
    assert none < mean_penalty(name, prior, shift=0.5) < mean_penalty(name, prior, shift=1.5), BLIND
    assert none < mean_penalty(name, prior, factor=2.0), BLIND
    if sees_aggregate(regularizer) or K == 1:
        assert none < mean_penalty(name, prior, factor=0.3), BLIND
    if sees_aggregate(regularizer) and K > 1:
        assert none < mean_penalty(name, prior, dropped=max(1, K // 3)), BLIND


def energy_distance(z, y):
    return 2 * cdist(z, y).mean() - cdist(z, z).mean() - cdist(y, y).mean()


def sliced_distance(z, y):
    """Mean absolute difference of quantiles along 50 directions."""
    theta = np.random.default_rng(0).normal(size=(z.shape[1], 50))
    theta /= np.linalg.norm(theta, axis=0)
    levels = (np.arange(len(z)) + 0.5) / len(z)
    return np.abs(np.quantile(z @ theta, levels, axis=0) - np.quantile(y @ theta, levels, axis=0)).mean()


@pairs
def test_descending_the_penalty_approaches_the_prior(name, prior):
    """Judged by two discrepancies, so that one at least is not what it descends."""
    prior = PRIORS[prior][0]
    regularizer, n = build(name, prior), 64
    needs_penalty(regularizer)
    spare_rescaled(regularizer)
    if not (sees_aggregate(regularizer) or prior.has_density):
        pytest.skip("it judges distributions over the vertices, not points")
    s, steps, D = rms(prior), 80, prior.dim - prior.labels
    labels = prior.sample(n)[:, D:]  # given, and not for a penalty to move
    free = torch.cat([3 + 0.3 * torch.randn(n, prior.dim), torch.full((n, prior.dim), -1.0)], dim=1).requires_grad_()

    def encode():
        mean, log_std = torch.cat([s * free[:, :D], labels], 1), free[:, prior.dim :]
        posterior = Point(mean) if sees_aggregate(regularizer) else Independent(Normal(mean, s * log_std.exp()), 1)
        return posterior.rsample(), posterior

    optimizer, train_inner = torch.optim.Adam([free], lr=0.25, betas=(0.5, 0.9)), inner_trainer(regularizer)
    target = prior.sample(1500).numpy()
    before = encode()[0].detach().numpy()
    for step in range(steps):
        codes, posterior = encode()
        train_inner(codes)
        optimizer.param_groups[0]["lr"] = 0.25 * (1 - step / steps)
        optimizer.zero_grad()
        regularizer(codes, posterior).backward()
        optimizer.step()
    after = encode()[0].detach().numpy()
    # Each posterior by itself may choose any component of a mixture: nearer, but not near.
    alone = len(prior.weights) > 1 and not sees_aggregate(regularizer)
    energy, sliced = (0.5, 0.7) if alone else (0.1, 0.35) if prior.labels else (0.08, 0.3)  # labels are right before
    assert energy_distance(after, target) < energy * energy_distance(before, target), BLIND
    assert sliced_distance(after, target) < sliced * sliced_distance(before, target), BLIND
