"""What is looked at while a model is trained: it leaves the model, its statistics and all generators as they were."""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from bench.train.objective import Batch, Objective
from regularizers import Regularizer, Simplex


@contextmanager
def _evaluated(objective: Objective, batch: Batch) -> Iterator[None]:
    """Within: evaluation mode, and random numbers that nobody else's depend on."""
    training = objective.training
    objective.eval()
    with torch.random.fork_rng(devices=[batch.x.device] if batch.x.is_cuda else []):
        yield
    objective.train(training)


def gradient_norm(objective: Objective, batch: Batch) -> float:
    """The norm of the penalty's gradient with respect to the posteriors' parameters, of clean images."""
    if "regularization" not in objective.settings.terms:
        return 0.0
    with _evaluated(objective, batch):
        with torch.no_grad():
            posteriors = objective.encode(batch).posteriors
        found = {name: _leaves(posterior) for name, posterior in posteriors.items()}
        encoded = objective.encode(batch, {name: posterior for name, (posterior, _) in found.items()})
        penalty = objective.regularization(batch, encoded)
        leaves = [leaf for _, own in found.values() for leaf in own]
        gradients = torch.autograd.grad(penalty, leaves, allow_unused=True)
    return math.fsum(float(g.double().square().sum()) for g in gradients if g is not None) ** 0.5


def _leaves(posterior: Distribution) -> tuple[Distribution, list[Tensor]]:
    """The same posterior of parameters of its own, and these, to be differentiated by."""
    if isinstance(posterior, Independent):
        leaves = [posterior.mean.detach().requires_grad_(), posterior.stddev.detach().requires_grad_()]
        return Independent(Normal(*leaves, validate_args=False), 1), leaves
    leaf = (posterior.logits if isinstance(posterior, Simplex) else posterior.mean).detach().requires_grad_()
    return type(posterior)(leaf), [leaf]


def probe(objective: Objective, batch: Batch, held_out: Batch) -> dict[str, float]:
    """Numbers of a model that the losses of its training do not show.

    The penalty's gradient on a batch, the terms on held-out images in evaluation mode, and what a regularizer that
    is fitted at the end would sample if it were fitted to their codes.
    """
    found = {}
    with _evaluated(objective, batch):
        torch.manual_seed(0)
        found["gradient_norm"] = gradient_norm(objective, batch)
        with torch.no_grad():
            encoded = objective.encode(held_out)
            for term in objective.settings.terms:
                if term in ("reconstruction", "regularization", "separation"):
                    found[f"validation {term}"] = float(getattr(objective, term)(held_out, encoded))
            grouped = objective.penalised(held_out, encoded)
        for i, (regularizer, codes, _) in enumerate(grouped):
            if type(regularizer).fit is not Regularizer.fit:
                fitted = copy.deepcopy(regularizer)
                fitted.requires_grad_(True).fit(codes)
                sample = fitted.sample(len(codes)).double()
                found[f"fit {i} mean"], found[f"fit {i} square"] = float(sample.mean()), float(sample.square().mean())
    return found
