"""A second device that every machine has: its tensors are computed by the CPU, but do not mix with the CPU's own.

What a GPU refuses is refused here too: an operation on tensors of both devices, a CPU generator for
numbers over there, indices over there into a tensor here, and numpy. To PyTorch the device is "meta".
"""

from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from bench.train import optimizers

ELSEWHERE = "meta"
COPY = torch.ops.aten.copy_.default
INDEXED = (
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put_.default,
    torch.ops.aten._index_put_impl_.default,
)


class WrongDevice(RuntimeError):
    """What a GPU would refuse."""


class There(torch.Tensor):
    """A tensor elsewhere, around the one here that holds its numbers."""

    @staticmethod
    def __new__(cls, held):
        """Around `held`, a plain tensor."""
        sizes = {"strides": held.stride(), "storage_offset": held.storage_offset()}
        found = torch.Tensor._make_wrapper_subclass(cls, held.size(), dtype=held.dtype, device=ELSEWHERE, **sizes)
        found.held = held
        return found

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        """Outside of the mode too, as in a backward pass."""
        return carry_out(operation, args, kwargs or {})


def held(value):
    """The tensor here of one elsewhere; anything else as it is."""
    return value.held if isinstance(value, There) else value


def carry_out(operation, args, kwargs):
    """The operation, on the tensors that are held; its results are where a GPU would have them.

    Raises:
        WrongDevice: a GPU would refuse it.
    """
    tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
    there = [t for t in tensors if isinstance(t, There)]
    here = [t for t in tensors if not isinstance(t, There) and t.dim()]  # a single number may come from here
    asked = kwargs.get("device")
    goes = bool(there) if asked is None else torch.device(asked).type == ELSEWHERE
    mixes = operation is COPY or (operation in INDEXED and isinstance(args[0], There))
    if there and here and not mixes:
        raise WrongDevice(f"{operation}: tensors of two devices")
    if goes and kwargs.get("generator") is not None:
        raise WrongDevice(f"{operation}: a generator of the CPU for another device")
    if asked is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    result = operation(*tree_map(held, args), **tree_map(held, kwargs))
    if not goes or operation is COPY:
        return args[0] if operation is COPY else result
    same = {id(t.held): t for t in there}  # an operation in place returns the very tensor

    def wrapped(value):
        if not isinstance(value, torch.Tensor):
            return value
        return same[id(value)] if id(value) in same else There(value)

    return tree_map(wrapped, result)


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        return carry_out(operation, args, kwargs or {})


@contextmanager
def elsewhere(monkeypatch):
    """Within it `.to(ELSEWHERE)` and `device=ELSEWHERE` lead to the second device."""

    def made(function):
        # these make their tensors below the level that a mode sees
        def make(*args, device=None, **kwargs):
            found = function(*args, device="cpu" if device is not None else None, **kwargs)
            return There(found) if device is not None and torch.device(device).type == ELSEWHERE else found

        return make

    def like(self, *args, **kwargs):
        found = torch.tensor(*args, dtype=kwargs.pop("dtype", self.dtype), **kwargs)
        return There(found) if isinstance(self, There) else found

    def plainly(descend):
        return lambda *args, fused, **kwargs: descend(*args, foreach=False, **kwargs)

    autocast = torch.autocast
    with monkeypatch.context() as patched:
        patched.setattr(torch, "tensor", made(torch.tensor))
        patched.setattr(torch, "as_tensor", made(torch.as_tensor))
        patched.setattr(torch.Tensor, "new_tensor", like)
        # fused optimizers and autocast know the names of their devices
        patched.setattr(torch, "autocast", lambda _, *args, **kwargs: autocast("cpu", *args, **kwargs))
        patched.setattr(optimizers, "adam", plainly(optimizers.adam))
        patched.setattr(optimizers, "sgd", plainly(optimizers.sgd))
        with _Mode():
            yield
