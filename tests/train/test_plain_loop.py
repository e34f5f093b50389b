"""A training is the loop that anybody would write: its terms, its order, its draws and its numbers."""

from collections import defaultdict

import pytest
import torch

from bench.config.runs import Run
from bench.config.schema import Optimizer
from bench.config.streams import stream
from bench.data import datasets
from bench.data.labelled_subsets import labelled_subset
from bench.records.provenance import tensor_hash
from bench.train.autoencoder import Autoencoder
from bench.train.loop import Training
from bench.train.objective import Batch, Encoded, Objective
from tests.train.test_train import METHODS

ADAM = Optimizer(lr=0.002, momentum=0.8, decay={1: 0.1})
OPTIMIZERS = {"reconstruction": Optimizer(lr=0.003), "regularization": ADAM, "inner": Optimizer(lr=0.001, momentum=0.5)}
TERMS = ("reconstruction", "regularization", "classification")


def plain(run, data):
    """The parameters after the run's epochs, and the means of the losses in each, with PyTorch's own Adam."""
    s, seed, (x, y) = run.settings, run.seed, data.train
    torch.manual_seed(stream(seed, "training"))
    autoencoder = Autoencoder(s, data.shape, data.classes).initialise(seed)
    known, marks = None, torch.full_like(y, data.classes)
    if s.labels:
        known = labelled_subset(y, s.labels, seed, data.classes)
        marks[known] = y[known]
    objective, history = Objective(autoencoder, data.labelled_share(s.labels)).train(), []

    def adam(module, name):
        spec = OPTIMIZERS.get(name, OPTIMIZERS["reconstruction"])
        return spec, torch.optim.Adam(module.parameters(), lr=spec.lr, betas=(spec.momentum, 0.999))

    def descend(loss, found, spec, optimizer, epoch, *names):
        optimizer.param_groups[0]["lr"] = spec.lr * (spec.decay.get(1, 1.0) if epoch else 1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for name in names:
            found[name].append(loss.item())

    outer = {term: adam(autoencoder, term) for term in TERMS if term in s.terms}
    inner = [adam(r, "inner") for r in objective.regularizers]
    for epoch in range(s.epochs):
        found, batches = defaultdict(list), list(datasets.batches(len(x), s.batch_size, seed, epoch))
        if known is not None:
            labelled = list(datasets.labelled_batches(known, s.batch_size, seed, epoch, len(batches)))
        apart = torch.Generator().manual_seed(stream(seed, f"regularization/{epoch}"))
        for i, index in enumerate(batches):
            more = (x[labelled[i]], y[labelled[i]]) if known is not None else ()
            for term, own in outer.items():
                batch = Batch(x[index], marks[index], *more)
                if term == "regularization":
                    if i % s.regularization_every:
                        continue
                    if s.regularization_batch:
                        chosen = torch.randint(len(x), (s.regularization_batch,), generator=apart)
                        batch = Batch(x[chosen], marks[chosen])
                encoded = objective.encode(batch) if term != "classification" else Encoded({}, {})
                if term == "regularization":
                    for (r, codes, _), of in zip(objective.penalised(batch, encoded), inner, strict=True):
                        for step in range(r.inner_steps):
                            last = ("inner",) if step == r.inner_steps - 1 else ()
                            descend(r.inner_loss(codes.detach()), found, *of, epoch, *last)
                descend(getattr(objective, term)(batch, encoded), found, *own, epoch, term)
        history.append({name: sum(losses) / len(losses) for name, losses in found.items()})
    return dict(objective.named_parameters()), history


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("semi_supervised/aae", {"regularization_every": 5, "regularization_batch": 70, "epochs": 2}),
        ("clustering/aae", {"hyperparameters": {"width": 20, "inner_steps": 2}, "epochs": 2}),
    ],
)
def test_a_training_is_the_plain_loop(name, changes):
    changes |= {"schedule": "alternating", "optimizers": OPTIMIZERS, "weights": {"z": 0.5, "y": 2.0}}
    run = Run("e", "m", 3, METHODS[name].settings.model_copy(update=changes))
    training = Training(run, datasets.load("digits"))
    for _ in range(2):
        training.run_epoch(lambda n: None, lambda: False)
    data = datasets.load("digits")
    parameters, history = plain(run, data)
    first = datasets.batches(len(data.train.x), run.settings.batch_size, run.seed, 0)
    assert training.hashes["batches"] == tensor_hash(*first)
    assert [row["epoch"] for row in training.history] == [1, 2]
    for row, expected in zip(training.history, history, strict=True):
        assert {k: row[k] for k in expected} == pytest.approx(expected, rel=1e-4)
        assert {*row} - {*expected} == {"epoch", "gradient_norm"}
    # Before batch normalisation a bias has a gradient of rounding errors alone, and Adam makes steps of them.
    for key, value in training.objective.named_parameters() if run.settings.batch_norm == "none" else ():
        torch.testing.assert_close(value, parameters[key], rtol=1e-4, atol=1e-6)
    opening = training.opening["after"]
    assert opening["rate regularization"] == pytest.approx(0.0011)  # the mean of 0.002 and a tenth of it
    assert opening["rate inner 0"] == pytest.approx(0.001)
    losses = training.opening["losses"]
    assert {len(kept) for term, kept in losses.items() if term in ("reconstruction", "classification")} == {6}
