"""The parts of the autoencoder against their formulas: posteriors, initial weights, and the noise of training."""

import math

import pytest
import torch

from bench.train.autoencoder import CategoricalHead, ContinuousHead, NormedHead
from tests.train.test_objective import Y, Z, objective


def autoencoder(**own):
    return objective(latents={"y": Y, "z": Z}, decoder=["y", "z"], **own).autoencoder


def test_a_gaussian_posterior_has_the_exponential_of_its_log_std():
    head, features = ContinuousHead(4, 2, gaussian=True), torch.randn(5, 4)
    q = head(features)
    torch.testing.assert_close(q.mean, head.mean(features))
    torch.testing.assert_close(q.stddev, head.log_std(features).exp())
    normed = NormedHead(head, 2)
    torch.testing.assert_close(normed(features).stddev, q.stddev)
    mean = normed(features).mean
    torch.testing.assert_close(mean, (q.mean - q.mean.mean(0)) / (q.mean.var(0, correction=0) + 1e-5).sqrt())
    point = NormedHead(ContinuousHead(4, 2, gaussian=False), 2)(features)
    assert torch.equal(point.rsample(), point.mean)


@pytest.mark.parametrize("norm", [False, True])
def test_logits_are_normalised_over_the_batch_where_they_are_to_be(norm):
    head, features = CategoricalHead(4, 3, norm), 5 + torch.randn(50, 4)
    logits = head.logits(features)
    if norm:
        logits = (logits - logits.mean(0)) / (logits.var(0, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(head(features).probs, logits.softmax(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("init", ["default", "paper"])
def test_each_layer_starts_as_the_docstring_says(init):
    wide = autoencoder(init=init, width=400, merge="add", batch_norm="encoder")
    norms = [m for m in wide.modules() if isinstance(m, torch.nn.BatchNorm1d)]
    assert norms
    for module in norms:
        assert (module.weight == 1).all()
        assert (module.bias == 0).all()
    seen = {}
    for name, module in wide.named_modules():
        if isinstance(module, torch.nn.Linear) and name != "cluster_heads":
            weights, bound = module.weight.flatten(), 1 / math.sqrt(module.in_features)
            biases = module.bias if module.bias is not None else torch.zeros(1)
            if init == "paper":
                assert (biases == 0).all()
                assert weights.std().item() == pytest.approx(0.01, rel=0.1)
            else:
                assert max(weights.abs().max(), biases.abs().max()) <= bound
                assert weights.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.15)
            seen[name] = weights[:6].tolist()
    assert len({tuple(w) for w in seen.values()}) == len(seen)  # a stream for each
    wide = {"latents": {"y": Y | {"dim": 200}, "z": Z}, "decoder": ["y", "z"], "merge": "add"}
    many = objective(init=init, **wide).autoencoder.cluster_heads.weight
    assert (many.mean().item(), many.std().item()) == pytest.approx((0, 1), abs=0.12)


def test_the_noise_of_a_universal_posterior_is_normal_and_enters_without_a_bias():
    universal, seen = autoencoder(encoder="universal", noise_dim=20), []
    universal.noise.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    universal.encode(torch.rand(500, 6))
    assert universal.noise.bias is None
    assert (seen[0].mean().item(), seen[0].std().item()) == pytest.approx((0, 1), abs=0.05)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_wide_layers_alone_compute_in_the_precision_of_the_training(precision):
    model, seen = autoencoder(precision=precision), {}
    for name in ("trunk", "decoder", "heads"):
        for module in getattr(model, name).modules():
            if isinstance(module, torch.nn.Linear):
                module.register_forward_hook(lambda _, given, found, name=name: seen.update({name: found.dtype}))
    model.decode({name: posterior.rsample() for name, posterior in model.encode(torch.rand(4, 6)).items()})
    wide = getattr(torch, precision)
    assert seen == {"trunk": wide, "decoder": wide, "heads": torch.float32}


def test_the_input_is_noisy_and_some_of_it_missing_while_training_alone():
    noisy = autoencoder(input_noise=0.5, input_dropout=0.25)
    seen, x = [], torch.ones(4000, 6)
    noisy.first.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    noisy.train().encode(x)
    noisy.eval().encode(x)
    assert torch.equal(seen[1], x)
    kept = seen[0][seen[0] != 0] * 0.75
    assert len(kept) / x.numel() == pytest.approx(0.75, abs=0.02)
    assert (kept.mean().item(), kept.std().item()) == pytest.approx((1, 0.5), abs=0.02)
