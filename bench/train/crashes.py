"""How often a process died of a run, as evidence shows: a crash of native code, a lack of memory, a hang."""

import contextlib
import faulthandler
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.records import whole_files

LIMIT = 3


class Died(RuntimeError):
    """The run is given up. `status` is what its record says: crashed, out of memory or timeout."""

    def __init__(self, status: str, reason: str):
        self.status = status
        super().__init__(reason)


def _killed_for_memory() -> tuple[str, int]:
    """The boot of this machine and how many processes its kernel has killed for memory since."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
        kills = next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip(), kills
    except (OSError, StopIteration):
        return "", 0


@contextlib.contextmanager
def attempt(folder: Path, version: str, timeout: float | None = None) -> Iterator[None]:
    """One attempt at a run, whose deaths are counted in `folder`; it is given up after `LIMIT`.

    A death by somebody's kill leaves no evidence and is not counted. A run in native code that does
    not return to Python is killed after twice its timeout.

    Raises:
        Died: the earlier attempts are enough.
    """
    notes, trace = folder / "attempts.json", folder / "crash.txt"
    boot, kills = _killed_for_memory()
    earlier = whole_files.read_json(notes) or {}
    deaths = earlier.get("deaths", []) if earlier.get("version") == version else []
    if trace.exists() and (first := trace.read_text(errors="replace").strip().partition("\n")[0]):
        deaths = [*deaths, ["timeout" if first.startswith("Timeout") else "crashed", first]]
    elif earlier.get("boot") == boot and earlier.get("kills", kills) < kills:
        deaths = [*deaths, ["out of memory", "the process was killed for memory"]]
    trace.unlink(missing_ok=True)
    whole_files.write_json(notes, {"version": version, "deaths": deaths, "boot": boot, "kills": kills})
    if deaths and (len(deaths) >= LIMIT or deaths[-1][0] == "timeout"):
        raise Died(*deaths[-1])
    before = faulthandler.is_enabled()
    with open(trace, "w") as file:
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
