"""The rooms depend on each other one way, nobody asks a regularizer its name, and files stay small.

Each rule is a function from a tree of sources to its breaches; the tree of this repository has none, and a tree
with one breach of each kind in it shows that the rules see them.
"""

import ast
import contextlib
import functools
import io
import shutil
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Whom a room may import, besides itself. Of what is not named here nothing is known to any room.
MAY_IMPORT = {
    "config": set(),
    "data": {"config"},
    "records": {"config", "data"},
    "train": {"config", "data", "records", "regularizers"},
    "evaluate": {"config", "data", "records", "train", "regularizers"},
    "tables": {"config", "records"},
    "figures": {"config", "records", "tables", "data", "train", "regularizers"},
    "report": {"config", "records", "tables", "figures", "data"},
    "perf": {"config", "data", "records", "train", "evaluate", "regularizers"},
    "door": {"config", "data", "records", "train", "evaluate", "tables", "report"},
    "__main__": {"config", "data", "records", "train", "evaluate", "tables", "report", "perf", "door"},
}
WITHOUT_TORCH = ("config", "records", "tables", "report", "door")
LONGEST = 250  # lines of a file
LONGEST_REGULARIZER = 70  # of its code, without the docstrings in which the mathematics stands
# Words that are no regularizer there: a family of methods, a measurement. perf measures one kernel after the other.
OTHER_WORDS = {
    "bench.config.values": {"adversarial"},
    "bench.tables.metric_names": {"mmd"},
}
NAME_THEM = ("perf",)


parsed = functools.cache(ast.parse)  # most files of a tree with a breach in it are those of the other trees


def sources(root: Path) -> dict[Path, ast.Module]:
    """The program's files, parsed."""
    found = {}
    for path in sorted([*root.glob("bench/**/*.py"), *root.glob("regularizers/*.py")]):
        with contextlib.suppress(SyntaxError):  # a plug-in that is no Python fails its own tests and no others
            found[path] = parsed(path.read_text(encoding="utf-8"))
    return found


def module(path: Path, root: Path) -> str:
    """The name under which a file is imported."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def imports(tree: ast.AST) -> Iterator[str]:
    """The modules and names that a file imports, at its top or within its functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(name: str) -> str | None:
    """The room of a module: regularizers, or what follows bench."""
    top, _, rest = name.partition(".")
    return top if top == "regularizers" else rest.split(".")[0] if top == "bench" and rest else None


def rooms(root: Path) -> set[str]:
    """The rooms that there are."""
    return {path.parent.name for path in root.glob("bench/*/__init__.py")}


def wrong_arrows(root: Path) -> Iterator[str]:
    """Imports against the direction of the rooms."""
    known = rooms(root) | {"regularizers"}
    for path, tree in sources(root).items():
        own, name = room(module(path, root)), module(path, root)
        for imported in set(imports(tree)):
            other = room(imported)
            if imported.startswith("."):
                yield f"{name}: a relative import"
            elif imported.split(".")[0] == "tests":
                yield f"{name}: imports {imported}"
            elif own == "regularizers" and imported.split(".")[0] == "bench":
                yield f"{name}: a regularizer knows {imported}"
            elif own in MAY_IMPORT and other in known and other not in MAY_IMPORT[own] | {own}:
                yield f"{name}: {own} imports {other} ({imported})"


def unknown_rooms(root: Path) -> Iterator[str]:
    """Folders and files of bench that no rule knows, and rooms that do not say what they are."""
    for name in sorted(rooms(root) - MAY_IMPORT.keys()):
        yield f"bench/{name}: a room without a rule"
    for path in sorted(root.glob("bench/*.py")):
        if path.stem not in ("__init__", "__main__"):
            yield f"bench/{path.name}: in no room"
    for name in sorted(rooms(root)):
        text = ast.get_docstring(ast.parse((root / "bench" / name / "__init__.py").read_text(encoding="utf-8"))) or ""
        if text.count(".") < 2 or "Open `" not in text:
            yield f"bench/{name}/__init__.py: does not say what belongs in it, what does not, and what to open first"


def circles(root: Path) -> Iterator[str]:
    """Modules that import each other in a circle, within functions or not."""
    trees = {module(path, root): tree for path, tree in sources(root).items()}
    graph = {name: {m for m in imports(tree) if m in trees and m != name} for name, tree in trees.items()}
    # A package's own initialiser is always imported first; only what it imports itself can close a circle.
    done: set[str] = set()

    def walk(name: str, trail: list[str]) -> Iterator[str]:
        if name in trail:
            yield " -> ".join([*trail[trail.index(name) :], name])
        elif name not in done:
            for other in sorted(graph[name]):
                yield from walk(other, [*trail, name])
            done.add(name)

    for name in sorted(graph):
        yield from walk(name, [])


def names_of_regularizers(root: Path) -> set[str]:
    """The plug-ins of the tree: a file each."""
    return {path.stem for path in root.glob("regularizers/[!_]*.py")}


def who_asks_the_name(root: Path) -> Iterator[str]:
    """Programs that import or name a regularizer: what one can do it declares itself."""
    plugins = names_of_regularizers(root)
    for path, tree in sources(root).items():
        own, name = room(module(path, root)), module(path, root)
        imported = {i.split(".")[1] for i in imports(tree) if i.startswith("regularizers.")} & plugins
        if own not in {"regularizers", *NAME_THEM}:  # one regularizer may build on another
            quoted = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
            named = imported | (quoted & plugins - OTHER_WORDS.get(name, set()))
            yield from (f"{name}: names the regularizer {other}" for other in sorted(named))
    for path in [*root.glob("Snakefile"), *root.glob("*.smk")]:
        text = path.read_text(encoding="utf-8")
        yield from (f"{path.name}: names the regularizer {n}" for n in sorted(plugins) if f'"{n}"' in text)


def imports_of_torch(root: Path) -> Iterator[str]:
    """Modules of the rooms without torch that import it when they are imported, themselves or through others."""
    trees = {module(path, root): tree for path, tree in sources(root).items()}

    def at_the_top(tree: ast.Module) -> Iterator[str]:
        for node in tree.body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                yield from imports(node)

    direct = {name: set(at_the_top(tree)) for name, tree in trees.items()}

    def reached(name: str, seen: set[str]) -> bool:
        if name in seen:
            return False
        seen.add(name)
        found = direct[name]
        if any(i.split(".")[0] in ("torch", "torchvision", "geomloss", "pykeops") for i in found):
            return True
        parents = {".".join(i.split(".")[:k]) for i in found for k in range(1, i.count(".") + 2)}
        return any(reached(i, seen) for i in parents & trees.keys())

    for name in sorted(trees):
        if room(name) in WITHOUT_TORCH and reached(name, set()):
            yield f"{name}: imports torch"


def long_files(root: Path) -> Iterator[str]:
    """Files that are too long to be read in one go."""
    found = sources(root)
    for path in found:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > LONGEST:
            yield f"{path.relative_to(root)}: {lines} lines"
    for name in sorted(names_of_regularizers(root)):
        path = root / "regularizers" / f"{name}.py"
        lines = lines_of_code(path) if path in found else 0
        if lines > LONGEST_REGULARIZER:
            yield f"regularizers/{name}.py: {lines} lines of code"


def lines_of_code(path: Path) -> int:
    """Without docstrings, comments and blank lines."""
    text = path.read_text(encoding="utf-8")
    words = (tokenize.NAME, tokenize.OP, tokenize.NUMBER, tokenize.STRING)
    lines = {t.start[0] for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.type in words}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


RULES = {
    "arrows": wrong_arrows,
    "rooms": unknown_rooms,
    "circles": circles,
    "names": who_asks_the_name,
    "torch": imports_of_torch,
    "length": long_files,
}


@pytest.mark.parametrize("rule", RULES)
def test_the_house_keeps_the_rule(rule):
    assert list(RULES[rule](ROOT)) == []


# (file, what is written at its end, the rule that must see it, what it must say)
BREACHES = [
    ("bench/config/reading.py", "from bench.records import locks", "arrows", "config imports records"),
    ("bench/data/datasets.py", "def f():\n    from bench.train import loop", "arrows", "data imports train"),
    ("bench/tables/formats.py", "from bench.figures import style", "arrows", "tables imports figures"),
    ("bench/report/page.py", "import bench.perf.timing", "arrows", "report imports perf"),
    ("bench/train/loop.py", "from . import objective", "arrows", "a relative import"),
    ("bench/train/loop.py", "from tests.support import checkout", "arrows", "imports tests"),
    ("regularizers/kl.py", "from bench.config import streams", "arrows", "a regularizer knows bench.config"),
    ("bench/utilities/__init__.py", "", "rooms", "a room without a rule"),
    ("bench/misc.py", "", "rooms", "in no room"),
    ("bench/train/__init__.py", '"""Training."""', "rooms", "does not say what belongs in it"),
    ("bench/records/whole_files.py", "def f():\n    import bench.records.locks", "circles", "whole_files"),
    ("bench/train/objective.py", "KL = 'kl'", "names", "names the regularizer kl"),
    ("bench/evaluate/parzen.py", "import regularizers.mmd", "names", "names the regularizer mmd"),
    ("Snakefile", 'ONLY = "sinkhorn"', "names", "names the regularizer sinkhorn"),
    ("bench/tables/formats.py", "import torch", "torch", "bench.tables.formats: imports torch"),
    ("bench/report/page.py", "import bench.train.loop", "torch", "bench.report.page: imports torch"),
    ("bench/config/streams.py", "X = 1\n" * 251, "length", "streams.py"),
    ("regularizers/kl.py", "X = 1\n" * 71, "length", "regularizers/kl.py: "),
]


@pytest.fixture
def planted(tmp_path):
    """A copy of the sources in which something can be written at the end of a file."""
    for name in ("bench", "regularizers"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", tmp_path)

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        before = path.read_text(encoding="utf-8") if path.exists() and not name.endswith("__init__.py") else ""
        path.write_text(f"{before}\n{text}\n", encoding="utf-8")
        return tmp_path

    return write


@pytest.mark.parametrize(("file", "text", "rule", "said"), BREACHES, ids=[f"{b[2]}: {b[3]}" for b in BREACHES])
def test_a_breach_is_seen(file, text, rule, said, planted):
    root = planted(file, text)
    if rule == "circles":
        root = planted("bench/records/locks.py", "from bench.records import whole_files")
    assert any(said in line for line in RULES[rule](root)), list(RULES[rule](root))
