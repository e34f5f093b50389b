"""What ended a run that is no result of its method: faults of the machine, and deaths of the process.

Of deaths there is evidence: a crash of native code, a hang.
"""

import contextlib
import faulthandler
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from bench.config import registry
from bench.config.registry import PluginError
from bench.config.schema import Settings
from bench.data.verified_files import DataError
from bench.records import whole_files

LIMIT = 3
# Of a RuntimeError that torch raises for want of a driver, a device or memory.
DEVICE = ("nvidia", "cuda error", "cuda driver", "cuda-capable", "no cuda", "cublas_status", "cudnn_status")
MEMORY = ("allocate memory", "out of memory", "not enough memory")


class MachineFault(OSError):
    """The machine lacks what a run needs, such as memory or a driver: that is no result."""


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that memory was not enough."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in MEMORY)


def of_the_machine(error: BaseException) -> bool:
    """Whether an error says something of the machine, and nothing of a method or a protocol."""
    if isinstance(error, (OSError, DataError)) or lacks_memory(error):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in DEVICE)


def reason(error: BaseException, settings: Settings) -> str:
    """What an error says, in one line; of a plug-in, with its file and line."""
    if isinstance(error, PluginError):
        return str(error)[:300]
    said = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    used = [("regularizers", settings.regularizer), ("architectures", settings.architecture)]
    used += [("priors", latent.prior) for latent in settings.latents.values()]
    modules = {registry.module(kind, name) for kind, name in used if name in registry.names(kind)}
    places = [
        f" ({Path(frame.f_code.co_filename).name}, line {line})"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__") in modules
    ]
    return said + (places or [""])[-1]


def raise_all(errors: Sequence[Exception]) -> None:
    """Raise what several runs ended with as one error, a line for each; a fault of the machine comes first."""
    if errors:
        first = min(errors, key=lambda error: not isinstance(error, OSError))
        raise type(first)("\n".join(dict.fromkeys(map(str, errors))))


class Died(RuntimeError):
    """The run is given up. `status` is what its record says: crashed or timeout."""

    def __init__(self, status: str, reason: str):
        self.status = status
        super().__init__(reason)


@contextlib.contextmanager
def attempt(folder: Path, version: str, timeout: float | None = None) -> Iterator[None]:
    """One attempt at a run, whose deaths are counted in `folder`; it is given up after `LIMIT`.

    A death by somebody's kill leaves no evidence and is not counted. A run in native code that does
    not return to Python is killed after twice its timeout.

    Raises:
        Died: the earlier attempts are enough.
    """
    notes, trace = folder / "attempts.json", folder / "crash.txt"
    earlier = whole_files.read_json(notes) or {}
    deaths = earlier.get("deaths", []) if earlier.get("version") == version else []
    if trace.exists() and (first := trace.read_text(errors="replace").strip().partition("\n")[0]):
        deaths = [*deaths, ["timeout" if first.startswith("Timeout") else "crashed", first]]
    trace.unlink(missing_ok=True)
    whole_files.write_json(notes, {"version": version, "deaths": deaths})
    if deaths and (len(deaths) >= LIMIT or deaths[-1][0] == "timeout"):
        raise Died(*deaths[-1])
    before = faulthandler.is_enabled()
    with open(trace, "w", encoding="utf-8") as file:
        faulthandler.enable(file)
        if timeout:
            faulthandler.dump_traceback_later(2 * timeout + 5, exit=True, file=file)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            faulthandler.disable()
            if before:
                faulthandler.enable(sys.__stderr__)
    for path in (notes, trace):
        path.unlink(missing_ok=True)
