"""The config's models: what a file may say. Free of torch.

What a value may be is in `values.py`, what one setting asks of another in `combinations.py`, what a plug-in takes in
`plugins.py`.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, create_model, field_validator

from bench.config import plugins, values
from bench.config.registry import Spec, bound, name_of
from bench.config.values import unknown

NAME = r"^[a-z0-9][a-z0-9_-]*$"  # of a config and its result set
TUNING = "tuning"  # the experiment that the trials of a config make
WEIGHTED = ("classification", "separation")  # terms with a weight of their own; the penalty's is `weight`
EVALUATIONS = (
    "reconstruction", "likelihood", "classification", "clustering", "latent", "components", "probes",
    "decomposition", "ais",
)  # fmt: skip
CHUNK = 10_000  # of samples of a Parzen estimate: a larger number comes in chunks
# The metrics of validation images, which tuning may look at, and the evaluation that measures each.
VALIDATION_METRICS = {
    "validation_log_likelihood": "likelihood",
    "validation_error": "classification",
    "validation_nmi": "clustering",
}


def _one_of(kind: str) -> Any:
    def check(name: str) -> str:
        if name not in plugins.names(kind):
            raise ValueError(unknown(name, plugins.names(kind)))
        return name

    return Annotated[str, AfterValidator(check)]


def _data_set(spec: Any) -> Spec:
    if not isinstance(spec, str | dict) or not all(isinstance(key, str) for key in spec):
        raise ValueError(f"expected a name, or {{name: options}}. Valid: {', '.join(plugins.names('datasets'))}")
    if name_of(spec) not in plugins.names("datasets"):
        raise ValueError(unknown(name_of(spec), plugins.names("datasets")))
    try:
        bound("datasets", spec)
    except LookupError as error:
        raise ValueError(str(error)) from None
    return spec


DataSet = Annotated[str | dict[str, Any], PlainValidator(_data_set)]


class Strict(BaseModel):
    """A section of the config: unknown keys are errors, and so are values of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


class Optimizer(Strict):
    """How one loss is descended. `decay` are factors of the rate, and of each other.

    {50: 0.1} is one from epoch 50 on; {cosine: 0.02} falls along a half cosine, from 1 in the first epoch to 0.02 in
    the last one.
    """

    name: Literal["adam", "sgd"] = "adam"
    lr: values.Rate = 1e-3
    momentum: values.Share = 0.9
    decay: values.Decay = {}


class Latent(Strict):
    """One part of the code: its head, its prior and the prior's own settings."""

    head: Literal["continuous", "categorical"] = "continuous"
    prior: _one_of("priors") = "gaussian"
    dim: Annotated[int, Field(ge=1, le=4096)]
    settings: dict[str, Any] = {}
    given: Literal["label"] | None = None


class Settings(Strict):
    """Everything that determines a training and its evaluation, but the seed and the code."""

    dataset: DataSet
    architecture: _one_of("architectures") = "mlp"
    normalisation: Literal["none", "per_pixel"] = "none"
    labels: values.Labels = 0
    latents: Annotated[dict[values.LatentName, Latent], Field(min_length=1)]
    decoder: Annotated[list[str], values.Distinct]
    merge: Literal["concatenate", "add"] = "concatenate"
    terms: Annotated[list[Literal[values.TERMS]], values.Distinct] = ["reconstruction", "regularization"]
    weights: dict[str, values.Amount] = {}
    evaluations: Annotated[list[Literal[EVALUATIONS]], Field(min_length=1), values.Distinct] = []
    parzen_samples: Annotated[list[values.Count], Field(min_length=1), values.Ascending] = [10_000]
    milestones: Annotated[list[values.Count], values.Ascending] = []

    regularizer: _one_of("regularizers")
    hyperparameters: dict[str, Any] = {}
    encoder: Literal["deterministic", "gaussian", "universal"] = "deterministic"
    posterior_std: values.Rate | None = None
    frozen_encoder: bool = False
    weight: values.Amount = 1.0
    schedule: Literal["joint", "alternating"] = "joint"
    regularization_batch: Annotated[int, Field(ge=2, le=10**6)] | None = None
    regularization_every: values.Count = 1

    width: Annotated[int, Field(ge=1, le=20000)] = 1000
    depth: Annotated[int, Field(ge=1, le=10)] = 2
    noise_dim: Annotated[int, Field(ge=1, le=4096)] = 10
    init: Literal["default", "paper"] = "default"
    output: Literal["sigmoid", "linear"] = "sigmoid"
    loss: Literal["squared", "bernoulli"] = "squared"
    batch_norm: Literal["none", "encoder", "all"] = "none"
    input_noise: values.Amount = 0.0
    input_dropout: values.Share = 0.0
    separation_margin: values.Amount = 1.0

    epochs: Annotated[int, Field(ge=1, le=100_000)]
    batch_size: Annotated[int, Field(ge=2, le=100_000)] = 100
    optimizers: dict[Literal[(*values.TERMS, "inner")], Optimizer] = {}
    precision: Literal["float32", "bfloat16"] = "float32"
    deterministic: bool = True
    timeout: Annotated[float, Field(gt=0, le=1e7)] | None = None

    @field_validator("terms")
    @classmethod
    def _in_one_order(cls, terms: list[str]) -> list[str]:
        return sorted(terms, key=values.TERMS.index)  # a sum has no order, and its optimizer none that the config says


def partial(model: type[BaseModel], **more: Any) -> type[BaseModel]:
    """The model with every field optional, and `more` of them: a layer says only what it changes."""
    # Without a value, not with None: an absent key is fine, an empty one only where the model has it.
    fields = {
        k: (Annotated[f.annotation, *f.metadata] if f.metadata else f.annotation, None)
        for k, f in model.model_fields.items()
    }
    if model is Settings:
        fields["latents"] = (dict[values.LatentName, partial(Latent)], None)
    return create_model(f"Partial{model.__name__}", __base__=Strict, **(fields | more))


# What says how a cell is called and how often it is trained, and is no setting.
_SPOKEN = {"title": values.Text, "short": values.Text, "family": values.Family, "seeds": values.Seeds}
SPOKEN = {key: (kind | None, None) for key, kind in _SPOKEN.items()}
Method = partial(Settings, **SPOKEN)
Experiment = partial(Settings, title=SPOKEN["title"], seeds=SPOKEN["seeds"], methods=(values.Methods, ...))
InExperiment = partial(Settings, seeds=SPOKEN["seeds"])  # an experiment's own word on a method
Trial = partial(Settings, title=SPOKEN["title"])
Defaults = partial(Settings)


class Tuning(Strict):
    """Trials of some methods of an experiment, as many of each, judged on validation images.

    A trial is the method with other settings; the method as the config has it is the default that
    trials are held against, and counts as one more of them. `settings` are those
    that all trials share with each other and not with the default, such as fewer evaluations. With `halving` the worse
    half of a method's trials is dropped after each seed; the default never is.
    """

    experiment: values.Name
    metric: Literal[tuple(VALIDATION_METRICS)] = "validation_log_likelihood"
    seeds: values.Seeds = 2
    halving: bool = False
    settings: dict[str, Any] = {}
    trials: Annotated[dict[values.Name, list[dict[str, Any]]], Field(min_length=1)]

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

    name: Annotated[str, Field(pattern=NAME, max_length=40)]
    preset: values.Text = "modern"
    seeds: values.Seeds = 1
    batch_by: values.BatchBy = "method"
    only: Annotated[list[values.Name], values.Distinct] | None = None
    controls: bool = True
    tuning: Tuning | None = None
    defaults: dict[str, Any] = {}
    methods: dict[values.Name, dict[str, Any]]
    experiments: Annotated[dict[values.Name, dict[str, Any]], Field(min_length=1)]
