"""Settings that every test shares."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: two workers with two threads each crawl

import pytest
import torch
from hypothesis import settings

# The same draws each time, so that a run judges the change and not the draw; `--hypothesis-profile default` explores.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")

torch.set_num_threads(1)


def pytest_sessionstart(session):
    """The versions of the protocols are brought up to date once, not in each copy of the repository that tests make."""
    if not hasattr(session.config, "workerinput"):
        from bench.records.protocol_versions import protocol_versions

        protocol_versions()


LONG = ("system", "train", "regularizers", "report", "data")


def pytest_collection_modifyitems(items):
    """The rooms whose files take longest come first, so that in the end no worker is left alone with one."""
    rank = {room: i for i, room in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.path.parent.name, len(LONG)))


@pytest.fixture(autouse=True)
def _seeded():
    """Each test starts from the same random state and arithmetic, whatever ran before it."""
    torch.manual_seed(0)
    torch.set_flush_denormal(False)  # a training in this process sets it; Hypothesis then refuses to draw floats
