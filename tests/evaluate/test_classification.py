"""Naming rules on cases small enough to count, and probes on codes whose answer is known."""

from itertools import permutations

import pytest
import torch
from sklearn.datasets import load_digits

from bench.evaluate import classification as c


def one_hot(clusters, n=None):
    return torch.nn.functional.one_hot(torch.tensor(clusters), n or max(clusters) + 1).float()


def test_a_cluster_takes_the_label_of_its_most_confident_image():
    responsibilities = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.55, 0.45], [0.2, 0.8], [0.3, 0.7]])
    labels = torch.tensor([5, 7, 7, 7, 5])  # cluster 0 is named by image 0, cluster 1 by image 3
    split = responsibilities, labels
    naming = c.confident_naming(*split)
    assert naming.tolist() == [5, 7]
    assert c.naming_error(naming, split) == pytest.approx(3 / 5)
    assert c.majority_naming(*split).tolist() == [7, 5]  # a tie: the smaller class
    assert c.naming_error(c.majority_naming(*split), split) == pytest.approx(2 / 5)


def test_confidence_names_a_cluster_that_no_image_prefers_and_majority_does_not():
    responsibilities = torch.tensor([[0.9, 0.0, 0.1], [0.2, 0.7, 0.1], [0.3, 0.5, 0.2]])
    labels = torch.tensor([0, 1, 2])
    assert c.confident_naming(responsibilities, labels).tolist() == [0, 1, 2]
    assert c.majority_naming(responsibilities, labels).tolist() == [0, 1, -1]


@pytest.mark.parametrize("clusters", [3, 4, 6])
def test_matching_is_the_best_of_all_one_to_one_namings(clusters):
    labels = torch.randint(4, (60,))
    responsibilities = torch.rand(60, clusters).softmax(1)
    assigned = responsibilities.argmax(1)
    names = list(range(4)) + [-1] * max(0, clusters - 4)
    best = min((torch.tensor(p)[assigned] != labels).double().mean().item() for p in permutations(names, clusters))
    assert c.naming_error(c.matched_naming(responsibilities, labels), (responsibilities, labels)) == pytest.approx(best)


def test_clustering_of_a_renumbered_truth_is_perfect():
    labels = torch.arange(200) % 10
    split = one_hot(((3 * labels + 1) % 10).tolist()), labels
    numbers = c.clustering(split, split)
    errors = [v for k, v in numbers.items() if k.startswith("clustering_error")]
    assert errors == [0, 0, 0]
    assert (numbers["nmi"], numbers["ari"], numbers["clusters_used"]) == (pytest.approx(1), pytest.approx(1), 10)


def test_one_cluster_for_all_is_worth_nothing():
    labels = torch.arange(200) % 10
    split = one_hot([0] * 200, 10), labels
    numbers = c.clustering(split, split)
    assert numbers["clustering_error_majority"] == numbers["clustering_error_hungarian"] == pytest.approx(90)
    assert (numbers["nmi"], numbers["ari"], numbers["clusters_used"]) == (0, 0, 1)


def test_clusters_are_named_on_validation_images_only():
    validation = one_hot([0, 0, 1, 1]), torch.tensor([3, 3, 4, 4])
    test = one_hot([0, 0, 1, 1]), torch.tensor([4, 4, 3, 3])
    numbers = c.clustering(validation, test)
    assert numbers["clustering_error"] == numbers["clustering_error_majority"] == 100
    assert numbers["clustering_error_hungarian"] == 0


def test_splitting_classes_helps_the_majority_rule_only():
    """Twice as many pure clusters as classes: no error by name, half of the images by matching."""
    labels = torch.arange(80) % 4
    split = one_hot((2 * labels + torch.arange(80) // 40).tolist()), labels
    numbers = c.clustering(split, split)
    assert numbers["clustering_error"] == numbers["clustering_error_majority"] == 0
    assert numbers["clustering_error_hungarian"] == 50


def test_probes_read_separable_codes_and_fail_on_noise():
    labels = torch.arange(600) % 3
    codes = 5 * one_hot(labels.tolist()) + torch.randn(600, 3)
    noise = torch.randn(600, 3)
    for probe in (c.linear_probe, c.neighbour_probe):
        assert probe((codes[:300], labels[:300]), (codes[300:], labels[300:])) < 0.02
        assert probe((noise[:300], labels[:300]), (noise[300:], labels[300:])) == pytest.approx(2 / 3, abs=0.12)


def test_only_neighbours_read_a_ring():
    angle, inner = 6.28 * torch.rand(400), torch.arange(400) % 2
    codes = (1 + inner)[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    split = (codes[:200], inner[:200]), (codes[200:], inner[200:])
    assert c.neighbour_probe(*split) < 0.05
    assert c.linear_probe(*split) > 0.3


def test_probes_on_real_digits():
    x, y = (torch.from_numpy(a) for a in load_digits(return_X_y=True))
    train, test = (x[:1200].float(), y[:1200]), (x[1200:].float(), y[1200:])
    assert c.neighbour_probe(train, test) < 0.06
    assert c.linear_probe(train, test) < 0.12


def test_what_cannot_be_probed():
    codes, labels = torch.randn(5, 2), torch.tensor([1, 1, 1, 1, 1])
    assert c.linear_probe((codes, labels), (codes, torch.tensor([1, 0, 1, 0, 1]))) == pytest.approx(0.4)
    assert c.neighbour_probe((codes, labels), (codes, labels), neighbours=50) == 0
    with pytest.raises(ValueError, match="finite"):
        c.linear_probe((codes * torch.nan, labels), (codes, labels))
    with pytest.raises(ValueError, match="finite"):
        c.neighbour_probe((codes, labels), (codes * torch.nan, labels))
    with pytest.raises(ValueError, match="at least one"):
        c.confident_naming(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long))
