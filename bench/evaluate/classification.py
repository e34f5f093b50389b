"""How well classes are predicted: classifiers, clusterings under four rules, and probes of the codes.

scikit-learn takes longer to import than most jobs that do not use it take to measure: functions import it.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

Split = tuple[Float[Tensor, "_ _"], Int[Tensor, " _"]]  # responsibilities or codes of images, and their labels


def naming_error(classes: Int[Tensor, " clusters"], split: Split) -> float:
    """Share of images whose cluster is named after another class; a cluster of class −1 has none, and errs on all."""
    responsibilities, labels = split
    _check(responsibilities)
    return (classes[responsibilities.argmax(1)] != labels).double().mean().item()


def confident_naming(responsibilities: Float[Tensor, "n clusters"], labels: Int[Tensor, " n"]) -> Tensor:
    """A cluster takes the class of the image most confidently in it (Makhzani et al., 2015, sec. 6).

    For cluster i, the image x_n that maximises q(y = i | x_n). Give validation images; it reads one label
    per cluster. Every cluster is named, even if no image prefers it.
    """
    _check(responsibilities)
    return labels[responsibilities.argmax(0)]


def majority_naming(responsibilities: Float[Tensor, "n clusters"], labels: Int[Tensor, " n"]) -> Tensor:
    """A cluster takes the most frequent class of its images, the smallest of equals; an empty one has none."""
    table = _contingency(responsibilities, labels)
    return table.argmax(1).where(table.sum(1) > 0, -1)


def matched_naming(responsibilities: Float[Tensor, "n clusters"], labels: Int[Tensor, " n"]) -> Tensor:
    """The one-to-one matching of clusters and classes with the fewest errors (Kuhn, 1955; Yang et al., 2010).

    With more clusters than classes the rest has none, so that it errs on every image in them.
    """
    from scipy.optimize import linear_sum_assignment

    table = _contingency(responsibilities, labels)
    clusters, classes = map(torch.from_numpy, linear_sum_assignment(table.cpu().numpy(), maximize=True))
    naming = torch.full((table.shape[0],), -1, dtype=labels.dtype, device=labels.device)
    naming[clusters.to(labels.device)] = classes.to(labels)
    return naming


def clustering(validation: Split, test: Split) -> dict[str, float]:
    """Errors of the test images in per cent, and agreement with their classes.

    `clustering_error` and `_majority` name the clusters on validation images. `_hungarian` matches them
    to the classes of the test images themselves, as the clustering literature does. `nmi` divides by the
    arithmetic mean of the entropies. `clusters_used` is the number of clusters that some test image prefers.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    assigned, labels = test[0].argmax(1).cpu().numpy(), test[1].cpu().numpy()
    return {
        "clustering_error": 100 * naming_error(confident_naming(*validation), test),
        "clustering_error_majority": 100 * naming_error(majority_naming(*validation), test),
        "clustering_error_hungarian": 100 * naming_error(matched_naming(*test), test),
        "nmi": float(normalized_mutual_info_score(labels, assigned)),
        "ari": float(adjusted_rand_score(labels, assigned)),
        "clusters_used": float(len(np.unique(assigned))),
    }


def linear_probe(train: Split, test: Split) -> float:
    """Test error of multinomial logistic regression on standardised codes, with scikit-learn's ridge, C = 1.

    On the style codes of a semi-supervised model, an error near chance means that they tell nothing linear
    about the class: that they are disentangled from it.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return _probe(make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)), train, test)


def neighbour_probe(train: Split, test: Split, neighbours: int = 5) -> float:
    """Test error of the vote of the nearest training codes, fewer than `neighbours` if there are fewer."""
    from sklearn.neighbors import KNeighborsClassifier

    neighbours = min(neighbours, len(train[1]))
    return _probe(KNeighborsClassifier(neighbours, algorithm="brute"), train, test)


def _probe(classifier, train: Split, test: Split) -> float:
    _check(train[0])
    _check(test[0])
    if len(train[1].unique()) == 1:  # a constant answer; logistic regression refuses to give it
        return (test[1] != train[1][0]).double().mean().item()
    (x, y), (x_test, y_test) = ((codes.cpu().numpy(), labels.cpu().numpy()) for codes, labels in (train, test))
    return 1 - float(classifier.fit(x, y).score(x_test, y_test))


def _contingency(responsibilities: Tensor, labels: Tensor) -> Int[Tensor, "clusters classes"]:
    """How many images of each class each cluster has, clusters that nobody prefers included."""
    _check(responsibilities)
    clusters, classes = responsibilities.shape[1], int(labels.max()) + 1
    pairs = responsibilities.argmax(1) * classes + labels
    return torch.bincount(pairs, minlength=clusters * classes).view(clusters, classes)


def _check(values: Tensor) -> None:
    if not len(values) or not values.isfinite().all():
        raise ValueError("classification needs at least one image, and finite numbers")
