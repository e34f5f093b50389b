"""What one setting asks of another: pairs that contradict each other, and settings that nothing would read.

Both are found for the settings of one cell; `cells.py` says where in the files they stand.
"""

from collections.abc import Iterator

from bench.config import plugins
from bench.config.registry import name_of
from bench.config.schema import CHUNK, EVALUATIONS, WEIGHTED, Latent, Settings, unknown
from bench.config.values import LABEL

At = tuple[str | int, ...]  # a setting's place, such as ("latents", "z", "settings"); or an element of its list
Mistakes = Iterator[tuple[str, *tuple[At, ...]]]  # what is wrong, and the settings that it is about

ELEMENTWISE = ("milestones", "evaluations")  # lists of which each element is read or not
FEWEST = 100  # codes that can be told from samples of the prior


def continuous(s: Settings) -> dict[str, Latent]:
    """The latents with a continuous head."""
    return {name: latent for name, latent in s.latents.items() if latent.head == "continuous"}


# --- contradictions ---------------------------------------------------------------------------------------


def mistakes(s: Settings) -> Mistakes:
    """What cannot be done with these settings."""
    latents = [*_latents(s), *_decoder(s)]
    yield from latents
    for key, message in plugins.wrong("regularizers", s.regularizer, s.hyperparameters):
        yield message, ("hyperparameters", *key)
    yield from _terms(s)
    yield from _images(s)
    if not latents:
        yield from _evaluations(s)


def _latents(s: Settings) -> Mistakes:
    facts, categorical = plugins.facts(s.dataset), sorted(s.latents.keys() - continuous(s).keys())
    if len(categorical) > 1:
        heads = (("latents", name, "head") for name in categorical)
        yield f"one latent can have head: categorical (found {', '.join(categorical)})", *heads
    for name, latent in s.latents.items():
        at = ("latents", name)
        head, prior, given = (*at, "head"), (*at, "prior"), (*at, "given")
        fitting = plugins.heads(latent.prior)
        if latent.head not in fitting:
            yield f"prior: {latent.prior} needs head: {' or '.join(fitting)} (found {latent.head})", prior, head
        built = plugins.build(latent.prior, latent.dim, latent.settings)
        yield from ((message, (*at, *key)) for key, message in built.mistakes)
        if latent.head == "categorical" and latent.dim < 2 and not built.mistakes:
            yield f"head: categorical needs two categories or more (found dim: {latent.dim})", (*at, "dim"), head
        if not latent.given:
            continue
        if not s.labels:
            yield "given: label needs labels (found labels: 0)", given, ("labels",)
        if latent.head != "continuous":
            yield "given: label needs head: continuous (found categorical)", given, head
        elif facts and not built.mistakes and built.components % facts.classes:
            have = f"{built.components} component{'s' * (built.components > 1)} of the prior {latent.prior}"
            said = f"given: label shares out the components to {_classes(s)} (found {have})"
            yield said, given, (*at, "settings"), prior


def _classes(s: Settings) -> str:
    return f"the {plugins.facts(s.dataset).classes} classes of {name_of(s.dataset)}"


def _decoder(s: Settings) -> Mistakes:
    facts, valid = plugins.facts(s.dataset), [*s.latents, LABEL]
    for name in [n for n in s.decoder if n not in valid]:
        yield unknown(name, valid), ("decoder",)
    if LABEL in s.decoder and s.labels != "all":
        yield f"a decoder of the label needs labels: all (found {s.labels})", ("decoder",), ("labels",)
    if LABEL in s.decoder and facts and not facts.labelled:
        said = f"a decoder of the label: not all training images of {name_of(s.dataset)} have one"
        yield said, ("decoder",), ("dataset",)
    parts = [s.latents[n].head if n in s.latents else n for n in s.decoder]
    if s.merge == "add" and (len(parts) != 2 or parts[0] not in ("categorical", LABEL) or parts[1] != "continuous"):
        wanted = "[a categorical latent or label, a continuous latent]"
        yield f"merge: add needs decoder: {wanted} (found {', '.join(s.decoder)})", ("merge",), ("decoder",)


def _terms(s: Settings) -> Mistakes:
    y, facts, at, head = s.latents.get("y"), plugins.facts(s.dataset), ("terms",), ("latents", "y", "head")
    if "classification" in s.terms:
        if not s.labels:
            yield "terms: classification needs labels (found labels: 0)", at, ("labels",)
        if y is None or y.head != "categorical":
            found = "none" if y is None else y.head
            yield f"terms: classification needs a latent y with head: categorical (found {found})", at, head
        elif facts and y.dim != facts.classes:
            yield f"terms: classification needs {_classes(s)} in y (found dim: {y.dim})", ("latents", "y", "dim"), at
    if "separation" in s.terms and s.merge != "add":
        yield f"terms: separation needs merge: add (found {s.merge})", at, ("merge",)
    if s.frozen_encoder and (s.schedule != "joint" or "classification" in s.terms or "reconstruction" not in s.terms):
        said = "frozen_encoder needs schedule: joint and terms with reconstruction and without classification, for only"
        found = f"the decoder learns (found {s.schedule}, {', '.join(s.terms)})"
        yield f"{said} {found}", ("frozen_encoder",), ("schedule",), at


def _images(s: Settings) -> Mistakes:
    facts, normalisation = plugins.facts(s.dataset), ("normalisation",)
    if why := plugins.refused(s.dataset):
        yield why, ("dataset",)
    if s.loss == "bernoulli" and s.output != "sigmoid":
        yield f"loss: bernoulli needs output: sigmoid (found {s.output})", ("loss",), ("output",)
    for key in ("loss", "output"):
        value = getattr(s, key)
        if value in ("bernoulli", "sigmoid") and s.normalisation != "none":
            needs = f"{key}: {value} needs pixels from 0 to 1, normalisation: none"
            yield f"{needs} (found {s.normalisation})", (key,), normalisation
    if not facts:
        return
    if s.labels not in (0, "all"):
        most = facts.smallest_class and facts.classes * facts.smallest_class
        if s.labels % facts.classes or (most and s.labels > most):
            valid = f"'all', 0 or a multiple of {_classes(s)}" + (f", at most {most}" if most else "")
            yield f"expected {valid} (found {s.labels})", ("labels",), ("dataset",)
    train = facts.sizes.get("train")
    for key, size in {"batch_size": s.batch_size, "regularization_batch": s.regularization_batch or 0}.items():
        if train and size > train:
            yield f"{name_of(s.dataset)} has {train} training images (found {size})", (key,)
    if train and s.batch_size <= train and s.regularization_every > (batches := -(-train // s.batch_size)):
        yield f"an epoch has {batches} steps (found {s.regularization_every})", ("regularization_every",)


def _evaluations(s: Settings) -> Mistakes:
    at, facts, terms = ("evaluations",), plugins.facts(s.dataset), ("terms",)
    asked, y, codes = set(s.evaluations), s.latents.get("y"), continuous(s)
    priors = [plugins.build(l.prior, l.dim, l.settings) for l in codes.values()]
    dense = [prior for prior in priors if prior.density]
    if not asked:
        yield f"nothing is measured. Valid: {', '.join(EVALUATIONS)}", at
    if "classification" in asked and "classification" not in s.terms:
        yield "evaluations: classification needs terms: classification, which ties y to the classes", at, terms
    if "clustering" in asked and (y is None or y.head != "categorical"):
        yield "evaluations: clustering needs a latent y with head: categorical", at, ("latents", "y", "head")
    if "latent" in asked and facts and (test := facts.sizes.get("test", FEWEST)) < FEWEST:
        yield f"evaluations: latent needs {FEWEST} test images at least (found {test})", at, ("dataset",)
    if "probes" in asked and not codes:
        yield "evaluations: probes needs a latent with head: continuous", at, ("latents",)
    if "components" in asked and facts and all(prior.components % facts.classes for prior in dense):
        needs = f"a continuous latent whose prior has a multiple of {facts.classes} components"
        yield f"evaluations: components needs {needs}", at, *(("latents", n, "settings") for n in codes), ("latents",)
    for name in sorted(asked & {"decomposition", "ais"} if len(dense) < len(codes) else ()):
        yield f"evaluations: {name} needs priors with a density", at, *(("latents", n, "settings") for n in codes)
    if "ais" in asked and (len(s.latents) > 1 or not codes or s.decoder != [*codes]):
        found = f"{', '.join(s.latents)}; decoder: {', '.join(s.decoder)}"
        yield f"evaluations: ais needs one latent, continuous, alone in the decoder (found {found})", at, ("latents",)
    for name in sorted(asked & {"likelihood", "ais"} if "reconstruction" not in s.terms else ()):
        yield f"evaluations: {name} needs terms: reconstruction, by which a decoder learns", at, terms
    if s.parzen_samples[0] > CHUNK or any(n % CHUNK for n in s.parzen_samples[1:]):
        needs = f"at most {CHUNK} first, then multiples of it"
        yield f"expected {needs} (found {', '.join(map(str, s.parzen_samples))})", ("parzen_samples",)


# --- settings without effect ------------------------------------------------------------------------------


def unread(s: Settings) -> dict[At, str]:
    """The settings that the training and the measurements of a cell would not read, with what they need."""
    plugin = plugins.signature("regularizers", s.regularizer)
    regularized, codes, terms = "regularization" in s.terms, bool(continuous(s)), set(s.terms)
    penalised = regularized and not s.frozen_encoder and (not plugin or "forward" in plugin.defines)
    # A step without a gradient still draws noise, and moves the statistics of a normalised batch.
    penalty = penalised and s.weight > 0
    felt = penalty or s.encoder != "deterministic" or s.batch_norm != "none" or s.input_noise or s.input_dropout
    turns = regularized and s.schedule == "alternating" and bool(felt)
    alternates = len(terms) > 1 and ("classification" in terms or (regularized and bool(felt)))
    decodes = "reconstruction" in terms
    fitted = not plugin or "fit" in plugin.defines
    labelled = "classification" in terms or LABEL in s.decoder or any(latent.given for latent in s.latents.values())
    needs: dict[str, tuple[bool, str]] = {
        "noise_dim": (s.encoder == "universal", "encoder: universal"),
        "posterior_std": (s.encoder == "gaussian" and codes, "encoder: gaussian and a continuous latent"),
        "encoder": (codes or s.encoder == "universal", "a continuous latent"),
        "labels": (labelled, "terms: classification, given: label or a decoder of the label"),
        "separation_margin": ("separation" in terms, "terms: separation"),
        "merge": (decodes or "separation" in terms, "terms: reconstruction"),
        "loss": (decodes, "terms: reconstruction"),
        "output": (decodes, "terms: reconstruction"),
        "weight": (penalised, "a penalty and an encoder that learns"),
        "hyperparameters": (regularized or fitted, "terms: regularization"),
        "regularization_batch": (turns, "terms: regularization, a penalty and schedule: alternating"),
        "regularization_every": (turns, "terms: regularization, a penalty and schedule: alternating"),
        "schedule": (alternates, "terms that take turns, and a penalty if regularization is one of them"),
        "parzen_samples": ("likelihood" in s.evaluations, "evaluations: likelihood"),
    }
    found: dict[At, str] = {(k,): f"has no effect without {what}" for k, (reads, what) in needs.items() if not reads}
    weighted = [*(s.latents if penalty else ()), *(terms & {*WEIGHTED})]
    for name in [n for n in s.weights if n not in weighted]:
        found["weights", name] = f"has no effect: a weight is of a latent that is penalised, {' or '.join(WEIGHTED)}"
    learnt = {*s.decoder, *(["y"] if "classification" in terms else [])}
    for name in [n for n in s.latents if n not in learnt]:
        found["latents", name] = "has no effect: the decoder does not read it, and no class is learnt by it"
    # What a fitted sampler draws from is known after the last epoch alone.
    measured = ("classification",) if fitted and plugin else ("likelihood", "classification")
    for epoch in s.milestones:
        if not {*measured} & {*s.evaluations}:
            found["milestones", epoch] = f"has no effect without evaluations: {' or '.join(measured)}"
        elif epoch > s.epochs:
            found["milestones", epoch] = f"{epoch} is beyond the {s.epochs} epochs"
    if not decodes:
        found["evaluations", "reconstruction"] = "reconstruction measures nothing without the term of this name"
    if s.encoder != "gaussian" or not codes:
        found["evaluations", "decomposition"] = f"decomposition measures nothing without {needs['posterior_std'][1]}"
    idle = set() if felt else {"regularization"}
    found |= _optimizers(s, idle, regularized and (not plugin or "inner_loss" in plugin.defines))
    return {at: why for at, why in found.items() if not _default(s, at)}


def _default(s: Settings, at: At) -> bool:
    """Whether a setting is what it would be anyway: to say so is no mistake."""
    return len(at) == 1 and getattr(s, at[0]) == Settings.model_fields[at[0]].default


def _optimizers(s: Settings, idle: set[str], inner: bool) -> dict[At, str]:
    joint = s.schedule == "joint" or not {*s.terms} - {"reconstruction", "separation"}
    used = {s.terms[0]} if joint else {*s.terms} - idle - ({"separation"} if "reconstruction" in s.terms else set())
    used |= {"inner"} if inner else set()
    found: dict[At, str] = {}
    for name, optimizer in s.optimizers.items():
        stands_in = name == "reconstruction" and used - s.optimizers.keys()
        if name not in used and not stands_in:
            which = f"it is {', '.join(sorted(used))} that count"
            found["optimizers", name] = f"has no effect: with schedule: {s.schedule} {which}"
        for epoch in optimizer.decay:
            if isinstance(epoch, int) and epoch >= s.epochs:
                found["optimizers", name, "decay", epoch] = f"is beyond the {s.epochs} epochs"
    return found
