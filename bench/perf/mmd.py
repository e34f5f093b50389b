"""The closed-form MMD, value and gradient, beside KeOps' and torch's autodiff, geomloss and WAE's loss.

latentbench perf mmd [--codes 100 256 1000] [--dims 2 8 16] [--components 1 10] [--kernels imq gaussian energy]
                         [--limit 60] [--once 5] [--memory 4000] [--threads 1] [--pythae PYTHON] [--json FILE]

Every row is one loss and its gradient in the codes, in float32; times of one row take turns, in one
process but for pythae's. "times ours" above 1 means that the closed form is faster. The rivals that
sample the prior draw as many samples as there are codes, afresh in each call, as training does. What
takes longer than `once` seconds is not repeated; the first call of all, which compiles, does not count.
PYTHON is the interpreter of an environment that has pythae, whose WAE-MMD knows one prior, the standard normal.
"""

import argparse
import math
import os
import statistics
from collections.abc import Callable

import torch
from torch import Tensor

from bench.perf.rival import Pythae
from bench.perf.timing import clock, machine, median_seconds, peak_megabytes, write
from regularizers import Gaussian, Point, Prior
from regularizers._gradient import with_gradient
from regularizers._keops import private_folder
from regularizers.mmd import MMD

WAE_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
OURS = {
    "imq": {"kernel": "imq", "scales": WAE_SCALES},
    "gaussian": {"kernel": "gaussian", "scales": (1.0,)},
    "energy": {"kernel": "energy"},
}
OWN, PYTHAE = "closed form, fused", "pythae's WAE-MMD, sampled"
MATRICES = {"imq": 40, "gaussian": 8, "energy": 8}  # n × n matrices that dense autograd keeps, about


def mixture(dim: int, components: int) -> Prior:
    """A standard normal, or as many round Gaussians around the origin, of variance near 1."""
    if components == 1:
        return Gaussian(dim)
    means = torch.nn.functional.normalize(torch.randn(components, dim)) * math.sqrt(dim)
    tril = 0.3 * torch.linalg.cholesky(torch.eye(dim) + 0.5 * torch.ones(dim, dim)).repeat(components, 1, 1)
    return Prior(torch.full((components,), 1 / components), means, tril)


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """|a - b|² by one matrix product; never 0, where the root has no derivative."""
    return (a.square().sum(1)[:, None] - 2 * a @ b.mT + b.square().sum(1)).clamp(min=1e-9)


def cross(mmd: MMD, z: Tensor) -> Tensor:
    """The closed-form -2 E k(z, y) + E k(y, y'), shared by the rivals that differ only in the pairs."""
    return mmd.mu.self_energy - 2 / len(z) * with_gradient(mmd.mu.sum, z)


def autograd(mmd: MMD, z: Tensor) -> Tensor:
    """The same loss with a dense kernel matrix, differentiated by torch."""
    n = len(z)
    total = mmd.kernel.values(squared_distances(z, z)).sum()
    return (total - n * mmd.kernel.diagonal) / (n * (n - 1)) + cross(mmd, z)


def keops(mmd: MMD, z: Tensor) -> Tensor:
    """The same loss with KeOps' lazy tensors, differentiated by KeOps."""
    from pykeops.torch import LazyTensor

    n = len(z)
    r2 = ((LazyTensor(z[:, None, :]) - LazyTensor(z[None, :, :])) ** 2).sum(-1)
    total = mmd.kernel.lazy(r2)[0].sum(1, backend="GPU" if z.is_cuda else "CPU").sum()
    return (total - n * mmd.kernel.diagonal) / (n * (n - 1)) + cross(mmd, z)


def wae(mmd: MMD, z: Tensor) -> Tensor:
    """WAE-MMD as published: seven inverse multiquadrics between codes and prior samples."""
    n, y = len(z), mmd.prior.sample(len(z))
    total = 0
    for C in mmd.kernel.scales:
        zz, yy, zy = (C / (C + squared_distances(a, b)) for a, b in ((z, z), (y, y), (z, y)))
        total = total + (zz.sum() + yy.sum() - 2 * n) / (n * (n - 1)) - 2 * zy.mean()
    return total


def geomloss(kind: str) -> Callable:
    """Geomloss' loss of that kind against prior samples, at the bandwidth of ours."""
    from geomloss import SamplesLoss

    def loss(mmd: MMD, z: Tensor) -> Tensor:
        blur = math.sqrt(mmd.kernel.scales[0]) if kind == "gaussian" else 0.05
        return SamplesLoss(kind, blur=blur)(z, mmd.prior.sample(len(z)))

    return loss


def rivals(kernel: str) -> dict[str, Callable]:
    """Loss functions of (mmd, z) by name."""
    found = {"KeOps, autodiff": keops, "torch dense, autograd": autograd}
    if kernel == "imq":
        return found | {"WAE-MMD, sampled, dense autograd": wae}
    return found | {f"geomloss {kernel}, sampled": geomloss(kernel)}


def step(loss: Callable, mmd: MMD, z: Tensor) -> Callable:
    """The loss and its gradient as one call without arguments."""

    def call():
        z.grad = None
        loss(mmd, z).backward()

    return call


def needed(rival: str, kernel: str, n: int, d: int) -> float:
    """About how many MB a rival holds at once: n × n matrices, pythae's with a third dimension for differences."""
    if rival == PYTHAE:
        return 4e-6 * n * n * (6 * d + MATRICES[kernel])
    return MATRICES[kernel] * 4e-6 * n * n if "dense" in rival or (rival[:4] == "geom" and n <= 5000) else 0.0


def measured(jobs: dict[str, Callable], once: float, expected: dict[str, float]) -> dict[str, dict]:
    """The rows of jobs, by name: seconds, and peak memory of those that are worth repeating."""
    first, now = {}, clock()
    for name, job in jobs.items():
        if expected.get(name, 0) <= once:
            job()  # compiles, allocates
        start = now()
        job()
        first[name] = now() - start
    again = {name: job for name, job in jobs.items() if first[name] <= once}
    peaks = {name: peak_megabytes(job) for name, job in again.items()}
    times = first | median_seconds(again)
    return {name: {"seconds": times[name], "peak MB": peaks.get(name)} for name in jobs}


def cell(n: int, d: int, K: int, kernel: str, a: argparse.Namespace, pythae: Pythae | None, expected: dict) -> list:
    """One row for ours and one for each rival; `expected` carries times per pair from smaller cells."""
    prior = mixture(d, K)
    mmd = MMD(prior, **OURS[kernel])
    z = (prior.sample(n) + 0.1).requires_grad_()
    losses = {OWN: lambda mmd, z: mmd(z, Point(z))} | rivals(kernel)
    names, skipped = [*losses, *([PYTHAE] if pythae and kernel == "imq" else [])], {}
    seconds = {name: expected.get((name, kernel, d), 0.0) * n * n for name in names}
    for name in names:
        memory = needed(name, kernel, n, d)
        if name == PYTHAE and K > 1:
            skipped[name] = "its prior is a standard normal"
        elif memory > a.memory:
            skipped[name] = f"about {memory:.0f} MB"
        elif seconds[name] > a.limit and name != OWN:
            skipped[name] = f"about {seconds[name]:.0f} s"
    found = measured({k: step(loss, mmd, z) for k, loss in losses.items() if k not in skipped}, a.once, seconds)
    if pythae and kernel == "imq" and PYTHAE not in skipped:
        job = pythae.job("mmd", "mmd", codes=n, dim=d)
        job(1)
        steps = max(1, int(0.1 / job(1)))
        found[PYTHAE] = {"seconds": statistics.median(job(steps) for _ in range(5)), "peak MB": None}
    for name, row in found.items():
        expected[name, kernel, d] = row["seconds"] / n**2
    ours = found[OWN]["seconds"]
    rows = [{"rival": name, "ms": 1e3 * row["seconds"], "times ours": row["seconds"] / ours, "peak MB": row["peak MB"]}
            for name, row in found.items()]  # fmt: skip
    rows += [{"rival": name, "skipped": why} for name, why in skipped.items()]
    return [{"kernel": kernel, "codes": n, "dim": d, "components": K, **row} for row in rows]


def run(arguments: list[str]) -> None:
    """The program; see the module."""
    parser = argparse.ArgumentParser(prog="latentbench perf mmd", description=__doc__.splitlines()[0])
    parser.add_argument("--codes", type=int, nargs="+", default=[100, 256, 1000, 10_000, 60_000])
    parser.add_argument("--dims", type=int, nargs="+", default=[2, 8, 16])
    parser.add_argument("--components", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--kernels", nargs="+", default=list(OURS), choices=list(OURS))
    parser.add_argument("--limit", type=float, default=60.0, help="skip a rival expected to take more seconds")
    parser.add_argument("--memory", type=float, default=4000.0, help="skip a rival expected to need more MB")
    parser.add_argument("--json", help="write the rows here")
    parser.add_argument("--once", type=float, default=5.0, help="what takes more seconds is not repeated")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pythae", metavar="PYTHON", help="interpreter of an environment that has pythae")
    a = parser.parse_args(arguments)
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    os.environ.setdefault("PYKEOPS_VERBOSE", "0")
    private_folder()
    pythae = Pythae(a.pythae) if a.pythae else None
    print(" | ".join(f"{k} {v}" for k, v in machine().items()))
    print(f"{'kernel':9}{'codes':>7}{'dim':>5}{'K':>4}  {'loss':34}{'ms':>11}{'times ours':>12}{'peak MB':>9}")
    rows, expected = [], {}
    for kernel in a.kernels:
        for d in a.dims:
            for K in a.components:
                for n in sorted(a.codes):
                    for row in cell(n, d, K, kernel, a, pythae, expected):
                        rows.append(row)
                        print(f"{kernel:9}{n:7}{d:5}{K:4}  {row['rival']:34}", end="")
                        if "skipped" in row:
                            print(f"  skipped: {row['skipped']}")
                        else:
                            peak = "" if row["peak MB"] is None else f"{row['peak MB']:9.0f}"
                            print(f"{row['ms']:11.3f}{row['times ours']:12.2f}{peak}", flush=True)
                    write(a.json, rows, __doc__)
    if pythae:
        pythae.close()
