"""Discrepancies that judge final codes against the prior, each beside what it says of codes that are the prior's.

No regularizer is judged by its own measure alone, and none by a number without a scale: a distance
between samples is not zero for equal distributions, so each comes with its floor.
"""

import copy
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import ndtr
from torch import Tensor
from torch.nn.functional import normalize

from regularizers import Prior, rms
from regularizers._keops import private_folder

LIMIT = 2000  # codes used where all pairs are compared


class Judgement(NamedTuple):
    """A discrepancy of the codes, and its mean over prior samples in their place."""

    value: float
    floor: float


def sliced_wasserstein(z: Float[Tensor, "n D"], prior: Prior, directions: int = 200) -> float:
    """Squared 2-Wasserstein distance of projections to as many prior samples', in prior variances."""
    theta = normalize(torch.randn(prior.dim, directions), dim=0)
    ours, theirs = z @ theta, prior.sample(len(z)) @ theta
    return ((ours.sort(0).values - theirs.sort(0).values).square().mean() / rms(prior) ** 2).item()


def sinkhorn(z: Float[Tensor, "n D"], prior: Prior) -> float:
    """Debiased Sinkhorn divergence to as many prior samples, in prior variances, blur 0.3 (Feydy et al., 2019).

    Within 2 % of the converged value, 7 % for codes like a mixture's samples; of a prior of points, such as one-hot
    codes, up to 40 % below it.
    """
    private_folder()  # the import below would open the one that all processes write
    from geomloss import SamplesLoss

    z, s = z[: LIMIT // 2], rms(prior)
    loss = SamplesLoss(p=2, blur=0.3, scaling=0.9, backend="tensorized")
    return 2 * loss(z / s, prior.sample(len(z)) / s).item()


def kernel_distance(z: Tensor, prior: Prior, kernel: Callable[[Tensor], Tensor]) -> float:
    """E k(z, z') − 2 E k(z, y) + E k(y, y'), for a function of distances in prior standard deviations.

    Unbiased, with twice as many prior samples y as codes. It shares no code with the regularizers
    that minimise such distances.
    """
    z, s = z[:LIMIT] / rms(prior), rms(prior)
    y = prior.sample(2 * len(z)) / s
    n, m = len(z), 2 * len(z)
    at_zero = kernel(torch.zeros(())).item()
    zz, zy, yy = (kernel(torch.cdist(a, b)).double().sum().item() for a, b in ((z, z), (z, y), (y, y)))
    return (zz - n * at_zero) / (n * (n - 1)) - 2 * zy / (n * m) + (yy - m * at_zero) / (m * (m - 1))


def energy(z: Float[Tensor, "n D"], prior: Prior) -> float:
    """Energy distance 2 E|z − y| − E|z − z'| − E|y − y'|, in prior standard deviations (Székely & Rizzo, 2013)."""
    return kernel_distance(z, prior, lambda r: -r)


def mmd(z: Float[Tensor, "n D"], prior: Prior) -> float:
    """Squared MMD with the inverse multiquadric kernel C / (C + r²), C = 2 D (Tolstikhin et al., 2018)."""
    C = 2 * prior.dim
    return kernel_distance(z, prior, lambda r: C / (C + r.square()))


def two_sample_test(z: Float[Tensor, "n D"], prior: Prior) -> float:
    """Held-out accuracy of a small network telling codes from prior samples (Lopez-Paz & Oquab, 2017)."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    z = z[:LIMIT]
    x = torch.cat([z, prior.sample(len(z))]).numpy()
    y = np.repeat([0, 1], len(z))
    order = torch.randperm(len(x)).numpy()
    train, test = order[: len(x) // 2], order[len(x) // 2 :]
    x = StandardScaler().fit(x[train]).transform(x)
    drawn = int(torch.randint(2**32, ()))
    network = MLPClassifier((32,), learning_rate_init=0.01, early_stopping=True, max_iter=60, random_state=drawn)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the last epoch is as good a test as another
        network.fit(x[train], y[train])
    return float(network.score(x[test], y[test]))


def ks(z: Float[Tensor, "n D"], prior: Prior) -> float:
    """The largest Kolmogorov–Smirnov statistic of the dimensions, against the exact marginals of the prior."""
    n = len(z)
    deviation = prior.covariances.diagonal(dim1=1, dim2=2).sqrt()
    x = z.sort(0).values
    cdf = sum(
        w * ndtr(((x - mean) / sd).double().numpy())
        for w, mean, sd in zip(prior.weights.tolist(), prior.means, deviation, strict=True)
    )
    steps = np.arange(n + 1)[:, None] / n
    return float(np.maximum(np.abs(cdf - steps[1:]), np.abs(cdf - steps[:-1])).max())


def occupancy_error(z: Float[Tensor, "n D"], prior: Prior) -> float:
    """The largest difference between a component's share of the codes and its weight.

    A code is of the most probable component, or of the nearest if they are singular.
    """
    if prior.has_density:
        component = torch.cat([prior.log_joint(part).argmax(1) for part in z.split(LIMIT)])
    else:
        component = torch.cdist(z, prior.means).argmin(1)
    shares = torch.bincount(component, minlength=len(prior.weights)).double() / len(z)
    return (shares - prior.weights).abs().max().item()


def holes(z: Float[Tensor, "n D"], prior: Prior) -> float:
    """Share of prior samples with no code within r: where a decoder is asked for what it never saw.

    r is the 95 % quantile of the distance from a prior sample to the nearest of as many prior samples
    as there are codes, so that codes from the prior leave 5 %.
    """
    from sklearn.neighbors import NearestNeighbors

    z = z[: 5 * LIMIT]
    asked, others = prior.sample(5 * LIMIT).numpy(), prior.sample(len(z)).numpy()
    expected, found = (
        NearestNeighbors(n_neighbors=1).fit(points).kneighbors(asked)[0] for points in (others, z.numpy())
    )
    return float((found > np.quantile(expected, 0.95)).mean())


def applicable(prior: Prior) -> dict[str, Callable[[Tensor, Prior], float]]:
    """The referees that make sense for a prior: singular ones have no density, and their samples no neighbours."""
    chosen = [sliced_wasserstein, sinkhorn, energy, mmd]
    if prior.has_density:
        chosen += [two_sample_test, ks, holes]
    if len(prior.weights) > 1:
        chosen += [occupancy_error]
    return {referee.__name__: referee for referee in chosen}


# Methods that share a prior, a seed and a number of codes share their floors, the larger part of the work: a referee's
# mean judgement of prior samples, and the random state that it leaves.
_floors: dict[tuple, dict[str, tuple[float, Tensor]]] = {}


@torch.no_grad
def referees(codes: Float[Tensor, "n D"], prior: Prior, seed: int, draws: int = 4) -> dict[str, Judgement]:
    """Every applicable discrepancy of the codes, and of `draws` sets of as many prior samples.

    Codes are compared in random order. The global random state is left as it was; the same seed gives
    the same numbers, whatever was judged before.

    Raises:
        ValueError: fewer than 100 codes, or codes that are not finite.
    """
    if len(codes) < 100 or not codes.isfinite().all():
        raise ValueError("referees need at least 100 finite codes")
    prior = copy.deepcopy(prior).cpu().float()
    shape = tuple(buffer.numpy().tobytes() for buffer in (prior.weights, prior.means, prior.scale_tril))
    known = _floors.setdefault((shape, len(codes), seed, draws), {})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        z = codes.detach().cpu().float()[torch.randperm(len(codes))]
        null = [prior.sample(len(z)) for _ in range(draws)]
        found = {}
        for name, referee in applicable(prior).items():
            if name not in known:
                known[name] = float(np.mean([referee(y, prior) for y in null])), torch.get_rng_state()
            floor, state = known[name]
            torch.set_rng_state(state)
            found[name] = Judgement(float(referee(z, prior)), floor)
    return found
