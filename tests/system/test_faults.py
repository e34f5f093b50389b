"""The fault campaign: `pytest -m faults`. What docs/reliability.md says of faults, its numbers come from here.

Kills come at random moments, from a generator whose seed a failing test prints; set FAULTS_SEED to repeat one.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time

import pytest

from tests.support.checkout import TINY, Checkout

pytestmark = pytest.mark.faults
SEED = int(os.environ.get("FAULTS_SEED") or time.time())
KILLS = {"train": 24, "evaluate": 14, "tables": 6, "snakemake": 12}
# Two runs of a few seconds each, with evaluations that take as long as starting them.
LONG = (
    TINY.replace("epochs: 2", "epochs: 80, parzen_samples: [2000]")
    .replace("[reconstruction]", "[reconstruction, likelihood]")
    .replace("seeds: 2", "seeds: 1")
)
TRAIN = ("python", "-m", "bench", "train", "config/tiny.yaml", "--threads", "1", "--checkpoint-seconds", "0.1")
EVALUATE = ("python", "-m", "bench", "evaluate", "config/tiny.yaml", "--threads", "1")
COLLECT = ("python", "-m", "bench", "collect", "config/tiny.yaml")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A copy in which the work was done without disturbance, and the seconds that each stage took."""
    copy = Checkout(tmp_path_factory.mktemp("undisturbed"))
    copy.write("config/tiny.yaml", LONG)
    seconds = {}
    for name, command in {"train": TRAIN, "evaluate": EVALUATE, "tables": COLLECT}.items():
        begun = time.monotonic()
        copy.run(*command)
        seconds[name] = time.monotonic() - begun
    assert len(copy.results()) == 8
    return copy, seconds


@pytest.fixture
def copy(tmp_path):
    copy = Checkout(tmp_path / "copy")
    copy.write("config/tiny.yaml", LONG)
    yield copy
    copy.kill()


def kill_often(copy, command, times, seconds, begin=0.0):
    """Start a command again and again, until `times` of it were killed at work with all they had started.

    Yields after each, killed or done.
    """
    dice, killed = random.Random(f"{SEED} {command}"), 0
    for _ in range(6 * times):
        process = copy.start(*command, stdout=subprocess.DEVNULL)
        try:
            process.wait(begin + dice.random() * seconds)
        except subprocess.TimeoutExpired:
            killed += 1
        copy.kill()
        yield killed
        if killed == times:
            return
    pytest.fail(f"only {killed} of {times} were still at work when they were to be killed; FAULTS_SEED={SEED}")


def metrics(copy):
    """The tidy table without what depends on time and place."""
    import pandas as pd

    table = pd.read_csv(copy.folder / "results/tiny/metrics.csv")
    return table.drop(columns=["seconds", "peak_memory_mb", "commit", "dirty"])


def test_training_killed_at_random_ends_in_the_same_bytes(copy, undisturbed):
    other, seconds = undisturbed
    for _ in kill_often(copy, TRAIN, KILLS["train"], seconds["train"]):
        for path in copy.folder.glob("results/tiny/runs/*/*/*/record.json"):
            path.unlink()  # a finished run begins again, so that there is always one to kill
    copy.run(*TRAIN)
    copy.run(*EVALUATE)
    assert copy.results() == other.results()
    assert not list(copy.folder.glob("results/**/.*.tmp"))


def test_evaluation_killed_at_random_ends_in_the_same_bytes(copy, undisturbed):
    other, seconds = undisturbed
    shutil.copytree(other.folder / "results", copy.folder / "results")
    for path in copy.folder.glob("results/**/metrics.json"):
        path.unlink()
    for _ in kill_often(copy, EVALUATE, KILLS["evaluate"], 0.5 * seconds["evaluate"], 0.5 * seconds["evaluate"]):
        for path in copy.folder.glob("results/**/metrics.json"):
            path.unlink()
    copy.run(*EVALUATE)
    assert copy.results() == other.results()


def test_table_building_killed_at_random_never_shows_half_a_table(copy, undisturbed):
    other, seconds = undisturbed
    shutil.copytree(other.folder / "results", copy.folder / "results")
    before = (other.folder / "results/tiny/metrics.csv").read_bytes()
    for killed in kill_often(copy, COLLECT, KILLS["tables"], 0.5 * seconds["tables"], 0.5 * seconds["tables"]):
        assert (copy.folder / "results/tiny/metrics.csv").read_bytes() == before, killed
    copy.run(*COLLECT)
    assert (copy.folder / "results/tiny/metrics.csv").read_bytes() == before


@pytest.mark.slow
def test_snakemake_killed_at_random_ends_in_the_same_bytes(copy, undisturbed):
    """The controller and its jobs, or the controller alone: then its orphans go on, and must not disturb."""
    other, seconds = undisturbed
    dice, killed = random.Random(SEED), 0
    command = ("snakemake", "collect", "--cores", "2", "--configfile", "config/tiny.yaml")
    for i in range(5 * KILLS["snakemake"]):
        process = copy.start(*command, stdout=subprocess.DEVNULL)
        try:
            process.wait(2 + dice.random() * (3 + sum(seconds.values())))
        except subprocess.TimeoutExpired:
            killed += 1
        if i % 3 == 0 and process.poll() is None:
            process.kill()  # its jobs live on
            process.wait()
        else:
            copy.kill()
        copy.run("snakemake", "--unlock", "--configfile", "config/tiny.yaml")
        if killed == KILLS["snakemake"]:
            break
        for path in copy.folder.glob("results/tiny/runs/*/*/*/record.json"):
            path.unlink()  # there is always something to do
    assert killed == KILLS["snakemake"], f"FAULTS_SEED={SEED}"
    output = copy.run(*command, rc=None)
    deadline = time.monotonic() + 300
    while "held by pid" in output + "".join(p.read_text() for p in copy.folder.glob("results/tiny/logs/*.log")):
        assert time.monotonic() < deadline, output  # an orphan still trains: wait for it, as the message says
        time.sleep(2)
        for path in copy.folder.glob("results/tiny/logs/*.log"):
            path.unlink()
        output = copy.run(*command, rc=None)
    assert copy.results() == other.results()
    assert metrics(copy).equals(metrics(other))


# --- broken plug-ins, in one batch with sound ones --------------------------------------------------------

PLUGINS = {
    "syntax": "class Broken(Regularizer:\n",
    "raises": "raise RuntimeError('no')",
    "loops": "while True: pass",
    "shape": "return codes",
    "not_finite": "return codes.sum() * float('nan')",
    "segfault": "import ctypes; return ctypes.string_at(1)",
    "hangs": "import ctypes; return ctypes.PyDLL(None).sleep(1000)",
}
LIMITED = {"loops": ", timeout: 5", "hangs": ", timeout: 5"}
STATUSES = {
    "syntax": "failed",
    "raises": "failed",
    "loops": "timeout",
    "shape": "failed",
    "not_finite": "diverged",
    "segfault": "crashed",
    "hangs": "timeout",
}


@pytest.mark.slow
def test_broken_plugins_never_take_the_others_down(copy):
    head = 'from regularizers import Regularizer\n\n\nclass Broken(Regularizer):\n    """Broken."""\n\n'
    for name, body in PLUGINS.items():
        code = body if name == "syntax" else f"{head}    def forward(self, codes, posterior):\n        {body}\n"
        copy.write(f"regularizers/{name}.py", code)
    methods = "".join(f"  {name}: {{regularizer: {name}{LIMITED.get(name, '')}}}\n" for name in PLUGINS)
    text = TINY.replace("methods:\n", f"methods:\n{methods}", 1).replace(
        "[ae, mmd]", f"[ae, {', '.join(PLUGINS)}, mmd]"
    )
    copy.write("config/tiny.yaml", text.replace("seeds: 2", "seeds: 1"))
    # Each restart goes past one more death: three of the segmentation fault, one of the hang.
    copy.snakemake("--cores", "1", "--retries", "6")
    import pandas as pd

    table = pd.read_csv(copy.folder / "results/tiny/metrics.csv")
    found = table.groupby("method")["status"].first().to_dict()
    reasons = table.groupby("method")["reason"].first().to_dict()
    assert found == STATUSES | {"ae": "ok", "mmd": "ok"}, reasons


# --- concurrency ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_second_snakemake_in_the_folder_is_refused_and_disturbs_nothing(copy, undisturbed):
    other, _ = undisturbed
    command = ("snakemake", "collect", "--cores", "1", "--configfile", "config/tiny.yaml")
    first = copy.start(*command)
    while not list(copy.folder.glob("results/**/attempts.json")):
        assert first.poll() is None
        time.sleep(0.05)
    second = copy.run(*command, rc=1)
    assert "lock" in second.lower()
    named = f"results/tiny: a living Snakemake works on it, pid {first.pid} on {socket.gethostname()}"
    assert named in second
    assert named in copy.run(*command, "--unlock", rc=75)
    output, _ = first.communicate(timeout=300)
    assert first.returncode == 0, output
    assert copy.results() == other.results()


def test_two_trainings_of_one_run_at_once_are_told_apart(copy, undisturbed):
    other, _ = undisturbed
    one = (*TRAIN[:5], "likelihood/mmd", *TRAIN[5:])
    first = copy.start(*one)
    while not list(copy.folder.glob("results/**/ckpt-*")):
        assert first.poll() is None
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGSTOP)  # or it would be done before the second has begun
    output = copy.run(*one, rc=75)
    os.killpg(first.pid, signal.SIGCONT)
    first.communicate(timeout=300)
    assert first.returncode == 0
    assert f"held by pid {first.pid} on " in output
    copy.run(*TRAIN)
    copy.run(*EVALUATE)
    assert copy.results() == other.results()


KEOPS = """
import torch
from regularizers._keops import keops_pair_sum
from regularizers._kernels import SquaredExponential
torch.manual_seed(0)
total, *_ = keops_pair_sum(torch.randn(40, 3), SquaredExponential((2.0,), (1.0,)))
print(repr(float(total)))
"""


def test_ten_processes_that_compile_the_same_formula_all_get_it_right(copy, monkeypatch):
    """KeOps' own folder is no place for two processes; each gets one of its own."""
    monkeypatch.delenv("KEOPS_CACHE_FOLDER", raising=False)
    processes = [copy.start("python", "-c", KEOPS) for _ in range(10)]
    outputs = [process.communicate(timeout=900)[0].strip().splitlines()[-1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 10, outputs
    assert len(set(outputs)) == 1
    import torch

    from regularizers._kernels import SquaredExponential
    from regularizers._pairs import dense_pair_sum

    torch.manual_seed(0)
    total, *_ = dense_pair_sum(torch.randn(40, 3), SquaredExponential((2.0,), (1.0,)))
    assert float(outputs[0]) == pytest.approx(float(total), rel=1e-4)


# --- places -----------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(copy):
    """A results folder on a file system of 60 MB, which root alone can mount."""
    folder = copy.folder / "results"
    folder.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", folder], capture_output=True
        ).returncode
    )
    if not mounted:
        pytest.skip("only root can mount a small file system")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_disk_that_fills_up_during_checkpoints_leaves_no_half_file(copy, undisturbed, small_disk):
    other, _ = undisturbed
    process = copy.start(*TRAIN)
    while not list(small_disk.glob("**/ckpt-*")):
        assert process.poll() is None
        time.sleep(0.01)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:  # another program takes what is left
            file.write(b"x" * 4096)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1, output
    assert "No space left on device" in output.splitlines()[-1]
    assert "Traceback" not in output
    assert not list(small_disk.glob("**/record.json"))
    assert not list(small_disk.glob("**/.*.tmp"))
    plan = copy.run("snakemake", "collect", "--configfile", "config/tiny.yaml", rc=2)
    assert "MB free, 5 MB needed" in plan
    assert "Traceback" not in plan
    again = copy.run(*TRAIN, rc=1)
    assert "MB free, 50 MB needed" in again.splitlines()[-1]
    filler.unlink()
    assert "continuing from epoch" in copy.run(*TRAIN)
    copy.run(*EVALUATE)
    assert copy.results() == other.results()


def test_a_read_only_folder_is_said_in_one_line(copy):
    (copy.folder / "results").mkdir()
    options = ["-t", "tmpfs", "-o", "size=60m,ro", "tmpfs", str(copy.folder / "results")]
    if os.geteuid() or subprocess.run(["mount", *options], capture_output=True).returncode:
        pytest.skip("only root can mount a read-only file system")
    try:
        output = copy.run(*TRAIN, rc=1)
    finally:
        subprocess.run(["umount", "--lazy", copy.folder / "results"], check=True)
    assert "Read-only file system" in output.splitlines()[-1]
    assert "Traceback" not in output
