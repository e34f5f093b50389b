"""What a class takes and defines, read from its source: importing it would import torch."""

import ast
import contextlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from bench import ROOT
from bench.config.messages import said
from bench.config.values import unknown

STRICT = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)
FOLDER = ROOT / "regularizers"
ANNOTATIONS = ("typing", "collections.abc", "annotated_types")  # modules whose names may stand in an annotation
OURS = ("builtins", "torch", "regularizers")  # what a plug-in inherits from these is not its own
# What plug-ins say of themselves by attributes that this package reads.
SAID = {
    "title": (str, "a text"),
    "cites": (tuple[str, ...], 'a tuple of keys, such as ("gretton2012",)'),
    "heads": (tuple[str, ...], 'a tuple of heads, such as ("continuous",)'),
    "unread": (tuple[tuple[str, str, Any], ...], "a tuple of (hyperparameter, another, its value)"),
}


@dataclass(frozen=True)
class Signature:
    """A class as its source shows it: `__init__`'s keywords, methods, plain attributes, docstring."""

    keywords: dict[str, Any]  # name → annotation
    defaults: dict[str, Any] = field(default_factory=dict)
    defines: frozenset[str] = frozenset()
    attributes: dict[str, Any] = field(default_factory=dict)
    any_keyword: bool = False
    doc: str = ""

    def __post_init__(self):
        for name in [name for name in SAID if name in self.attributes]:
            annotation, words = SAID[name]
            try:
                TypeAdapter(annotation, config=STRICT).validate_python(self.attributes[name])
            except ValidationError:
                raise TypeError(f"{name}: expected {words} (found {self.attributes[name]!r})") from None

    @cached_property
    def _adapters(self) -> dict[str, TypeAdapter]:
        return {name: TypeAdapter(annotation, config=STRICT) for name, annotation in self.keywords.items()}

    def judge(self, key: str, value: Any) -> list[tuple[tuple, str]]:
        """Why a keyword cannot have a value, by its annotation: (place, why)."""
        try:
            self._adapters[key].validate_python(value)
        except ValidationError as error:
            places: dict[tuple, list[str]] = {}
            for detail in error.errors():  # one line for a value, whichever of several types it could have been
                at = (key, *(part for part in detail["loc"] if isinstance(part, int)))
                places.setdefault(at, []).append(said(detail))
            return [(at, " or ".join(dict.fromkeys(messages))) for at, messages in places.items()]
        return []

    def wrong(self, values: dict[str, Any]) -> list[tuple[tuple, str]]:
        """What a plug-in cannot be given: (place, why), by its keywords and their annotations."""
        valid = list(self.keywords)[1:]
        needed = {*valid} - self.defaults.keys() - values.keys()
        found = [((key,), "missing; it has no default") for key in sorted(needed)]
        for key, value in values.items():
            if key in valid:
                found += self.judge(key, value)
            elif not self.any_keyword:
                found.append(((key,), unknown(key, valid)))
        for key, other, value in self.attributes.get("unread", ()):
            if values.get(key) is not None and (self.defaults | values).get(other) == value:
                found.append(((key,), f"has no effect with {other}: {value}"))
        return found


@cache
def tree(path: Path) -> ast.Module:
    """The source of a file, parsed once."""
    return ast.parse(path.read_text(encoding="utf-8"))


def lineage(path: Path, name: str) -> list[tuple[Path, ast.ClassDef]]:
    """A class of a file, which may import it, then all that it extends in files beside it."""
    for node in tree(path).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            bases = (lineage(path, ast.unparse(base)) for base in node.bases)
            return [(path, node), *(pair for found in bases for pair in found)]
        if isinstance(node, ast.ImportFrom) and name in [a.asname or a.name for a in node.names]:
            beside = _beside(node)
            return lineage(beside, name) if beside else []
    return []


def read(path: Path, name: str | None = None) -> Signature | None:
    """The class of that name in a file, else its only regularizer; None if there is no such class."""
    own = [node.name for node in tree(path).body if isinstance(node, ast.ClassDef)]
    names = [name] if name else [n for n in own if _regularizes(lineage(path, n))]
    found = lineage(path, names[0]) if len(names) == 1 else []
    if not found:
        return None
    methods = [(at, node) for at, cls in found for node in cls.body if isinstance(node, ast.FunctionDef)]
    attributes = {}
    for node in (node for _, cls in reversed(found) for node in cls.body):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            with contextlib.suppress(ValueError):
                attributes[ast.unparse(target)] = ast.literal_eval(node.value)
    init = next(((at, node) for at, node in methods if node.name == "__init__"), None)
    return Signature(
        **(_signature(*init) if init else {"keywords": {}}),
        defines=frozenset(node.name for _, node in methods),
        attributes=attributes,
        doc=ast.get_docstring(found[0][1]) or "",
    )


def _regularizes(found: list[tuple[Path, ast.ClassDef]]) -> bool:
    return any(ast.unparse(base).rpartition(".")[2] == "Regularizer" for _, cls in found for base in cls.bases)


def _beside(node: ast.ImportFrom) -> Path | None:
    """The file of this repository that an import is from."""
    package, _, name = (node.module or "").partition(".")
    return FOLDER / f"{name}.py" if package == "regularizers" and name else None


def _signature(path: Path, function: ast.FunctionDef) -> dict[str, Any]:
    """The arguments after `self` and the first one, which is a regularizer's prior or a prior's dimension."""
    given, names = function.args, _names(path)
    positional = given.args[1:]
    defaults = [None] * (len(positional) - len(given.defaults)) + given.defaults
    arguments = [*zip(positional, defaults, strict=True), *zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    return {
        "keywords": {a.arg: _evaluated(a.annotation, names) for a, _ in arguments},
        "defaults": {a.arg: _evaluated(default, names, None) for a, default in arguments if default is not None},
        "any_keyword": given.kwarg is not None,
    }


def _evaluated(node: ast.expr | None, names: dict, otherwise: Any = Any) -> Any:
    try:
        return eval(compile(ast.Expression(node), "annotation", "eval"), dict(names)) if node else otherwise
    except Exception:  # it has names of other modules
        return otherwise


@cache
def _names(path: Path) -> dict[str, Any]:
    """What annotations of a file may mention: types, and constants of its own."""
    found: dict[str, Any] = {}
    for node in tree(path).body:
        if isinstance(node, ast.ImportFrom) and node.module in ANNOTATIONS:
            found |= {a.asname or a.name: getattr(import_module(node.module), a.name, Any) for a in node.names}
        elif isinstance(node, ast.ImportFrom) and (at := _beside(node)):
            found |= {a.asname or a.name: _names(at)[a.name] for a in node.names if a.name in _names(at)}
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = _evaluated(node.value, found)
    return found


def inspected(plugin: Callable) -> Signature:
    """The same of a class, or a function, that is there."""
    parameters = list(inspect.signature(plugin, eval_str=True).parameters.values())
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    bases = [base for base in getattr(plugin, "__mro__", ()) if base.__module__.split(".")[0] not in OURS]
    return Signature(
        {p.name: Any if p.annotation is p.empty else p.annotation for p in named},
        {p.name: p.default for p in named if p.default is not p.empty},
        frozenset(name for base in bases for name in vars(base)),
        {name: getattr(plugin, name) for name in dir(plugin) if not callable(getattr(plugin, name, None))},
        any(p.kind is p.VAR_KEYWORD for p in parameters),
        inspect.cleandoc(plugin.__doc__ or ""),
    )
