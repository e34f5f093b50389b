"""What a result depends on, as a hash: the code that it runs and the packages that this pins. Free of torch."""

import ast
import contextlib
import hashlib
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec, resolve_name
from pathlib import Path

from bench import ROOT, SHARE

PACKAGES = ("bench", "regularizers")
# These decide which runs there are and where their files lie, not what they compute: what they
# would change in a result shows in its settings, so editing them makes nothing stale.
NEUTRAL = frozenset(
    f"bench.{name}"
    for name in (
        "config.reading", "config.registry", "config.schema", "config.runs", "records.fingerprint", "records.freshness",
        "records.locks", "records.protocol_versions", "records.provenance", "records.whole_files",
    )
)  # fmt: skip
# Where the distribution that pip knows has another name than the package that code imports.
DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml"}


class UnknownModule(LookupError):
    """A module whose code cannot be found, so that nothing could tell whether it has changed."""


@cache
def _read(path: Path) -> tuple[str, frozenset[tuple[str, str]]]:
    """A hash of what a source file does, without comments, docstrings and layout, and what it imports: (from, name).

    So none of these makes anything stale.
    """
    text = path.read_bytes()
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return hashlib.sha256(text).hexdigest(), frozenset()  # a file that does not parse still has a version
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported.update((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.update(("." * node.level + (node.module or ""), alias.name) for alias in node.names)
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str):
                node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest(), frozenset(imported)


def _imports(module: str) -> Iterator[str]:
    """The modules that a module imports; of other packages than its own and these the names alone are known."""
    path, top = source(module), module.split(".")[0]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for origin, name in _read(path)[1]:
        found = resolve_name(origin, package) if origin.startswith(".") else origin
        if name and found.split(".")[0] in (*PACKAGES, top):
            with contextlib.suppress(UnknownModule):
                source(f"{found}.{name}")
                found = f"{found}.{name}"
        yield found


@cache
def source(module: str) -> Path:
    """The file of a module.

    Raises:
        UnknownModule: there is none.
    """
    top, *rest = module.split(".")
    if top in PACKAGES:
        base = ROOT.joinpath(top, *rest)
        found = next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.exists()), None)
    else:
        try:
            spec = find_spec(module)
        except (ImportError, ValueError):
            spec = None
        found = Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None
    if found is None:
        raise UnknownModule(f"{module}: no source file, so that nothing can tell whether its code has changed")
    return found


@cache
def closure(module: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The modules that a module runs, itself included, of this repository and its own package; other distributions.

    Raises:
        UnknownModule: one of them, or one that is declared neutral, cannot be found.
    """
    for name in NEUTRAL:
        source(name)
    found, foreign, queue = set(), set(), [module]
    while queue:
        name = queue.pop()
        if name in found or name in NEUTRAL:
            continue
        found.add(name)
        for imported in _imports(name):
            top, *rest = imported.split(".")
            if top in PACKAGES:  # a package's initialiser runs too
                queue += [".".join([top, *rest[:i]]) for i in range(len(rest) + 1)]
            elif top == module.split(".")[0]:  # without those of a plug-in's package: they may import all its plug-ins
                with contextlib.suppress(UnknownModule):  # compiled; the package's version tells
                    source(imported)
                    queue.append(imported)
            elif top not in sys.stdlib_module_names:
                foreign.add(top)
    return tuple(sorted(found)), tuple(sorted(foreign))


@cache
def pins() -> dict[str, str]:
    """Distribution → version, of the lock; all versions where it has one for each of several Pythons."""
    text = (SHARE / "requirements.lock").read_text() if (SHARE / "requirements.lock").exists() else ""
    found: dict[str, set[str]] = {}
    for name, pin in re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE):
        found.setdefault(name.lower(), set()).add(pin)
    return {name: " ".join(sorted(versions)) for name, versions in found.items()}


def pinned(package: str) -> str:
    """The version of an imported package: that of the lock, else of what is installed; '' if it is neither."""
    for name in (DISTRIBUTIONS.get(package, package), None):
        name = name or packages_distributions().get(package, [package])[0]  # slow, and seldom needed
        if name.lower() in pins():
            return f"{name.lower()}=={pins()[name.lower()]}"
        with contextlib.suppress(PackageNotFoundError):
            return f"{name.lower()}=={version(name)}"
    return package


@cache
def fingerprint(*modules: str) -> str:
    """The version of everything that running these modules depends on, but settings and data: 16 hexadecimal digits.

    No path is part of it, so that a file that only moves changes nothing by itself.

    Raises:
        UnknownModule: a module has no source file.
    """
    found, foreign = set(), set()
    for module in modules:
        own, others = closure(module)
        found.update(own)
        foreign.update(others)
        top = module.split(".")[0]
        if top not in PACKAGES:
            foreign.add(top)  # a plug-in's package counts by its version, too
    contents = sorted(_read(source(name))[0] for name in found)
    lines = [*contents, *sorted(map(pinned, foreign))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
