"""The networks between images and codes, a file each: a function `build(settings, shape, inputs)` returns its `Parts`.

The heads, the priors, the objective and the evaluations know only that there are such parts.
"""

from math import prod
from typing import NamedTuple

import torch
from torch import nn

from bench.config import registry
from bench.config.registry import PluginError
from bench.config.schema import Settings


class Parts(NamedTuple):
    """The three networks of an autoencoder, for images of `shape` (channels, height, width), given as rows of pixels.

    `first` makes `settings.width` numbers of an image, to which the universal encoder adds its noise; `trunk` makes as
    many features of them, which the heads read; `decoder` makes of `inputs` numbers the pixels, before the last
    non-linearity. The names of parameters decide their initial weights: to rename one is to change numbers.
    """

    first: nn.Module
    trunk: nn.Module
    decoder: nn.Module


def normed_relu(width: int, batch_norm: bool, norm: type[nn.Module] = nn.BatchNorm1d) -> list[nn.Module]:
    """A rectifier, after batch normalisation of `width` units or channels if asked for."""
    return [norm(width), nn.ReLU()] if batch_norm else [nn.ReLU()]


def assembled(settings: Settings, shape: tuple[int, int, int], inputs: int) -> Parts:
    """The networks of the settings' architecture, tried on two images.

    Raises:
        PluginError: the architecture gives something else than it should.
    """
    name = settings.architecture
    parts = registry.load("architectures", name)(settings, shape, inputs)

    def broken(what: str) -> PluginError:
        return PluginError(f"{registry.source('architectures', name)}: build gives {what}")

    if not isinstance(parts, tuple) or [isinstance(part, nn.Module) for part in parts] != [True] * len(Parts._fields):
        raise broken(f"{type(parts).__name__}, expected Parts({', '.join(Parts._fields)}) of three networks")
    parts, width, pixels = Parts(*parts), settings.width, prod(shape)
    sizes = {"first": (pixels, width), "trunk": (width, width), "decoder": (inputs, pixels)}
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for part, (given, wanted) in sizes.items():
            network = getattr(parts, part).eval()
            try:
                found = tuple(network(torch.zeros(2, given)).shape)
            except Exception as error:
                why = str(error).partition("\n")[0]
                raise broken(f"a {part} that cannot take (2, {given}): {type(error).__name__}: {why}") from error
            network.train()
            if found != (2, wanted):
                raise broken(f"a {part} that makes {found} of (2, {given}), expected (2, {wanted})")
    return parts
