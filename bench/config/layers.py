"""Config files: YAML in which no key is lost and numbers are numbers, and the layers that `extends` makes of them."""

import re
from functools import reduce
from pathlib import Path
from typing import Any

import yaml

Layers = list[tuple[str, dict]]  # (file, content), the last word first


class ConfigError(ValueError):
    """One or more mistakes in a config, one line each: file, key, what is wrong, what is valid."""


class _Loader(yaml.SafeLoader):
    """YAML 1.2's plain values, in which 1e-3 is a number and 1:30 or `no` is none, and 1.1's merge keys.

    Refuses a key that stands twice, of which YAML would silently drop the first, and an alias of what it stands in.
    """

    yaml_implicit_resolvers = {}

    def compose_mapping_node(self, anchor):
        node = super().compose_mapping_node(anchor)
        keys = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "keys must be plain", key.start_mark)
            if key.value in keys:
                raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key.value!r}", key.start_mark)
            keys.add(key.value)
        return node

    def construct_object(self, node, deep=False):
        return super().construct_object(node, deep=True)  # at once, so that what holds itself is found


for _tag, _pattern, _first in (
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", "[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
    ("merge", "<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})\\Z"), list(_first))


def read_yaml(path: Path) -> dict:
    """A YAML file's mapping; ConfigError if it is none, cannot be read or repeats a key."""
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        said = " ".join(str(getattr(error, "problem", None) or error).split())
        raise ConfigError(f"{path}{where}: {said[:300]}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected sections such as 'methods:', found {type(content).__name__}")
    return content


def layers(path: str | Path, overrides: dict | None = None) -> Layers:
    """The contents of a file and of those that it extends, the last word first; `overrides` have the very last.

    Raises:
        ConfigError: a file cannot be read, or they extend each other in a circle.
    """
    found: Layers = []
    seen, current, by = set(), Path(path), None
    while True:
        if by and not current.exists():
            raise ConfigError(f"{by}: extends: expected the name of a file beside this one, found {current.name!r}")
        content = read_yaml(current)
        if current.resolve() in seen:
            raise ConfigError(f"{path}: extends goes round in a circle at {current}")
        seen.add(current.resolve())
        base = content.pop("extends", None)
        found.append((str(current), content))
        if base is None:
            break
        if not isinstance(base, str):
            raise ConfigError(f"{current}: extends: expected the name of a file beside this one, found {base!r}")
        by, current = current, current.parent / base
    if overrides:
        found.insert(0, ("--config", {k: v for k, v in overrides.items() if k != "extends"}))
    return found


def merge(base: dict, own: dict) -> dict:
    """`own` over `base`, section by section; an empty section in `own` leaves `base`'s."""
    merged = dict(base)
    for key, value in own.items():
        section = isinstance(merged.get(key), dict)
        if section and isinstance(value, dict):
            merged[key] = merge(merged[key], value)
        elif value is not None or not section:
            merged[key] = value
    return merged


def difference(own: dict, base: dict) -> dict:
    """What `own` says that `base` does not, section by section."""
    found = {k: v for k, v in own.items() if k not in base or base[k] != v}
    both = {k: (v, base[k]) for k, v in found.items() if isinstance(v, dict) and isinstance(base.get(k), dict)}
    return found | {k: difference(*pair) for k, pair in both.items()}


def merged(layers: Layers) -> dict:
    """All layers as one config."""
    return reduce(merge, (layer for _, layer in reversed(layers)), {})


def file_of(at: tuple, layers: Layers) -> str:
    """The file that has the last word on a key: the first layer that holds the longest part of its path."""
    best, depth = layers[0][0] if layers else "config", 0
    for file, content in layers:
        reached = held(content, at)
        if reached > depth:
            best, depth = file, reached
    return best


def held(content: Any, at: tuple) -> int:
    """How many parts of a path a content holds."""
    for reached, part in enumerate(at):
        here = (
            part in content if isinstance(content, dict) else isinstance(content, list) and part in range(len(content))
        )
        if not here:
            return reached
        content = content[part]
    return len(at)
