"""The config's models: what a file may say. Free of torch."""

import ast
import difflib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import entry_points
from typing import Annotated, Any, Literal, Optional

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model, field_validator, model_validator

from bench import ROOT

Count = Annotated[int, Field(ge=1, le=10**7)]
Amount = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, le=1e3, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]


@cache
def _installed() -> frozenset[str]:
    return frozenset(entry.name for entry in entry_points(group="latentbench.regularizers"))


def regularizers() -> list[str]:
    """The names of `regularizers.names()`, without importing torch."""
    return sorted({path.stem for path in (ROOT / "regularizers").glob("[!_]*.py")} | _installed())


def unknown(name: object, valid: Iterable[object]) -> str:
    """'unknown 'mdm'; did you mean 'mmd'? Valid: …'."""
    valid = [str(v) for v in valid]
    close = difflib.get_close_matches(str(name), valid, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"unknown {name!r}{hint} Valid: {', '.join(valid) or 'none'}"


def _known(name: str) -> str:
    if name not in regularizers():
        raise ValueError(unknown(name, regularizers()))
    return name


RegularizerName = Annotated[str, AfterValidator(_known)]


class Strict(BaseModel):
    """A section of the config in which an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Optimizer(Strict):
    """How one loss is descended. `decay` multiplies the rate by a factor from an epoch on."""

    name: Literal["adam", "sgd"] = "adam"
    lr: Rate = 1e-3
    momentum: Share = 0.9
    decay: dict[Count, Rate] = {}


class Latent(Strict):
    """One part of the code: its head, its prior and the prior's own settings."""

    head: Literal["continuous", "categorical"] = "continuous"
    prior: Literal["gaussian", "one_hot", "petals", "swiss_roll"] = "gaussian"
    dim: Annotated[int, Field(ge=1, le=4096)]
    settings: dict[str, float] = {}
    given: Literal["label"] | None = None


TUNING = "tuning"  # the experiment that the trials of a config make
TERMS = ("reconstruction", "regularization", "classification", "separation")
EVALUATIONS = (
    "reconstruction", "likelihood", "classification", "clustering", "latent", "components", "probes",
    "decomposition", "ais",
)  # fmt: skip


class Settings(Strict):
    """Everything that determines a training and its evaluation, but the seed and the code."""

    dataset: Literal["digits", "mnist", "svhn", "tfd"]
    normalisation: Literal["none", "per_pixel"] = "none"
    labels: Annotated[int, Field(ge=0)] | Literal["all"] = 0
    latents: dict[Name, Latent]
    decoder: list[Name]
    merge: Literal["concatenate", "add"] = "concatenate"
    terms: list[Literal[TERMS]] = ["reconstruction", "regularization"]
    weights: dict[Name, Amount] = {}
    evaluations: list[Literal[EVALUATIONS]] = []
    parzen_samples: list[Count] = [10_000]
    milestones: list[Count] = []

    regularizer: RegularizerName
    hyperparameters: dict[str, Any] = {}
    encoder: Literal["deterministic", "gaussian", "universal"] = "deterministic"
    posterior_std: Rate | None = None
    frozen_encoder: bool = False
    weight: Amount = 1.0
    schedule: Literal["joint", "alternating"] = "joint"
    penalties: Literal["separate", "joint"] = "separate"
    regularization_batch: Count | None = None
    regularization_every: Count = 1

    width: Annotated[int, Field(ge=1, le=20000)] = 1000
    depth: Annotated[int, Field(ge=1, le=10)] = 2
    noise_dim: Annotated[int, Field(ge=1, le=4096)] = 10
    init: Literal["default", "paper"] = "default"
    output: Literal["sigmoid", "linear"] = "sigmoid"
    loss: Literal["squared", "bernoulli"] = "squared"
    batch_norm: Literal["none", "encoder", "all"] = "none"
    input_noise: Amount = 0.0
    input_dropout: Share = 0.0
    separation_margin: Amount = 1.0

    epochs: Annotated[int, Field(ge=1, le=100_000)]
    batch_size: Annotated[int, Field(ge=2, le=100_000)] = 100
    optimizers: dict[Literal[(*TERMS, "inner")], Optimizer] = {}
    precision: Literal["float32", "bfloat16"] = "float32"
    deterministic: bool = True
    timeout: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> "Settings":
        for name in self.decoder:
            if name not in (*self.latents, "label"):
                raise ValueError(f"decoder: {unknown(name, [*self.latents, 'label'])}")
        for name in self.weights:
            if name not in (*self.latents, *self.terms):
                raise ValueError(f"weights: {unknown(name, [*self.latents, *self.terms])}")
        if not self.latents or not self.decoder:
            raise ValueError("latents and decoder must name at least one code")
        if "label" in self.decoder and self.labels != "all":
            raise ValueError("decoder: 'label' needs labels: all")
        if "classification" in self.terms and not (self.labels and "y" in self.latents):
            raise ValueError("terms: 'classification' needs labels and a latent named y")
        if self.schedule == "joint" and (self.regularization_batch or self.regularization_every > 1):
            raise ValueError("regularization_batch and regularization_every need schedule: alternating")
        if self.merge == "add" and len(self.decoder) != 2:
            raise ValueError("merge: add needs decoder: [cluster code, continuous code]")
        if self.posterior_std is not None and self.encoder != "gaussian":
            raise ValueError("posterior_std needs encoder: gaussian")
        if self.frozen_encoder and (self.schedule != "joint" or "classification" in self.terms):
            raise ValueError("frozen_encoder needs schedule: joint, and no classification: only the decoder learns")
        valid = hyperparameters(self.regularizer)
        for name in self.hyperparameters if valid is not None else ():
            if name not in valid:
                raise ValueError(f"hyperparameters: {unknown(name, valid)}")
        return self


def partial(model: type[BaseModel], **more: Any) -> type[BaseModel]:
    """The model with every field optional, and `more` of them: a layer says only what it changes."""
    fields = {
        # Optional around the constraints, not inside them: an absent key is fine, a negative one is not.
        k: (Optional[Annotated[f.annotation, *f.metadata]] if f.metadata else Optional[f.annotation], None)  # noqa: UP045
        for k, f in model.model_fields.items()
    }
    return create_model(f"Partial{model.__name__}", __base__=Strict, **(fields | more))


Method = partial(Settings, title=(str | None, None), seeds=(int | list[Seed] | None, None))
Experiment = partial(
    Settings,
    title=(str | None, None),
    seeds=(int | list[Seed] | None, None),
    methods=(list[Name] | dict[Name, dict[str, Any] | None], ...),
)


class Tuning(Strict):
    """Trials of some methods of an experiment, as many of each, judged on validation images.

    A trial is the method with other settings; the method as the config has it is the default that
    trials are held against, and counts as one more of them. `settings` are those
    that all trials share with each other and not with the default, such as fewer evaluations.
    """

    experiment: Name
    metric: str = "validation_log_likelihood"
    seeds: Annotated[int, Field(ge=1, le=10_000, strict=True)] | list[Seed] = 2
    settings: dict[str, Any] = {}
    trials: Annotated[dict[Name, list[dict[str, Any]]], Field(min_length=1)]

    @field_validator("trials")
    @classmethod
    def _fair(cls, trials: dict[str, list]) -> dict[str, list]:
        counts = {method: len(tried) for method, tried in trials.items()}
        if len(set(counts.values())) > 1 or not all(counts.values()):
            said = ", ".join(f"{method} {n}" for method, n in counts.items())
            raise ValueError(f"every method must have as many trials as the others, at least one; found {said}")
        return trials


class Config(Strict):
    """A whole config file, after `extends`."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=40)]
    preset: str = "modern"
    seeds: Annotated[int, Field(ge=1, le=10_000, strict=True)] | list[Seed] = 1
    data_root: str | None = None
    batch_by: Literal["all", "experiment", "method", "run"] | Annotated[int, Field(ge=1, le=10_000)] = "method"
    only: list[Name] | None = None
    controls: bool = True
    tuning: Tuning | None = None
    defaults: dict[str, Any] = {}
    methods: dict[Name, dict[str, Any]]
    experiments: dict[Name, dict[str, Any]]

    @field_validator("seeds")
    @classmethod
    def _unique(cls, seeds: int | list[int]) -> int | list[int]:
        if isinstance(seeds, list) and (len(set(seeds)) < len(seeds) or not seeds):
            raise ValueError("seeds must be different from each other, and at least one")
        return seeds


def hyperparameters(name: str) -> list[str] | None:
    """The keyword arguments of a regularizer of this repository; None if only importing it would tell."""
    try:
        tree = ast.parse((ROOT / "regularizers" / f"{name}.py").read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return None
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and function.name == "__init__":
            arguments = function.args
            if arguments.kwarg or not arguments.args or arguments.args[0].arg != "self":
                return None
            return [a.arg for a in (*arguments.args[2:], *arguments.kwonlyargs)]
    return []
