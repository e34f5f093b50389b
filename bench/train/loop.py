"""The one training loop, for every method, experiment and schedule."""

import math
from collections.abc import Callable

import torch

from bench.config.runs import Run
from bench.config.schema import Optimizer, Settings
from bench.config.streams import stream
from bench.data import datasets
from bench.data.labelled_subsets import labelled_subset
from bench.records.freshness import training_version
from bench.records.provenance import tensor_hash
from bench.train import optimizers
from bench.train.autoencoder import Autoencoder
from bench.train.diagnostics import gradient_norm, probe
from bench.train.interruptions import Stopped
from bench.train.objective import Batch, Encoded, Objective
from bench.train.opening import IMAGES, STEPS
from regularizers import Regularizer


class Diverged(ArithmeticError):
    """A loss is no longer a finite number."""


def steps(settings: Settings) -> list[list[str]]:
    """The terms of each optimizer step: one step for all of them, or one step each."""
    terms = list(settings.terms)
    if settings.schedule == "joint":
        return [terms]
    # The head-distance penalty belongs to the reconstruction phase in both schedules.
    first = [t for t in terms if t in ("reconstruction", "separation")]
    return [step for step in (first, *([t] for t in terms if t not in first)) if step]


class Training:
    """One run in training: its objective, optimizers, data and how far it has come."""

    def __init__(self, run: Run, dataset: datasets.Dataset, device: str = "cpu"):
        s = self.settings = run.settings
        self.run, self.device = run, torch.device(device)
        self.dataset = dataset.seal().to(device)
        torch.manual_seed(stream(run.seed, "training"))
        torch.set_flush_denormal(True)  # dying units would slow a CPU tenfold
        # use_deterministic_algorithms tells the compiler, too, and imports it for that: a second and a half
        torch.set_deterministic_debug_mode("error" if s.deterministic else "default")
        autoencoder = Autoencoder(s, dataset.shape, dataset.classes).initialise(run.seed)
        if s.frozen_encoder:
            autoencoder.freeze_encoder()
        x, y = self.dataset.train
        self.x, self.y = x, torch.full_like(y, dataset.classes)
        self.labelled = None
        if s.labels:
            # From here on only these labels exist: all others read 'unlabelled'.
            self.labelled = labelled_subset(y, s.labels, run.seed, dataset.classes).to(device)
            self.y[self.labelled] = y[self.labelled]
        self.objective = Objective(autoencoder, self.dataset.labelled_share(s.labels)).to(device)
        self.hashes = {
            "weights": tensor_hash(*(p for _, p in sorted(autoencoder.named_parameters()))),
            "labels": tensor_hash(self.labelled) if self.labelled is not None else None,
            "batches": tensor_hash(*datasets.batches(len(self.x), s.batch_size, run.seed, 0)),
        }
        self.steps, self.count = steps(s), len(list(datasets.batches(len(self.x), s.batch_size, run.seed, 0)))
        self.optimizers = [self._optimizer(autoencoder, terms[0]) for terms in self.steps]
        self.inner = [self._optimizer(r, "inner") if r.inner_steps else None for r in self.objective.regularizers]
        self.epoch = self.batch = 0
        self.seconds = 0.0
        self.history: list[dict] = []
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        self.opening: dict[str, dict] = {"losses": {}, "after": {}}

    def _optimizer(self, module: torch.nn.Module, name: str) -> optimizers.Descent:
        specs = self.settings.optimizers
        return optimizers.Descent(module, specs.get(name, specs.get("reconstruction", Optimizer())))

    def rates(self) -> dict[str, list[float]]:
        """The rate of each optimizer in each epoch."""
        named = {"+".join(terms): o for terms, o in zip(self.steps, self.optimizers, strict=True)}
        named |= {f"inner {i}": optimizer for i, optimizer in enumerate(self.inner) if optimizer}
        epochs = self.settings.epochs
        return {name: [optimizers.rate(o.spec, epoch, epochs) for epoch in range(epochs)] for name, o in named.items()}

    def run_epoch(self, progress: Callable[[int], None], stopping: Callable[[], bool]) -> None:
        """One pass over the unlabelled images, from the batch that a checkpoint left off at."""
        s, seed, n = self.settings, self.run.seed, len(self.x)
        optimizers.set_rates([*self.optimizers, *filter(None, self.inner)], self.epoch, s.epochs)
        self.objective.train()
        indices = list(datasets.batches(n, s.batch_size, seed, self.epoch))
        labelled = None
        if "classification" in s.terms:
            labelled = list(datasets.labelled_batches(self.labelled, s.batch_size, seed, self.epoch, len(indices)))
        extra = self._regularization_indices(len(indices)) if s.regularization_batch else None
        for i, index in enumerate(indices):
            if i < self.batch:
                continue
            if stopping():
                raise Stopped
            batch = self._batch(index, labelled[i] if labelled else None)
            for terms, optimizer in zip(self.steps, self.optimizers, strict=True):
                if "regularization" not in terms or len(terms) > 1:
                    self._step(terms, optimizer, batch)
                elif i % s.regularization_every == 0:
                    self._step(terms, optimizer, batch if extra is None else self._batch(extra[i]))
            self.batch = i + 1
            if self.epoch == 0 and self.batch == min(STEPS, len(indices)):
                self.opening["after"] = self.probe(batch)
            progress(1)
        row = {"epoch": self.epoch + 1} | {k: float(v) / self.counts[k] for k, v in self.sums.items()}
        row["gradient_norm"] = gradient_norm(self.objective, self._batch(indices[-1]))
        if not all(map(math.isfinite, row.values())):
            raise Diverged
        self.history.append(row)
        self.epoch, self.batch, self.sums, self.counts = self.epoch + 1, 0, {}, {}

    def _regularization_indices(self, steps: int) -> dict[int, torch.Tensor]:
        size, every = self.settings.regularization_batch, self.settings.regularization_every
        generator = torch.Generator().manual_seed(stream(self.run.seed, f"regularization/{self.epoch}"))
        return {i: torch.randint(len(self.x), (size,), generator=generator) for i in range(0, steps, every)}

    def _batch(self, index: torch.Tensor, labelled: torch.Tensor | None = None) -> Batch:
        index = index.to(self.device)
        if labelled is None:
            return Batch(self.x[index], self.y[index])
        return Batch(self.x[index], self.y[index], self.x[labelled], self.y[labelled])

    def held_out(self, n: int) -> Batch:
        """The first `n` validation images, without labels where training has not all."""
        x, y = (part[:n] for part in self.dataset.validation)
        return Batch(x, y if self.settings.labels == "all" else torch.full_like(y, self.dataset.classes))

    def probe(self, batch: Batch) -> dict[str, float]:
        """Numbers of the model that losses do not show, and each optimizer's rate averaged over all epochs."""
        found = probe(self.objective, batch, self.held_out(IMAGES))
        found |= {f"rate {name}": math.fsum(rates) / len(rates) for name, rates in self.rates().items()}
        return {name: float(f"{value:.9g}") for name, value in found.items()}

    def _step(self, terms: list[str], optimizer: optimizers.Descent, batch: Batch) -> None:
        objective = self.objective
        encoded = objective.encode(batch) if set(terms) - {"classification"} else Encoded({}, {})
        if "regularization" in terms:
            self._inner_steps(batch, encoded)
        losses = {term: getattr(objective, term)(batch, encoded) for term in terms}
        total = sum(losses.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        for term, loss in losses.items():
            self._add(term, loss)

    def _inner_steps(self, batch: Batch, encoded: Encoded) -> None:
        """The regularizers' own updates, on the very codes that the penalty will see: one encoding serves both."""
        for (regularizer, codes, _), optimizer in zip(
            self.objective.penalised(batch, encoded), self.inner, strict=True
        ):
            if optimizer is None:
                continue
            regularizer.requires_grad_(True)
            for _ in range(regularizer.inner_steps):
                loss = self.objective.inner(regularizer, codes)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            self._add("inner", loss)
            regularizer.requires_grad_(False)  # the penalty's gradient goes to the codes alone

    def _add(self, name: str, loss: torch.Tensor) -> None:
        value = loss.detach()
        if self.device.type == "cpu":  # on a GPU a look at each value would stall it: once an epoch then
            value = float(value)
            if not math.isfinite(value):
                raise Diverged
        self.sums[name] = self.sums.get(name, 0.0) + value
        self.counts[name] = self.counts.get(name, 0) + 1
        if self.epoch == 0 and self.batch < STEPS:
            self.opening["losses"].setdefault(name, []).append(float(f"{float(value):.9g}"))

    @torch.no_grad
    def finish(self) -> None:
        """What regularizers fit to the codes of the training set, once the autoencoder is trained."""
        self.objective.eval()
        if all(type(r).fit is Regularizer.fit for r in self.objective.regularizers):
            return
        chunks = [self._batch(i) for i in torch.arange(len(self.x)).split(5000)]
        grouped = [self.objective.penalised(batch, self.objective.encode(batch)) for batch in chunks]
        for parts in zip(*grouped, strict=True):
            regularizer, codes = parts[0][0], torch.cat([part[1] for part in parts])
            with torch.enable_grad():
                regularizer.requires_grad_(True).fit(codes)

    def weights(self) -> dict[str, torch.Tensor]:
        """All parameters and buffers, each in memory of its own: regularizers share the autoencoder's priors."""
        return {
            name: value.clone(memory_format=torch.contiguous_format)
            for name, value in self.objective.state_dict().items()
        }

    def facts(self) -> dict:
        """What the record says of the model and its penalties, such as the backend that computed them."""
        facts = {k: v for r in self.objective.regularizers for k, v in r.describe().items()}
        count = sum(p.numel() for p in self.objective.autoencoder.parameters())
        return facts | {"parameters": count, "train_images": len(self.x), "steps": self.settings.epochs * self.count}

    @property
    def fingerprint(self) -> str:
        """What a checkpoint must be of, to be continued here."""
        return f"{self.run.id} {training_version(self.run)}"

    def state(self) -> dict:
        """All that a resumed run needs to come to the same bits."""
        return {
            "fingerprint": self.fingerprint,
            "objective": self.objective.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "inner": [o.state_dict() if o else None for o in self.inner],
            "epoch": self.epoch,
            "batch": self.batch,
            "history": self.history,
            "opening": self.opening,
            "sums": {k: float(v) for k, v in self.sums.items()},
            "counts": self.counts,
            "seconds": self.seconds,
            "random": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state() if self.device.type == "cuda" else None,
        }

    def restore(self, state: dict) -> None:
        """Continue from `state`."""
        self.objective.load_state_dict(state["objective"])
        for optimizer, content in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(content)
        for optimizer, content in zip(self.inner, state["inner"], strict=True):
            if optimizer:
                optimizer.load_state_dict(content)
        self.epoch, self.batch, self.history = state["epoch"], state["batch"], state["history"]
        self.opening = state["opening"]
        self.sums, self.counts, self.seconds = state["sums"], state["counts"], state["seconds"]
        torch.set_rng_state(state["random"])
        if state["cuda"] is not None:
            torch.cuda.set_rng_state(state["cuda"])
