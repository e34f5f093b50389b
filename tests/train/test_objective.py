"""The loss terms against formulas written out by hand."""

import pytest
import torch
from torch.nn.functional import one_hot

from bench.config.schema import Settings
from bench.train.autoencoder import Autoencoder
from bench.train.objective import Batch, Objective, Unsupported

Y = {"head": "categorical", "prior": "one_hot", "dim": 3}
Z = {"prior": "gaussian", "dim": 2}


def settings(**own):
    base = {"dataset": "digits", "regularizer": "unregularized", "epochs": 1, "width": 8}
    return Settings(**(base | {"latents": {"z": Z}, "decoder": ["z"]} | own))


def objective(share=0.0, classes=3, **own):
    autoencoder = Autoencoder(settings(**own), shape=(1, 2, 3), classes=classes).initialise(0)
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


def by_hand(o, batch, encoded):
    """J of Kingma et al. (2014), eq. 8, an image at a time: L(x, y) with a label, else U(x) = Σ q (L + log q)."""
    q, z = encoded.posteriors["y"].probs, encoded.posteriors["z"]
    kl_z = 0.5 * (z.variance + z.mean.square() - 1 - z.variance.log()).sum(1)
    total = 0
    for i in range(len(batch.x)):
        bound = []
        for k in range(3):
            codes = {"y": one_hot(torch.tensor([k]), 3).float(), "z": encoded.codes["z"][i : i + 1]}
            error = 0.5 * (o.autoencoder.decode(codes) - batch.x[i]).square().sum()
            bound.append(error + kl_z[i] + torch.tensor(3.0).log())
        known = int(batch.y[i])
        total = total + (bound[known] if known < 3 else sum(q[i, k] * (bound[k] + q[i, k].log()) for k in range(3)))
    return total / len(batch.x)


@pytest.mark.parametrize("known", [[3, 3, 3, 3, 3], [0, 1, 2, 3, 3], [0, 1, 2, 0, 1]])
def test_the_bound_of_labelled_and_unlabelled_images_is_kingmas(batch, known):
    """With every label it is the conditional VAE's: one reconstruction and one KL(z) an image, not a half of it."""
    o = objective(
        regularizer="kl", encoder="gaussian", latents={"y": Y, "z": Z}, decoder=["y", "z"],
        labels=3, terms=["reconstruction", "regularization", "classification"],
    )  # fmt: skip
    batch = batch._replace(y=torch.tensor(known))
    encoded = o.encode(batch)
    found = o.reconstruction(batch, encoded) + o.regularization(batch, encoded)
    torch.testing.assert_close(found, by_hand(o, batch, encoded))
    q = o.autoencoder.encode(batch.labelled_x)["y"].probs
    expected = -torch.stack([q[i, y].log() for i, y in enumerate(batch.labelled_y)]).mean()
    torch.testing.assert_close(o.classification(batch, encoded), expected)


def test_the_weight_of_the_classification_scales_it(batch):
    own = {
        "latents": {"y": Y, "z": Z},
        "decoder": ["y", "z"],
        "labels": 3,
        "terms": ["reconstruction", "classification"],
    }
    plain, heavy = objective(**own), objective(weights={"classification": 3.0}, **own)
    once, thrice = (o.classification(batch, o.encode(batch)) for o in (plain, heavy))
    torch.testing.assert_close(thrice, 3 * once)


def test_a_given_label_joins_the_code(batch):
    o = objective(
        classes=10, share=0.4, labels=10, latents={"z": {"prior": "petals", "dim": 2, "given": "label"}},
        regularizer="mmd",
    )  # fmt: skip
    batch = Batch(batch.x, torch.tensor([0, 1, 2, 10, 10]))
    [(_, codes, posterior)] = o.penalised(batch, o.encode(batch))
    assert codes.shape == (5, 2 + 11)
    assert codes[3, 2:].tolist() == [0] * 10 + [1]
    assert (o.regularizers[0].prior.dim, o.regularizers[0].prior.labels) == (13, 11)
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


def test_a_samples_label_is_any_of_the_classes_and_there_only_where_the_decoder_reads_it():
    torch.manual_seed(0)
    codes = objective(decoder=["z", "label"], labels="all").sample(300)
    assert codes["z"].shape == (300, 2)
    assert set(codes["label"].sum(1).tolist()) == {1.0}
    assert (codes["label"].sum(0) > 60).tolist() == [True] * 3
    given = {"z": {"prior": "petals", "dim": 2, "given": "label", "settings": {"components": 3}}}
    codes = objective(latents=given, share=0.5, labels=3).sample(9)
    assert {name: code.shape for name, code in codes.items()} == {"z": (9, 2)}


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
    y, z = (r(c, p).item() for r, c, p in plain.penalised(batch, encoded))
    assert doubled.regularization(batch, encoded).item() == pytest.approx(3 * (2 * y + z), rel=1e-5)


def test_an_adversary_learns_by_its_inner_steps_and_the_penalty_pulls_codes_to_where_it_sees_the_prior(batch):
    o = objective(regularizer="adversarial", hyperparameters={"width": 16})
    [regularizer] = o.regularizers
    far = torch.full((64, 2), 4.0)
    optimizer = torch.optim.Adam(regularizer.parameters(), lr=0.01)
    first = regularizer.inner_loss(far).item()
    for _ in range(60):
        optimizer.zero_grad()
        loss = regularizer.inner_loss(far)
        loss.backward()
        optimizer.step()
    assert loss.item() < first / 2
    codes = far.clone().requires_grad_()
    regularizer(codes, None).backward()
    assert (codes.grad > 0).all()  # downhill is towards the origin


def test_bfloat16_is_near_float32(batch):
    full, half = objective(), objective(precision="bfloat16")
    torch.testing.assert_close(
        half.reconstruction(batch, half.encode(batch)),
        full.reconstruction(batch, full.encode(batch)),
        rtol=1e-2,
        atol=1e-2,
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_adversarys_layers_compute_in_the_precision_of_the_training_and_its_losses_in_float32(batch, precision):
    o = objective(regularizer="adversarial", hyperparameters={"width": 64}, precision=precision)
    full = objective(regularizer="adversarial", hyperparameters={"width": 64})
    full.load_state_dict(o.state_dict())
    seen = set()
    for module in o.regularizers.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(lambda module, given, found: seen.add(found.dtype))
    codes = o.encode(batch).codes["z"]
    losses = []
    for [regularizer] in (o.regularizers, full.regularizers):
        torch.manual_seed(0)
        losses.append((regularizer.inner_loss(codes), regularizer(codes, None)))
    assert seen == {getattr(torch, precision)}
    assert {loss.dtype for loss in losses[0]} == {torch.float32}
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-2, atol=1e-2)


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
