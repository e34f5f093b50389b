"""Each option of the critic does what it says, against formulas written out."""

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from regularizers import Gaussian, Point, load
from regularizers.adversarial import LOSSES

ADVERSARIAL = load("adversarial")


def inner_loss(seed=0, codes=None, **options):
    """The critic's loss of one seed: the same critic and prior samples for all options."""
    torch.manual_seed(seed)
    critic = ADVERSARIAL(Gaussian(3, 2.0), width=16, **options)
    torch.manual_seed(seed + 1)
    return critic, critic.inner_loss(codes)


def seen(critic, codes, seed=0):
    """The prior samples of `inner_loss`, and the codes."""
    torch.manual_seed(seed + 1)
    return critic.prior.sample(len(codes)), codes


def test_without_options_it_is_the_papers_game():
    codes = torch.randn(20, 3)
    critic, loss = inner_loss(codes=codes)
    real, fake = (critic.discriminator(x).sigmoid() for x in seen(critic, codes))
    assert loss.item() == pytest.approx(-(real.log() + (1 - fake).log()).mean().item(), rel=1e-5)
    assert critic(codes, Point(codes)).item() == pytest.approx(-fake.log().mean().item(), rel=1e-5)


def slope_by_hand(critic, x):
    """∇D(x) of two layers of rectified units, by the chain rule."""
    first, _, second, _, last = critic.discriminator
    a = first(x)
    b = second(a.relu())
    return ((last.weight * (b > 0)) @ second.weight * (a > 0)) @ first.weight


@pytest.mark.parametrize("loss", LOSSES)
def test_penalty_is_half_the_squared_slope_at_prior_samples_and_at_codes(loss):
    codes = torch.randn(20, 3)
    critic, plain = inner_loss(codes=codes, loss=loss)
    _, penalised = inner_loss(codes=codes, loss=loss, penalty=0.6)
    expected = 0.6 / 2 * sum(slope_by_hand(critic, x).square().sum(1).mean() for x in seen(critic, codes))
    assert (penalised - plain).item() == pytest.approx(expected.item(), rel=1e-4)


def test_penalty_trains_the_critic_to_be_flat():
    codes, slopes = torch.randn(100, 3) + 2, []
    for penalty in (0.0, 10.0):
        torch.manual_seed(0)
        critic = ADVERSARIAL(Gaussian(3), width=16, penalty=penalty)
        optimizer = torch.optim.Adam(critic.parameters(), lr=0.01)
        for _ in range(60):
            optimizer.zero_grad()
            critic.inner_loss(codes).backward()
            optimizer.step()
        slopes.append(slope_by_hand(critic, codes).norm(dim=1).mean())
    assert slopes[1] < 0.5 * slopes[0]


def test_spectral_norm_of_each_layer_is_one_at_most_while_the_loss_asks_for_more():
    torch.manual_seed(0)
    critic, codes = ADVERSARIAL(Gaussian(3), width=16, loss="wasserstein", spectral=True), torch.randn(50, 3) + 3
    optimizer = torch.optim.Adam(critic.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        critic.inner_loss(codes).backward()
        optimizer.step()
    norms = [torch.linalg.matrix_norm(m.weight, 2) for m in critic.discriminator if isinstance(m, nn.Linear)]
    assert all(0.9 < norm < 1.02 for norm in norms)
    assert slope_by_hand(critic, codes).norm(dim=1).max() < 1.05


def test_relativistic_pairs_are_the_same_game_for_both_and_know_no_zero():
    real, fake = torch.randn(2, 30)
    of_critic, of_encoder = LOSSES["relativistic"]
    torch.testing.assert_close(of_encoder(fake, real), of_critic(fake, real))  # the critic's, with the roles swapped
    torch.testing.assert_close(of_critic(real + 5, fake + 5), of_critic(real, fake))


@pytest.mark.parametrize(
    ("loss", "critic", "encoder"),
    [
        ("non_saturating", softplus(torch.tensor(-0.5)) + softplus(torch.tensor(2.0)), softplus(torch.tensor(-2.0))),
        ("hinge", 0.5 + 3.0, -2.0),
        ("wasserstein", 1.5, -2.0),
        ("relativistic", softplus(torch.tensor(1.5)), softplus(torch.tensor(-1.5))),
    ],
)
def test_losses_of_known_outputs(loss, critic, encoder):
    real, fake = torch.tensor(0.5), torch.tensor(2.0)
    of_critic, of_encoder = LOSSES[loss]
    assert float(of_critic(real, fake)) == pytest.approx(float(critic))
    pairs = (real,) if loss == "relativistic" else ()
    assert float(of_encoder(fake, *pairs)) == pytest.approx(float(encoder))


def test_noise_is_in_deviations_of_the_prior():
    torch.manual_seed(0)
    critic = ADVERSARIAL(Gaussian(3, 2.0), noise=0.5)
    assert critic.outputs(nn.Identity(), torch.zeros(20_000, 3))[0].std() == pytest.approx(1.0, rel=0.02)
    assert ADVERSARIAL(Gaussian(3, 2.0)).outputs(nn.Identity(), torch.zeros(5, 3))[0].abs().max() == 0


def test_encoder_faces_the_mean_of_the_past_critics():
    torch.manual_seed(0)
    critic, codes = ADVERSARIAL(Gaussian(3), width=8, average=0.7), torch.randn(20, 3)
    optimizer, past = torch.optim.SGD(critic.parameters(), lr=0.5), []
    for _ in range(6):
        optimizer.zero_grad()
        past.append(critic.discriminator[0].weight.detach().clone())
        critic.inner_loss(codes).backward()
        optimizer.step()
    mean = past[0] * 0.7**5 + sum(0.3 * 0.7 ** (5 - k) * past[k] for k in range(1, 6))
    torch.testing.assert_close(critic.averaged[0].weight, mean)
    expected = softplus(-critic.averaged(codes)).mean()
    assert critic(codes, Point(codes)).item() == pytest.approx(expected.item())
