"""The metrics' names: what a table calls them, their unit, which direction is better, and which difference is small."""

import re
from typing import NamedTuple


class Metric(NamedTuple):
    """A column of a table. `higher_is_better` is None where neither direction is.

    `margin` is the difference, in the metric's unit, below which two methods are level: about two standard errors over
    MNIST's 10,000 test images, or over the 2,000 codes of a two-sample test. Without one nothing is ever level. `group`
    "referee" is a discrepancy of the codes from the prior, "floor" the same of prior samples: they have a table of
    their own.
    """

    label: str
    unit: str
    higher_is_better: bool | None
    digits: int = 2
    margin: float | None = None
    group: str = ""


# In the order of the tables' columns: an experiment's first one with a direction is its headline.
METRICS = {
    "log_likelihood": Metric("Parzen log-likelihood", "nats", True, 1, 4.0),
    "error": Metric("Test error", "%", False, 2, 0.3),
    "clustering_error_majority": Metric("Clustering error, majority", "%", False, 2, 1.0),
    "clustering_error": Metric("Clustering error, paper's rule", "%", False, 2, 1.0),
    "clustering_error_hungarian": Metric("Clustering error, Hungarian", "%", False, 2, 1.0),
    "own_component": Metric("Codes in their class's component", "%", True, 1, 1.0),
    "ais_log_likelihood": Metric("AIS log-likelihood", "nats", True, 1, 4.0),
    "referee_two_sample_test": Metric("Codes told from the prior", "share", False, 3, 0.02, "referee"),
    "reconstruction": Metric("Reconstruction, ½ squared error", "per image", False, 2, 0.2),
    "nmi": Metric("NMI", "", True, 3, 0.01),
    "ari": Metric("ARI", "", True, 3, 0.01),
    "nearest_sample": Metric("Squared distance to the nearest sample", "per pixel", False, 4),
    "validation_error": Metric("Validation error", "%", False, 2, 0.3),
    "log_likelihood_fine": Metric("Parzen, fine σ", "nats", True, 1, 4.0),
    "importance_weighted_bound": Metric("Importance-weighted bound", "nats", True, 1, 4.0),
    "average_kl": Metric("Average KL", "nats", None, 2),
    "marginal_kl": Metric("Marginal KL", "nats", None, 2),
    "mutual_information": Metric("Index–code information", "nats", None, 2),
    "ais_gap": Metric("AIS bracket", "nats", None, 2),
    "validation_log_likelihood": Metric("Parzen, validation images", "nats", True, 1, 4.0),
    "validation_nmi": Metric("NMI, validation images", "", True, 3, 0.01),
    "sigma": Metric("σ", "pixel units", None, 3),
    "sigma_fine": Metric("σ, fine", "pixel units", None, 3),
    "sigma_at_edge": Metric("σ at the grid's edge", "0 or 1", None, 0),
    "step_cost": Metric("Cost of a step", "× plain autoencoder", False, 2, 0.1),
}

PATTERNS = {
    r"log_likelihood_(\d+)": Metric("Parzen, {} samples", "nats", True, 1, 4.0),
    r"validation_log_likelihood_epoch(\d+)": Metric("Parzen, validation images, epoch {}", "nats", None, 1),
    r"sigma_(\d+)": Metric("σ, {} samples", "pixel units", None, 3),
    r"error_epoch(\d+)": Metric("Test error, epoch {}", "%", False, 2, 0.3),
    r"linear_probe_error(\w*)": Metric("Linear probe's error{}", "%", None, 2),
    r"neighbour_probe_error(\w*)": Metric("Nearest neighbour's error{}", "%", None, 2),
    r"referee_(\w+)_floor": Metric("{}, prior samples", "", None, 4, None, "floor"),
    r"referee_(\w+)": Metric("{}", "", None, 4, None, "referee"),
}

WORDS = {"ks": "KS", "mmd": "MMD"}


def initial(text: str) -> str:
    """`text` with its first letter upper-case; a letter of mathematics is no initial: σ stays σ."""
    return text[:1].upper() + text[1:] if text[:1].isascii() else text


def metric(name: str) -> Metric:
    """What is known of a metric; a name that nobody declared is a column without a direction."""
    if name in METRICS:
        return METRICS[name]
    for pattern, found in PATTERNS.items():
        if match := re.fullmatch(pattern, name):
            word = (
                f"{int(match[1]):,}" if match[1].isdigit() else " ".join(WORDS.get(w, w) for w in match[1].split("_"))
            )
            return found._replace(label=initial(found.label.format(word)))
    return Metric(initial(name.replace("_", " ")), "", None, 3)


def order(name: str) -> tuple:
    """The sort key of a table's columns: those with a direction first, then as declared, numbers in names by size."""
    names = list(METRICS)
    position = names.index(name) if name in METRICS else len(names)
    parts = [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
    return metric(name).higher_is_better is None, position, parts
