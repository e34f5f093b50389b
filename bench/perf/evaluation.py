"""What evaluations beside the Parzen window cost: annealed importance sampling, referees, k-means centroids.

python -m bench.perf evaluation [--images 100] [--codes 10000] [--points 10000] [--centres 2000] [--threads 1]
                                [--json FILE]

A step of annealing is one of Hamiltonian Monte Carlo, with 4 chains for each image and 5 leaps, through MNIST's
decoder, 8-1000-1000-784; "products" is the share of its time that its matrix products take alone. Referees judge
codes in 8 dimensions. Centroids are of random images of 784 pixels. A rival's "times ours" is its time over ours;
they take turns.
"""

import argparse
import warnings
from collections.abc import Callable
from itertools import count

import torch
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning

from bench import config as configs
from bench.ais import Annealing, Model
from bench.controls import centroids
from bench.model import Autoencoder
from bench.perf.parzen import images
from bench.perf.steps import Products
from bench.perf.timing import machine, median_seconds, write
from bench.perf.training import EXPERIMENT, NETWORKS
from bench.priors import Gaussian
from bench.referees import applicable, referees

DIM, PIXELS, CHAINS, LEAPS, SIGMA = 8, 784, 4, 5, 0.16
NEW_SEEDS = count(1)  # none twice in a process, which keeps the floors of each


@torch.no_grad
def annealing(n: int) -> list[dict]:
    """A step for `n` images, beside its products."""
    settings = configs.settings(configs.load(NETWORKS["mnist"][0]), EXPERIMENT, "mmd")
    autoencoder = Autoencoder(settings, PIXELS, 10).eval().requires_grad_(False)
    [(name, prior)] = autoencoder.priors.items()
    model = Model(lambda z: autoencoder.decode({name: z}), prior, SIGMA)
    chains = Annealing(model, chains=CHAINS, leapfrog=LEAPS)
    x, z = model.simulate(n)
    many, state = x.repeat(CHAINS, 1), model.state(x.repeat(CHAINS, 1), z.repeat(CHAINS, 1))
    length, recorded = torch.full((len(many),), 0.05), Products()

    def step() -> None:
        chains.step(many, state, 0.5, length)

    with recorded:
        step()
    times = median_seconds({"step": step, "products": recorded.run})
    what = f"annealing, one step of {CHAINS} chains and {LEAPS} leaps for {n} images"
    return [{"evaluation": what, "ms": 1e3 * times["step"], "products": times["products"] / times["step"]}]


def judgements(n: int) -> list[dict]:
    """Each referee alone, and all of them with their floors, which methods of one seed share."""
    prior = Gaussian(DIM)
    z = prior.sample(n) + 0.1
    referees(z, prior, 0)
    jobs: dict[str, Callable] = {name: lambda f=f: f(z, prior) for name, f in applicable(prior).items()}
    jobs |= {"all": lambda: referees(z, prior, 0), "all, floors too": lambda: referees(z, prior, next(NEW_SEEDS))}
    times = median_seconds(jobs)
    found = [{"evaluation": f"referee {name}, {n} codes", "ms": 1e3 * times[name]} for name in applicable(prior)]
    return found + rivals(f"referees of {n} codes, of a method whose floors are known", times, "all")


def controls(n: int, k: int) -> list[dict]:
    """The centroids that are scored as samples, beside the library's own settings."""
    x = images(n, PIXELS)
    options = {"n_clusters": k, "n_init": 1, "random_state": 0}
    jobs = {
        "ours": lambda: centroids(x, k, 0),
        "mini-batches": lambda: MiniBatchKMeans(init="random", batch_size=4096, max_iter=5, **options).fit(x.numpy()),
        "centres by k-means++": lambda: KMeans(max_iter=10, **options).fit(x.numpy()),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a few rounds are what all of them get
        return rivals(f"{k} centroids of {n} images", median_seconds(jobs), "ours")


def rivals(what: str, times: dict[str, float], ours: str) -> list[dict]:
    """The row of `ours`, and one for each job that stands behind it."""
    behind = list(times)[list(times).index(ours) + 1 :]
    rows = [{"evaluation": what, "ms": 1e3 * times[ours], "times ours": 1.0}]
    return rows + [
        {"evaluation": f"{what}: {name}", "ms": 1e3 * times[name], "times ours": times[name] / times[ours]}
        for name in behind
    ]


def run(arguments: list[str]) -> None:
    """The program; see the module."""
    parser = argparse.ArgumentParser(prog="python -m bench.perf evaluation", description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100, help="whose likelihood is annealed")
    parser.add_argument("--codes", type=int, default=10_000, help="that referees judge")
    parser.add_argument("--points", type=int, default=10_000, help="images of the centroids")
    parser.add_argument("--centres", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", help="write the rows here")
    a = parser.parse_args(arguments)
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    print(" | ".join(f"{k} {v}" for k, v in machine().items()))
    print(f"{'ms':>10} {'products':>9} {'times ours':>11}  evaluation")
    rows: list[dict] = []
    for part in (lambda: annealing(a.images), lambda: judgements(a.codes), lambda: controls(a.points, a.centres)):
        for row in part():
            rows.append(row)
            shares = [f"{row[c]:{w}.2f}" if c in row else " " * w for c, w in (("products", 9), ("times ours", 11))]
            print(f"{row['ms']:10.1f} {' '.join(shares)}  {row['evaluation']}", flush=True)
        write(a.json, rows)
