"""The protocols behind each number: which split, how many samples, which rule. One function for each kind.

An evaluation takes a `Trained` model and yields measurements. To add a metric, add one to a function's
yield, or a function to `EVALUATIONS`, and a line to `bench.tables.metric_names`: stored models are enough.
"""

from collections.abc import Callable, Iterator

import torch

from bench.config.streams import stream
from bench.evaluate import classification as classify
from bench.evaluate.kl_parts import decompose
from bench.evaluate.likelihood import by_annealing, by_windows
from bench.evaluate.measurement import Measurement, standard_error
from bench.evaluate.prior_mismatch import referees
from bench.evaluate.trained_run import Trained


@torch.no_grad
def reconstruction(trained: Trained) -> Iterator[Measurement]:
    """Half the summed squared error of the test images, in the units the model is trained in."""
    if "reconstruction" not in trained.settings.terms:
        return  # a decoder that was never trained
    errors = []
    x, y = trained.dataset.test
    for index in torch.arange(len(y), device=trained.device).split(2000):
        codes = {k: v[index] for k, v in trained.codes["test"].items() if not k.endswith("_variance")}
        if "label" in trained.settings.decoder:
            codes["label"] = torch.nn.functional.one_hot(y[index], trained.dataset.classes).float()
        errors.append(0.5 * (trained.autoencoder.decode(codes) - x[index]).square().sum(1))
    errors = torch.cat(errors)
    yield Measurement("reconstruction", errors.mean().item(), standard_error(errors), len(errors))


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


def continuous(trained: Trained) -> list[tuple[str, str]]:
    """The continuous latents, each with what is added to the names of its metrics: nothing if it is the only one."""
    names = [name for name, latent in trained.settings.latents.items() if latent.head == "continuous"]
    return [(name, "" if len(names) == 1 else f"_{name}") for name in names]


def components(trained: Trained) -> Iterator[Measurement]:
    """The share of test codes that lie in a component of their own class, by the prior's responsibilities.

    For label-informed priors (Makhzani et al., 2015, sec. 2.3): the components belong to the
    classes in equal, consecutive groups, as in `regularizers.labelled`.
    """
    y = trained.dataset.test.y
    for name, suffix in continuous(trained):
        prior = trained.autoencoder.priors[name]
        if len(prior.weights) % trained.dataset.classes:
            continue
        component = prior.log_joint(trained.codes["test"][name]).argmax(1)
        own = (component * trained.dataset.classes // len(prior.weights) == y).float() * 100
        yield Measurement(f"own_component{suffix}", own.mean().item(), standard_error(own), len(y))


def clustering(trained: Trained) -> Iterator[Measurement]:
    """Errors of three rules that name clusters, all by validation labels, and label-free agreement on test images.

    "paper" is the label of the single most confident validation image (Makhzani et al., 2015, sec. 6).
    """
    splits = {
        name: (trained.codes[name]["y"].cpu(), getattr(trained.dataset, name).y.cpu())
        for name in ("validation", "test")
    }
    for name, value in classify.clustering(splits["validation"], splits["test"]).items():
        yield Measurement(name, value, n=len(splits["test"][1]))
    # What tuning may look at: the test images take no part in it.
    agreement = classify.clustering(splits["validation"], splits["validation"])["nmi"]
    yield Measurement("validation_nmi", agreement, n=len(splits["validation"][1]), split="validation")


def latent(trained: Trained) -> Iterator[Measurement]:
    """Referees: discrepancies between aggregated posterior and prior that no method has optimised as such.

    `referee_x` is the discrepancy of the test codes, `referee_x_floor` that of prior samples in their
    place: the best that can be hoped for.
    """
    for name, prior in trained.autoencoder.priors.items():
        suffix = "" if len(trained.settings.latents) == 1 else f"_{name}"
        found = referees(trained.aggregated(name), prior, stream(trained.run.seed, f"referees/{name}"))
        for referee, judgement in found.items():
            yield Measurement(f"referee_{referee}{suffix}", judgement.value)
            yield Measurement(f"referee_{referee}{suffix}_floor", judgement.floor)


def probes(trained: Trained) -> Iterator[Measurement]:
    """Errors of a linear and a nearest-neighbour classifier of each continuous code, learnt on validation images.

    In a semi-supervised or clustering model they tell how much of the class is left in the style.
    """
    data, codes = trained.dataset, trained.codes
    for name, latent in trained.settings.latents.items():
        if latent.head != "continuous":
            continue
        train, test = ((codes[split][name].cpu(), getattr(data, split).y.cpu()) for split in ("validation", "test"))
        suffix = "" if len(trained.settings.latents) == 1 else f"_{name}"
        yield Measurement(f"linear_probe_error{suffix}", 100 * classify.linear_probe(train, test), n=len(test[1]))
        yield Measurement(f"neighbour_probe_error{suffix}", 100 * classify.neighbour_probe(train, test), n=len(test[1]))


def decomposition(trained: Trained) -> Iterator[Measurement]:
    """The average KL of Gaussian posteriors as marginal KL plus mutual information (Hoffman & Johnson, 2016)."""
    torch.manual_seed(stream(trained.run.seed, "decomposition"))
    for name, suffix in continuous(trained):
        variance = trained.codes["test"].get(f"{name}_variance")
        if variance is not None:
            found = decompose(trained.codes["test"][name], variance, trained.autoencoder.priors[name])
            n, information = len(variance), found.mutual_information
            yield Measurement(f"average_kl{suffix}", found.average_kl, n=n)
            yield Measurement(f"marginal_kl{suffix}", found.marginal_kl, n=n)
            yield Measurement(f"mutual_information{suffix}", information, found.standard_error, n)


EVALUATIONS: dict[str, Callable[[Trained], Iterator[Measurement]]] = {
    "reconstruction": reconstruction,
    "likelihood": by_windows,
    "classification": classification,
    "clustering": clustering,
    "components": components,
    "latent": latent,
    "probes": probes,
    "decomposition": decomposition,
    "ais": by_annealing,
}
