"""Named random streams."""

from bench.config.streams import stream


def test_streams_differ_by_seed_and_name_and_fit_a_generator_of_torch():
    found = {stream(seed, name) for seed in range(100) for name in ("weights", "batches", "noise")}
    assert len(found) == 300
    assert min(found) >= 0
    assert 2**62 < max(found) < 2**63  # half of all 64-bit words are above
