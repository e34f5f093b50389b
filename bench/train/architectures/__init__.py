"""The networks between images and codes, a file each: a function `build(settings, shape, inputs)` returns its `Parts`.

The heads, the priors, the objective and the evaluations know only that there are such parts.
"""

from typing import NamedTuple

from torch import nn


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
