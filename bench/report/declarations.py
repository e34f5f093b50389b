"""What a plug-in's source says of itself, read without running it: docstring, citations, hyperparameters.

So a page needs no torch, and a plug-in that cannot be imported costs its own section alone.
"""

import ast
import inspect
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from bench import ROOT


class Unreadable(ValueError):
    """The source of a plug-in is not there, or is not Python; the message names the file."""


class Declaration(NamedTuple):
    """A regularizer as its file declares it; `defaults` are those of its hyperparameters, as they are written."""

    path: Path
    doc: str
    cites: tuple[str, ...]
    defaults: dict[str, str]


def source(name: str) -> tuple[Path, str]:
    """The file of a regularizer, and the name of its class there; empty if it is the file's only one.

    Raises:
        Unreadable: no file and no installed package has it.
    """
    own = ROOT / "regularizers" / f"{name}.py"
    if own.exists():
        return own, ""
    for entry in entry_points(group="latentbench.regularizers", name=name):
        try:
            spec = find_spec(entry.module)
        except Exception as error:  # it runs the package's own code
            raise Unreadable(f"{entry.value}: {type(error).__name__}: {error}") from None
        if spec and spec.origin:
            return Path(spec.origin), entry.attr
    raise Unreadable(f"regularizers/{name}.py: no such file, and no installed package has a regularizer {name!r}")


@cache
def declaration(name: str) -> Declaration:
    """What the source of a regularizer declares.

    Raises:
        Unreadable: it cannot be read, or is no Python.
    """
    path, wanted = source(name)
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError) as error:
        raise Unreadable(f"{path.name}: {type(error).__name__}: {error}") from None
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    found = classes.get(wanted) or next((c for c in classes.values() if _declares(c)), None)
    if found is None:
        raise Unreadable(f"{path.name}: defines no regularizer")
    lineage = [found, *(classes[base.id] for base in found.bases if isinstance(base, ast.Name) and base.id in classes)]
    init = next((n for c in lineage for n in c.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
    return Declaration(
        path, inspect.cleandoc(ast.get_docstring(found, clean=False) or ""), _cites(lineage), _defaults(init)
    )


def _declares(node: ast.ClassDef) -> bool:
    return any(isinstance(base, ast.Name | ast.Attribute) for base in node.bases)


def _cites(lineage: list[ast.ClassDef]) -> tuple[str, ...]:
    for node in (n for c in lineage for n in c.body):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(t, ast.Name) and t.id == "cites" for t in targets):
            try:
                return tuple(map(str, ast.literal_eval(node.value)))
            except (ValueError, TypeError):
                return ()
    return ()


def _defaults(init: ast.FunctionDef | None) -> dict[str, str]:
    if init is None:
        return {}
    a = init.args
    positional = [x.arg for x in (*a.posonlyargs, *a.args)]
    last = positional[len(positional) - len(a.defaults) :]
    found = dict(zip(last, map(ast.unparse, a.defaults), strict=True))
    pairs = zip(a.kwonlyargs, a.kw_defaults, strict=True)
    return found | {x.arg: ast.unparse(d) for x, d in pairs if d is not None}
