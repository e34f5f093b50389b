"""The metrics' names: what a table calls them, their unit, and which direction is better."""

import re
from typing import NamedTuple


class Metric(NamedTuple):
    """A column of a table. `higher_is_better` is None where neither direction is.

    `group` "referee" is a discrepancy of the codes from the prior, "floor" the same of prior samples: what the
    referee matrix shows, and a table does not.
    """

    label: str
    unit: str
    higher_is_better: bool | None
    digits: int = 2
    group: str = ""


# In the order of the tables' columns: an experiment's first one with a direction is its headline.
METRICS = {
    "log_likelihood": Metric("Parzen log-likelihood", "nats", True, 1),
    "log_likelihood_fine": Metric("Parzen, fine σ", "nats", True, 1),
    "log_likelihood_gmmn": Metric("Parzen, GMMN's σ", "nats", True, 1),
    "error": Metric("Test error", "%", False, 2),
    "clustering_error": Metric("Clustering error, paper's rule", "%", False, 2),
    "clustering_error_majority": Metric("Clustering error, majority", "%", False, 2),
    "clustering_error_hungarian": Metric("Clustering error, Hungarian", "%", False, 2),
    "own_component": Metric("Codes in their class's component", "%", True, 1),
    "reconstruction": Metric("Reconstruction, ½ squared error", "per image", False, 2),
    "nmi": Metric("NMI", "", True, 3),
    "ari": Metric("ARI", "", True, 3),
    "nearest_sample": Metric("Squared distance to the nearest sample", "per pixel", False, 4),
    "validation_error": Metric("Validation error", "%", False, 2),
    "ais_log_likelihood": Metric("AIS log-likelihood", "nats", True, 1),
    "importance_weighted_bound": Metric("Importance-weighted bound", "nats", True, 1),
    "average_kl": Metric("Average KL", "nats", None, 2),
    "marginal_kl": Metric("Marginal KL", "nats", None, 2),
    "mutual_information": Metric("Index–code information", "nats", None, 2),
    "ais_gap": Metric("AIS bracket", "nats", None, 2),
    "ais_acceptance": Metric("AIS acceptance", "", None, 2),
    "validation_log_likelihood": Metric("Parzen, validation images", "nats", True, 1),
    "penalty_oscillation": Metric("Oscillation of the penalty", "0 to 1", None, 2),
    "penalty_drift": Metric("Drift of the penalty, last quarter", "relative", None, 3),
    "gradient_norm": Metric("Gradient of the penalty, last quarter", "norm", None, 4),
    "sigma": Metric("σ", "pixel units", None, 3),
    "sigma_fine": Metric("σ, fine", "pixel units", None, 3),
    "sigma_gmmn": Metric("σ, GMMN's", "pixel units", None, 3),
    "sigma_at_edge": Metric("σ at the grid's edge", "0 or 1", None, 0),
    "parameters": Metric("Parameters", "", None, 0),
}

PATTERNS = {
    r"log_likelihood_(\d+)": Metric("Parzen, {} samples", "nats", True, 1),
    r"validation_log_likelihood_epoch(\d+)": Metric("Parzen, validation images, epoch {}", "nats", None, 1),
    r"sigma_(\d+)": Metric("σ, {} samples", "pixel units", None, 3),
    r"error_epoch(\d+)": Metric("Test error, epoch {}", "%", False, 2),
    r"linear_probe_error(\w*)": Metric("Linear probe's error{}", "%", None, 2),
    r"neighbour_probe_error(\w*)": Metric("Nearest neighbour's error{}", "%", None, 2),
    r"referee_(\w+)_floor": Metric("{}, prior samples", "", None, 4, "floor"),
    r"referee_(\w+)": Metric("{}", "", None, 4, "referee"),
}


def metric(name: str) -> Metric:
    """What is known of a metric; a name that nobody declared is a column without a direction."""
    if name in METRICS:
        return METRICS[name]
    for pattern, found in PATTERNS.items():
        if match := re.fullmatch(pattern, name):
            word = f"{int(match[1]):,}" if match[1].isdigit() else match[1].replace("_", " ")
            # Short names are abbreviations: KS, MMD.
            label = found.label.format(word.upper() if found.group and len(match[1]) < 4 else word)
            return found._replace(label=label[0].upper() + label[1:])
    return Metric(name.replace("_", " ").capitalize(), "", None, 3)


def order(name: str) -> tuple:
    """The sort key of a table's columns: those with a direction first, then as declared, numbers in names by size."""
    names = list(METRICS)
    position = names.index(name) if name in METRICS else len(names)
    parts = [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
    return metric(name).higher_is_better is None, position, parts
