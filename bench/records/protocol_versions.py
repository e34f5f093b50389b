"""The version of each measurement: what its protocol gives on a small frozen problem, not the text of its code.

`bench/evaluate/versions.json` holds the numbers and, for each protocol, the version that they stand for, with the
fingerprint of the code that gave them. Where the code is another one, the problem is solved again
(`bench.evaluate.frozen_problem`): the same numbers keep their version, so that rewriting a protocol makes nothing
stale, and other numbers are another version of that protocol alone. Free of torch.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Mapping
from functools import cache

from bench import ROOT
from bench.records import whole_files
from bench.records.fingerprint import fingerprint
from bench.records.result_set import Damaged

FILE = ROOT / "bench/evaluate/versions.json"
MODULE = "bench.evaluate.frozen_problem"
CLOSE = 2e-4  # relative: processors differ in the order of sums, protocols in more


def same(old: Mapping[str, float], new: Mapping[str, float]) -> bool:
    """Whether every old number is still what it was; numbers that are only new make no other version."""
    return all(k in new and abs(new[k] - v) <= CLOSE * max(1e-2, abs(v)) for k, v in old.items())


def updated(known: Mapping[str, dict], found: Mapping[str, Mapping[str, float]]) -> dict[str, dict]:
    """The versions of the `found` numbers by protocol, keeping those of numbers that are `known`."""
    result = {}
    for name, numbers in sorted(found.items()):
        old = known.get(name)
        if old and same(old["numbers"], numbers):
            result[name] = {"version": old["version"], "numbers": {**numbers, **old["numbers"]}}
        else:
            digest = whole_files.sha256(json.dumps(numbers, sort_keys=True).encode())[:8]
            result[name] = {"version": digest, "numbers": dict(numbers)}
    return result


@cache
def protocol_versions() -> dict[str, str]:
    """The version of each protocol, by its name; solves the frozen problem if the code has changed since it was.

    Raises:
        Damaged: the known versions cannot be read, or the frozen problem cannot be solved, with the reason.
    """
    content = whole_files.read_json(FILE)
    if content is None:  # new versions of all would make every measurement stale
        raise Damaged(f"{FILE}: not whole; restore it from the repository (git checkout)")
    code = fingerprint(MODULE)
    if content["code"] != code:
        done = subprocess.run([sys.executable, "-m", MODULE], cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
            raise Damaged(f"the frozen problem of the measurements cannot be solved: {reason}")
        found = json.loads(done.stdout.splitlines()[-1])
        content = {"code": code, "protocols": updated(content["protocols"], found)}
        with contextlib.suppress(OSError):  # a read-only checkout: known to this process alone
            whole_files.write_json(FILE, content)
    return {name: entry["version"] for name, entry in content["protocols"].items()}
