"""The SLURM profile, on a real one-node cluster of this machine: jobs that finish, are killed, wait for a node."""

import shutil
import subprocess
import time

import pytest

from tests.support.checkout import ALONE, ROOT, Checkout

pytestmark = [
    pytest.mark.faults,
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("srun"), reason="needs Debian's slurm-wlm and munge"),
]
# What a test cluster without accounting needs, and seconds where a real one has minutes.
TEST_CLUSTER = (
    "--slurm-no-account", "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2",
    "--seconds-between-status-checks", "2", "--latency-wait", "10", "--jobs", "4",
    "--default-resources", "slurm_partition=debug", "mem_mb=1000", "runtime=20",
)  # fmt: skip


class Cluster:
    """A running cluster and a copy of the repository that is on it."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        monkeypatch.setenv("PATH", str(folder / "bin"), prepend=":")

    def slurm(self, *command):
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def jobs(self, state, rule=""):
        """The ids of the jobs in a state, of a rule if one is named."""
        lines = self.slurm("squeue", "--noheader", "--states", state, "--format", "%i %k").splitlines()
        return [line.split()[0] for line in lines if rule in line]

    def wait(self, predicate, seconds=240):
        deadline = time.monotonic() + seconds
        while not predicate():
            assert time.monotonic() < deadline, self.slurm("squeue", "--states", "all")
            time.sleep(0.3)


@pytest.fixture
def cluster(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("slurm")
    subprocess.run([ROOT / "tests/system/slurm/up.sh", folder, "2"], check=True)
    yield Cluster(folder, monkeypatch)
    subprocess.run([ROOT / "tests/system/slurm/down.sh", folder], check=True)


@pytest.fixture
def copy(tmp_path):
    copy = Checkout(tmp_path / "copy")
    # Long enough to be killed in the middle.
    copy.write("config/long.yaml", ALONE.replace("epochs: 2", "epochs: 250"))
    yield copy
    copy.kill()


def start(copy, config, *arguments, target="collect"):
    return copy.start(
        "snakemake",
        target,
        "--workflow-profile",
        "profiles/slurm",
        *TEST_CLUSTER,
        *arguments,
        "--configfile",
        config,
    )


def finish(process):
    output, _ = process.communicate(timeout=2000)
    assert process.returncode == 0, output
    return output


def undisturbed(folder, config):
    """The results of the same work here, without SLURM."""
    copy = Checkout(folder)
    copy.write("config/long.yaml", ALONE.replace("epochs: 2", "epochs: 250"))
    copy.run("python", "-m", "bench", "train", config, "--threads", "1")
    copy.run("python", "-m", "bench", "evaluate", config, "--threads", "1")
    return copy.results()


def test_the_smoke_benchmark_runs_on_slurm_and_asks_for_its_gpu(cluster, copy):
    finish(start(copy, "config/smoke.yaml"))
    assert (copy.folder / "results/smoke/metrics.csv").read_text().count(",ok,") > 30
    asked = cluster.slurm("scontrol", "show", "jobs", "--oneliner")
    assert asked.count("gpu:1") == 2  # the training and the evaluation


@pytest.mark.timeout(2400)
def test_the_quick_benchmark_runs_on_slurm_through_a_killed_job_and_a_drained_node(cluster, copy, tmp_path):
    """All of what `make` runs. The killed batch ends in the bits of a training that nobody disturbed."""
    process = start(copy, "config/quick.yaml", target="all")

    def trained():
        return list(copy.folder.glob("results/quick/runs/**/record.json"))

    cluster.wait(lambda: len(trained()) > 3)
    killed, *_ = cluster.jobs("RUNNING", "train")
    cluster.slurm("scancel", killed)
    before = len(trained())
    cluster.wait(lambda: len(trained()) > before + 10, seconds=900)
    node = cluster.slurm("hostname", "-s").strip()
    cluster.slurm("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
    cluster.wait(lambda: cluster.jobs("PENDING") and not cluster.jobs("RUNNING"), seconds=900)
    assert process.poll() is None
    cluster.slurm("scontrol", "update", f"nodename={node}", "state=resume")
    assert "Trying to restart job" in finish(process)
    assert len(cluster.jobs("all", "train")) > len(cluster.jobs("all", "evaluate"))  # one was submitted twice
    assert (copy.folder / "results/quick/report/index.html").exists()
    copy.run(
        "python", "-m", "bench", "check", "config/quick.yaml", "--strict"
    )  # every run finished, every record sound
    again = Checkout(tmp_path / "again")
    chosen = {"likelihood/aae", "clustering/mmd", "semi_supervised/vae", "latent_2d/aae"}
    again.run("python", "-m", "bench", "train", "config/quick.yaml", *sorted(chosen), "--threads", "1")
    alone = again.results("quick")
    assert len(alone) > 10
    together = copy.results("quick")
    assert {name: together[name] for name in alone} == alone


def test_a_job_that_slurm_kills_is_submitted_again_and_goes_on_from_its_checkpoint(cluster, copy, tmp_path):
    process = start(copy, "config/long.yaml")
    cluster.wait(lambda: list(copy.folder.glob("results/**/attempts.json")))
    time.sleep(1)
    [job] = cluster.jobs("RUNNING", "train")
    cluster.slurm("scancel", job)  # SIGTERM, and SIGKILL after KillWait, as at the end of its time
    output = finish(process)
    assert "Trying to restart job" in output
    assert len(cluster.jobs("all", "train")) == 2
    assert copy.results() == undisturbed(tmp_path / "other", "config/long.yaml")


def test_a_node_drained_in_the_middle_finishes_its_job_and_the_rest_waits(cluster, copy):
    node = cluster.slurm("hostname", "-s").strip()
    process = start(copy, "config/long.yaml")
    cluster.wait(lambda: list(copy.folder.glob("results/**/attempts.json")))
    cluster.slurm("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
    cluster.wait(lambda: cluster.jobs("PENDING", "evaluate"))  # the evaluation, for the training was let end
    assert list(copy.folder.glob("results/**/record.json"))
    assert process.poll() is None
    cluster.slurm("scontrol", "update", f"nodename={node}", "state=resume")
    finish(process)
    assert list(copy.folder.glob("results/tiny/metrics.csv"))


def test_a_lost_node_and_an_impossible_request_do_not_hang(cluster, copy):
    """Unknown partitions and too many cores are refused when submitted, with SLURM's words."""
    process = start(copy, "config/tiny.yaml", "--retries", "0", "--set-threads", "train=64", "--cores", "64")
    output, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "sbatch" in output.lower()
