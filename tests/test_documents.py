"""README, CONTRIBUTING and the documents name only commands, files and targets that there are."""

import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from bench.__main__ import cli
from bench.config.layers import merge
from bench.config.reading import load
from bench.perf import subcommands

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "results/README.md",
    *sorted(ROOT.glob("docs/**/*.md")),
]
# Words in capitals stand for something of the reader's.
STANDS_FOR = {"CONFIG": "config/quick.yaml", "NAME": "foo", "A": "results/a", "B": "results/b", "…": "1"}


def commands(text):
    """What is in a block of shell or alone in backquotes, and begins like a command of this repository."""
    blocks = re.findall(r"```(\w*)\n(.*?)```", text.replace("\\\n", " "), re.DOTALL)
    code = [line for language, block in blocks if language != "python" for line in block.splitlines()]
    code += re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    for line in code:
        if not re.match(r"(?:[A-Z_]+=\S* )*(?:latentbench|make|snakemake|python)(?:\s|$)", line):
            continue
        words = shlex.split(line.partition(" #")[0].partition(" > ")[0].partition(" | ")[0], comments=True)
        while re.fullmatch(r"[A-Z_]+=\S*", words[0]):  # the command's environment
            words = words[1:]
        yield [STANDS_FOR.get(word, word) for word in words]


SHOWN = [(path, words) for path in DOCUMENTS for words in commands(path.read_text(encoding="utf-8"))]


EXAMPLE = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("path", ["README.md", "regularizers/__init__.py"])
def test_an_example_runs_and_its_training_converges(path):
    for example in EXAMPLE.findall((ROOT / path).read_text(encoding="utf-8")):
        exec(example, names := {})
        assert names["loss"].isfinite()
        if "optimizer" in names:
            assert names["loss"].item() < 0.1


def test_commands_are_found_where_they_are_shown():
    assert {path.name for path, _ in SHOWN} >= {"README.md", "CONTRIBUTING.md", "reliability.md", "performance.md"}
    assert len(SHOWN) > 30


@pytest.mark.parametrize(("path", "words"), SHOWN, ids=[f"{p.name}: {' '.join(w)}" for p, w in SHOWN])
def test_a_command_that_is_shown_can_be_given(path, words):
    program, *rest = words
    if program == "make":
        goals = [word for word in rest if "=" not in word and not word.startswith("-")] or ["run"]
        makefile = (ROOT / "Makefile").read_text()
        assert all(re.search(rf"^(?:\S+ )*{re.escape(goal)}(?: \S+)*:", makefile, re.MULTILINE) for goal in goals), (
            words
        )
        for name, value in (word.split("=") for word in rest if word.startswith("CONFIG=")):
            assert value == "1" or (ROOT / "config" / f"{value}.yaml").exists() or (ROOT / value).exists(), name
    elif program == "latentbench":
        if rest:
            assert rest[0] in cli.commands, words
            cli.commands[rest[0]].make_context(rest[0], rest[1:])
        if rest[:1] == ["perf"] and rest[1:]:
            assert rest[1] in subcommands()
    elif program == "snakemake":
        from snakemake.cli import get_argument_parser

        asked = get_argument_parser().parse_args([word for word in rest if word != "..."])
        assert all(Path(ROOT, config).exists() for config in asked.configfile or []), words
        if asked.workflow_profile:
            assert (ROOT / asked.workflow_profile).exists(), words
    elif rest[:1] == ["-m"]:
        assert find_spec(rest[1]), words


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_that_are_named_are_there(path):
    text = path.read_text(encoding="utf-8")
    tops = "bench|config|docs|profiles|regularizers|tests"
    named = {n.partition("::")[0] for n in re.findall(rf"`((?:{tops})/[\w./-]+(?:::\w+)?)`", text)}
    made = {"regularizers/foo.py"}  # by a command that is shown
    assert not [name for name in sorted(named - made) if not (ROOT / name).exists()]
    tests = {p.name: p.read_text(encoding="utf-8") for p in ROOT.glob("tests/**/test_*.py")}
    for name, _, begin in re.findall(r"`(test_\w+\.py)(::(test_\w+)…)?`", text):
        assert f"def {begin}" in tests[name], (name, begin)
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert not [link for link in links if link and not (path.parent / link).exists()]


def test_the_exit_codes_in_the_documents_are_the_programs():
    from bench.door import mistakes

    text = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    section = text[text.index("## Exit codes") :].partition("\n## ")[0]
    codes = {int(n) for row in re.findall(r"^\| ([\d, ]+) \|", section, re.MULTILINE) for n in row.split(",")}
    known = {mistakes.FAULT, mistakes.MISTAKE, mistakes.HELD, mistakes.INTERRUPTED, mistakes.STOPPED}
    assert codes == known | {0, 3}


def test_the_entry_for_a_config_in_contributing_is_that_of_the_file_it_names_and_the_method():
    """Step 3: what is shown, put into the config, gives the runs of before and those of the method."""
    [block] = re.findall(r"```yaml\n(   methods:\n.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    shown = yaml.safe_load(block.replace("regularizer: foo", "regularizer: energy"))
    quick = yaml.safe_load((ROOT / "config/quick.yaml").read_text())
    before = quick["experiments"]["likelihood"]["methods"]
    assert shown["experiments"]["likelihood"]["methods"] == [*before, "foo"]
    place = ROOT / "config/_contributing.yaml"
    try:
        place.write_text(yaml.safe_dump(merge(quick, shown), sort_keys=False))
        assert [*load(place).experiments["likelihood"]["methods"]] == [*before, "foo"]
    finally:
        place.unlink()


def test_make_would_carry_out_every_target_that_the_makefile_has():
    targets = [name for line in re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
               for name in line.split()]  # fmt: skip
    done = subprocess.run(
        ["make", "--dry-run", "--old-file=.venv/ready", *targets], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    verbs = re.findall(r"^latentbench (\w+)", done.stdout, re.MULTILINE)
    assert len(verbs) > 7
    assert set(verbs) <= cli.commands.keys()
    assert sys.version_info >= (3, 11)
