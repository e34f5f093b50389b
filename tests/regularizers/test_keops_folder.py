"""Folders for compiled formulas: each process has its own, and what a killed one left goes with the next."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from regularizers._keops import VARIABLE
from tests.support.checkout import ROOT

# The module alone, of stand-ins: its package would bring torch, two seconds of each of these processes.
CLAIM = """
import os, subprocess, sys, time
from types import ModuleType
from unittest.mock import MagicMock
package = ModuleType("regularizers")
package.__path__ = ["regularizers"]
needed = dict.fromkeys(("torch", "jaxtyping", "regularizers._kernels"), MagicMock())
sys.modules |= needed | {"regularizers": package}
from regularizers._keops import VARIABLE, private_folder
assert private_folder() == os.environ[VARIABLE]
print(os.environ[VARIABLE], flush=True)
"""


@pytest.fixture
def claimed(tmp_path):
    """Start a process that claims its folder under `tmp_path` and waits; the process, and the folder's name."""
    started = []

    def start(then="time.sleep(600)", **more):
        inherited = {k: v for k, v in os.environ.items() if k != VARIABLE}  # of a test that has compiled
        environment = inherited | {"TMPDIR": str(tmp_path)} | more
        process = subprocess.Popen(
            [sys.executable, "-c", CLAIM + then], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def names(folder):
    return {path.name for path in folder.glob("keops-*")}


def test_the_folder_of_a_killed_process_goes_with_the_next_and_that_of_a_living_one_stays(claimed, tmp_path):
    killed, left = claimed()
    living, kept = claimed()
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert os.path.isdir(left)
    _, own = claimed()
    assert {f"{tmp_path}/{name}" for name in names(tmp_path)} == {kept, own}
    assert living.poll() is None


def test_a_folder_that_somebody_names_is_theirs(claimed, tmp_path):
    (tmp_path / "theirs").mkdir()
    process, folder = claimed(then="sys.exit()", KEOPS_CACHE_FOLDER=str(tmp_path / "theirs"))
    process.wait()
    assert folder == str(tmp_path / "theirs")
    assert os.path.isdir(folder)


def test_a_process_that_replaces_its_program_keeps_its_folder_and_removes_it_at_last(claimed, tmp_path):
    again = f"os.execv(sys.executable, [sys.executable, '-c', {CLAIM!r}])"
    process, folder = claimed(then=again)
    assert process.stdout.readline().strip() == folder
    process.wait()
    assert not names(tmp_path)


def test_a_process_has_another_folder_than_the_one_that_started_it(claimed, tmp_path):
    process, folder = claimed(then=f"sys.exit(subprocess.run([sys.executable, '-c', {CLAIM!r}]).returncode)")
    other = process.stdout.readline().strip()
    assert process.wait() == 0
    assert other != folder
    assert not names(tmp_path)


def test_a_folder_goes_with_its_process_and_what_is_not_of_a_dead_one_of_this_machine_stays(claimed, tmp_path):
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    host = socket.gethostname()
    kept = {f"keops-{host}-{os.getpid()}-a", "keops-another.host-1-a", "keops-0a1b2c3d", f"keops-{host}-x"}
    for name in (f"keops-{host}-{dead.stdout.strip()}-a", *kept):
        (tmp_path / name / "deeper").mkdir(parents=True)
    process, folder = claimed(then="sys.exit()")
    process.wait()
    assert folder.startswith(f"{tmp_path}/keops-{host}-{process.pid}-")
    assert names(tmp_path) == kept
