"""Every setting changes the model or its measurements, and is refused where it would not: nothing is swallowed."""

import math

import pandas as pd
import pytest
import yaml

from bench.config import combinations
from bench.config.runs import Run, batches, expand
from bench.config.schema import (
    Config,
    Experiment,
    InExperiment,
    Latent,
    Method,
    Optimizer,
    Settings,
    Trial,
    Tuning,
)
from bench.records.freshness import Results
from bench.tables import answers
from bench.tables.tidy_table import RUN, family, short, title
from bench.tables.tuning import ledger, tuned_table
from bench.train import loop, optimizers
from tests.support.configs import extended
from tests.support.outcomes import outcome

ADD = {"merge": "add", "terms": ["reconstruction", "regularization", "separation"]}
RATES = {"optimizers": {"regularization": {"lr": 0.01, "momentum": 0.5, "decay": {1: 0.1}}}}
SHORT = {"epochs": 2, "batch_size": 300}
SCORED = {"evaluations": ["likelihood"], "parzen_samples": [50]}


def optimizer(**changes):
    return {"optimizers": {"regularization": RATES["optimizers"]["regularization"] | changes}}


# setting → cell, what it says, what is changed; a name with a dot is of a latent or an optimizer
EFFECTS = {
    "architecture": ("density/mmd", {}, {"architecture": "conv"}),
    "normalisation": ("density/mmd", {"output": "linear"}, {"normalisation": "per_pixel"}),
    "labels": ("classes/mmd", {}, {"labels": 200}),
    "latents": ("density/mmd", {}, {"latents": {"z": {"dim": 3}}}),
    "decoder": ("classes/mmd", {}, {"decoder": ["z"]}),
    "merge": ("clusters/mmd", {}, {"merge": "add"}),
    "terms": ("clusters/mmd", {"merge": "add"}, {"terms": ["reconstruction", "regularization", "separation"]}),
    "weights": ("classes/mmd", {}, {"weights": {"classification": 0}}),
    "evaluations": ("density/mmd", {}, {"evaluations": ["reconstruction", "latent"]}),
    "parzen_samples": ("density/mmd", SCORED, {"parzen_samples": [60]}),
    "milestones": ("density/mmd", SCORED, {"milestones": [1]}),
    "regularizer": ("density/mmd", {}, {"regularizer": "energy"}),
    "hyperparameters": ("density/mmd", {}, {"hyperparameters": {"kernel": "energy"}}),
    "encoder": ("density/mmd", {}, {"encoder": "universal"}),
    "posterior_std": ("density/mmd", {"encoder": "gaussian"}, {"posterior_std": 0.3}),
    "frozen_encoder": ("density/ae", {}, {"frozen_encoder": True}),
    "weight": ("density/vae", {}, {"weight": 2}),
    "schedule": ("density/mmd", {}, {"schedule": "joint"}),
    "regularization_batch": ("density/mmd", {}, {"regularization_batch": 50}),
    "regularization_every": ("density/mmd", {}, {"regularization_every": 2}),
    "width": ("density/mmd", {}, {"width": 9}),
    "depth": ("density/mmd", {}, {"depth": 1}),
    "noise_dim": ("density/mmd", {"encoder": "universal"}, {"noise_dim": 2}),
    "init": ("density/mmd", {}, {"init": "paper"}),
    "output": ("density/mmd", {}, {"output": "linear"}),
    "loss": ("density/mmd", {}, {"loss": "bernoulli"}),
    "batch_norm": ("density/mmd", {}, {"batch_norm": "encoder"}),
    "input_noise": ("density/mmd", {}, {"input_noise": 0.3}),
    "input_dropout": ("density/mmd", {}, {"input_dropout": 0.2}),
    "separation_margin": ("clusters/mmd", ADD, {"separation_margin": 9.0}),
    "epochs": ("density/mmd", {}, {"epochs": 3}),
    "batch_size": ("density/mmd", {}, {"batch_size": 200}),
    "optimizers": ("density/mmd", {}, RATES),
    "precision": ("density/mmd", {}, {"precision": "bfloat16"}),
    "deterministic": ("density/mmd", {}, {"deterministic": False}),
    "timeout": ("density/mmd", {"epochs": 9}, {"timeout": 0.01}),
    "dataset": ("density/mmd", {}, {"dataset": "tfd"}),
    "latents.head": (
        "clusters/mmd",
        {"evaluations": ["probes"]},
        {"latents": {"y": {"head": "continuous", "prior": "gaussian"}}},
    ),
    "latents.prior": ("density/mmd", {}, {"latents": {"z": {"prior": "petals"}}}),
    "latents.dim": ("density/mmd", {}, {"latents": {"z": {"dim": 3}}}),
    "latents.settings": ("density/mmd", {}, {"latents": {"z": {"settings": {"scale": 2}}}}),
    "latents.given": ("informed/mmd", {}, {"latents": {"z": {"given": None}}, "labels": 0}),
    "optimizers.name": ("density/mmd", RATES, optimizer(name="sgd")),
    "optimizers.lr": ("density/mmd", RATES, optimizer(lr=0.02)),
    "optimizers.momentum": ("density/mmd", RATES, optimizer(momentum=0.9)),
    "optimizers.decay": ("density/mmd", RATES, optimizer(decay={"cosine": 0.5})),
}


def cell(folder, name, *said):
    """The run of a cell in a config in which the experiment says this of the method."""
    experiment, method = name.split("/")
    own = SHORT | ({"evaluations": ["reconstruction"]} if experiment == "density" else {})
    for more in said:
        own = own | more
    config = extended(folder, yaml.safe_dump({"experiments": {experiment: {"methods": {method: own}}}}))
    assert not isinstance(config, list), config
    return next(run for run in expand(config) if (run.experiment, run.method) == (experiment, method))


FIELDS = [
    *Settings.model_fields,
    *(f"latents.{name}" for name in Latent.model_fields),
    *(f"optimizers.{name}" for name in Optimizer.model_fields),
]


@pytest.mark.parametrize("setting", FIELDS)
def test_a_setting_changes_the_model_or_its_measurements(tmp_path, setting):
    name, base, change = EFFECTS[setting]
    assert outcome(cell(tmp_path, name, base), tmp_path / "a") != outcome(
        cell(tmp_path, name, base, change), tmp_path / "b"
    )


# cell, what it says, settings that it then never reads
IDLE = [
    ("density/mmd", {}, {"noise_dim": 3, "posterior_std": 0.2, "separation_margin": 3.0, "labels": 100}),
    ("density/vae", {}, {"regularization_batch": 50, "regularization_every": 2, "weights": {"classification": 2.0}}),
    ("density/vae", {}, {"optimizers": {"regularization": {"lr": 0.1}, "inner": {"lr": 0.1}}}),
    ("density/ae", {"frozen_encoder": True}, {"weight": 7.0, "weights": {"z": 3.0}}),
    ("density/ae", {"terms": ["reconstruction"]}, {"weight": 7.0, "schedule": "alternating", "weights": {"z": 3.0}}),
    ("density/mmd", {"terms": ["reconstruction"]}, {"hyperparameters": {"kernel": "energy"}}),
    ("classes/mmd", {"terms": ["classification"], "evaluations": ["classification"]}, {"loss": "bernoulli"}),
    ("classes/mmd", {"terms": ["classification"], "evaluations": ["classification"]}, {"output": "linear"}),
    ("clusters/mmd", {}, {"parzen_samples": [60], "milestones": [1]}),
    ("density/mmd", {"optimizers": {"regularization": {}}}, {"optimizers": {"regularization": {"decay": {2: 0.1}}}}),
    ("density/mmd", SCORED, {"milestones": [3]}),
]


@pytest.mark.parametrize(("name", "base", "idle"), IDLE, ids=[" ".join(idle) for *_, idle in IDLE])
def test_a_setting_that_is_refused_as_idle_would_have_changed_nothing(tmp_path, name, base, idle):
    run = cell(tmp_path, name, base)
    changed = Settings.model_validate(run.settings.model_dump() | idle)
    assert {at[0] for at in combinations.unread(changed)} >= idle.keys()
    same = Run(run.experiment, run.method, run.seed, changed)
    assert outcome(run, tmp_path / "a") == outcome(same, tmp_path / "b")


TUNED = {"tuning": {"experiment": "density", "seeds": 1, "trials": {"mmd": [{"weight": 2}]}}}
RUNGS = {"seeds": 2, "batch_by": "run", "tuning": TUNED["tuning"] | {"seeds": 2}}
BOTH = {"experiments": {"classes": {"evaluations": ["classification", "likelihood"]}}}
# key → what a config says, what is changed; a name with a dot is of the tuning, of a method or of an experiment
OTHERS = {
    "name": ({}, {"name": "d"}),
    "preset": ({}, {"preset": "smoke"}),
    "seeds": ({}, {"seeds": 2}),
    "batch_by": ({}, {"batch_by": "run"}),
    "only": ({}, {"only": ["density"]}),
    "controls": ({}, {"controls": True}),
    "tuning": ({}, TUNED),
    "defaults": ({}, {"defaults": {"width": 9}}),
    "methods": ({}, {"methods": {"mmd": {"weight": 2}}}),
    "experiments": ({}, {"experiments": {"density": {"methods": ["mmd", "ae", "aae"]}}}),
    "tuning.experiment": (
        TUNED,
        {"tuning": TUNED["tuning"] | {"experiment": "informed", "metric": "validation_error"}},
    ),
    "tuning.metric": (
        BOTH | {"tuning": TUNED["tuning"] | {"experiment": "classes"}},
        BOTH | {"tuning": TUNED["tuning"] | {"experiment": "classes", "metric": "validation_error"}},
    ),
    "tuning.seeds": (TUNED | {"seeds": 2}, TUNED | {"seeds": 2, "tuning": TUNED["tuning"] | {"seeds": 2}}),
    "tuning.halving": (RUNGS, RUNGS | {"tuning": RUNGS["tuning"] | {"halving": True}}),
    "tuning.settings": (TUNED, {"tuning": TUNED["tuning"] | {"settings": {"evaluations": ["likelihood"]}}}),
    "tuning.trials": (TUNED, {"tuning": TUNED["tuning"] | {"trials": {"mmd": [{"weight": 3}]}}}),
    "methods.title": ({}, {"methods": {"mmd": {"title": "A"}}}),
    "methods.short": ({}, {"methods": {"mmd": {"short": "A"}}}),
    "methods.family": ({}, {"methods": {"mmd": {"family": "sampled"}}}),
    "methods.seeds": ({}, {"methods": {"mmd": {"seeds": 2}}}),
    "experiments.title": ({}, {"experiments": {"density": {"title": "A"}}}),
    "experiments.seeds": ({}, {"experiments": {"density": {"seeds": 2}}}),
    "experiments.methods": ({}, {"experiments": {"density": {"methods": ["mmd"]}}}),
    "cells.seeds": ({}, {"experiments": {"density": {"methods": {"mmd": {"seeds": 2}}}}}),
    "trials.title": (TUNED, {"tuning": TUNED["tuning"] | {"trials": {"mmd": [{"weight": 2, "title": "A"}]}}}),
}
KEYS = [
    *Config.model_fields,
    *(f"tuning.{name}" for name in Tuning.model_fields),
    *(
        f"{place}.{name}"
        for place, model in (
            ("methods", Method),
            ("experiments", Experiment),
            ("cells", InExperiment),
            ("trials", Trial),
        )
        for name in sorted(model.model_fields.keys() - Settings.model_fields.keys())
    ),
]


def done(folder, said):
    """All that a config has done and shown, but for what the settings of its runs come to."""
    config = extended(folder, yaml.safe_dump(said))
    if isinstance(config, list):
        return config
    results = Results(config, folder)
    names = [(m, title(config, m), short(config, m), family(config, m)) for m in config.methods]
    experiments = [title(config, e, "experiments") for e in config.experiments]
    rows = pd.DataFrame({k: [] for k in (*RUN, "metric", "value", "status", "seconds", "run", "current")})
    chosen_by = []
    if config.tuning:
        frame = ledger(config, rows)
        chosen_by = [config.tuning.metric, frame.to_csv(), tuned_table(config, frame).caption]
    shown = answers.caveat(config, rows, [], []), chosen_by
    runs = [(run.id, run.settings.evaluations) for run in results.runs]
    return (
        results.folder,
        runs,
        {*batches(config, results.runs)},
        results.baseline_versions(),
        names,
        experiments,
        shown,
    )


@pytest.mark.parametrize("key", KEYS)
def test_a_key_that_is_no_setting_changes_what_is_done_or_shown(tmp_path, key):
    base, change = OTHERS[key]
    before = done(tmp_path, {"name": "c"} | base)
    assert not isinstance(before, list), before
    assert before != done(tmp_path, {"name": "c"} | base | change)


TERMS = [["classification"], ["reconstruction", "classification"], ["reconstruction", "regularization", "separation"]]


@pytest.mark.parametrize("schedule", ["joint", "alternating"])
@pytest.mark.parametrize("terms", TERMS, ids=" ".join)
def test_the_optimizers_that_count_are_those_of_the_loops_steps(tmp_path, terms, schedule):
    names = ("reconstruction", "regularization", "classification", "separation", "inner")
    s = cell(tmp_path, "classes/aae", {"optimizers": {n: {} for n in names[:1]}}).settings
    changes = {"terms": terms, "schedule": schedule, "merge": "add", "optimizers": {n: Optimizer() for n in names}}
    s = s.model_copy(update=changes)
    read = {n for n in names if ("optimizers", n) not in combinations.unread(s)}
    assert read - {"inner"} == {step[0] for step in loop.steps(s)}
    assert ("inner" in read) == ("regularization" in terms)


def test_rates_fall_by_steps_and_along_a_cosine():
    spec = Optimizer(lr=2.0, decay={2: 0.5, "cosine": 0.1})
    rates = [optimizers.rate(spec, epoch, 5) for epoch in range(5)]
    cosine = [0.1 + 0.9 * (1 + math.cos(math.pi * e / 4)) / 2 for e in range(5)]
    assert rates == pytest.approx([2 * c * (0.5 if e >= 2 else 1) for e, c in enumerate(cosine)])
    assert (rates[0], rates[-1]) == pytest.approx((2.0, 0.1))
    assert optimizers.rate(Optimizer(lr=2.0, decay={"cosine": 0.1}), 0, 1) == 2.0
