"""The doctor: what it says of a machine of which each part in turn is broken, and that it never fails itself."""

import os
import subprocess
import sys

import pytest

from bench.door import doctor
from tests.support.checkout import ROOT


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """Puts a module of this name and content before the real one, for processes that are started."""

    def put(name, content):
        (tmp_path / f"{name}.py").write_text(content)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return put


def found(name):
    """The state and text of one check, which must be one line."""
    state, text = doctor.carefully(doctor.CHECKS[name])
    assert "\n" not in text
    return state, text


@pytest.mark.parametrize("content", ["raise ImportError('libtorch is gone')", "import os; os.kill(os.getpid(), 11)"])
def test_a_torch_that_cannot_be_imported_is_wrong_and_everything_else_still_looked_at(content, broken):
    broken("torch", content)
    state, text = found("torch")
    assert state == "WRONG"
    assert "make setup" in text
    assert found("KeOps")[0] == "WRONG"


def test_what_hangs_is_given_up(broken, monkeypatch):
    monkeypatch.setattr(doctor, "LIMIT", 1.0)
    broken("torch", "import time; time.sleep(600)")
    for name in ("torch", "KeOps"):
        assert "no answer within 1 s" in found(name)[1]


def test_a_machine_without_a_compiler_is_told_the_remedy(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("CXX", "/bin/false")
    state, text = found("KeOps")
    assert state == "WRONG"
    assert "apt-get install g++" in text


GPUS = """
__version__ = "2.14"
class cuda:
    is_available = lambda: True
    device_count = lambda: 2
    mem_get_info = lambda i: (2**30, 2**31)
    get_device_name = lambda i: f"H{i}00"
class version:
    cuda = "12.8"
class ones:
    def __init__(self, n, device): pass
    def sum(self): return self
    def item(self): return 2
"""


def test_every_gpu_is_named_with_its_memory(broken):
    broken("torch", GPUS)
    assert found("torch") == ("ok", "2.14, CUDA 12.8: H000, 1,024 of 2,048 MB free; H100, 1,024 of 2,048 MB free")


def test_a_lock_that_is_not_installed_is_named_with_the_first_of_its_packages(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "SHARE", tmp_path)
    assert found("lock")[0] == "WRONG"  # there is none
    (tmp_path / "requirements.lock").write_text("numpy==0.1 \\\n    --hash=sha256:0\nnosuch==1 \\\n")
    state, text = found("lock")
    assert state == "WRONG"
    assert "numpy is " in text
    assert "0.1 is wanted" in text
    assert "nosuch is absent" in text
    (tmp_path / "requirements.lock").write_text("nosuch==1 ; sys_platform == 'win32' \\\n")
    assert found("lock")[0] == "ok"


def test_data_that_are_damaged_or_cannot_be_read_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    state, text = found("data: mnist")
    assert state == "note"
    assert not list(tmp_path.iterdir()), "the doctor fetched something, or made a folder"
    (tmp_path / "MNIST/raw").mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / f"MNIST/raw/{name}-ubyte").write_bytes(bytes(100))
    state, text = found("data: mnist")
    assert state == "WRONG"
    assert "train-images-idx3-ubyte" in text
    assert found("data: digits")[0] == "ok"


def test_a_folder_that_cannot_be_written_and_a_full_disk_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert found("disk")[0] == "ok"

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "NamedTemporaryFile", refuse)
    assert "cannot be written" in found("disk")[1]
    monkeypatch.undo()
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 2**20}))
    assert "GB free" in found("disk")[1]
    assert found("disk")[0] == "WRONG"


def test_a_system_that_does_not_tell_its_memory_is_not_sick(monkeypatch):
    monkeypatch.setattr(doctor, "Path", lambda _: doctor.SHARE / "nowhere")
    assert found("memory")[0] == "note"


def test_a_check_that_fails_itself_is_a_line_like_the_others():
    def fails():
        raise ValueError("odd\nmachine")

    assert doctor.carefully(fails) == ("WRONG", "cannot be looked at: ValueError: odd")


def test_on_a_machine_where_everything_is_broken_it_ends_with_1_and_a_line_for_each(tmp_path):
    """Without click, torch, numpy and a compiler, in a strange place with a strange language."""
    for name in ("click", "torch", "numpy", "pydantic", "yaml", "pykeops"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('broken')")
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": "/nowhere", "LC_ALL": "xx_YY", "OMP_NUM_THREADS": "?"}
    environment |= {"DATA_ROOT": "/proc/1/nothing", "HOME": "/nowhere", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "bench", "doctor"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(doctor.CHECKS)
    assert all(name in line for name, line in zip(doctor.CHECKS, lines, strict=True))
    done = subprocess.run(
        [sys.executable, "-m", "bench", "plan"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "make setup" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_sound_machine_has_a_line_for_each_check_and_compiles_a_formula(capsys):
    states = dict(doctor.findings())
    assert list(states) == list(doctor.CHECKS)
    for name in ("Python", "torch", "KeOps", "data: digits", "disk"):
        assert states[name][0] == "ok", states[name]
    assert os.environ.get("KEOPS_CACHE_FOLDER") is None or "doctor" not in os.environ["KEOPS_CACHE_FOLDER"]
