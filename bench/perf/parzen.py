"""How near the Parzen estimate comes to a bare matrix product, and its rivals.

latentbench perf parzen [--test 2000] [--samples 16384] [--dim 784] [--device cpu] [--rounds 10] [--threads 1]
                        [--json FILE]

"times ours" is to the float32 estimate of the same points; the rivals are libraries and the plain formula, in float64
but for torch's, on a small part of the points.
"""

import numpy as np
import torch
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from sklearn.neighbors import KernelDensity
from torch import Tensor

from bench.evaluate import parzen
from bench.perf.timing import at_least, options, repeated, report, turns

SIGMA = 0.2
OWN = "float32"


def images(n: int, d: int) -> Tensor:
    """Sparse values in [0, 1] around 100 centres: pixels, to the kernel."""
    centres = torch.rand(100, d, generator=torch.Generator().manual_seed(0)) ** 4
    return (centres[torch.randint(100, (n,))] + 0.1 * torch.randn(n, d)).clamp(0, 1)


def products(test: Tensor, samples: Tensor) -> dict:
    """The estimate, beside a product of the same shape without anything else."""
    out = torch.empty(len(test), len(samples), device=test.device)
    return {
        OWN: lambda: parzen.log_likelihood(test, samples, SIGMA),
        "float32, 10 bandwidths": lambda: parzen.Parzen(test, np.logspace(-1, 0, 10)).add(samples).scores(),
        "sgemm": lambda: torch.mm(test, samples.T, out=out),
    }


def rivals(test: Tensor, samples: Tensor) -> dict:
    """Libraries and the plain formula."""
    x, y = test.double().numpy(), samples.double().numpy()
    constant = np.log(len(y)) + x.shape[1] * np.log(SIGMA * np.sqrt(2 * np.pi))

    def plain():
        return (-torch.cdist(test, samples).square() / (2 * SIGMA**2)).logsumexp(1) - constant

    return {
        OWN: lambda: parzen.log_likelihood(test, samples, SIGMA),
        "torch cdist, logsumexp": plain,
        "scipy cdist, logsumexp": lambda: logsumexp(-cdist(x, y, "sqeuclidean") / (2 * SIGMA**2), axis=1) - constant,
        "scikit-learn, one leaf": lambda: KernelDensity(bandwidth=SIGMA, leaf_size=len(y) + 1).fit(y).score_samples(x),
        "scikit-learn, default": lambda: KernelDensity(bandwidth=SIGMA).fit(y).score_samples(x),
    }


def measured(calls: dict, test: Tensor, samples: Tensor, rounds: int) -> list[dict]:
    """A row for each estimate: its time, and its largest error where it has the one bandwidth."""
    times = turns({name: repeated(call) for name, call in calls.items()}, 1, rounds)
    exact = parzen.log_likelihood(test.double(), samples, SIGMA).cpu().numpy()
    rows = []
    for name, call in calls.items():
        row = {"points": f"{len(test)} x {len(samples)}", "estimate": name}
        row |= {"ms": 1e3 * times[name], "times ours": times[name] / times[OWN]}
        if name not in ("sgemm", "float32, 10 bandwidths"):
            row["max error, nats"] = float(np.abs(np.asarray(torch.as_tensor(call()).cpu()) - exact).max())
        rows.append(row)
    return rows


def run(arguments: list[str]) -> None:
    """The program; see the module."""
    parser = options("parzen", __doc__)
    parser.add_argument("--test", type=at_least(1), default=2000)
    parser.add_argument("--samples", type=at_least(1), default=16_384)
    parser.add_argument("--dim", type=at_least(1), default=784)
    devices = ["cpu", *["cuda"] * torch.cuda.is_available()]
    parser.add_argument("--device", default=devices[-1], choices=devices)
    a = parser.parse_args(arguments)
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    test, samples = images(a.test, a.dim), images(a.samples, a.dim)
    few = test[:200], samples[:2000]
    test, samples = test.to(a.device), samples.to(a.device)
    rows = measured(products(test, samples), test, samples, a.rounds) + measured(rivals(*few), *few, a.rounds)
    report(rows, __doc__, a.json)
