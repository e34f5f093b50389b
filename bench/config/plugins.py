"""Which plug-ins there are and what each can be given. Free of torch, but for a prior that has to be built.

A plug-in is a class: of a file of this repository, whose source is read, or of an installed package that names it
in an entry point, which is imported.
"""

import ast
import json
import os
from functools import cache, lru_cache
from importlib import import_module
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, PositiveInt, ValidationError

from bench.config import registry
from bench.config.messages import said, where
from bench.config.registry import Spec
from bench.config.signatures import FOLDER, Signature, inspected, read, tree

PRIORS = FOLDER / "__init__.py"
HEADS = ("continuous", "categorical")
NARROWEST, FARTHEST = 1e-3, 1e3  # where single precision still tells codes apart


@cache
def _classes() -> dict[str, str]:
    """Prior → the name of its class: the dictionary `PRIORS`."""
    for node in tree(PRIORS).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PRIORS":
            return {ast.literal_eval(k): v.id for k, v in zip(node.value.keys, node.value.values, strict=True)}
    return {}


@cache
def names(kind: str) -> list[str]:
    """The plug-ins of a kind (`bench.config.registry`), and the priors of this repository."""
    return sorted({*registry.names(kind), *(_classes() if kind == "priors" else ())})


def _three(shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) != 3:
        raise ValueError("expected 3 numbers")
    return shape


class Facts(BaseModel, from_attributes=True, strict=True):
    """What a `Declaration` of a data set must hold."""

    shape: Annotated[tuple[PositiveInt, ...], AfterValidator(_three)]
    classes: PositiveInt
    sizes: dict[Literal["train", "validation", "test"], PositiveInt]
    smallest_class: PositiveInt | None
    labelled: bool
    white: PositiveInt
    large: bool
    checksums: dict[str, str]
    cite: tuple[str, ...]


def facts(dataset: Spec) -> Any:
    """The `bench.data.declarations.Declaration` of a data set; None where only reading it would tell, or nothing."""
    return _declared(json.dumps(dataset), os.environ.get("DATA_ROOT"), os.getcwd())[0]


def refused(dataset: Spec) -> str | None:
    """Why a data set cannot be what a config says; None if it can, or if its files are not here."""
    return _declared(json.dumps(dataset), os.environ.get("DATA_ROOT"), os.getcwd())[1]


@lru_cache(maxsize=256)
def _declared(dataset: str, root: str | None, here: str) -> tuple[Any, str | None]:
    data = import_module("bench.data.declarations")  # the room above: what the registry's data sets return
    try:
        found = data.declaration(json.loads(dataset), root)
        Facts.model_validate(found)
        return found, None
    except ValidationError as error:
        mistakes = ", ".join(f"{where(detail['loc'])}: {said(detail)}" for detail in error.errors())
        return None, f"{registry.source('datasets', registry.name_of(json.loads(dataset)))}: declares {mistakes}"
    except data.Absent:
        return None, None
    except data.DataError as error:
        return None, str(error)


@cache
def declared(kind: str, name: str) -> Signature:
    """What a regularizer or a prior takes and says of itself.

    Raises:
        LookupError: its source cannot be read; in one line that names it.
    """
    path = FOLDER / f"{name}.py"
    try:
        if kind == "priors" and name in _classes():
            found = read(PRIORS, _classes()[name])
        elif kind == "regularizers" and path.exists():
            found = read(path)
        else:
            found = inspected(registry.load(kind, name))
    except Exception as error:  # of a plug-in anything
        raise LookupError(f"{name}.py: {type(error).__name__}: {error}") from error
    if found is None:
        raise LookupError(f"{name}.py: defines no regularizer, or several")
    return found


def signature(kind: str, name: str) -> Signature | None:
    """The same; None if its source cannot be read: a failure of its runs, not a mistake in the config."""
    try:
        return declared(kind, name)
    except LookupError:
        return None


def wrong(kind: str, name: str, values: dict[str, Any]) -> list[tuple[tuple, str]]:
    """What a plug-in cannot be given: (place, why)."""
    own = signature(kind, name)
    return own.wrong(values) if own else []


def heads(prior: str) -> tuple[str, ...]:
    """The heads whose codes a prior fits."""
    own = signature("priors", prior)
    return tuple(own.attributes.get("heads", HEADS)) if own else HEADS


class Built(NamedTuple):
    """A prior: its components, whether it has a density, and the mistakes that keep it from being built."""

    components: int = 1
    density: bool = True
    mistakes: tuple[tuple[tuple, str], ...] = ()


def build(name: str, dim: int, settings: dict[str, Any]) -> Built:
    """What a prior comes to. One whose settings or class its annotations do not judge is built: that imports torch."""
    own = signature("priors", name)
    found = [(("settings", *key), why) for key, why in wrong("priors", name, settings)]
    if own and own.keywords:
        found += [(("dim",), why) for _, why in own.judge(next(iter(own.keywords)), dim)]
    if found:
        return Built(mistakes=tuple(found))
    if name in _classes() and own and not any(isinstance(v, list) for v in settings.values()):
        singular = heads(name) == ("categorical",)
        return Built((own.defaults | settings).get("components", dim if singular else 1), not singular)
    return _built(name, dim, json.dumps(settings, sort_keys=True, default=str))


@lru_cache(maxsize=256)
def _built(name: str, dim: int, settings: str) -> Built:
    try:
        prior = import_module("regularizers").prior(name)(dim, **json.loads(settings))
        if why := _no_mixture(prior, dim):
            raise ValueError(f"{registry.source('priors', name)}: {why}")
        if not float(prior.means.abs().max()) <= FARTHEST:
            raise ValueError(f"means: expected numbers from -{FARTHEST:g} to {FARTHEST:g}")
        if prior.variance < NARROWEST**2:
            raise ValueError("all components are at one point, which gives no unit of length")
        return Built(len(prior.weights), bool(prior.has_density))
    except Exception as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        if name in registry.installed("priors") and not isinstance(error, ValueError):  # what it says is no message
            why = f"{registry.source('priors', name)}: {type(error).__name__}: {why}"
        return Built(mistakes=((("settings",), why[:300]),))


def _no_mixture(prior: Any, dim: int) -> str | None:
    """Why a prior is no mixture of Gaussians in so many dimensions."""
    if "_buffers" not in vars(prior):
        return "__init__ does not call super().__init__(weights, means, scale_tril)"
    K = len(prior.weights)
    for name, shape in {"weights": (K,), "means": (K, dim), "scale_tril": (K, dim, dim)}.items():
        if tuple(getattr(prior, name).shape) != shape:
            return f"{name} is a tensor {tuple(getattr(prior, name).shape)}, expected {shape}"
        if (kind := str(getattr(prior, name).dtype)) != "torch.float32":
            return f"{name} is of {kind}, expected torch.float32"
    if not abs(float(prior.weights.sum()) - 1) < 1e-3 or float(prior.weights.min()) < 0:
        return f"weights sum to {float(prior.weights.sum()):g}, expected shares that sum to 1"
    return None
