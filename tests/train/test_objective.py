"""The loss terms against formulas written out by hand."""

import pytest
import torch
from torch.nn.functional import one_hot, softplus

from bench.config.schema import Settings
from bench.train.autoencoder import Autoencoder
from bench.train.objective import Batch, Objective, Unsupported

Y = {"head": "categorical", "prior": "one_hot", "dim": 3}
Z = {"prior": "gaussian", "dim": 2}


def settings(**own):
    base = {"dataset": "digits", "regularizer": "unregularized", "epochs": 1, "width": 8}
    return Settings(**(base | {"latents": {"z": Z}, "decoder": ["z"]} | own))


def objective(share=0.0, classes=3, **own):
    autoencoder = Autoencoder(settings(**own), pixels=6, classes=classes).initialise(0)
    return Objective(autoencoder, share)


@pytest.fixture
def batch():
    x = torch.rand(5, 6)
    return Batch(x, torch.tensor([0, 1, 2, 3, 3]), x[:3], torch.tensor([0, 1, 2]))


def test_reconstruction_is_half_the_summed_squared_error(batch):
    o = objective()
    encoded = o.encode(batch)
    expected = sum(0.5 * ((o.autoencoder.decode(encoded.codes) - batch.x) ** 2)[i].sum() for i in range(5)) / 5
    torch.testing.assert_close(o.reconstruction(batch, encoded), expected)


def test_bernoulli_reconstruction_is_the_cross_entropy(batch):
    o = objective(loss="bernoulli")
    encoded = o.encode(batch)
    p = o.autoencoder.decode(encoded.codes)
    expected = -(batch.x * p.log() + (1 - batch.x) * (1 - p).log()).sum(1).mean()
    torch.testing.assert_close(o.reconstruction(batch, encoded), expected)


def test_kl_sums_over_categories_as_in_kingmas_m2(batch):
    o = objective(
        regularizer="kl", encoder="gaussian", latents={"y": Y, "z": Z}, decoder=["y", "z"],
        labels=3, terms=["reconstruction", "regularization", "classification"],
    )  # fmt: skip
    encoded = o.encode(batch)
    q, z = encoded.posteriors["y"].probs, encoded.codes["z"]
    expected = 0
    for i in range(5):
        for k in range(3):
            codes = {"y": one_hot(torch.tensor([k]), 3).float(), "z": z[i : i + 1]}
            error = 0.5 * (o.autoencoder.decode(codes) - batch.x[i]).square().sum()
            expected = expected + q[i, k] * error / 5
    torch.testing.assert_close(o.reconstruction(batch, encoded), expected)


def test_a_given_label_joins_the_code(batch):
    o = objective(
        classes=10, share=0.4, labels=10, latents={"z": {"prior": "petals", "dim": 2, "given": "label"}},
        regularizer="mmd",
    )  # fmt: skip
    batch = Batch(batch.x, torch.tensor([0, 1, 2, 10, 10]))
    [(_, codes, posterior)] = o.grouped(batch, o.encode(batch))
    assert codes.shape == (5, 2 + 11)
    assert codes[3, 2:].tolist() == [0] * 10 + [1]
    assert posterior.mean.shape == codes.shape


def test_the_decoder_reads_label_or_weighted_sum(batch):
    label = objective(decoder=["z", "label"], labels="all")
    batch = batch._replace(y=torch.tensor([0, 1, 2, 0, 1]))
    assert label.autoencoder.decoder[0].in_features == 2 + 3
    assert label.encode(batch).codes["label"].sum(1).tolist() == [1] * 5
    added = objective(latents={"y": Y, "z": Z}, decoder=["y", "z"], merge="add")
    codes = added.encode(batch).codes
    W = added.autoencoder.cluster_heads.weight
    torch.testing.assert_close(added.autoencoder.join(codes), codes["y"] @ W.T + codes["z"])


def test_separation_is_zero_above_the_margin_and_linear_below(batch):
    o = objective(
        latents={"y": Y, "z": Z}, decoder=["y", "z"], merge="add", separation_margin=2.0,
        terms=["reconstruction", "regularization", "separation"],
    )  # fmt: skip
    with torch.no_grad():
        o.autoencoder.cluster_heads.weight.copy_(torch.tensor([[0.0, 1.5, 9.0], [0.0, 0.0, 0.0]]))
    torch.testing.assert_close(o.separation(batch, o.encode(batch)), torch.tensor(0.5))


def test_an_unsupported_pair_is_refused_with_the_plug_ins_reason():
    with pytest.raises(Unsupported, match="gaussian encoder"):
        objective(regularizer="kl")


def test_weights_scale_a_latents_penalty(batch):
    own = {"regularizer": "moment_matching", "latents": {"y": Y, "z": Z}, "decoder": ["y", "z"]}
    plain, doubled = objective(**own), objective(weights={"y": 2.0}, weight=3.0, **own)
    encoded = plain.encode(batch)
    y, z = (r(c, p).item() for r, c, p in plain.grouped(batch, encoded))
    assert doubled.regularization(batch, encoded).item() == pytest.approx(3 * (2 * y + z), rel=1e-5)


def test_adversary_and_encoder_pull_apart(batch):
    """The discriminator's loss is that of telling prior (real) from codes (fake); the encoder's the reverse."""
    o = objective(regularizer="adversarial", hyperparameters={"width": 4})
    [regularizer] = o.regularizers
    codes = o.encode(batch).codes["z"]
    torch.testing.assert_close(
        regularizer(codes, None), softplus(-regularizer.discriminator(codes)).mean(), rtol=1e-5, atol=1e-6
    )


def test_bfloat16_is_near_float32(batch):
    full, half = objective(), objective(precision="bfloat16")
    torch.testing.assert_close(
        half.reconstruction(batch, half.encode(batch)),
        full.reconstruction(batch, full.encode(batch)),
        rtol=1e-2,
        atol=1e-2,
    )


def test_universal_encoder_draws_and_deterministic_does_not(batch):
    universal, deterministic = objective(encoder="universal"), objective()
    once, again = universal.encode(batch).codes["z"], universal.encode(batch).codes["z"]
    assert not torch.equal(once, again)
    assert torch.equal(deterministic.encode(batch).codes["z"], deterministic.encode(batch).codes["z"])
    same = dict(deterministic.autoencoder.named_parameters())
    assert all(torch.equal(p, same[n]) for n, p in universal.autoencoder.named_parameters() if n in same)


def test_a_given_posterior_std_is_noise_of_that_size_in_units_of_the_prior():
    wide = {"prior": "gaussian", "dim": 2, "settings": {"scale": 5}}
    o = objective(encoder="gaussian", posterior_std=0.3, latents={"z": wide})
    posterior = o.autoencoder.encode(torch.rand(4000, 6))["z"]
    torch.testing.assert_close(posterior.variance, torch.full((4000, 2), 1.5**2))
    noise = posterior.rsample() - posterior.mean
    torch.testing.assert_close(noise.std(0), torch.full((2,), 1.5), rtol=0.05, atol=0)
    point = objective(latents={"z": wide}).autoencoder.encode(torch.rand(1, 6))["z"]
    assert torch.equal(point.rsample(), point.mean)


def test_a_frozen_encoder_leaves_the_decoder_to_learn(batch):
    o = objective(frozen_encoder=True)
    o.autoencoder.freeze_encoder()
    encoded = o.encode(batch)
    assert not encoded.codes["z"].requires_grad
    o.reconstruction(batch, encoded).backward()
    learnt = {name for name, p in o.autoencoder.named_parameters() if p.grad is not None and p.grad.any()}
    assert learnt
    assert all(name.startswith("decoder") for name in learnt)
