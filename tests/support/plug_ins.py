"""The regularizers at hand that can be loaded: of the others, their own tests say why not, and no other test fails."""

import contextlib

import regularizers


def loaded() -> dict[str, type[regularizers.Regularizer]]:
    """The classes, by name."""
    found = {}
    for name in regularizers.names():
        with contextlib.suppress(Exception):
            found[name] = regularizers.load(name)
    return found
