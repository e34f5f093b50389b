"""The closed-form MMD, value and gradient, beside KeOps' and torch's autodiff and geomloss.

latentbench perf mmd [--codes 100 256 1000] [--dims 2 8 16] [--components 1 10] [--kernels imq gaussian energy]
                     [--rounds 10] [--threads 1] [--json FILE]

Every row is one loss and its gradient in the codes, in float32, all in one process. "times ours" above 1 means that
the closed form is faster. geomloss samples the prior: as many samples as there are codes, afresh in each call, as
training does.
"""

import math
import os
from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from bench.perf.timing import at_least, options, repeated, report, turns
from regularizers import Gaussian, Point, Prior
from regularizers._gradient import with_gradient
from regularizers._keops import private_folder
from regularizers.mmd import MMD

OURS = {
    "imq": {"kernel": "imq", "scales": (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)},
    "gaussian": {"kernel": "gaussian", "scales": (1.0,)},
    "energy": {"kernel": "energy"},
}
OWN = "closed form, fused"
DENSE = 5000  # codes: of more, the matrices that dense autograd keeps fill the memory


def mixture(dim: int, components: int) -> Prior:
    """A standard normal, or as many round Gaussians around the origin, of variance near 1."""
    if components == 1:
        return Gaussian(dim)
    means = torch.nn.functional.normalize(torch.randn(components, dim)) * math.sqrt(dim)
    tril = 0.3 * torch.linalg.cholesky(torch.eye(dim) + 0.5 * torch.ones(dim, dim)).repeat(components, 1, 1)
    return Prior(torch.full((components,), 1 / components), means, tril)


def cross(mmd: MMD, z: Tensor) -> Tensor:
    """The closed-form -2 E k(z, y) + E k(y, y'), shared by the rivals that differ only in the pairs."""
    return mmd.mu.self_energy - 2 / len(z) * with_gradient(mmd.mu.sum, z)


def autograd(mmd: MMD, z: Tensor) -> Tensor:
    """The same loss with a dense kernel matrix, differentiated by torch."""
    n, square = len(z), z.square().sum(1)
    distances = (square[:, None] - 2 * z @ z.mT + square).clamp(min=1e-9)  # never 0, where a root has no derivative
    total = mmd.kernel.values(distances).sum()
    return (total - n * mmd.kernel.diagonal) / (n * (n - 1)) + cross(mmd, z)


def keops(mmd: MMD, z: Tensor) -> Tensor:
    """The same loss with KeOps' lazy tensors, differentiated by KeOps."""
    from pykeops.torch import LazyTensor

    n = len(z)
    r2 = ((LazyTensor(z[:, None, :]) - LazyTensor(z[None, :, :])) ** 2).sum(-1)
    total = mmd.kernel.lazy(r2)[0].sum(1, backend="GPU" if z.is_cuda else "CPU").sum()
    return (total - n * mmd.kernel.diagonal) / (n * (n - 1)) + cross(mmd, z)


def geomloss(kind: str) -> Callable:
    """Geomloss' loss of that kind against prior samples, at the bandwidth of ours."""
    from geomloss import SamplesLoss

    def loss(mmd: MMD, z: Tensor) -> Tensor:
        blur = math.sqrt(mmd.kernel.scales[0]) if kind == "gaussian" else 0.05
        return SamplesLoss(kind, blur=blur)(z, mmd.prior.sample(len(z)))

    return loss


def losses(kernel: str, codes: int) -> dict[str, Callable[[MMD, Tensor], Tensor]]:
    """Ours and its rivals by name."""
    found = {OWN: lambda mmd, z: mmd(z, Point(z)), "KeOps, autodiff": keops}
    if codes <= DENSE:
        found["torch dense, autograd"] = autograd
    if kernel != "imq":  # which geomloss does not have
        found[f"geomloss {kernel}, sampled"] = geomloss(kernel)
    return found


def step(loss: Callable[[MMD, Tensor], Tensor], mmd: MMD, z: Tensor) -> Callable[[], None]:
    """The loss and its gradient as one call without arguments."""

    def call():
        z.grad = None
        loss(mmd, z).backward()

    return call


def cell(kernel: str, dim: int, components: int, codes: int, rounds: int) -> list[dict]:
    """One row for ours and one for each rival."""
    prior = mixture(dim, components)
    mmd = MMD(prior, **OURS[kernel])
    z = (prior.sample(codes) + 0.1).requires_grad_()
    jobs = {name: repeated(step(loss, mmd, z)) for name, loss in losses(kernel, codes).items()}
    times = turns(jobs, 1, rounds)
    where = {"kernel": kernel, "codes": codes, "dim": dim, "components": components}
    return [where | {"loss": name, "ms": 1e3 * s, "times ours": s / times[OWN]} for name, s in times.items()]


def run(arguments: list[str]) -> None:
    """The program; see the module."""
    parser = options("mmd", __doc__)
    parser.add_argument("--codes", type=at_least(2), nargs="+", default=[100, 256, 1000, 5000, 10_000])
    parser.add_argument("--dims", type=at_least(1), nargs="+", default=[2, 8, 16])
    parser.add_argument("--components", type=at_least(1), nargs="+", default=[1, 10])
    parser.add_argument("--kernels", nargs="+", default=list(OURS), choices=list(OURS))
    a = parser.parse_args(arguments)
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    os.environ.setdefault("PYKEOPS_VERBOSE", "0")
    private_folder()
    cases = product(a.kernels, a.dims, a.components, a.codes)
    rows = [row for kernel, *case in cases for row in cell(kernel, *case, a.rounds)]
    report(rows, __doc__, a.json)
