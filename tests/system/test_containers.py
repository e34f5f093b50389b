"""The container recipes and the Kubernetes job, as far as they can be tried without a runtime or a cluster."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests.support.checkout import ALONE, ROOT, Checkout

DOCKERFILE = (ROOT / "Dockerfile").read_text()
RECIPE = (ROOT / "latentbench.def").read_text()
JOB = ROOT / "profiles/kubernetes/job.yaml"
POD = yaml.safe_load(JOB.read_text())["spec"]["template"]["spec"]
[CONTAINER] = POD["containers"]


@pytest.mark.parametrize("recipe", [DOCKERFILE, RECIPE], ids=["Dockerfile", "latentbench.def"])
def test_a_recipe_installs_the_lock_with_its_hashes_on_its_python_and_says_that_it_was_not_built(recipe):
    assert "uv pip sync --system --no-cache --require-hashes requirements.lock" in recipe
    [version] = re.findall(r"--python-version ([\d.]+)", (ROOT / "requirements.lock").read_text())
    assert f"python:{version}-slim" in recipe
    assert "Not built" in recipe


def test_what_the_recipes_and_the_workflow_name_is_there():
    copied = re.findall(r"^    (\S+) /latentbench/", RECIPE, re.MULTILINE)
    assert {"bench", "regularizers", "config", "Snakefile", "requirements.lock"} <= set(copied)
    assert all((ROOT / name).exists() for name in copied)
    [image] = re.findall(r'^container: "(.*)"$', (ROOT / "Snakefile").read_text(), re.MULTILINE)
    assert f"apptainer build {image} latentbench.def" in RECIPE
    [folder] = re.findall(r"^WORKDIR (\S+)$", DOCKERFILE, re.MULTILINE)
    assert [mount["mountPath"] for mount in CONTAINER["volumeMounts"]] == [f"{folder}/results"]
    assert POD["restartPolicy"] == "OnFailure"


@pytest.mark.skipif(not shutil.which("kubectl"), reason="needs kubectl")
def test_kubectl_reads_the_job():
    command = ["kubectl", "set", "image", "--local", "-f", JOB, "latentbench=example.org/latentbench:1", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.faults
@pytest.mark.slow
def test_a_pod_that_must_go_writes_its_checkpoint_first(tmp_path):
    """SIGTERM comes to the first process alone, and when that ends, so does everything in the pod."""
    copy = Checkout(tmp_path / "copy")
    copy.write("config/mnist.yaml", ALONE.replace("epochs: 2", "epochs: 5000"))
    process = copy.start("python", "-m", "bench", *CONTAINER["args"])
    try:
        deadline = time.monotonic() + 120
        while not list(Path(copy.folder).glob("results/**/attempts.json")):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGTERM)
        output, _ = process.communicate(timeout=POD["terminationGracePeriodSeconds"])
        assert process.returncode, output
        assert list(copy.folder.glob("results/**/ckpt-*")), output
        assert not list(copy.folder.glob("results/**/record.json"))
    finally:
        copy.kill()
