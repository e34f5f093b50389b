"""What a result depends on, as a hash: the code it imports and the packages it pins. Free of torch."""

import ast
import hashlib
import re
import sys
from functools import cache
from pathlib import Path

from bench import ROOT

PACKAGES = ("bench", "regularizers")

# These decide which runs there are and where their files lie, not what they compute: what they
# would change in a result shows in its settings, so editing them retrains nothing.
NEUTRAL = {
    f"bench/{name}.py"
    for name in ("__init__", "config/reading", "config/schema", "config/runs", "records/whole_files", "records/locks",
                 "records/fingerprint", "records/freshness", "records/provenance")
}  # fmt: skip

# Where the distribution that pip knows has another name than the package that code imports.
DISTRIBUTIONS = {"sklearn": "scikit-learn", "scikit_posthocs": "scikit-posthocs", "yaml": "pyyaml"}


@cache
def code(path: Path) -> bytes:
    """What a source file does, without comments, docstrings and layout, so that none of them retrains anything."""
    source = path.read_bytes()
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return source  # a file that does not parse still has a version
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(
            node, clean=False
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree).encode()


def _file(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.exists()), None)


@cache
def _imports(path: Path) -> tuple[frozenset[Path], frozenset[str]]:
    local, foreign = set(), set()
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return frozenset(), frozenset()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for module in modules:
            top = module.split(".")[0]
            if top in PACKAGES:
                local.update(filter(None, [_file(module), _file(top)]))
            elif top not in sys.stdlib_module_names:
                foreign.add(DISTRIBUTIONS.get(top, top))
    return frozenset(local), frozenset(foreign)


@cache
def closure(module: str) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """The local files that a module imports, directly or not, and the distributions they use."""
    start = _file(module)
    files, foreign, queue = set(), set(), [start] if start else []
    while queue:
        path = queue.pop()
        if path in files or path.relative_to(ROOT).as_posix() in NEUTRAL:
            continue
        files.add(path)
        local, others = _imports(path)
        queue.extend(local)
        foreign |= others
    return tuple(sorted(files)), tuple(sorted(foreign))


@cache
def pins() -> dict[str, str]:
    """Distribution → version, of the lock."""
    text = (ROOT / "requirements.lock").read_text() if (ROOT / "requirements.lock").exists() else ""
    return {m[1].lower(): m[2] for m in re.finditer(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)}


@cache
def fingerprint(*modules: str) -> str:
    """The version of everything that running these modules depends on, but settings and data."""
    digest = hashlib.sha256()
    files, foreign = set(), set()
    for module in modules:
        own, others = closure(module)
        files.update(own)
        foreign.update(others)
    for path in sorted(files):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + code(path) + b"\0")
    for name in sorted(foreign):
        digest.update(f"{name}=={pins().get(name, '')}\n".encode())
    return digest.hexdigest()[:16]
