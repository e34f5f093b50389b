"""Which plug-ins there are: regularizers, priors, data sets and architectures. Free of torch.

Each is a file of a folder of this repository, or what an installed package names in an entry point. How a config names
one with options, `{tfd: {fold: 3}}` or `{arrays: my.npz}`, is said here, too.
"""

import re
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench import ROOT
from bench.config.signatures import inspected
from bench.config.values import unknown

# Kind → the package whose public files are plug-ins, and the function that makes a file one.
KINDS = {
    "regularizers": ("regularizers", None),
    "datasets": ("bench.data", "declare"),
    "architectures": ("bench.train.architectures", "build"),
    "priors": (None, None),  # this repository's are in one dictionary, `regularizers.PRIORS`
}
Spec = str | dict[str, Any]  # a name, or a name with its options


class PluginError(TypeError):
    """A plug-in does not do what its kind promises: in one line that names its file."""


@cache
def files(kind: str) -> dict[str, Path]:
    """The plug-ins of a kind that are files of this repository, by name."""
    package, function = KINDS[kind]
    found = sorted(ROOT.joinpath(*package.split(".")).glob("[!_]*.py")) if package else []
    defines = re.compile(rf"^def {function}\b", re.MULTILINE)
    return {p.stem: p for p in found if not function or defines.search(p.read_text(encoding="utf-8", errors="replace"))}


@cache
def installed(kind: str) -> dict[str, EntryPoint]:
    """The plug-ins of a kind that installed packages bring, by name: entry points of the group `latentbench.<kind>`."""
    return {entry.name: entry for entry in entry_points(group=f"latentbench.{kind}")}


def names(kind: str) -> list[str]:
    """The plug-ins at hand."""
    return sorted({*files(kind), *installed(kind)})


def module(kind: str, name: str) -> str:
    """The dotted name of the module that a plug-in is.

    Raises:
        LookupError: there is no such plug-in.
    """
    if name in files(kind):
        return f"{KINDS[kind][0]}.{name}"
    if name in installed(kind):
        return installed(kind)[name].module
    raise LookupError(unknown(name, names(kind)))


def source(kind: str, name: str) -> str:
    """The file that a plug-in is, for messages."""
    own = files(kind).get(name)
    if own:
        return str(own.relative_to(ROOT))
    found = find_spec(module(kind, name))
    return found.origin if found and found.origin else module(kind, name)


def load(kind: str, name: str) -> Any:
    """What a plug-in defines: the function of its file, or what its entry point names.

    Raises:
        LookupError: there is no such plug-in, or it cannot be imported; in one line.
    """
    dotted = module(kind, name)
    try:
        if name in files(kind):
            return getattr(import_module(dotted), KINDS[kind][1])
        return installed(kind)[name].load()
    except Exception as error:  # a plug-in may fail in any way
        raise LookupError(" ".join(f"{dotted} cannot be imported: {type(error).__name__}: {error}".split())) from error


def name_of(spec: Spec) -> str:
    """The name in a spec, without its options."""
    return next(iter(spec), "") if isinstance(spec, dict) else spec


def said(spec: Spec) -> str:
    """A spec in words: `mnist`, `tfd (fold 3)`, `arrays (my.npz)`."""
    if isinstance(spec, str):
        return spec
    name, options = name_of(spec), spec[name_of(spec)]
    listed = [f"{key} {value}" for key, value in options.items()] if isinstance(options, dict) else [str(options)]
    return f"{name} ({', '.join(listed)})" if listed else name


def bound(kind: str, spec: Spec) -> tuple[Callable, dict[str, Any]]:
    """The function of a plug-in and the keywords that a spec gives it: those of a mapping, or one value for the first.

    The keywords are judged by their annotations.

    Raises:
        LookupError: no such plug-in or keyword, a value of another type, or none that it needs; in one line.
    """
    if isinstance(spec, dict) and len(spec) != 1:
        raise LookupError(f"expected one name with its options, found {', '.join(map(str, spec)) or 'none'}")
    name, options = name_of(spec), next(iter(spec.values())) if isinstance(spec, dict) else {}
    function = load(kind, name)
    own = inspected(function)
    keywords = list(own.keywords)[1:]
    if not isinstance(options, dict):
        if not keywords or options is None:
            raise LookupError(f"{name}: expected {', '.join(keywords) or 'no options'}, found {options!r}")
        options = {keywords[0]: options}
    for (key, *_), why in own.wrong(options):
        raise LookupError(f"{name}: {key}: {why}")
    return function, options
