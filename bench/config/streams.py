"""Named random streams: every consumer of randomness draws from its own, derived from the run's one seed."""

from zlib import crc32

import numpy as np


def stream(seed: int, name: str) -> int:
    """The seed, in [0, 2⁶³), of the stream `name` of a run: `SeedSequence((seed, crc32(name)))`.

    Streams of different names or seeds are independent, so that a new consumer of randomness
    shifts no other's numbers. Fits `torch.manual_seed` and `numpy.random.default_rng`.

    Raises:
        ValueError: the seed is negative.
    """
    words = np.random.SeedSequence((seed, crc32(name.encode()))).generate_state(1, np.uint64)
    return int(words[0] >> np.uint64(1))
