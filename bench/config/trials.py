"""The trials of a config's `tuning`, as methods of an experiment of their own."""

from bench.config import combinations
from bench.config.cells import Mistakes, seeds, settings
from bench.config.layers import ConfigError, merge
from bench.config.schema import TUNING, VALIDATION_METRICS, Config, Settings
from bench.config.values import plain


def trial_name(method: str, number: int) -> str:
    """The method that a trial of another is, counted from 1."""
    return f"{method}_trial{number}"


def trial_seeds(config: Config) -> list[int]:
    """The seeds of all trials."""
    own = config.tuning.seeds
    return list(range(own)) if isinstance(own, int) else own


def judge(config: Config, found: Mistakes) -> None:
    """Mistakes in the trials of a config that has no others: what they measure, on which seeds, by which settings."""
    tuning = config.tuning
    if tuning is None:
        return
    asked = trial_seeds(config)
    needed = VALIDATION_METRICS[tuning.metric]
    if tuning.halving and config.batch_by != "run":
        found.add(("tuning", "halving"), "needs batch_by: run, for a seed decides what the next one trains")
    if tuning.halving and len(asked) < 2:
        found.add(("tuning", "halving"), "has no effect with one seed: trials are dropped after each but the last")
    for method, tried in tuning.trials.items():
        own = settings(config, tuning.experiment, method)
        if lacking := sorted({*asked} - {*seeds(config, tuning.experiment, method)}):
            said = f"the default, {method!r} of {tuning.experiment!r}, has no seed {', '.join(map(str, lacking))}"
            found.add(("tuning", "seeds"), f"{said} to be compared with", by=method)
        if needed not in own.evaluations:
            said = f"{method!r} of {tuning.experiment!r} does not measure {needed!r}"
            found.add(("tuning", "metric"), said, by=method)
        shared = merge(own.model_dump(exclude_unset=True), tuning.settings)
        known, titles = [Settings.model_validate(shared)], []
        for i, trial in enumerate(tried):
            changed = Settings.model_validate({k: v for k, v in merge(shared, trial).items() if k != "title"})
            at, title = ("tuning", "trials", method, i), plain(trial.get("title") or changes(trial))
            if changed in known:
                of = f"trial {known.index(changed) - 1}" if known.index(changed) else "the default"
                found.add(at, f"the same settings as {of}", by=i)
            elif title in titles:
                found.add((*at, "title"), f"that of trial {titles.index(title)} too", by=i)
            known, titles = [*known, changed], [*titles, title]
            for message, *places in combinations.mistakes(changed):
                found.add((*at, *places[0]), message, by=i)
            if needed not in changed.evaluations:
                found.add((*at, "evaluations"), f"does not measure {needed!r}, which the choice is by", by=i)


def required(config: Config, path: object) -> None:
    """Raise a ConfigError if the config of a file has no trials."""
    if config.tuning is None or TUNING not in config.experiments:
        remedy = "add a section 'tuning:' (see CONTRIBUTING.md), and to 'only:' where there is one"
        raise ConfigError(f"{path}: no trials to judge; {remedy}")


def with_trials(config: Config) -> Config:
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
