"""The container recipes and the Kubernetes job, as far as they can be tried without a runtime or a cluster."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.support.checkout import ROOT, TINY, Checkout

DOCKERFILE = (ROOT / "Dockerfile").read_text()
RECIPE = (ROOT / "latentbench.def").read_text()
JOB = ROOT / "profiles/kubernetes/job.yaml"
POD = yaml.safe_load(JOB.read_text())["spec"]["template"]["spec"]
[CONTAINER] = POD["containers"]
HOME = "/latentbench"


def section(name):
    """The lines of a section of the Apptainer recipe, without comments."""
    body = re.split(r"^%(\w+)\n", RECIPE, flags=re.MULTILINE)
    lines = dict(zip(body[1::2], body[2::2], strict=True))[name].splitlines()
    return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]


# --- the images -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", [DOCKERFILE, RECIPE], ids=["Dockerfile", "latentbench.def"])
def test_an_image_installs_the_lock_with_its_hashes_and_nothing_else(recipe, tmp_path):
    commands = " ".join(line for line in recipe.replace("\\\n", " ").splitlines() if not line.startswith("#"))
    assert commands.count("pip install ") == 1  # of uv itself, in the lock's version
    expression = re.search(r'pip install --no-cache-dir "\$\((sed [^)]+\.\\?\*?[^"]*)\)"', commands)[1]
    found = subprocess.run(expression, shell=True, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(r"uv==[0-9.]+", found.strip())
    [sync] = re.findall(r"uv pip sync --system --no-cache ([^&]*?requirements\.lock)", commands)
    assert sync == "--require-hashes requirements.lock"


@pytest.mark.skipif(not shutil.which("uv"), reason="needs uv, which the lock brings")
def test_the_install_command_would_make_this_very_environment():
    """The environment that runs the tests is the one that an image gets: the lock, to the version and no more."""
    command = ["uv", "pip", "sync", "--python", sys.executable, "--dry-run", "--offline"]
    done = subprocess.run([*command, "--require-hashes", "requirements.lock"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Would make no changes" in done.stderr


def test_both_recipes_start_from_the_python_of_the_lock():
    lock = (ROOT / "requirements.lock").read_text()
    [version] = re.findall(r"--python-version ([\d.]+)", lock)
    assert f"FROM python:{version}-slim" in DOCKERFILE
    assert f"From: python:{version}-slim" in RECIPE


def test_the_apptainer_image_holds_all_that_a_run_needs_and_works_from_a_folder_without_code(tmp_path):
    """Its files and its start script, with a folder in the place of the image."""
    image, folder = tmp_path / "image", tmp_path / "work"
    folder.mkdir()
    for line in section("files"):
        source, target = line.split()
        path = image / Path(target).relative_to("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, path)
    home = f"{image}{HOME}"
    environment = [line.replace(HOME, home) for line in section("environment")]
    script = "\n".join([*environment, *section("runscript")]).replace(f" {HOME}", f" {home}")
    (Path(home) / "config/tiny.yaml").write_text(TINY.replace("seeds: 2", "seeds: 1"))
    for cache in list(Path(home).rglob("__pycache__")):  # an image cannot be written
        shutil.rmtree(cache)
    runner = Checkout(tmp_path / "unused")
    runner.folder = folder
    runner.run("sh", "-c", script, "latentbench", "collect", "--cores", "1", "--configfile", f"{home}/config/tiny.yaml")
    assert (folder / "results/tiny/metrics.csv").read_text().count(",ok,") == 2
    assert not list(Path(home).rglob("__pycache__"))


def test_the_workflow_names_the_image_that_the_recipe_builds():
    [image] = re.findall(r'^container: "(.*)"$', (ROOT / "Snakefile").read_text(), re.MULTILINE)
    assert f"apptainer build {image} latentbench.def" in RECIPE


# --- Kubernetes -------------------------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("kubectl"), reason="needs kubectl")
def test_kubectl_reads_every_field_of_the_job():
    """By Kubernetes' own types and without a cluster: an unknown field would be dropped, a wrong type refused."""
    command = ["kubectl", "set", "image", "--local", "-f", JOB, "latentbench=example.org/latentbench:1", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    read, written = json.loads(done.stdout), yaml.safe_load(JOB.read_text())
    [container] = written["spec"]["template"]["spec"]["containers"]
    container["image"] = "example.org/latentbench:1"
    container["resources"]["limits"]["nvidia.com/gpu"] = "1"  # quantities are strings

    def missing(part, whole, at=""):
        if isinstance(part, dict):
            for key, value in part.items():
                yield from missing(value, (whole or {}).get(key), f"{at}.{key}")
        elif isinstance(part, list):
            for i, value in enumerate(part):
                yield from missing(value, (whole or [])[i] if i < len(whole or []) else None, f"{at}[{i}]")
        elif part != whole:
            yield f"{at}: {part!r} became {whole!r}"

    assert not list(missing(written, read))


def test_the_jobs_folders_are_the_images_and_on_the_claim():
    [folder] = re.findall(r"^WORKDIR (\S+)$", DOCKERFILE, re.MULTILINE)
    [mount] = CONTAINER["volumeMounts"]
    [volume] = POD["volumes"]
    assert mount["mountPath"] == f"{folder}/results"
    assert mount["name"] == volume["name"]
    [data] = [e["value"] for e in CONTAINER["env"] if e["name"] == "DATA_ROOT"]
    assert data.startswith(f"{folder}/results/")
    assert CONTAINER["image"].split("/")[-1].split(":")[0] == Path(folder).name
    assert POD["restartPolicy"] == "OnFailure"


@pytest.fixture
def copy(tmp_path):
    copy = Checkout(tmp_path / "copy")
    yield copy
    copy.kill()


@pytest.mark.workflow
def test_the_very_command_of_the_job_plans_the_benchmark(copy):
    """With a Snakemake in its path that plans instead of running."""
    real = shutil.which("snakemake", path=copy.environment["PATH"])
    wrapper = copy.write("dry/snakemake", f'#!/bin/sh\ncase " $* " in *" --unlock "*) ;; *) set -- "$@" -n;; esac\n'
                         f'exec {real} "$@"\n')  # fmt: skip
    wrapper.chmod(0o755)
    script = f'PATH="{wrapper.parent}:$PATH"; {CONTAINER["args"][0]}'
    output = copy.run(*CONTAINER["command"], script)
    count = int(re.search(r"^train +(\d+)$", output, re.MULTILINE)[1])
    assert count >= 20
    assert not list(copy.folder.glob("results/mnist/runs/**/*"))


@pytest.mark.faults
@pytest.mark.workflow
def test_a_pod_that_must_go_writes_its_checkpoint_first(copy):
    """SIGTERM comes to the first process alone, and when that ends, so does everything in the pod."""
    copy.write("config/mnist.yaml", TINY.replace("epochs: 2", "epochs: 5000").replace("[ae, mmd]", "[ae]"))
    process = copy.start(*CONTAINER["command"], *CONTAINER["args"])
    deadline = time.monotonic() + 120
    while not list(copy.folder.glob("results/**/attempts.json")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=POD["terminationGracePeriodSeconds"])
    assert process.returncode, output
    assert list(copy.folder.glob("results/**/ckpt-*")), output
    assert not list(copy.folder.glob("results/**/record.json"))
