"""Rows that no autoencoder is needed for: what the data alone, and plain methods, score under each protocol.

A likelihood table in which training images are no better than a model, or centroids better than both,
says what the metric is worth (Theis et al., 2016).
"""

import warnings

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.semi_supervised import LabelSpreading
from torch import Tensor

from bench.config.streams import stream
from bench.data.datasets import Images
from bench.evaluate.classification import clustering, neighbour_probe
from bench.train.autoencoder import Autoencoder

Labelled = tuple[Float[Tensor, "_ D"], Int[Tensor, " _"]]


def training_images(train: Float[Tensor, "N D"], n: int, seed: int) -> Float[Tensor, "m D"]:
    """`n` different training images, all if there are fewer: the true distribution as a model."""
    return _some(train, n, seed, "training images")


def _some(images: Float[Tensor, "N D"], n: int, seed: int, name: str) -> Float[Tensor, "m D"]:
    order = np.random.default_rng(stream(seed, f"baselines/{name}")).permutation(len(images))
    return images[torch.from_numpy(order[:n])]


def _state(seed: int, name: str) -> int:
    """The stream `baselines/name` of a seed, as scikit-learn takes it."""
    return stream(seed, f"baselines/{name}") % 2**32


def centroids(train: Float[Tensor, "N D"], n: int, seed: int) -> Float[Tensor, "m D"]:
    """k-means centroids as samples, `n` of them, or one for every five images if these are fewer."""
    k = max(1, min(n, len(train) // 5))
    # Library defaults seed thousands of centres one by one; images are good centres to begin with. Mini-batches are
    # no faster here, and end with worse centres.
    means = KMeans(k, init="random", n_init=1, max_iter=10, random_state=_state(seed, "centroids"))
    centres = torch.from_numpy(means.fit(train.numpy()).cluster_centers_).float()
    return centres.clamp(train.min(), train.max())  # they may leave it by rounding


def pca_mixture(
    train: Float[Tensor, "N D"], n: int, seed: int, dimensions: int = 50, components: int = 20
) -> Float[Tensor, "{n} D"]:
    """Samples of a Gaussian mixture in the principal subspace: a linear autoencoder with an ex-post prior.

    Fitted to at most 20,000 images; samples are clipped to the range of the data.
    """
    images = _some(train, 20_000, seed, "pca mixture").double().numpy()
    dimensions, components = min(dimensions, *images.shape), min(components, len(images) // 20 + 1)
    state = _state(seed, "pca mixture")
    pca = PCA(dimensions, random_state=state).fit(images)
    mixture = GaussianMixture(components, reg_covar=1e-4, random_state=state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a control need not be the best it can be
        mixture.fit(pca.transform(images))
    samples = pca.inverse_transform(mixture.sample(n)[0])
    return torch.from_numpy(samples).float().clamp(train.min(), train.max())


@torch.no_grad
def random_codes(
    encoder: Autoencoder, images: Float[Tensor, "N D"] | Images, chunk: int = 2000
) -> Float[Tensor, "N d"]:
    """The continuous codes of an encoder as it is, side by side; of an untrained one, they say what it knows by chance.

    `chunk` images are encoded at a time.
    """
    encoder.eval()
    names = [name for name, latent in encoder.settings.latents.items() if latent.head == "continuous"]
    parts = []
    for index in torch.arange(len(images)).split(chunk):
        posteriors = encoder.encode(images[index])
        parts.append(torch.cat([posteriors[name].mean for name in names], dim=1))
    return torch.cat(parts)


def likelihood_controls(train: Float[Tensor, "N D"], n: int, seed: int) -> dict[str, Float[Tensor, "_ D"]]:
    """Samples for the likelihood tables, by the name of their row; about `n` each, in the data's units."""
    train = train.detach().cpu().float()
    return {
        "training images": training_images(train, n, seed),
        "k-means centroids": centroids(train, n, seed),
        "PCA + Gaussian mixture": pca_mixture(train, n, seed),
    }


def classification_controls(
    labelled: Labelled, unlabelled: Float[Tensor, "N D"], test: Labelled, seed: int, limit: int = 10_000
) -> dict[str, float]:
    """Test errors with the same labels and no training: the nearest labelled image, and labels spread on a graph.

    The graph joins 10 nearest neighbours among the labelled and at most `limit` unlabelled images, in
    50 principal dimensions (Zhou et al., 2004); test images are predicted from their neighbours.
    """
    (x, y), (x_test, y_test) = ((a.detach().cpu(), b.cpu()) for a, b in (labelled, test))
    rest = _some(unlabelled.detach().cpu(), limit, seed, "graph")
    nodes = torch.cat([x, rest]).numpy()
    pca = PCA(min(50, *nodes.shape), random_state=_state(seed, "graph")).fit(nodes)
    marks = np.concatenate([y.numpy(), np.full(len(rest), -1)])
    graph = LabelSpreading(kernel="knn", n_neighbors=min(10, len(nodes)), alpha=0.2, max_iter=100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="invalid value", category=RuntimeWarning)  # nodes no label reaches
        graph.fit(pca.transform(nodes), marks)
        spread = float(graph.score(pca.transform(x_test.numpy()), y_test.numpy()))
    return {
        "nearest labelled image": neighbour_probe((x, y), (x_test, y_test), neighbours=1),
        "label spreading": 1 - spread,
    }


def clustering_controls(
    train: Float[Tensor, "N D"], validation: Labelled, test: Labelled, clusters: int, seed: int
) -> dict[str, float]:
    """The numbers of `classification.clustering` for k-means of images or codes; nearer is more confident."""
    images = _some(train.cpu(), 20_000, seed, "clusters")
    means = KMeans(clusters, n_init=4, random_state=_state(seed, "clusters")).fit(images.numpy())
    centers = torch.from_numpy(means.cluster_centers_).float()
    splits = [(-torch.cdist(x.cpu().float(), centers), y.cpu()) for x, y in (validation, test)]
    return clustering(*splits)
