"""How losses are descended: an optimizer of each step, and its rate in each epoch."""

import math
from collections.abc import Iterable

import torch
from torch import nn
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from bench.config.schema import Optimizer


def rate(spec: Optimizer, epoch: int, epochs: int) -> float:
    r"""The rate of an epoch, counted from 0, of a training of so many.

    From epoch k on `decay[k]` is a factor; so is, for `cosine: r`, $r + (1 - r) (1 + \cos(\pi e / (E - 1))) / 2$ at
    epoch e of E (Loshchilov & Hutter, 2017, eq. 5, without restarts).
    """
    found = spec.lr
    for key, factor in spec.decay.items():
        if key == "cosine":
            found *= factor + (1 - factor) * (1 + math.cos(math.pi * epoch / max(epochs - 1, 1))) / 2
        elif epoch >= key:
            found *= factor
    return found


class Descent:
    """Adam or SGD of what learns in a module, by PyTorch's fused kernels; `spec` says which, `lr` is the rate of now.

    The same bits as `torch.optim.Adam` and `SGD`, whose classes import PyTorch's compiler, two seconds of each process,
    and around a small network's step take as long as the kernel.
    """

    def __init__(self, module: nn.Module, spec: Optimizer):
        self.spec, self.lr = spec, spec.lr
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.counts = [torch.zeros((), device=p.device) for p in self.parameters]
        self.moments = [[torch.zeros_like(p) for p in self.parameters] for _ in range(1 if spec.name == "sgd" else 2)]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad
    def step(self) -> None:
        """Descend by the gradients; parameters without one stay."""
        chosen = [i for i, p in enumerate(self.parameters) if p.grad is not None]
        parameters, counts, *moments = ([a[i] for i in chosen] for a in (self.parameters, self.counts, *self.moments))
        gradients, plain = [p.grad for p in parameters], {"lr": self.lr, "weight_decay": 0.0, "maximize": False}
        if self.spec.name == "sgd":
            momentum = self.spec.momentum
            sgd(parameters, gradients, *moments, fused=True, momentum=momentum, dampening=0.0, nesterov=False, **plain)
        else:
            betas = {"beta1": self.spec.momentum, "beta2": 0.999, "eps": 1e-8}
            adam(parameters, gradients, *moments, [], counts, fused=True, amsgrad=False, **betas, **plain)

    def state_dict(self) -> dict[str, list]:
        """What a checkpoint needs."""
        return {"counts": self.counts, "moments": self.moments}

    def load_state_dict(self, state: dict[str, list]) -> None:
        """Go on from `state`."""
        for own, saved in zip((self.counts, *self.moments), (state["counts"], *state["moments"]), strict=True):
            for tensor, value in zip(own, saved, strict=True):
                tensor.copy_(value)


def set_rates(optimizers: Iterable[Descent], epoch: int, epochs: int) -> None:
    """Give each optimizer its rate of an epoch."""
    for found in optimizers:
        found.lr = rate(found.spec, epoch, epochs)
