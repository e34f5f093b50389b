"""A small convolutional encoder and its mirror image: `depth` convolutions, then a layer of `width` units."""

from itertools import pairwise
from math import prod

from torch import nn

from bench.config.schema import Settings
from bench.train.architectures import Parts, normed_relu

CHANNELS = 32  # of the first convolution; twice as many of each further one


def build(settings: Settings, shape: tuple[int, int, int], inputs: int) -> Parts:
    """3 x 3 convolutions with stride 2, which halve the image and double the channels; transposed ones in the decoder.

    28 x 28 pixels become 7 x 7, 32 x 32 become 8 x 8, 8 x 8 become 2 x 2 of 64 channels at depth 2; any size will do.
    """
    s, normed = settings, settings.batch_norm == "all"
    sizes = [shape[1:]]
    for _ in range(s.depth):
        sizes.append(tuple((side + 1) // 2 for side in sizes[-1]))
    channels = [shape[0], *(CHANNELS * 2**i for i in range(s.depth))]
    inner = (channels[-1], *sizes[-1])

    first = [nn.Unflatten(1, shape)]
    for a, b in pairwise(channels):
        first += [nn.Conv2d(a, b, 3, stride=2, padding=1), *normed_relu(b, s.batch_norm != "none", nn.BatchNorm2d)]
    first += [nn.Flatten(), nn.Linear(prod(inner), s.width)]

    decoder = [nn.Linear(inputs, s.width), *normed_relu(s.width, normed)]
    decoder += [nn.Linear(s.width, prod(inner)), nn.Unflatten(1, inner)]
    for i in reversed(range(s.depth)):
        decoder += normed_relu(channels[i + 1], normed, nn.BatchNorm2d)
        # 4 pixels wide where the size doubles, 3 where it was rounded up: so it ends at the size that it began with.
        kernel = [4 - (2 * small - large) for small, large in zip(sizes[i + 1], sizes[i], strict=True)]
        decoder.append(nn.ConvTranspose2d(channels[i + 1], channels[i], kernel, stride=2, padding=1))
    trunk = normed_relu(s.width, s.batch_norm != "none")
    return Parts(nn.Sequential(*first), nn.Sequential(*trunk), nn.Sequential(*decoder, nn.Flatten()))
