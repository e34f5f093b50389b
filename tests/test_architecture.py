"""The rooms depend on each other one way, nobody asks a regularizer its name, and files stay small."""

import ast
import io
import tokenize
from pathlib import Path

import pytest

import regularizers
from bench.config.schema import FAMILIES
from bench.evaluate.parzen import PROTOCOLS

ROOT = Path(__file__).parent.parent
REGULARIZERS = sorted(ROOT.glob("regularizers/*.py"))
# bench/perf measures one kernel after the other, and must name them.
PROGRAMS = sorted(path for path in ROOT.glob("bench/**/*.py") if path.parent.name != "perf")


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def quoted(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("path", REGULARIZERS, ids=lambda p: p.name)
def test_regularizers_know_nothing_of_the_bench(path):
    assert not {name for name in imports(path) if name.split(".")[0] in ("bench", "tests")}


@pytest.mark.parametrize("path", REGULARIZERS, ids=lambda p: p.name)
def test_regularizers_know_nothing_of_each_other(path):
    """They share the contract and private modules only."""
    public = {f"regularizers.{p.stem}" for p in REGULARIZERS if not p.stem.startswith("_")}
    assert not public & set(imports(path))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.name)
def test_no_program_imports_a_regularizer(path):
    """What they share, the contract and the modules with an underscore, is no regularizer."""
    allowed = set(vars(regularizers))
    plugins = [n.split(".")[1] for n in imports(path) if n.startswith("regularizers.")]
    assert not {n for n in plugins if n not in allowed and not n.startswith("_")}


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.name)
def test_no_program_names_a_regularizer(path):
    """But a protocol of Parzen estimates may have the name of the paper that used it, a family that of a member."""
    assert not set(quoted(path)) & set(regularizers.names()) - set(PROTOCOLS) - set(FAMILIES)


def test_the_workflow_names_no_regularizer():
    files = [*ROOT.glob("Snakefile"), *ROOT.glob("*.smk")]
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    assert not [name for name in regularizers.names() if f'"{name}"' in text or f"'{name}'" in text]


def lines_of_code(path):
    """Without docstrings, in which the mathematics stands, comments and blank lines."""
    text = path.read_text(encoding="utf-8")
    words = (tokenize.NAME, tokenize.OP, tokenize.NUMBER, tokenize.STRING)
    lines = {t.start[0] for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.type in words}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


@pytest.mark.parametrize("name", regularizers.names())
def test_a_regularizer_is_one_short_file(name):
    assert lines_of_code(ROOT / "regularizers" / f"{name}.py") <= 70
