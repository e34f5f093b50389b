"""The two protocols of the log-likelihood: Parzen windows, as the papers have it, and annealed importance sampling."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from bench.config.schema import CHUNK
from bench.config.streams import stream
from bench.evaluate import parzen
from bench.evaluate.ais import Annealing, Model
from bench.evaluate.measurement import Measurement, standard_error
from bench.evaluate.trained_run import Trained
from regularizers import Regularizer


def by_windows(trained: Trained) -> Iterator[Measurement]:
    """Parzen log-likelihood of the test images (Makhzani et al., 2015, sec. 3).

    10,000 samples (the first number of `parzen_samples`) and each protocol's own choice of σ; for larger numbers of
    samples σ is chosen again, a little below and above the first, in constant memory. The models of
    milestones are scored on validation images, by the same samples of the prior as the last one.
    """
    validation, test = (trained.dataset.to_pixels(s.x[:]) for s in (trained.dataset.validation, trained.dataset.test))
    yield from parzen_measurements(validation, test, trained.samples, trained.settings.parzen_samples)
    if any(type(r).fit is not Regularizer.fit for r in trained.objective.regularizers):
        return  # what samples is fit after the last epoch
    for epoch in trained.settings.milestones:
        path = trained.folder / f"model-epoch{epoch}.safetensors"
        if path.exists():
            samples = trained.samples(trained.settings.parzen_samples[0], model=trained.load(path.name))
            fine = parzen.PROTOCOLS["fine"]
            name = f"validation_log_likelihood_epoch{epoch}"
            yield Measurement(name, fine.select(validation, samples).mean, n=fine.images, split="validation")


def parzen_measurements(
    validation: Float[Tensor, "m D"],
    test: Float[Tensor, "n D"],
    source: Callable[[int, int], Tensor],
    counts: list[int],
) -> Iterator[Measurement]:
    """The Parzen rows of a source of samples: `source(n, chunk)` gives the n samples of a chunk."""
    samples = source(counts[0], 0)
    paper, fine = (parzen.PROTOCOLS[name].select(validation, samples) for name in ("paper", "fine"))
    scores = parzen.Parzen(test, [paper.sigma, fine.sigma]).add(samples).scores()
    for ending, score in zip(("", "_fine"), scores, strict=True):
        yield Measurement(f"log_likelihood{ending}", score.mean, score.standard_error, len(test))
        yield Measurement(f"sigma{ending}", score.sigma, split="validation")
    # What tuning may look at: the test images take no part in it.
    images = parzen.PROTOCOLS["fine"].images
    yield Measurement("validation_log_likelihood", fine.mean, n=images, split="validation")
    yield Measurement("sigma_at_edge", float(paper.at_edge), split="validation")
    yield Measurement("nearest_sample", scores[0].nearest)
    for count in counts[1:]:
        # The best σ shrinks as samples come closer, and never grows by much.
        grid = np.geomspace(0.4, 1.1, 12) * fine.sigma
        best = max(streamed(validation[:images], source, count, grid.tolist()), key=lambda score: score.mean)
        [score] = streamed(test, source, count, [best.sigma])
        yield Measurement(f"log_likelihood_{count}", score.mean, score.standard_error, len(test))
        yield Measurement(f"sigma_{count}", score.sigma, split="validation")


def streamed(
    x: Float[Tensor, "n D"], source: Callable[[int, int], Tensor], count: int, sigmas: list[float]
) -> list[parzen.Score]:
    """The scores of images by `count` samples, in constant memory, for 10,000 samples or 10 million."""
    estimate = parzen.Parzen(x, sigmas)
    for chunk in tqdm(range(count // CHUNK), "Parzen", disable=None):
        estimate.add(source(CHUNK, chunk + 1))
    return estimate.scores()


AIS_VARIANCE = 0.025  # of a pixel (Wu et al., 2017, for 10-D decoders)


class Effort(NamedTuple):
    """How much of each thing annealing takes: what its time is proportional to."""

    images: int = 100
    temperatures: int = 600
    simulated: int = 20
    draws: int = 1000


EFFORT = Effort()


def by_annealing(trained: Trained, effort: Effort = EFFORT) -> Iterator[Measurement]:
    """Log-likelihood of 100 test images under N(decoder(z), 0.025 I) by annealed importance sampling.

    The images are evenly spaced over the test set, whose halves differ. `ais_gap` is the width of
    the bidirectional Monte Carlo bracket on simulated images: the error is of its order. For Gaussian encoders
    with the importance-weighted bound of 1,000 draws on the same images (Burda et al., 2016).
    """
    [name] = trained.settings.latents
    torch.manual_seed(stream(trained.run.seed, "ais"))
    test = trained.dataset.to_pixels(trained.dataset.test.x[:])
    chosen = torch.linspace(0, len(test) - 1, min(effort.images, len(test))).long()
    x = test[chosen]

    def decoder(z: Tensor) -> Tensor:
        return trained.dataset.to_pixels(trained.autoencoder.decode({name: z}))

    model = Model(decoder, trained.autoencoder.priors[name], AIS_VARIANCE**0.5)
    annealing = Annealing(model, effort.temperatures, chains=4, leapfrog=5, steepness=5.0)
    ll = annealing.log_likelihood(x)
    yield Measurement("ais_log_likelihood", ll.mean().item(), standard_error(ll), len(ll))
    yield Measurement("ais_gap", annealing.bracket(effort.simulated).gap, n=effort.simulated, split="simulated")
    codes = trained.encode(trained.dataset.test.x[chosen])
    if f"{name}_variance" in codes:
        bound = model.importance_weighted(x, codes[name], codes[f"{name}_variance"], effort.draws)
        yield Measurement("importance_weighted_bound", bound.mean().item(), standard_error(bound), len(bound))
