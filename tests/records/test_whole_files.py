"""What is written is whole or absent, whoever dies, and what is read is checked."""

import os
import re
import subprocess
import sys
import time

import pytest
import torch

from bench.records import locks, whole_files
from bench.train import resumable


def test_a_failed_write_leaves_the_old_content_and_no_scrap(tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    whole_files.write(path, "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        whole_files.write(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["record.json"]


LARGE = """
import resource, signal, sys
from bench.records import whole_files
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
whole_files.write(sys.argv[1], b"x" * 100_000)
"""


def test_a_file_that_cannot_grow_never_appears(tmp_path):
    """The limit of a file's size stands for a full disk, without root."""
    done = subprocess.run([sys.executable, "-c", LARGE, str(tmp_path / "model")], capture_output=True, text=True)
    assert "OSError: [Errno 27] File too large" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_json_is_the_same_bytes_for_the_same_content_and_refuses_nan(tmp_path):
    whole_files.write_json(tmp_path / "a", {"b": 1, "a": "ü"})
    whole_files.write_json(tmp_path / "b", {"a": "ü", "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        whole_files.write_json(tmp_path / "c", {"loss": float("nan")})
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe", b"<html>"])
def test_a_json_file_that_is_not_whole_reads_as_absent(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    assert whole_files.read_json(tmp_path / "x") is None


def test_scraps_of_killed_processes_are_cleaned_and_nothing_else(tmp_path):
    for name in (".record.json.1.ab.tmp", "checkpoints/.ckpt.1.ab.tmp", "record.json", "checkpoints/ckpt-1.pt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    whole_files.clean(tmp_path)
    assert sorted(p.name for p in tmp_path.rglob("*.*")) == ["ckpt-1.pt", "record.json"]


HOLDER = """
import sys, time
from bench.records import locks
with locks.run_lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_told_who_holds_a_run_and_kill_9_frees_it(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(locks.LockHeld, match=f"held by pid {holder.pid} on .*, since "), locks.run_lock(tmp_path):
            pass
        holder.kill()
    with locks.run_lock(tmp_path):
        assert f"pid {os.getpid()} " in (tmp_path / "run.lock").read_text()


def test_too_little_room_is_said_before_the_work_begins(tmp_path):
    with pytest.raises(whole_files.DiskFull, match=r"MB free, .* MB needed"):
        whole_files.require_space(tmp_path / "not" / "there", megabytes=10**9)


# --- checkpoints ------------------------------------------------------------------------------------------

STATE = {"fingerprint": "run", "weights": torch.arange(1000.0), "epoch": 3, "history": [{"loss": 0.1}], "cuda": None}


@pytest.fixture
def folder(tmp_path):
    """Checkpoints of the steps 1 to 3, of which the last two are kept."""
    for step in (1, 2, 3):
        resumable.save_checkpoint(tmp_path, step, STATE | {"epoch": step})
    return tmp_path


def test_the_newest_checkpoint_comes_back_and_two_are_kept(folder):
    assert sorted(p.name for p in folder.iterdir()) == ["ckpt-000000002.pt", "ckpt-000000003.pt"]
    state = resumable.load_checkpoint(folder, "run")
    assert state["epoch"] == 3
    assert torch.equal(state["weights"], STATE["weights"])


def flip(content):
    return content[:-300] + bytes([content[-300] ^ 1]) + content[-299:]


class Bomb:
    def __reduce__(self):
        return os.mkdir, (str(Bomb.path),)


def bomb(_):
    import io
    import pickle

    payload = io.BytesIO()
    torch.save({"fingerprint": "run", "x": Bomb()}, payload, pickle_module=pickle)
    content = payload.getvalue()
    return resumable.FORMAT + whole_files.sha256(content).encode() + b"\n" + content


DAMAGES = {
    "a flipped bit": (flip, "hash does not match"),
    "truncated": (lambda c: c[: len(c) // 2], "hash does not match"),
    "empty": (lambda c: b"", "not a checkpoint of this version"),
    "another program's": (lambda c: b"PK\x03\x04" + c, "not a checkpoint of this version"),
    "an older format": (lambda c: c.replace(b"checkpoint-1", b"checkpoint-0", 1), "not a checkpoint of this"),
    "code in it": (bomb, "weights_only|Weights only"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_checkpoint_falls_back_to_the_one_before_with_a_message(folder, damage):
    Bomb.path = folder / "exploded"
    change, reason = DAMAGES[damage]
    newest = folder / "ckpt-000000003.pt"
    newest.write_bytes(change(newest.read_bytes()))
    messages = []
    state = resumable.load_checkpoint(folder, "run", messages.append)
    assert state["epoch"] == 2
    assert len(messages) == 1
    assert messages[0].startswith("checkpoint ckpt-000000003.pt passed over: ")

    assert re.search(reason, messages[0])
    assert not (folder / "exploded").exists()


def test_no_good_checkpoint_is_none_and_another_runs_is_not_taken(folder):
    messages = []
    assert resumable.load_checkpoint(folder, "another run", messages.append) is None
    assert len(messages) == 2
    assert "other settings or other code" in messages[0]
    assert resumable.load_checkpoint(folder / "absent", "run") is None


WRITER = """
import sys, torch
from bench.train import resumable
for step in range(1, 10**6):
    state = {"fingerprint": "run", "x": torch.full((50_000,), float(step)), "step": step}
    resumable.save_checkpoint(sys.argv[1], step, state)
"""


def test_kill_9_while_checkpoints_are_written_leaves_a_whole_one(tmp_path):
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)]) as writer:
        while len(list(tmp_path.glob("ckpt-*"))) < 2:
            time.sleep(0.01)
            assert writer.poll() is None
        time.sleep(0.1)
        writer.kill()
    state = resumable.load_checkpoint(tmp_path, "run", pytest.fail)
    assert (state["x"] == state["step"]).all()
    whole_files.clean(tmp_path)
    assert not list(tmp_path.glob(".*.tmp"))
