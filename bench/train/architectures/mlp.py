"""The paper's fully connected networks: `depth` hidden layers of `width` rectified units (Makhzani et al., 2015)."""

from math import prod

from torch import nn

from bench.config.schema import Settings
from bench.train.architectures import Parts, normed_relu


def build(settings: Settings, shape: tuple[int, int, int], inputs: int) -> Parts:
    """Encoder and decoder of the same size."""
    s, normed = settings, settings.batch_norm == "all"
    first = nn.Linear(prod(shape), s.width)
    trunk = normed_relu(s.width, s.batch_norm != "none")
    for _ in range(s.depth - 1):
        trunk += [nn.Linear(s.width, s.width), *normed_relu(s.width, s.batch_norm != "none")]
    decoder = [nn.Linear(inputs, s.width), *normed_relu(s.width, normed)]
    for _ in range(s.depth - 1):
        decoder += [nn.Linear(s.width, s.width), *normed_relu(s.width, normed)]
    return Parts(first, nn.Sequential(*trunk), nn.Sequential(*decoder, nn.Linear(s.width, prod(shape))))
