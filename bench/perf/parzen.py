"""How near the Parzen estimate comes to a bare matrix product, what precision costs, and its rivals.

latentbench perf parzen [--test 2000] [--samples 16384] [--dim 784] [--repeats 5] [--device cpu]
                            [--threads 1] [--json FILE]
"""

import argparse

import numpy as np
import pandas as pd
import torch
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from sklearn.neighbors import KernelDensity
from torch import Tensor

from bench.evaluate import parzen
from bench.perf.timing import machine, median_seconds, write

SIGMA = 0.2


def images(n: int, d: int) -> Tensor:
    """Sparse values in [0, 1] around 100 centres: pixels, to the kernel."""
    centres = torch.rand(100, d, generator=torch.Generator().manual_seed(0)) ** 4
    return (centres[torch.randint(100, (n,))] + 0.1 * torch.randn(n, d)).clamp(0, 1)


def share_of_peak(n: int, m: int, d: int, repeats: int, device: str) -> pd.DataFrame:
    """Time and error of each precision, beside a float32 product of the same shape without anything else."""
    test, samples = images(n, d).to(device), images(m, d).to(device)
    out = torch.empty(n, m, device=device)
    precisions = ["float32", "bfloat16"]
    jobs = {"sgemm": lambda: torch.mm(test, samples.T, out=out)}
    jobs |= {p: lambda p=p: parzen.log_likelihood(test, samples, SIGMA, p) for p in precisions}
    jobs["float32, 10 bandwidths"] = lambda: parzen.Parzen(test, np.logspace(-1, 0, 10)).add(samples).scores()
    for job in jobs.values():
        job()
    times = median_seconds(jobs, repeats=repeats)
    exact = parzen.log_likelihood(test[:500], samples, SIGMA, "float64")
    rows = {}
    for name, s in times.items():
        rows[name] = {"ms": 1e3 * s, "TFLOP/s": 2e-12 * n * m * d / s, "share of sgemm": times["sgemm"] / s}
        if name in precisions:
            error = parzen.log_likelihood(test[:500], samples, SIGMA, name) - exact
            rows[name] |= {"mean error, nats": error.mean().item(), "max error, nats": error.abs().max().item()}
    return pd.DataFrame.from_dict(rows, orient="index")


def rivals(n: int, m: int, d: int, repeats: int) -> pd.DataFrame:
    """Libraries and the plain formula on a small problem, in times of ours."""
    test, samples = images(n, d), images(m, d)
    x, y = test.double().numpy(), samples.double().numpy()
    constant = np.log(m) + d * np.log(SIGMA * np.sqrt(2 * np.pi))

    def plain():
        exponent = -torch.cdist(test, samples).square() / (2 * SIGMA**2)
        return exponent.logsumexp(1) - constant

    jobs = {
        "this": lambda: parzen.log_likelihood(test, samples, SIGMA),
        "torch cdist, logsumexp": plain,
        "scipy cdist, logsumexp": lambda: logsumexp(-cdist(x, y, "sqeuclidean") / (2 * SIGMA**2), axis=1) - constant,
        "scikit-learn, one leaf": lambda: KernelDensity(bandwidth=SIGMA, leaf_size=m + 1).fit(y).score_samples(x),
        "scikit-learn, default": lambda: KernelDensity(bandwidth=SIGMA).fit(y).score_samples(x),
    }
    for job in jobs.values():
        job()
    times = median_seconds(jobs, repeats=repeats)
    exact = parzen.log_likelihood(test, samples, SIGMA, "float64").numpy()
    return pd.DataFrame.from_dict(
        {
            name: {
                "ms": 1e3 * times[name],
                "times ours": times[name] / times["this"],
                "max error, nats": np.abs(np.asarray(job()) - exact).max(),
            }
            for name, job in jobs.items()
        },
        orient="index",
    )


def run(argv: list[str]) -> None:
    """The program; see the module."""
    parser = argparse.ArgumentParser(prog="latentbench perf parzen", description=__doc__.splitlines()[0])
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--samples", type=int, default=16_384)
    parser.add_argument("--dim", type=int, default=784)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", help="write the rows here")
    a = parser.parse_args(argv)
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    pd.set_option("display.width", 200)
    pd.set_option("display.float_format", "{:.3g}".format)
    print(", ".join(f"{key} {value}" for key, value in machine().items()))
    print(
        f"{a.test} test points, {a.samples} samples, {a.dim} dimensions, {a.device}, {torch.get_num_threads()} threads"
    )
    shares = share_of_peak(a.test, a.samples, a.dim, a.repeats, a.device)
    print(shares.to_string(na_rep=""))
    if a.device == "cpu":
        print("bfloat16 is rounded to, and multiplied in float32: on this device it shows the error, not the speed")
    n, m = min(a.test, 200), min(a.samples, 2000)
    print(f"\n{n} test points, {m} samples, on the CPU")
    beside = rivals(n, m, a.dim, a.repeats)
    print(beside.to_string())
    rows = [{"points": f"{a.test} x {a.samples}", "estimate": k, **_known(row)} for k, row in shares.iterrows()]
    rows += [{"points": f"{n} x {m}", "estimate": k, **_known(row)} for k, row in beside.iterrows()]
    write(a.json, rows, __doc__)


def _known(row: pd.Series) -> dict[str, float]:
    return {k: float(v) for k, v in row.dropna().items()}
