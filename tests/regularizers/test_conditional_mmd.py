"""The MMD of each label: against a sum written down term by term, and in what it is there for."""

import pytest
import torch
from torch.nn.functional import one_hot

from regularizers import Gaussian, OneHot, Petals, Point, SwissRoll, labelled, product
from regularizers.conditional_mmd import ConditionalMMD
from regularizers.mmd import MMD

KERNELS = ("imq", "gaussian", "energy")
UNLABELLED = 10


def codes_with(label, z):
    return torch.cat([z, one_hot(torch.as_tensor(label), UNLABELLED + 1).to(z)], 1)


def value_and_gradient(regularizer, codes):
    codes = codes.clone().requires_grad_()
    value = regularizer(codes, Point(codes))
    value.backward()
    return value.detach(), codes.grad


def expected_kernel(delta, covariance, s):
    """E exp(-|x|² / 2s) for x ~ N(delta, covariance)."""
    V = covariance + s * torch.eye(delta.shape[-1]).double()
    return (V / s).det() ** -0.5 * (-0.5 * delta @ torch.linalg.inv(V) @ delta).exp()


def oracle(z, label, prior, squared_bandwidths):
    """Term by term, over pairs of codes and of components, with the squared exponential kernel."""
    components = list(zip(prior.means.double(), prior.covariances.double(), strict=True))
    per = len(components) // UNLABELLED
    total = 0.0
    for l in set(label):
        z_l = [row for row, other in zip(z, label, strict=True) if other == l]
        p_l = components if l == UNLABELLED else components[l * per : (l + 1) * per]
        m, K = len(z_l), len(p_l)
        if m < 2:
            continue
        for s in squared_bandwidths:
            pairs = sum((-(a - b).square().sum() / (2 * s)).exp() for a in z_l for b in z_l if a is not b)
            cross = sum(expected_kernel(a - mean, S, s) for a in z_l for mean, S in p_l)
            prior_pairs = sum(expected_kernel(u - v, S + T, s) for u, S in p_l for v, T in p_l)
            total = total + m / len(z) * (pairs / (m * (m - 1)) - 2 * cross / (m * K) + prior_pairs / K**2)
    return total


@pytest.mark.parametrize("prior", [Petals(), SwissRoll(components=20, thickness=0.3)], ids=["petals", "roll"])
def test_value_and_gradient_are_those_of_the_sum_over_labels(prior):
    label = [0, 0, 0, 3, 3, 7, 10, 10, 10, 10, 10]
    z = (3 * torch.randn(len(label), 2)).double()
    regularizer = ConditionalMMD(labelled(prior, 0.3), kernel="gaussian")
    value, gradient = value_and_gradient(regularizer, codes_with(label, z))
    z.requires_grad_()
    expected = oracle(z, label, prior, regularizer.kernel.scales)
    expected.backward()
    torch.testing.assert_close(value, expected.detach(), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(gradient[:, :2], z.grad, rtol=1e-5, atol=1e-7)
    assert not gradient[:, 2:].any()
    assert not gradient[5].any()  # alone with its label


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("normalise", [False, True])
def test_without_labels_it_is_the_mmd(kernel, normalise):
    prior = product([OneHot(3), Gaussian(2)])
    codes = torch.randn(40, 5)
    options = {"kernel": kernel, "normalise": normalise}
    found, expected = (value_and_gradient(kind(prior, **options), codes) for kind in (ConditionalMMD, MMD))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_codes_that_are_to_be_one_point_are_declared_unsupported():
    assert "one point" in ConditionalMMD.unsupported(OneHot(1), "deterministic")


@pytest.mark.parametrize("kernel", ["imq", "energy"])
def test_prior_samples_have_none_in_the_mean(kernel):
    prior = labelled(Petals(), 0.5)
    regularizer = ConditionalMMD(prior, kernel=kernel)
    values = torch.stack([regularizer(z, Point(z)) for z in prior.sample(200 * 64).split(64)])
    assert values.mean().abs() < 4 * values.std() / len(values) ** 0.5


@pytest.mark.parametrize("kernel", KERNELS)
def test_swapped_labels_are_seen_as_far_as_they_are_wrong(kernel):
    """Two classes that lie in each other's petals: the aggregated posterior is right, and only the labels are not."""
    prior = labelled(Petals(), 0.2)
    z, l = prior.sample(4000).split([2, UNLABELLED + 1], 1)
    swapped = l[:, [1, 0, *range(2, UNLABELLED + 1)]]
    noticed = []

    def penalty(regularizer, z, labels):
        codes = torch.cat([z, labels], 1)
        return regularizer(codes, Point(codes))

    for kind in (ConditionalMMD, MMD):
        regularizer = kind(prior, kernel=kernel)
        right, wrong, far = (penalty(regularizer, *of) for of in ((z, l), (z, swapped), (z + 8, l)))
        noticed.append(float((wrong - right) / far))
    assert noticed[0] > 0.005
    assert noticed[0] > 20 * abs(noticed[1])


@pytest.mark.parametrize(("kernel", "rate", "steps"), [("imq", 0.1, 300), ("energy", 0.3, 100)])
def test_classes_that_start_in_the_wrong_petals_come_home(kernel, rate, steps):
    """The case that a label as a coordinate loses: every petal is full, and each class lies in the opposite one."""
    petals, n = Petals(), 400
    label = torch.arange(n) % UNLABELLED
    given = torch.where(torch.arange(n) < n // 4, label, UNLABELLED)
    start = petals.means[(label + 5) % 10] + 0.3 * torch.randn(n, 2)
    home = []
    for kind in (ConditionalMMD, MMD):
        z = start.clone().requires_grad_()
        regularizer = kind(labelled(petals, 0.25), kernel=kernel, normalise=True)
        optimizer = torch.optim.Adam([z], lr=rate)
        for _ in range(steps):
            optimizer.zero_grad()
            codes = codes_with(given, z)
            regularizer(codes, Point(codes)).backward()
            optimizer.step()
        petal = petals.distribution.component_distribution.log_prob(z.detach()[:, None]).argmax(1)
        home.append((petal == label)[: n // 4].float().mean())
    assert home[0] > 0.5
    assert home[0] > home[1] + 0.25
