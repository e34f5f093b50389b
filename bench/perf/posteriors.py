"""The closed form between Gaussian posteriors, value and gradients, beside KeOps' autodiff.

python -m bench.perf posteriors [--codes 100 256] [--dims 2 8] [--kernels imq gaussian energy]
                                [--threads 1] [--json FILE]

A row is the sum of E k(z_i, z_j) over all pairs of posteriors N(m_i, diag v_i) with its gradients in m and v,
float32. KeOps holds one vector of quadrature nodes a pair; its times take turns with ours, and "differs" is the
relative distance of its gradients from ours. The first call, which compiles, does not count.
"""

import argparse
import os

import torch
from torch import Tensor

from bench.perf.mmd import OURS, mixture
from bench.perf.timing import machine, median_seconds, write
from regularizers._keops import private_folder
from regularizers._kernels import Kernel
from regularizers._mixture import gaussian_pair_sum
from regularizers.mmd import MMD


def keops(mean: Tensor, variance: Tensor, kernel: Kernel) -> tuple[Tensor, Tensor]:
    """The gradients in mean and variance of Σ E k(z_i, z_j), as KeOps finds them."""
    from pykeops.torch import LazyTensor

    m, v = mean.clone().requires_grad_(), variance.clone().requires_grad_()
    t, a = (LazyTensor(x.to(mean)[None, None, :]) for x in kernel.mixture())
    squares = (LazyTensor(m[:, None]) - LazyTensor(m[None])) ** 2
    both = LazyTensor(v[:, None]) + LazyTensor(v[None])
    exponent = 0
    for d in range(mean.shape[1]):
        q = 1 + 2 * (t * both.elem(d))
        exponent = -0.5 * q.log() - (t / q) * squares.elem(d) + exponent
    terms = (exponent.exp() - 1 if kernel.increments else exponent.exp()) * a
    terms.sum(-1).sum(1, backend="GPU" if mean.is_cuda else "CPU").sum().backward()
    return m.grad, v.grad


def cell(n: int, D: int, name: str) -> list[dict]:
    """A row for ours and one for KeOps."""
    kernel = MMD(mixture(D, 1), **OURS[name]).kernel
    mean, variance = torch.randn(n, D), 0.01 + 0.1 * torch.rand(n, D)
    jobs = {
        "closed form, dense": lambda: gaussian_pair_sum(mean, variance, kernel, diagonal=True)[1:],
        "KeOps, autodiff": lambda: keops(mean, variance, kernel),
    }
    ours, theirs = (torch.cat(job()) for job in jobs.values())  # compiles, allocates
    seconds = median_seconds(jobs)
    rows = [
        {"rival": rival, "ms": 1e3 * s, "times ours": s / seconds["closed form, dense"]} for rival, s in seconds.items()
    ]
    rows[1]["differs"] = float((theirs - ours).norm() / ours.norm())
    return [{"kernel": name, "codes": n, "dim": D, "nodes": len(kernel.mixture()[0]), **row} for row in rows]


def run(arguments: list[str]) -> None:
    """The program; see the module."""
    parser = argparse.ArgumentParser(prog="python -m bench.perf posteriors", description=__doc__.splitlines()[0])
    parser.add_argument("--codes", type=int, nargs="+", default=[100, 256])
    parser.add_argument("--dims", type=int, nargs="+", default=[2, 8])
    parser.add_argument("--kernels", nargs="+", default=list(OURS), choices=list(OURS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", help="write the rows here")
    a = parser.parse_args(arguments)
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    os.environ.setdefault("PYKEOPS_VERBOSE", "0")
    private_folder()
    print(" | ".join(f"{k} {v}" for k, v in machine().items()))
    rows = []
    for name in a.kernels:
        for D in a.dims:
            for n in a.codes:
                for row in cell(n, D, name):
                    rows.append(row)
                    differs = f"  differs {row['differs']:.1e}" if "differs" in row else ""
                    print(f"{name:9}{n:7}{D:4}  {row['rival']:20}{row['ms']:11.2f}{row['times ours']:9.2f}{differs}")
                write(a.json, rows)
