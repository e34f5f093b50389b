"""Rows that need no training: what the data alone, and plain methods, score under each protocol.

For the likelihood, training images, k-means centroids and a Gaussian mixture of principal components in the place of
samples; a table in which training images are no better than a model, or centroids better than both, says what the
metric is worth (Theis et al., 2016). For the classes, the nearest labelled image and labels spread on a graph; for
clusters, k-means. For classes and clusters the same of the codes of the encoder before its training, too; the
likelihood has such a method.
"""

import warnings
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.semi_supervised import LabelSpreading
from torch import Tensor

from bench.config.schema import CHUNK, Settings
from bench.config.streams import stream
from bench.data.datasets import Dataset, Images
from bench.data.labelled_subsets import labelled_subset
from bench.evaluate.classification import Split, clustering, neighbour_probe
from bench.evaluate.likelihood import parzen_measurements
from bench.evaluate.measurement import Measurement
from bench.train.autoencoder import Autoencoder

IMAGES = 10_000  # unlabelled ones, as many as the graph has

Rows = Iterator[tuple[str, list[Measurement]]]


def likelihood_rows(settings: Settings, dataset: Dataset, seed: int) -> Rows:
    """Parzen rows of samples that no model made."""
    train, validation, test = (dataset.to_pixels(x[:]).cpu() for x in dataset_images(dataset))
    for name, make in SAMPLES.items():
        samples = make(train, CHUNK, seed)
        found = parzen_measurements(validation, test, lambda n, chunk, s=samples: s, [len(samples)])
        yield name, list(found)


def training_images(train: Float[Tensor, "N D"], n: int, seed: int) -> Float[Tensor, "m D"]:
    """`n` different training images, all if there are fewer: the true distribution as a model."""
    return _some(train, n, seed, "training images")


def centroids(train: Float[Tensor, "N D"], n: int, seed: int) -> Float[Tensor, "m D"]:
    """k-means centroids as samples, `n` of them, or one for every five images if these are fewer."""
    k = max(1, min(n, len(train) // 5))
    # Library defaults seed thousands of centres one by one; images are good centres to begin with. Mini-batches are
    # no faster here, and end with worse centres.
    means = KMeans(k, init="random", n_init=1, max_iter=10, random_state=_state(seed, "centroids"))
    centres = torch.from_numpy(means.fit(train.numpy()).cluster_centers_).float()
    return centres.clamp(train.min(), train.max())  # they may leave it by rounding


def pca_mixture(train: Float[Tensor, "N D"], n: int, seed: int) -> Float[Tensor, "{n} D"]:
    """Samples of a Gaussian mixture in the principal subspace: a linear autoencoder with an ex-post prior.

    Fitted to at most 20,000 images; samples are clipped to the range of the data.
    """
    images = _some(train, 20_000, seed, "pca mixture").double().numpy()
    state = _state(seed, "pca mixture")
    pca = PCA(min(50, *images.shape), random_state=state).fit(images)
    mixture = GaussianMixture(min(20, len(images) // 20 + 1), reg_covar=1e-4, random_state=state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a control need not be the best it can be
        mixture.fit(pca.transform(images))
    samples = pca.inverse_transform(mixture.sample(n)[0])
    return torch.from_numpy(samples).float().clamp(train.min(), train.max())


SAMPLES = {"training images": training_images, "k-means centroids": centroids, "PCA + Gaussian mixture": pca_mixture}


def classification_rows(settings: Settings, dataset: Dataset, seed: int) -> Rows:
    """Errors with the very labels of the semi-supervised runs of the seed."""
    x, y = dataset.train
    labelled = labelled_subset(y, settings.labels, seed, dataset.classes)
    known, test = (x[labelled], y[labelled]), (dataset.test.x[:], dataset.test.y)
    unlabelled = x
    if not isinstance(x, torch.Tensor):  # kept as bytes, because as floats they could fill the memory
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(stream(seed, "baselines/unlabelled")))
        unlabelled = x[order[:IMAGES]]
    encoder = Autoencoder(settings, dataset.shape, dataset.classes).initialise(seed)
    codes = [(random_codes(encoder, images), classes) for images, classes in (known, test)]
    for name, error in {
        "nearest labelled image": neighbour_probe(known, test, neighbours=1),
        "label spreading": label_spreading(known, unlabelled, test, seed),
        "nearest labelled code, random encoder": neighbour_probe(*codes, neighbours=1),
    }.items():
        yield name, [Measurement("error", 100 * error, n=len(test[1]))]


def label_spreading(known: Split, unlabelled: Float[Tensor, "N D"], test: Split, seed: int) -> float:
    """The test error of labels spread on a graph (Zhou et al., 2004).

    The graph joins 10 nearest neighbours among the labelled and at most `IMAGES` unlabelled images, in
    50 principal dimensions; test images are predicted from their neighbours.
    """
    rest = _some(unlabelled, IMAGES, seed, "graph")
    nodes = torch.cat([known[0], rest]).numpy()
    pca = PCA(min(50, *nodes.shape), random_state=_state(seed, "graph")).fit(nodes)
    marks = np.concatenate([known[1].numpy(), np.full(len(rest), -1)])
    graph = LabelSpreading(kernel="knn", n_neighbors=min(10, len(nodes)), alpha=0.2, max_iter=100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="invalid value", category=RuntimeWarning)  # nodes no label reaches
        graph.fit(pca.transform(nodes), marks)
        return 1 - float(graph.score(pca.transform(test[0].numpy()), test[1].numpy()))


def clustering_rows(settings: Settings, dataset: Dataset, seed: int) -> Rows:
    """k-means with as many clusters as the experiment's categorical code, of the images and of random codes of them."""
    [clusters] = [latent.dim for latent in settings.latents.values() if latent.head == "categorical"]
    encoder = Autoencoder(settings, dataset.shape, dataset.classes).initialise(seed)
    images = dataset_images(dataset)
    for name, (train, *held_out) in {
        "k-means": [x[:] for x in images],
        "k-means, random encoder": [random_codes(encoder, x) for x in images],
    }.items():
        splits = zip(held_out, (dataset.validation.y, dataset.test.y), strict=True)
        numbers = k_means(train, *splits, clusters, seed)
        yield name, [Measurement(metric, value, n=len(dataset.test.y)) for metric, value in numbers.items()]


def k_means(train: Float[Tensor, "N D"], validation: Split, test: Split, clusters: int, seed: int) -> dict[str, float]:
    """The numbers of `classification.clustering` for k-means of images or codes; nearer is more confident."""
    images = _some(train, 20_000, seed, "clusters")
    means = KMeans(clusters, n_init=4, random_state=_state(seed, "clusters")).fit(images.numpy())
    centers = torch.from_numpy(means.cluster_centers_).float()
    return clustering(*((-torch.cdist(x.float(), centers), y) for x, y in (validation, test)))


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


def dataset_images(dataset: Dataset) -> list[Float[Tensor, "N D"] | Images]:
    """The images of the splits: training, validation, test."""
    return [dataset.train.x, dataset.validation.x, dataset.test.x]


def _some(images: Float[Tensor, "N D"], n: int, seed: int, name: str) -> Float[Tensor, "m D"]:
    order = np.random.default_rng(stream(seed, f"baselines/{name}")).permutation(len(images))
    return images[torch.from_numpy(order[:n])]


def _state(seed: int, name: str) -> int:
    """The stream `baselines/name` of a seed, as scikit-learn takes it."""
    return stream(seed, f"baselines/{name}") % 2**32


ROWS = {"likelihood": likelihood_rows, "classification": classification_rows, "clustering": clustering_rows}
