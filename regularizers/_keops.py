"""The pair sum by KeOps (Charlier et al., 2021): one compiled reduction, no kernel matrix, no blocks.

KeOps compiles one program for each formula, dimension and type, about 9 seconds each, and caches
it in a folder that it writes without locks or atomic renames: two processes can leave it broken,
and a broken folder stays broken, or kills the process that loads it. So KeOps gets a folder of
its own in each process, removed at exit, unless KEOPS_CACHE_FOLDER names one: whoever sets that,
to keep compiled programs, answers for giving it to one process at a time.
"""

import atexit
import os
import shutil
import sys
import tempfile
from functools import lru_cache

from jaxtyping import Float
from torch import Tensor

from regularizers._kernels import Kernel


@lru_cache(maxsize=1)
def private_folder() -> str:
    """The folder in which KeOps compiles: KEOPS_CACHE_FOLDER if set, else a new one of this process."""
    if "KEOPS_CACHE_FOLDER" not in os.environ:
        folder = tempfile.mkdtemp(prefix="keops-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        if "pykeops" in sys.modules:  # by geomloss, say, which imports it with the shared folder
            leave_shared_folder(folder)
        os.environ["KEOPS_CACHE_FOLDER"] = folder
    return os.environ["KEOPS_CACHE_FOLDER"]


def leave_shared_folder(folder: str) -> None:
    """Turn a KeOps that has already been imported to another folder, with nothing known of the old one."""
    import pykeops
    from keopscore.get_keops_dll import get_keops_dll

    pykeops.config.pykeops_base.set_different_build_folder(folder, write_save_file=False, reset_all=False)
    for cache in (get_keops_dll, *pykeops.common.keops_io.keops_binder.values()):
        cache.reset(new_save_folder=folder)
        atexit.unregister(cache.save_cache)  # it would write to the shared folder


@lru_cache(maxsize=1)
def has_gpu() -> bool:
    """True if KeOps itself found CUDA's libraries; handing it CUDA tensors otherwise crashes the process."""
    private_folder()
    os.environ.setdefault("PYKEOPS_VERBOSE", "0")
    import pykeops

    return bool(pykeops.config.gpu_available)


def keops_pair_sum(z: Float[Tensor, "n D"], kernel: Kernel, gradient: bool = True) -> tuple[Tensor, ...]:
    """Σ_{i≠j} k(|z_i - z_j|²), a scalar, and its gradient (n, D), like `dense_pair_sum`.

    Raises:
        RuntimeError: CUDA tensors, and KeOps without CUDA. ImportError and others: no compiler.
    """
    if z.is_cuda and not has_gpu():
        raise RuntimeError("KeOps has found no CUDA libraries")
    has_gpu()
    from pykeops.torch import LazyTensor

    z = (z - z.mean(0)).contiguous()
    zi, zj = LazyTensor(z[:, None, :]), LazyTensor(z[None, :, :])
    k, slope = kernel.lazy(((zi - zj) ** 2).sum(-1))
    terms = LazyTensor.cat((k, slope, slope * zj), dim=-1) if gradient else k
    backend = "GPU" if z.is_cuda else "CPU"
    sums = terms.sum(1, dtype_acc="float64", backend=backend).double()
    total = sums[:, 0].sum() - len(z) * kernel.diagonal
    return (total, 4 * (z * sums[:, 1:2] - sums[:, 2:])) if gradient else (total,)
