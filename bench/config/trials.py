"""The trials of a config's `tuning`, as methods of an experiment of their own."""

from bench.config.layers import merge
from bench.config.schema import TUNING, Config


def trial_name(method: str, number: int) -> str:
    """The method that a trial of another is, counted from 1."""
    return f"{method}_trial{number}"


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
