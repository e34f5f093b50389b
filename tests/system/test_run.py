"""`latentbench run`: what it says while it works and at the end, and what it does when something is wrong."""

import re
import signal

import pytest

from tests.support.checkout import ALONE, Checkout

RUN = ("python", "-m", "bench", "run", "config/tiny.yaml", "--cores", "2")
CLUSTERS = """\
  clustering:
    methods: [ae]
    latents: {y: {head: categorical, prior: one_hot, dim: 10}, z: {dim: 2}}
    decoder: [y, z]
    evaluations: [reconstruction, clustering]
"""


@pytest.fixture
def copy(tmp_path):
    copy = Checkout(tmp_path / "copy")
    yield copy
    copy.kill()


def test_a_line_for_each_cell_then_the_page_and_then_there_is_nothing_to_do_in_a_language_that_lacks_letters(copy):
    copy.edit("config/tiny.yaml", "{regularizer: mmd}", '{regularizer: mmd, title: "Größe − λ"}')
    plain = ("env", "LC_ALL=C", "PYTHONUTF8=0", "PYTHONCOERCECLOCALE=0")
    first = copy.run(*plain, *RUN)
    cells = re.findall(r"^likelihood/(\w+) +2 seeds +\d+ s +(\d) of 2 cells", first, re.MULTILINE)
    assert {name for name, _ in cells} == {"ae", "mmd"}
    assert [place for _, place in cells] == ["1", "2"]
    assert "left" in first
    assert not re.search(r"[0-9a-f]{8}", first.partition("\n| ")[0]), "a hash among the lines for readers"
    assert (copy.folder / first.strip().splitlines()[-1].partition(": ")[2]).exists()
    log = copy.folder / "results/tiny/logs/snakemake.log"
    before = log.stat().st_mtime_ns
    second = copy.run(*plain, *RUN)
    assert log.stat().st_mtime_ns == before, "Snakemake was started for nothing"
    assert second.strip() == first.strip()[-len(second.strip()) :]
    assert "Nothing to be done" in copy.run(*plain, *RUN, "--dry-run")
    for command in (("plan", "config/tiny.yaml"), ("explain", "config/tiny.yaml", "likelihood", "mmd")):
        copy.run(*plain, "python", "-m", "bench", *command)


@pytest.mark.slow
def test_a_config_of_clusters_alone_ends_with_what_there_is(copy):
    copy.write("config/tiny.yaml", ALONE[: ALONE.index("  likelihood:")] + CLUSTERS)
    output = copy.run(*RUN)
    assert "1 of 1 cells" in output
    assert "cannot" not in output
    assert "No such file" not in output


@pytest.mark.slow
def test_a_mistake_that_a_job_finds_is_told_once(copy):
    """The data set's file is not what it should be."""
    raw = copy.folder / "data/MNIST/raw"
    raw.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (raw / f"{name}-ubyte").write_bytes(bytes(100))
    copy.write("config/tiny.yaml", ALONE.replace("dataset: digits", "dataset: mnist"))
    output = copy.run("env", "-u", "DATA_ROOT", *RUN, rc=1)
    assert output.count("train-images-idx3-ubyte: expected") == 1
    [log] = copy.folder.glob("results/tiny/logs/*.train-*.log")
    assert log.read_text().count("expected") == 1, "a job that was started again made the mistake again"


def test_a_mistake_in_the_config_is_told_before_snakemake_starts(copy):
    copy.edit("config/tiny.yaml", "epochs: 2", "epoch: 2")
    output = copy.run(*RUN, rc=2)
    assert "did you mean 'epochs'" in output
    assert not (copy.folder / "results").exists()


@pytest.mark.slow
def test_nohup_is_heeded(copy):
    process = copy.start("sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *RUN)
    while not list(copy.folder.glob("results/**/attempts.json")):
        assert process.poll() is None
    process.send_signal(signal.SIGHUP)
    output, _ = process.communicate(timeout=300)
    assert "2 of 2 cells" in output
    assert process.returncode == 0


@pytest.mark.slow
def test_after_a_killed_snakemake_it_goes_on_without_being_told_to_unlock(copy):
    copy.write("config/tiny.yaml", ALONE.replace("epochs: 2", "epochs: 300"))
    process = copy.start(*RUN)
    while not list(copy.folder.glob("results/**/attempts.json")):
        assert process.poll() is None
    import psutil

    for child in psutil.Process(process.pid).children(recursive=True):
        child.kill()
    process.communicate(timeout=60)
    assert process.returncode
    copy.edit("config/tiny.yaml", "epochs: 300", "epochs: 2")
    assert "1 of 1 cells" in copy.run(*RUN, "--until", "collect")
