"""What a class takes and defines, read from its source: importing it would import torch."""

import ast
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


@dataclass(frozen=True)
class Signature:
    """A class as its source shows it: the keywords of `__init__`, its methods and its plain attributes."""

    keywords: dict[str, Any]  # name → annotation
    needed: frozenset[str] = frozenset()
    defaults: dict[str, Any] = field(default_factory=dict)
    defines: frozenset[str] = frozenset()
    attributes: dict[str, Any] = field(default_factory=dict)
    any_keyword: bool = False

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
        found = [((key,), "missing; it has no default") for key in sorted(self.needed - values.keys())]
        for key, value in values.items():
            if key in valid:
                found += self.judge(key, value)
            elif not self.any_keyword:
                found.append(((key,), unknown(key, valid)))
        return found


@cache
def tree(path: Path) -> ast.Module:
    """The source of a file, parsed once."""
    return ast.parse(path.read_text(encoding="utf-8"))


def read(path: Path, wanted: Callable[[ast.ClassDef], bool]) -> Signature | None:
    """The one class of a file that is `wanted`, over the classes that it extends in private modules beside it."""
    found = [node for node in tree(path).body if isinstance(node, ast.ClassDef) and wanted(node)]
    if len(found) != 1:
        return None
    own, result = found[0], Signature({})
    for base in own.bases:
        at = source(path, ast.unparse(base))
        if at:
            result = read(at, lambda c, base=base: c.name == ast.unparse(base)) or result
    methods = {node.name: node for node in own.body if isinstance(node, ast.FunctionDef)}
    attributes = {}
    for node in own.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            try:
                attributes[ast.unparse(target)] = ast.literal_eval(node.value)
            except ValueError:
                continue
    signature = _signature(path, methods["__init__"]) if "__init__" in methods else vars(result)
    return Signature(
        **{k: signature[k] for k in ("keywords", "needed", "defaults", "any_keyword")},
        defines=result.defines | set(methods),
        attributes=result.attributes | attributes,
    )


def extends(path: Path, node: ast.ClassDef, name: str) -> bool:
    """Whether a class of a file extends the class of that name, by itself or by a private module's."""
    for base in map(ast.unparse, node.bases):
        if base.rpartition(".")[2] == name:
            return True
        at = source(path, base)
        if at and any(extends(at, n, name) for n in tree(at).body if getattr(n, "name", None) == base):
            return True
    return False


def source(path: Path, name: str) -> Path | None:
    """The file that defines a class: this one, or the private module that it is imported from."""
    for node in tree(path).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return path
        if isinstance(node, ast.ImportFrom) and name in [a.asname or a.name for a in node.names]:
            own = (node.module or "").startswith("regularizers._")
            return FOLDER / f"{node.module.partition('.')[2]}.py" if own else None
    return None


def _signature(path: Path, function: ast.FunctionDef) -> dict[str, Any]:
    """The arguments after `self` and the first one, which is a regularizer's prior or a prior's dimension."""
    given, names = function.args, _names(path)
    positional = given.args[1:]
    defaults = [None] * (len(positional) - len(given.defaults)) + given.defaults
    arguments = [*zip(positional, defaults, strict=True), *zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    return {
        "keywords": {a.arg: _evaluated(a.annotation, names) for a, _ in arguments},
        "needed": frozenset(a.arg for a, default in arguments[1:] if default is None),
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
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("regularizers._"):
            beside = _names(FOLDER / f"{node.module.partition('.')[2]}.py")
            found |= {a.asname or a.name: beside[a.name] for a in node.names if a.name in beside}
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
        frozenset(p.name for p in named[1:] if p.default is p.empty),
        {p.name: p.default for p in named if p.default is not p.empty},
        frozenset(name for base in bases for name in vars(base)),
        {name: getattr(plugin, name) for name in dir(plugin) if not callable(getattr(plugin, name, None))},
        any(p.kind is p.VAR_KEYWORD for p in parameters),
    )
