"""How losses are descended: an optimizer of each step, and its rate in each epoch."""

import math
from collections.abc import Iterable

import torch
from torch import nn

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


def optimizer(module: nn.Module, spec: Optimizer) -> torch.optim.Optimizer:
    """An optimizer of what learns in a module; it keeps its `spec`, from which its rates come."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    if spec.name == "sgd":
        found = torch.optim.SGD(parameters, lr=spec.lr, momentum=spec.momentum, fused=True)
    else:
        found = torch.optim.Adam(parameters, lr=spec.lr, betas=(spec.momentum, 0.999), fused=True)
    found.spec = spec
    return found


def set_rates(optimizers: Iterable[torch.optim.Optimizer], epoch: int, epochs: int) -> None:
    """Give each optimizer its rate of an epoch."""
    for found in optimizers:
        for group in found.param_groups:
            group["lr"] = rate(found.spec, epoch, epochs)
