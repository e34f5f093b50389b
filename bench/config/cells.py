"""The cells of a config, experiment x method: which they are, what their settings come to and what is wrong with them.

Free of torch.
"""

from collections.abc import Iterator
from functools import reduce
from typing import Any

from pydantic import BaseModel, ValidationError

from bench.config import combinations
from bench.config.combinations import ELEMENTWISE
from bench.config.layers import ConfigError, Layers, file_of, held, merge, merged
from bench.config.messages import said, where
from bench.config.schema import SPOKEN, Config, Settings

Section = tuple[tuple, dict]  # its place in the config, such as ("methods", "mmd"), and what it says

# No other setting depends on these: where one of them is wrong, all else of the cell can still be judged.
ALONE = {
    "width", "depth", "noise_dim", "init", "batch_norm", "input_noise", "input_dropout", "separation_margin", "weight",
    "regularization_batch", "posterior_std", "precision", "deterministic", "timeout",
}  # fmt: skip


class Mistakes:
    """The lines of the mistakes, each with the file that says the key; what one cell says of a key, others do not."""

    def __init__(self, layers: Layers, given: int):
        self.layers, self.given = layers, merged(layers[:given])
        self.lines: dict[str, None] = {}
        self.told: dict[str, Any] = {}

    def add(self, at: tuple, message: str, by: Any = None) -> None:
        """A line for the key at a place, unless another cell than `by` has one."""
        place = where(at)
        if self.told.setdefault(place, by) == by:
            self.lines[f"{file_of(at, self.layers)}: {place}: {message}"] = None

    def validate(self, model: type[BaseModel], value: Any, at: tuple) -> BaseModel | None:
        """The value as the model; None, and a line for each mistake, if it is none."""
        try:
            return model.model_validate(value)
        except ValidationError as error:
            for detail in error.errors():
                self.add((*at, *detail["loc"]), misplaced(model, detail) or said(detail, model))
        except RecursionError:
            self.add(at, "nested too deeply")
        return None

    def raise_any(self) -> None:
        """Raise a ConfigError if there are mistakes."""
        if self.lines:
            raise ConfigError("\n".join(self.lines))


def misplaced(model: type[BaseModel], detail: dict) -> str | None:
    """Where a key belongs that this section does not have and another one has."""
    if detail["type"] != "extra_forbidden" or len(detail["loc"]) != 1:
        return None
    [key] = detail["loc"]
    if model is not Config and key in Config.model_fields and key not in SPOKEN:
        return f"{key!r} belongs to the top of the file"
    if model is Config and key in Settings.model_fields:
        return f"{key!r} belongs to 'defaults', to an experiment or to a method"
    return None


def section(content: Any, *keys: str) -> dict:
    """The section at a place; an empty one where there is none."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}


def misshapen(content: dict, place: tuple) -> bool:
    """Whether what stands at the place of a section is none: that has a line of its own."""
    inner = content
    for key in place:
        inner = inner.get(key) if isinstance(inner, dict) else inner
    return not isinstance(inner, dict | None)


def cells(content: dict) -> Iterator[tuple[str, str]]:
    """The (experiment, method) pairs that a config names."""
    for name, experiment in section(content, "experiments").items():
        methods = experiment.get("methods") if isinstance(experiment, dict) else None
        listed = methods if isinstance(methods, list | dict) else ()
        yield from ((name, method) for method in listed if isinstance(method, str))


def sections(content: dict, experiment: str, method: str) -> list[Section]:
    """What has a say in the settings of a cell, the last word last."""
    places = [("defaults",), ("experiments", experiment), ("methods", method)]
    places.append(("experiments", experiment, "methods", method))
    return [(place, said_in(content, place)) for place in places]


def said_in(content: dict, place: tuple) -> dict:
    """The settings that a section has: not its titles, seeds and methods."""
    own = section(content, *place).items()
    return {k: v for k, v in own if k not in SPOKEN and (k != "methods" or place[0] != "experiments")}


def together(sections: list[Section]) -> dict:
    """The settings that sections come to."""
    return reduce(merge, (own for _, own in sections), {})


def settings(config: Config, experiment: str, method: str) -> Settings:
    """The full settings of a cell: defaults, then experiment, method, and the experiment's word on the method."""
    parts = {"defaults": config.defaults, "methods": config.methods, "experiments": config.experiments}
    return Settings.model_validate(together(sections(parts, experiment, method)))


def seeds(config: Config, experiment: str, method: str) -> list[int]:
    """The seeds of a cell, by the experiment's word on the method, the method, the experiment or the config."""
    own = config.experiments[experiment]
    layers = (section(own, "methods", method), config.methods[method], own)
    found = next((layer["seeds"] for layer in layers if layer.get("seeds")), config.seeds)
    return list(range(found)) if isinstance(found, int) else found


def judge(content: dict, only: list[str] | None, found: Mistakes) -> None:
    """Mistakes in what the settings of each cell come to, and settings of the given files that no cell reads."""
    effects: dict[tuple, tuple[tuple, str] | None] = {}  # place → why it has no effect; None if it has, in some cell
    named = set()
    for experiment, method in cells(content):
        named.add(method)
        parts = sections(content, experiment, method)
        if method not in section(content, "methods") or any(misshapen(content, place) for place, _ in parts[:3]):
            continue
        s, errors = _valid(together(parts))
        nothing = combinations.unread(s) if s else {}
        if only is None or experiment in only:
            said = [(message, at) for message, *at in combinations.mistakes(s)] if s else []
            for message, places in [*errors, *said]:
                found.add(_blamed(places, parts, experiment, found.given), message, by=(experiment, method))
        for i, (place, _) in enumerate(parts):
            for at in leaves(said_in(found.given, place)):
                why, full = _futile(at, place, parts[i + 1 :], nothing), (*place, *at)
                effects[full] = why and effects.get(full, why)
    for at, why in filter(None, effects.values()):
        found.add(at, why, by=why)
    _unread_seeds(content, only, found)
    for name in section(found.given, "methods"):
        if name not in named:
            found.add(("methods", name), "has no effect: no experiment has it among its methods", by=named)


def _unread_seeds(content: dict, only: list[str] | None, found: Mistakes) -> None:
    """Seeds of the given files that no cell has, for each has some of its own."""
    read, others = set(), {}
    for experiment, method in cells(content):
        if only is None or experiment in only:
            at = ("experiments", experiment)
            places = ((*at, "methods", method), ("methods", method), at, ())
            places = [place for place in places if section(content, *place).get("seeds")]
            read.update(places[:1])
            others |= {place: places[0] for place in places[1:]}
    for place, other in others.items():
        if place not in read and section(found.given, *place).get("seeds"):
            found.add((*place, "seeds"), f"has no effect: {where((*other, 'seeds'))} has the last word", by=place)


def _valid(content: dict) -> tuple[Settings | None, list[tuple[str, list[tuple]]]]:
    """The settings, without what is wrong with them if all else can be judged; and what is wrong, with its place."""
    try:
        return Settings.model_validate(content), []
    except RecursionError:
        return None, []
    except ValidationError as error:
        details = error.errors()
    errors = [(said(detail, Settings), [detail["loc"]]) for detail in details]
    wrong = {detail["loc"][0] for detail in details}
    rest = {k: v for k, v in content.items() if k not in wrong}
    return (_valid(rest)[0] if wrong <= ALONE else None), errors


def _blamed(places: list[tuple], parts: list[Section], experiment: str, given: dict) -> tuple:
    """Of the settings that a mistake is about, the first that the given files say, else the first."""
    full = []
    for at in places:
        holding = [place for place, own in parts if held(own, at) == len(at)]
        partly = [place for place, own in parts if held(own, at)]
        full.append((*(holding or partly or [("experiments", experiment)])[-1], *at))
    return next((at for at in full if held(given, at) == len(at)), full[0])


def leaves(own: dict, at: tuple = ()) -> Iterator[tuple]:
    """The places of all that a section sets; each element of a list of which each may be read or not."""
    for key, value in own.items():
        if isinstance(value, dict):
            yield from leaves(value, (*at, key))
        elif not at and key in ELEMENTWISE and isinstance(value, list):
            yield from ((key, element) for element in value if isinstance(element, str | int))
        else:
            yield (*at, key)


def _futile(at: tuple, place: tuple, later: list[Section], nothing: dict[tuple, str]) -> tuple[tuple, str] | None:
    """Where and why a setting of a section has no effect in a cell; None if it has one."""
    key = at[:1] if at[0] in ELEMENTWISE else at
    for other, own in later:
        if held(own, key) == len(key):
            return (*place, *key), f"has no effect: {where(other)} says otherwise"
    unread = next((part for part in nothing if at[: len(part)] == part), None)
    return None if unread is None else ((*place, *unread), nothing[unread])
