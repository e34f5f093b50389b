"""The front door: its verbs, how it names what it does not know, what it says of errors, and how fast it opens."""

import os
import re
import shlex
import subprocess
import sys

import click
import pytest
import torch

from bench.__main__ import cli, main
from bench.config.reading import ConfigError
from bench.data.verified_files import DataError
from bench.door import mistakes
from bench.records.locks import LockHeld
from tests.support import result_sets
from tests.support.checkout import ROOT

VERBS = (
    "run", "plan", "train", "evaluate", "collect", "report", "explain", "diff", "merge", "check", "verify", "tune",
    "cite", "new", "perf", "doctor",
)  # fmt: skip


def program(*arguments, **environment):
    """What the program does in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        encoding="latin-1",
    )


def test_there_is_one_verb_for_each_program():
    assert sorted(cli.commands) == sorted(VERBS)


def test_without_a_verb_the_help_is_all_that_is_said(capsys):
    main([])
    alone = capsys.readouterr().err
    main(["--help"])
    assert alone == capsys.readouterr().out
    assert "\n  latentbench run quick         train, measure" in alone


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_shows_an_example_that_parses(verb, capsys):
    if verb != "perf":  # whose help is that of the measurement
        assert main([verb, "--help"]) == 0
        assert f"Example: latentbench {verb}" in capsys.readouterr().out
    example = cli.commands[verb].epilog.removeprefix("Example: latentbench ").partition(" > ")[0]
    cli.commands[verb].make_context(verb, shlex.split(example)[1:])


def test_the_help_needs_nothing_that_starts_slowly():
    code = (
        "import sys; from bench.__main__ import main; main(['--help'])\n"
        "print(sorted({'torch', 'pandas', 'numpy', 'scipy', 'pydantic', 'matplotlib', 'snakemake'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_help_comes_within_three_tenths_of_a_second():
    def seconds():
        before = os.times()
        program("--help")
        after = os.times()
        return sum(after[2:4]) - sum(before[2:4])  # of the processor, however busy the machine is

    assert min(seconds() for _ in range(3)) < 0.3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("explian quick likelihood mmd", "verb: unknown 'explian'; did you mean 'explain'?"),
        ("plan qick", "unknown 'qick'; did you mean 'quick'?"),
        ("plan config/qick.yaml", "unknown 'config/qick.yaml'; did you mean 'config/quick.yaml'?"),
        ("plan --jbos 3", "Did you mean '--jobs'?"),
        ("train quick likelyhood", "did you mean 'likelihood"),
        ("train quick likelihood/mdm", "did you mean 'likelihood/mmd"),
        ("train quick --threads -1", "--threads"),
        ("train quick --threads 0", "--threads"),
        ("train quick --threads 100000", "--threads"),
        ("train quick --threads many", "--threads"),
        ("train quick --device gpu", "'auto', 'cpu', 'cuda'"),
        ("train quick --checkpoint-seconds -1", "--checkpoint-seconds"),
        ("train quick --checkpoint-seconds nan", "nan is no time"),
        ("perf mmd --rounds 0", "expected a whole number, at least 1"),
        ("perf mmd --codes 1", "expected a whole number, at least 2"),
        ("cite " + 300 * "a", "unknown 'aaa"),
        ("report quick --jobs 0", "--jobs"),
        ("explain quick likelihood mmd one", "SEED"),
        ("perf mdm", "did you mean 'mmd'?"),
        ("new class", "is no word of Python"),
        ("train quick --log config", "File 'config' is a directory"),
        ("evaluate quick --log config", "File 'config' is a directory"),
        ("run --cores 2", "the config comes first, then options such as --cores"),
        ("tune fashion", "config/fashion.yaml: no trials to judge; add"),
    ],
)
def test_a_mistake_is_one_line_with_the_nearest_and_exit_status_2(arguments, said, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main(arguments.split()) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.mark.parametrize("method", ["mdm", "vea"])
def test_unknown_methods_experiments_and_seeds_are_answered_with_the_nearest(method, tmp_path, monkeypatch, capsys):
    path, _ = result_sets.write(tmp_path, codes=False)
    monkeypatch.chdir(tmp_path)
    for arguments in (["likelihood", method], ["likelyhood", "mmd"], ["likelihood", "mmd", "9"]):
        assert main(["explain", str(path), *arguments]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert "Valid: " in line


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("verb", ["train", "evaluate"])
def test_a_gpu_that_is_not_there_is_one_line_and_touches_nothing(verb, tmp_path, monkeypatch, capsys):
    path, metrics = result_sets.write(tmp_path, codes=False)
    monkeypatch.chdir(tmp_path)
    before = {p: p.read_bytes() for p in metrics.parent.rglob("*") if p.is_file()}
    assert main([verb, str(path), "--device", "cuda", "--force"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "no GPU answers here" in line
    assert {p: p.read_bytes() for p in metrics.parent.rglob("*") if p.is_file()} == before


def raising(error):
    @click.command()
    def fails():
        raise error

    return fails


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigError("c.yaml: epochs: must be 1 or more"), 2),
        (DataError("t10k: expected a file, found none"), 2),
        (LockHeld("results/quick: held by pid 1"), 75),
        (PermissionError(13, "Permission denied", "results"), 1),
        (click.ClickException("no"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_that_is_no_fault_of_the_program_is_said_in_one_line(error, status, capsys):
    assert mistakes.carry_out(raising(error), []) == status
    said = [line for line in capsys.readouterr().err.splitlines() if line]
    assert len(said) == 1
    assert str(error) in said[0]


def test_a_fault_of_the_program_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        mistakes.carry_out(raising(ZeroDivisionError()), [])


def test_a_job_tells_the_terminal_its_mistake_once(tmp_path, capfd):
    log = tmp_path / "logs/a.log"

    @click.command()
    def job():
        with mistakes.logged(log):
            raise DataError("t10k: expected a file, found none")

    assert mistakes.carry_out(job, []) == 2
    assert capfd.readouterr().err == "latentbench: t10k: expected a file, found none\n"
    assert "t10k: expected a file, found none\n" in log.read_text()


def test_verbs_and_configs_are_completed():
    def completed(words):
        done = program(_LATENTBENCH_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")))
        return re.findall(r"^plain,(.*)$", done.stdout, re.MULTILINE)

    assert completed("latentbench exp") == ["explain"]
    assert "quick" in completed("latentbench train qu")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_lacks_signs_ends_no_program(encoding, tmp_path):
    path, _ = result_sets.write(tmp_path, codes=False)
    told = subprocess.run(
        [sys.executable, "-m", "bench", "explain", str(path), "likelihood", "mmd"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding},
        capture_output=True,
    )
    assert told.returncode == 0, told.stderr
    assert b"MMD & co" in told.stdout


def test_a_reader_who_has_seen_enough_gets_no_traceback():
    command = f"{sys.executable} -m bench cite quick | head -n 1"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
