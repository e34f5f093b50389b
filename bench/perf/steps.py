"""Training steps to be timed: those of the real loop, of a bare one, and the matrix products in them."""

import contextlib
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal
from torch.optim import Adam
from torch.utils._python_dispatch import TorchDispatchMode

from bench.config.runs import Run
from bench.config.schema import Settings
from bench.data.datasets import Dataset, Split
from bench.data.declarations import declaration
from bench.perf.timing import now
from bench.train.autoencoder import prior_of
from bench.train.loop import Stopped, Training
from regularizers import Point, load

PRODUCTS = {
    torch.ops.aten.mm.default: torch.mm,
    torch.ops.aten.addmm.default: torch.addmm,
    torch.ops.aten.bmm.default: torch.bmm,
    torch.ops.aten.baddbmm.default: torch.baddbmm,
}


def images(name: str, n: int) -> Dataset:
    """A data set of the shape of `name`, with `n` random training images that are mostly black, like digits."""
    source = declaration(name)
    x = (torch.rand(n, source.pixels) * 5 - 4).clamp(min=0)
    split = Split(x, torch.randint(source.classes, (n,)))
    few = Split(x[:10], split.y[:10])
    zeros, ones = torch.zeros(source.pixels), torch.ones(source.pixels)
    return Dataset(name, source.shape, source.classes, split, few, "synthetic", (), zeros, ones, few)


class RealSteps:
    """Steps of the loop, as a run takes them. What an epoch costs beside its steps is timed where one ends."""

    def __init__(self, settings: Settings, dataset: Dataset, device: str = "cpu"):
        self.training = Training(Run("perf", "method", 0, settings), dataset, device)

    def turn(self, steps: int) -> float:
        """Seconds of one step: the mean of `steps` from the end of one step to that of the next."""
        torch.use_deterministic_algorithms(self.training.settings.deterministic)
        stamps: list[float] = []

        def progress(_: int) -> None:
            if len(stamps) in (0, steps):
                stamps.append(now())
            else:
                stamps.append(0.0)

        with contextlib.suppress(Stopped):
            while len(stamps) <= steps:
                self.training.run_epoch(progress, lambda: len(stamps) > steps)
        return (stamps[steps] - stamps[0]) / steps


def layers(*widths: int) -> nn.Sequential:
    """Linear layers with rectified units after each."""
    return nn.Sequential(*(m for a, b in pairwise(widths) for m in (nn.Linear(a, b), nn.ReLU())))


class BareSteps:
    """The same arithmetic as a researcher would write it down: plain modules and Adam, nothing checked or recorded.

    For settings with one continuous latent; the penalty is the method's own. `fused` is Adam's.
    """

    def __init__(self, settings: Settings, dataset: Dataset, fused: bool, device: str = "cpu"):
        s, (latent,) = settings, settings.latents.values()
        prior = prior_of(latent)
        self.settings, self.x = s, dataset.train.x[:].to(device)
        hidden = [s.width] * s.depth
        self.encoder = layers(dataset.pixels, *hidden)
        self.mean, self.log_std = nn.Linear(s.width, latent.dim), nn.Linear(s.width, latent.dim)
        self.decoder = nn.Sequential(layers(latent.dim, *hidden), nn.Linear(s.width, dataset.pixels), nn.Sigmoid())
        for module in (self.encoder, self.mean, self.log_std, self.decoder):
            module.to(device)
        self.regularizer = load(s.regularizer)(prior, **s.hyperparameters).to(device)
        own = list(self.regularizer.parameters())
        parts = [self.encoder, self.mean, self.decoder, *([self.log_std] if s.encoder == "gaussian" else [])]
        parameters = [p for part in parts for p in part.parameters()]
        self.adam, self.second = Adam(parameters, fused=fused), Adam(parameters, fused=fused)
        self.inner = Adam(own, fused=fused) if own else None
        self.batches: Iterator[Tensor] = iter(())

    def autocast(self) -> torch.autocast:
        """Of the wide layers, as in the real model."""
        return torch.autocast(self.x.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16")

    def encode(self, x: Tensor) -> tuple[Tensor, torch.distributions.Distribution]:
        """Codes and their posterior."""
        with self.autocast():
            features = self.encoder(x)
        features = features.float()
        mean = self.mean(features)
        if self.settings.encoder != "gaussian":
            return mean, Point(mean)
        posterior = Independent(Normal(mean, self.log_std(features).exp(), validate_args=False), 1)
        return posterior.rsample(), posterior

    def reconstruction(self, x: Tensor, codes: Tensor) -> Tensor:
        """Half the squared error of an image."""
        with self.autocast():
            decoded = self.decoder(codes)
        return 0.5 * (decoded.float() - x).square().sum(1).mean()

    def penalty(self, codes: Tensor, posterior: torch.distributions.Distribution) -> Tensor:
        """The regularizer's, after its own updates."""
        for _ in range(self.regularizer.inner_steps):
            self.inner.zero_grad()
            self.regularizer.requires_grad_(True)
            self.regularizer.inner_loss(codes.detach()).backward()
            self.inner.step()
        self.regularizer.requires_grad_(False)
        return self.settings.weight * self.regularizer(codes, posterior)

    def step(self) -> None:
        """One batch."""
        index = next(self.batches, None)
        if index is None:
            self.batches = iter(torch.randperm(len(self.x)).split(self.settings.batch_size))
            index = next(self.batches)
        x = self.x[index]
        codes, posterior = self.encode(x)
        loss = self.reconstruction(x, codes)
        joint = self.settings.schedule == "joint"
        if joint and "regularization" in self.settings.terms:
            loss = loss + self.penalty(codes, posterior)
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        if not joint:
            penalty = self.penalty(*self.encode(x))
            self.second.zero_grad()
            penalty.backward()
            self.second.step()

    def turn(self, steps: int) -> float:
        """Seconds of one step: the mean of `steps`, after one that fills the caches."""
        torch.use_deterministic_algorithms(False)
        self.step()
        start = now()
        for _ in range(steps):
            self.step()
        return (now() - start) / steps


class Products(TorchDispatchMode):
    """The matrix products of what runs within, forwards and backwards, to be run again without anything else.

    Operands keep shape, strides, dtype and which of them share memory. Products inside other
    operators, such as `cdist`, are not seen.
    """

    def __init__(self):
        super().__init__()
        self.calls: list[tuple] = []
        self.memory: dict[tuple, torch.UntypedStorage] = {}
        self.flop = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func in PRODUCTS:
            operands = [self._copy(a) for a in args]
            self.flop += 2 * out.numel() * operands[-1].shape[-2]
            self.calls.append((PRODUCTS[func], operands, torch.empty_like(out), kwargs or {}))
        return out

    def _copy(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        key = storage.data_ptr(), storage.nbytes(), tensor.dtype
        if key not in self.memory:
            self.memory[key] = storage.clone()
        empty = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
        return empty.set_(self.memory[key], tensor.storage_offset(), tensor.shape, tensor.stride())

    @torch.no_grad
    def run(self) -> None:
        """All of them once, into memory that is there."""
        for product, operands, out, options in self.calls:
            product(*operands, out=out, **options)

    def turn(self, steps: int) -> float:
        """Seconds of all of them: the mean of `steps`, after one that fills the caches."""
        torch.use_deterministic_algorithms(False)
        self.run()
        start = now()
        for _ in range(steps):
            self.run()
        return (now() - start) / steps


def products(real: RealSteps) -> Products:
    """Those of one step of the real loop."""
    training = real.training
    if training.settings.regularization_every > 1:
        raise ValueError("steps differ from each other where regularization_every is above 1")
    done = len(training.history), training.batch
    recorded = Products()
    with contextlib.suppress(Stopped), recorded:
        training.run_epoch(lambda _: None, lambda: (len(training.history), training.batch) != done)
    return recorded
