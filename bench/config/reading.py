"""From a file, and those that it extends, to a checked config: clear errors for what it may not say. Free of torch."""

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from bench.config.schema import TUNING, Config, Experiment, Latent, Method, Optimizer, Settings, partial, unknown


class ConfigError(ValueError):
    """One or more mistakes in a config, one line each: file, key, what is wrong, what is valid."""


def merge(base: dict, own: dict) -> dict:
    """`own` over `base`, section by section; None in `own` leaves `base`'s value."""
    merged = dict(base)
    for key, value in own.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        elif value is not None or key not in merged:
            merged[key] = value
    return merged


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML would silently drop the first."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, (str, int, float, bool, type(None))):
                raise yaml.constructor.ConstructorError(None, None, "keys must be plain", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key!r}", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict:
    """A YAML file's mapping; ConfigError if it is none, cannot be read or repeats a key."""
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{where}: {getattr(error, 'problem', None) or error}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected sections such as 'methods:', found {type(content).__name__}")
    return content


def load(path: str | Path, overrides: dict | None = None) -> Config:
    """The config of a file: its own keys over those of the file that it `extends`, checked.

    Raises:
        ConfigError: all mistakes at once.
    """
    layers, seen, current = [], set(), Path(path)
    while True:
        if current.resolve() in seen:
            raise ConfigError(f"{path}: extends goes round in a circle at {current}")
        seen.add(current.resolve())
        content = read_yaml(current)
        base = content.pop("extends", None)
        layers.append((str(current), content))
        if base is None:
            break
        if not isinstance(base, str):
            raise ConfigError(f"{current}: extends: expected the name of a file beside this one, found {base!r}")
        current = current.parent / base
    if overrides:
        layers.insert(0, ("--config", {k: v for k, v in overrides.items() if k != "extends"}))
    merged: dict = {}
    for _, content in reversed(layers):
        merged = merge(merged, content)
    return check(merged, layers)


def check(merged: dict, layers: list[tuple[str, dict]]) -> Config:
    """The typed config, or a ConfigError that lists every mistake with its file."""
    errors: list[str] = []

    def validate(model: type[BaseModel], value: Any, at: tuple) -> BaseModel | None:
        try:
            return model.model_validate(value)
        except ValidationError as error:
            for detail in error.errors():
                errors.append(_line(model, at, detail, layers))
        except RecursionError:
            errors.append(f"{_file(at, layers)}: {_path(at)}: nested too deeply")
        return None

    config = validate(Config, merged, ())
    sections = {k: merged.get(k) if isinstance(merged.get(k), dict) else {} for k in ("methods", "experiments")}
    validate(partial(Settings), merged.get("defaults") or {}, ("defaults",))
    for name, method in sections["methods"].items():
        validate(Method, method, ("methods", name))
    for name, experiment in sections["experiments"].items():
        validate(Experiment, experiment, ("experiments", name))
        methods = experiment.get("methods") if isinstance(experiment, dict) else None
        for method in methods if isinstance(methods, (list, dict)) else ():
            at = ("experiments", name, "methods", str(method))
            if not isinstance(method, str) or method not in sections["methods"]:
                errors.append(f"{_file(at, layers)}: {_path(at[:-1])}: {unknown(method, sections['methods'])}")
            elif isinstance(methods, dict):
                validate(Method, methods[method] or {}, at)
    if config and config.only is not None and TUNING not in config.only:
        config = config.model_copy(update={"tuning": None})
    tuning = config.tuning if config else None
    if tuning:
        validate(Method, tuning.settings, ("tuning", "settings"))
        tuned = sections["experiments"].get(tuning.experiment)
        declared = tuned.get("methods") if isinstance(tuned, dict) else None
        at = ("tuning", "experiment")
        if tuning.experiment not in sections["experiments"]:
            errors.append(f"{_file(at, layers)}: {_path(at)}: {unknown(tuning.experiment, sections['experiments'])}")
        for method, trials in tuning.trials.items():
            at = ("tuning", "trials", method)
            if isinstance(declared, (list, dict)) and method not in declared:
                errors.append(f"{_file(at, layers)}: {_path(at)}: {unknown(method, declared)}")
            for i, trial in enumerate(trials):
                validate(Method, trial, (*at, i))
    for name in config.only or () if config else ():
        known = [*sections["experiments"], *([TUNING] if merged.get("tuning") else [])]
        if name not in known:
            errors.append(f"{_file(('only',), layers)}: only: {unknown(name, known)}")
        elif tuning and name == TUNING and tuning.experiment not in config.only:
            errors.append(f"{_file(('only',), layers)}: only: {TUNING!r} needs {tuning.experiment!r}, its default, too")
    if errors or config is None:
        raise ConfigError("\n".join(dict.fromkeys(errors)))
    config = _with_trials(config)
    for experiment, content in config.experiments.items():
        for method in content["methods"]:
            try:
                settings(config, experiment, method)
            except ConfigError as error:
                errors.extend(f"{layers[0][0]}: {line}" for line in str(error).splitlines())
    if errors:
        raise ConfigError("\n".join(dict.fromkeys(errors)))
    if config.only is None:
        return config
    # What is not run is not spoken of: no table, figure or section asks for it.
    return config.model_copy(update={"experiments": {k: config.experiments[k] for k in config.only}})


def trial_name(method: str, number: int) -> str:
    """The method that a trial of another is, counted from 1."""
    return f"{method}_trial{number}"


def _with_trials(config: Config) -> Config:
    """The config with its trials as methods of an experiment of their own."""
    if config.tuning is None:
        return config
    base = config.experiments[config.tuning.experiment]
    declared = base["methods"] if isinstance(base["methods"], dict) else {}
    methods, names = dict(config.methods), {}
    for method, trials in config.tuning.trials.items():
        own = merge(methods[method], declared.get(method) or {})
        for number, trial in enumerate(trials, 1):
            changed = merge(merge(own, config.tuning.settings), trial)
            changed.pop("seeds", None)  # those of the tuning are for all trials
            said = trial.get("title") or changes(trial)
            name = trial_name(method, number)
            methods[name] = changed | {"title": f"{own.get('title') or method}: {said}"}
            names[name] = None
    title = f"Tuning of {base.get('title') or config.tuning.experiment}"
    tuning = base | {"title": title, "seeds": config.tuning.seeds, "methods": names}
    return config.model_copy(update={"methods": methods, "experiments": config.experiments | {TUNING: tuning}})


def changes(trial: dict, at: str = "") -> str:
    """The settings that a trial changes, as 'optimizers.inner.lr = 0.001, weight = 2'."""
    found = []
    for key, value in trial.items():
        if isinstance(value, dict):
            found.append(changes(value, f"{at}{key}."))
        elif key != "title" or at:
            found.append(f"{at}{key} = {value}")
    return ", ".join(found)


def seeds(config: Config, experiment: str, method: str) -> list[int]:
    """The seeds of a cell, by the experiment's word on the method, the method, the experiment or the config."""
    own = config.experiments[experiment]
    special = own["methods"].get(method) if isinstance(own["methods"], dict) else None
    layers = (special or {}, config.methods[method], own)
    found = next((layer["seeds"] for layer in layers if layer.get("seeds")), config.seeds)
    return list(range(found)) if isinstance(found, int) else found


def settings(config: Config, experiment: str, method: str) -> Settings:
    """The full settings of a cell: defaults, then experiment, method, and the experiment's word on the method."""
    own = dict(config.experiments[experiment])
    methods = own.pop("methods")
    special = (methods[method] or {}) if isinstance(methods, dict) else {}
    merged: dict = {}
    for layer in (config.defaults, own, config.methods[method], special):
        merged = merge(merged, {k: v for k, v in layer.items() if k not in ("title", "seeds")})
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        at = ("experiments", experiment, "methods", method)
        lines = [_line(Settings, at, detail, []).partition(": ")[2] for detail in error.errors()]
        raise ConfigError("\n".join(lines)) from None


def _path(at: tuple) -> str:
    # pydantic names the alternatives of a union in the path; a reader's file does not have them.
    return ".".join(str(part) for part in at if re.fullmatch(r"[\w ]+", str(part)) and part not in ("int", "str"))


def _file(at: tuple, layers: list[tuple[str, dict]]) -> str:
    """The file that has the last word on a key: the first layer that holds the longest part of its path."""
    best, depth = layers[0][0] if layers else "config", 0
    for file, content in layers:
        node, reached = content, 0
        for part in at:
            if isinstance(node, dict) and part in node:
                node, reached = node[part], reached + 1
            else:
                break
        if reached > depth:
            best, depth = file, reached
    return best


def _line(model: type[BaseModel], at: tuple, detail: dict, layers: list) -> str:
    where = (*at, *detail["loc"])
    prefix = f"{_file(where, layers)}: {_path(where) or 'top level'}"
    if detail["type"] == "extra_forbidden":
        section: Any = model
        for part in detail["loc"][:-1]:  # the nested model that refused the key
            field = getattr(section, "model_fields", {}).get(part)
            nested = [Optimizer, Latent] if field else []
            section = next((m for m in nested if m.__name__ in str(field.annotation)), section)
        return f"{prefix}: {unknown(detail['loc'][-1], list(section.model_fields))}"
    message = detail["msg"].removeprefix("Value error, ")
    found = repr(detail.get("input"))
    return f"{prefix}: {message} (found {found if len(found) < 60 else found[:57] + '...'})"
