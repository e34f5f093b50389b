"""From a file, and those that it extends, to a checked config: clear errors for what it may not say. Free of torch."""

from typing import Any

from pydantic import ValidationError

from bench.config import trials
from bench.config.cells import Mistakes, cells, judge, misshapen, section, seeds, settings
from bench.config.layers import ConfigError, Layers, layers, merged
from bench.config.messages import said, short, where
from bench.config.schema import TUNING, Config, Defaults, Experiment, InExperiment, Method, Trial, unknown
from bench.config.values import plain

__all__ = ["ConfigError", "check", "load", "restore", "seeds", "settings"]


def load(path: Any, overrides: dict | None = None) -> Config:
    """The config of a file: its own keys over those of the file that it `extends`, checked.

    Raises:
        ConfigError: all mistakes at once.
    """
    found = layers(path, overrides)
    return check(merged(found), found, given=1 + bool(overrides))


def restore(content: Any, file: str) -> Config:
    """A checked config from its copy, `model_dump(mode="json")`: what has been checked is not judged again.

    Raises:
        ConfigError: it is no such copy.
    """
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        detail = error.errors()[0]
        raise ConfigError(f"{file}: {where(detail['loc'])}: {said(detail, Config)}") from None


def check(content: dict, layers: Layers, given: int = 1) -> Config:
    """The typed config, or a ConfigError that lists every mistake with its file.

    The first `given` layers are what the user wrote for this config: what they say must have an effect. What they
    extend serves other configs too.
    """
    found = Mistakes(layers, given)
    config = found.validate(Config, content, ())
    found.validate(Defaults, content.get("defaults") or {}, ("defaults",))
    for name, method in section(content, "methods").items():
        found.validate(Method, method, ("methods", name))
    for name, experiment in section(content, "experiments").items():
        found.validate(Experiment, experiment, ("experiments", name))
        for method, special in section(experiment, "methods").items():
            found.validate(InExperiment, special or {}, ("experiments", name, "methods", method))
    for experiment, method in cells(content):
        if method not in section(content, "methods") and not misshapen(content, ("methods",)):
            found.add(("experiments", experiment, "methods"), unknown(method, section(content, "methods")))
    _titles(content, found)
    only = config.only if config else None
    if config:
        config = _tuning(config, content, found)
    judge(content, only, found)
    found.raise_any()
    trials.judge(config, found)
    found.raise_any()
    config = trials.with_trials(config)
    if only is None:
        return config
    # What is not run is not spoken of: no table, figure or section asks for it.
    return config.model_copy(update={"experiments": {k: config.experiments[k] for k in only}})


def _titles(content: dict, found: Mistakes) -> None:
    """Experiments, and methods of one, that a reader of tables or figures could not tell apart."""
    seen: dict[tuple, str] = {}
    for experiment, own in section(content, "experiments").items():
        name = str(section(own).get("title") or str(experiment).replace("_", " "))
        if (other := seen.setdefault((plain(name),), experiment)) != experiment:
            found.add(("experiments", experiment, "title"), f"{short(name)} is that of {other!r} too", by=other)
    for experiment, method in cells(content):
        own = section(content, "methods", method)
        for key in ("title", "short"):
            name = str(own.get(key) or own.get("title") or str(method).replace("_", " "))
            other = seen.setdefault((experiment, key, plain(name)), method)
            if other != method:
                found.add(("methods", method, key), f"{short(name)} is that of {other!r} too", by=other)
                break


def _tuning(config: Config, content: dict, found: Mistakes) -> Config:
    """The config without trials that are not run; mistakes in what `only` and the tuning name."""
    experiments = section(content, "experiments")
    known = [*experiments, *([TUNING] if config.tuning else [])]
    if TUNING in experiments:
        found.add(("experiments", TUNING), f"{TUNING!r} is the name of the trials' experiment; choose another")
    for name in config.only or ():
        if name not in known:
            found.add(("only",), unknown(name, known))
    tuning = config.tuning
    if tuning is None or (config.only is not None and TUNING not in config.only):
        if tuning and "tuning" in found.given:
            found.add(("tuning",), f"has no effect: 'only' leaves out {TUNING!r}")
        return config.model_copy(update={"tuning": None})
    if config.only is not None and tuning.experiment not in config.only:
        found.add(("only",), f"{TUNING!r} needs {tuning.experiment!r}, its default, too")
    found.validate(Trial, tuning.settings, ("tuning", "settings"))
    declared = [method for experiment, method in cells(content) if experiment == tuning.experiment]
    if tuning.experiment not in experiments:
        found.add(("tuning", "experiment"), unknown(tuning.experiment, experiments))
    for method, tried in tuning.trials.items():
        known = tuning.experiment in experiments
        if known and method not in declared and (config.only or method in section(found.given, "tuning", "trials")):
            found.add(("tuning", "trials", method), unknown(method, declared))
        for i, trial in enumerate(tried):
            found.validate(Trial, trial, ("tuning", "trials", method, i))
    # Trials that are inherited, of methods that this config does not run, are none.
    kept = {method: tried for method, tried in tuning.trials.items() if method in declared}
    return config.model_copy(update={"tuning": tuning.model_copy(update={"trials": kept}) if kept else None})
