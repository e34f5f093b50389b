"""The protocols behind each number: which split, how many samples, which rule. One function for each kind.

An evaluation takes a `Trained` model and yields measurements. To add a metric, add one to a function's
yield, or a function to `EVALUATIONS`, and a line to `bench.metrics`: stored models are enough.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor

from bench import classification as classify
from bench import parzen
from bench.data import Dataset
from bench.model import Autoencoder
from bench.objective import Objective
from bench.runs import Run
from bench.seeds import stream


class Measurement(NamedTuple):
    """A number, its standard error over `n` images where it is a mean of them, and the split they are from."""

    metric: str
    value: float
    standard_error: float | None = None
    n: int | None = None
    split: str = "test"


class Trained:
    """A trained run, ready to be measured: model, data, codes of the splits and samples of the model."""

    def __init__(self, run: Run, dataset: Dataset, folder: Path, device: str = "cpu"):
        self.run, self.settings, self.folder, self.device = run, run.settings, folder, torch.device(device)
        self.dataset = dataset.to(device)
        self.objective = self.load("model.safetensors")

    def load(self, name: str) -> Objective:
        """The objective with the weights of a file of the run."""
        s, data = self.settings, self.dataset
        share = 0.0 if s.labels == 0 else (1.0 if s.labels == "all" else s.labels / len(data.train.y))
        objective = Objective(Autoencoder(s, data.pixels, data.classes), share)
        objective.load_state_dict(load_file(self.folder / name))
        return objective.to(self.device).eval()

    @property
    def autoencoder(self) -> Autoencoder:
        """The model without its regularizers."""
        return self.objective.autoencoder

    @torch.no_grad
    def encode(self, x, objective: Objective | None = None) -> dict[str, Float[Tensor, "n _"]]:
        """The posterior means of images, by latent, with the variances of Gaussian ones as `z_variance`."""
        torch.manual_seed(stream(self.run.seed, "encode"))  # the universal encoder's noise
        autoencoder = (objective or self.objective).autoencoder
        parts: dict[str, list[Tensor]] = {}
        for index in torch.arange(len(x), device=self.device).split(2000):
            for name, posterior in autoencoder.encode(x[index]).items():
                parts.setdefault(name, []).append(posterior.mean)
                if self.settings.encoder == "gaussian" and self.settings.latents[name].head == "continuous":
                    parts.setdefault(f"{name}_variance", []).append(posterior.variance)
        return {name: torch.cat(chunks) for name, chunks in parts.items()}

    @cached_property
    def codes(self) -> dict[str, dict[str, Tensor]]:
        """The posterior means of the validation and test images."""
        return {"validation": self.encode(self.dataset.validation.x), "test": self.encode(self.dataset.test.x)}

    @torch.no_grad
    def samples(self, n: int, chunk: int = 0) -> Float[Tensor, "{n} pixels"]:
        """`n` decoded samples in [0, 1] pixel units; a chunk's number always gives the same ones."""
        torch.manual_seed(stream(self.run.seed, f"samples/{chunk}"))
        return self.pixels(self.autoencoder.decode(self.objective.sample(n)))

    def pixels(self, x: Float[Tensor, "n pixels"]) -> Float[Tensor, "n pixels"]:
        """Images in [0, 1] pixel units."""
        return self.dataset.to_pixels(x)


@torch.no_grad
def reconstruction(trained: Trained) -> Iterator[Measurement]:
    """Half the summed squared error of the test images, in the units the model is trained in."""
    errors = []
    x, y = trained.dataset.test
    for index in torch.arange(len(y), device=trained.device).split(2000):
        codes = {k: v[index] for k, v in trained.codes["test"].items() if not k.endswith("_variance")}
        if "label" in trained.settings.decoder:
            codes["label"] = torch.nn.functional.one_hot(y[index], trained.dataset.classes).float()
        errors.append(0.5 * (trained.autoencoder.decode(codes) - x[index]).square().sum(1))
    errors = torch.cat(errors)
    yield Measurement("reconstruction", errors.mean().item(), standard_error(errors), len(errors))


def standard_error(values: Tensor) -> float:
    """Std / √n with ddof 0, as the published tables print it."""
    return values.double().std(correction=0).item() / len(values) ** 0.5


def likelihood(trained: Trained) -> Iterator[Measurement]:
    """Parzen log-likelihood of the test images (Makhzani et al., 2015, sec. 3).

    10,000 samples (the first number of `parzen_samples`) and each protocol's own choice of σ;
    larger numbers of samples take over the σ chosen at the first, one pass in constant memory.
    """
    validation, test = (trained.pixels(s.x[:]) for s in (trained.dataset.validation, trained.dataset.test))
    yield from parzen_measurements(
        validation, test, trained.samples, trained.settings.parzen_samples, trained.folder
    )


CHUNK = 10_000


def parzen_measurements(
    validation: Float[Tensor, "m D"],
    test: Float[Tensor, "n D"],
    source: Callable[[int, int], Tensor],
    counts: list[int],
    folder: Path | None = None,
) -> Iterator[Measurement]:
    """The Parzen rows of a source of samples: `source(n, chunk)` gives the n samples of a chunk."""
    samples = source(counts[0], 0)
    names = {"paper": "", "fine": "_fine", "gmmn": "_gmmn"}
    chosen = {name: parzen.PROTOCOLS[name].select(validation, samples) for name in names}
    scores = parzen.Parzen(test, [b.sigma for b in chosen.values()]).add(samples).scores()
    for (name, bandwidth), score in zip(chosen.items(), scores, strict=True):
        yield Measurement(f"log_likelihood{names[name]}", score.mean, score.standard_error, len(test))
        yield Measurement(f"sigma{names[name]}", bandwidth.sigma, split="validation")
    # What tuning may look at: the test images take no part in it.
    best = max(chosen["fine"].means)
    yield Measurement("validation_log_likelihood", best, n=parzen.PROTOCOLS["fine"].images, split="validation")
    yield Measurement("sigma_at_edge", float(chosen["paper"].at_edge), split="validation")
    yield Measurement("nearest_sample", scores[0].nearest)
    for count in counts[1:]:
        chunks, rest = divmod(count, CHUNK)
        if rest:
            raise ValueError(f"parzen_samples: {count} is not a multiple of {CHUNK}")
        sigmas = parzen.PROTOCOLS["fine"].grid  # the best σ shrinks as samples come closer
        state = folder / f"parzen-{count}.npz" if folder else None
        estimates = [
            parzen.stream(split, lambda i: source(CHUNK, i + 1), chunks, sigmas[:12], state=part, progress=True)
            for split, part in ((validation[:1000], None), (test, state))
        ]
        best = int(np.argmax([s.mean for s in estimates[0].scores()]))
        score = estimates[1].scores()[best]
        yield Measurement(f"log_likelihood_{count}", score.mean, score.standard_error, len(test))
        yield Measurement(f"sigma_{count}", score.sigma, split="validation")


def classification(trained: Trained) -> Iterator[Measurement]:
    """The share of wrong classes, arg max q(y | x), in per cent; on the test images also at the milestones."""
    for split in ("validation", "test"):
        y = getattr(trained.dataset, split).y
        wrong = (trained.codes[split]["y"].argmax(1) != y).float() * 100
        name = "error" if split == "test" else "validation_error"
        yield Measurement(name, wrong.mean().item(), standard_error(wrong), len(y), split)
    x, y = trained.dataset.test
    for epoch in trained.settings.milestones:
        name = f"model-epoch{epoch}.safetensors"
        if (trained.folder / name).exists():
            wrong = (trained.encode(x, trained.load(name))["y"].argmax(1) != y).float() * 100
            yield Measurement(f"error_epoch{epoch}", wrong.mean().item(), standard_error(wrong), len(y))


def components(trained: Trained) -> Iterator[Measurement]:
    """The share of test codes that lie in a component of their own class, by the prior's responsibilities.

    For label-informed priors (Makhzani et al., 2015, sec. 2.3): the components belong to the
    classes in equal, consecutive groups, as in `bench.priors.labelled`.
    """
    y = trained.dataset.test.y
    for name, latent in trained.settings.latents.items():
        if latent.head != "continuous":
            continue
        prior = trained.autoencoder.priors[name]
        if len(prior.weights) % trained.dataset.classes:
            continue
        log_density = prior.distribution.component_distribution.log_prob(trained.codes["test"][name][:, None])
        component = (log_density + prior.weights.log()).argmax(1)
        own = (component * trained.dataset.classes // len(prior.weights) == y).float() * 100
        yield Measurement("own_component", own.mean().item(), standard_error(own), len(y))


def clustering(trained: Trained) -> Iterator[Measurement]:
    """Errors of three rules that name clusters, all by validation labels, and label-free agreement on test images.

    "paper" is the label of the single most confident validation image (Makhzani et al., 2015, sec. 6).
    """
    splits = {
        name: (trained.codes[name]["y"].cpu(), getattr(trained.dataset, name).y.cpu())
        for name in ("validation", "test")
    }
    for name, value in classify.clustering(splits["validation"], splits["test"]).items():
        percent = 100 if name.startswith("clustering_error") else 1
        yield Measurement(name, percent * value, n=len(splits["test"][1]))


EVALUATIONS: dict[str, Callable[[Trained], Iterator[Measurement]]] = {
    "reconstruction": reconstruction,
    "likelihood": likelihood,
    "classification": classification,
    "clustering": clustering,
    "components": components,
}
