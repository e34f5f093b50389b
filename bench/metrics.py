"""The metrics' names: what a table calls them, their unit, and which direction is better."""

from typing import NamedTuple


class Metric(NamedTuple):
    """A column of a table. `higher_is_better` is None where neither direction is."""

    label: str
    unit: str
    higher_is_better: bool | None
    digits: int = 2


METRICS = {
    "log_likelihood": Metric("Parzen log-likelihood", "nats", True, 1),
    "log_likelihood_fine": Metric("Parzen, fine σ", "nats", True, 1),
    "log_likelihood_gmmn": Metric("Parzen, GMMN's σ", "nats", True, 1),
    "sigma": Metric("σ", "pixel units", None, 3),
    "sigma_fine": Metric("σ, fine", "pixel units", None, 3),
    "sigma_at_edge": Metric("σ at the grid's edge", "0 or 1", None, 0),
    "reconstruction": Metric("Reconstruction, ½ squared error", "per image", False, 2),
    "error": Metric("Test error", "%", False, 2),
    "validation_error": Metric("Validation error", "%", False, 2),
    "clustering_error": Metric("Clustering error, paper's rule", "%", False, 2),
    "clustering_error_majority": Metric("Clustering error, majority", "%", False, 2),
    "clustering_error_hungarian": Metric("Clustering error, Hungarian", "%", False, 2),
    "nmi": Metric("NMI", "", True, 3),
    "ari": Metric("ARI", "", True, 3),
    "own_component": Metric("Codes in their class's component", "%", True, 1),
    "parameters": Metric("Parameters", "", None, 0),
}
