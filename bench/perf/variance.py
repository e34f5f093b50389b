"""What the closed form buys: the variance of MMD² beside that of sampling the prior, under q = p.

latentbench perf variance [--codes 100] [--repeats 1000] [--json FILE]

Theory, for m prior samples and n codes: the ratio is (1 + n/m)², 4 for m = n.
"""

import argparse

import torch

from bench.perf.timing import machine, write
from regularizers import Gaussian, Petals, Point, Prior
from regularizers.mmd import MMD

PRIORS = {"gaussian 2-D": Gaussian(2), "gaussian 8-D": Gaussian(8), "petals": Petals()}


def ratio(prior: Prior, kernel: str, n: int, m: int, repeats: int) -> dict[str, float]:
    """Standard deviations over `repeats` draws, their squared ratio, and the closed form's predicted one."""
    mmd = MMD(prior, kernel)
    zeta = MMD(prior, kernel, standardised=True).zeta

    def pairs(x):
        k = mmd.kernel.values(torch.cdist(x, x).square())
        return (k.sum() - k.trace()) / (len(x) * (len(x) - 1))

    closed, sampled = [], []
    for _ in range(repeats):
        z, y = prior.sample(n).double(), prior.sample(m).double()
        between = mmd.kernel.values(torch.cdist(z, y).square()).mean()
        closed.append(mmd(z, Point(z)))
        sampled.append(pairs(z) + pairs(y) - 2 * between)
    a, b = torch.stack(closed), torch.stack(sampled)
    return {
        "closed": float(a.std()),
        "predicted": (2 * zeta / (n * (n - 1))) ** 0.5,
        "sampled": float(b.std()),
        "ratio of variances": float(b.var() / a.var()),
        "theory": (1 + n / m) ** 2,
    }


def run(arguments: list[str]) -> None:
    """The program; see the module."""
    parser = argparse.ArgumentParser(prog="latentbench perf variance", description=__doc__.splitlines()[0])
    parser.add_argument("--codes", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--json", help="write the rows here")
    a = parser.parse_args(arguments)
    torch.manual_seed(0)
    print(" | ".join(f"{k} {v}" for k, v in machine().items()))
    rows = []
    for name, prior in PRIORS.items():
        for kernel in ("gaussian", "imq", "energy"):
            for m in (a.codes, 4 * a.codes):
                row = ratio(prior, kernel, a.codes, m, a.repeats)
                rows.append({"prior": name, "kernel": kernel, "codes": a.codes, "samples": m, **row})
                numbers = "  ".join(f"{k} {v:.3g}" for k, v in row.items())
                print(f"{name:14}{kernel:10}n {a.codes} m {m}  {numbers}", flush=True)
    write(a.json, rows, __doc__)
