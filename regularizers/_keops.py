"""The pair sum by KeOps (Charlier et al., 2021): one compiled reduction, no kernel matrix, no blocks.

KeOps compiles one program for each formula, dimension and type, about 9 seconds each, and caches
it in a folder that it writes without locks or atomic renames: two processes can leave it broken,
and a broken folder stays broken, or kills the process that loads it. So KeOps gets a folder of
its own in each process, removed at exit, unless KEOPS_CACHE_FOLDER names one: whoever sets that,
to keep compiled programs, answers for giving it to one process at a time.
"""

import atexit
import contextlib
import os
import shutil
import socket
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from regularizers._kernels import Kernel

VARIABLE = "KEOPS_CACHE_FOLDER"
# The machine too: temporary folders can be shared between nodes, whose processes have numbers of their own.
PREFIX = f"keops-{socket.gethostname()}-"


@lru_cache(maxsize=1)
def private_folder() -> str:
    """The folder in which KeOps compiles: KEOPS_CACHE_FOLDER if somebody set it, else one of this process.

    Folders of processes that are no more, such as killed ones, are removed. A process that has replaced its program
    keeps its folder; one that was started by another has its own.
    """
    _sweep()
    own, folder = f"{PREFIX}{os.getpid()}-", os.environ.get(VARIABLE)
    if folder is None or Path(folder).name.startswith(PREFIX):
        if folder is None or not Path(folder).name.startswith(own):
            folder = tempfile.mkdtemp(prefix=own)
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        if "pykeops" in sys.modules:  # by geomloss, say, which imports it with the shared folder
            leave_shared_folder(folder)
        os.environ[VARIABLE] = folder
    return folder


def _sweep() -> None:
    """Remove the folders of this user's processes that died on this machine."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        number = folder.name.removeprefix(PREFIX).partition("-")[0]
        with contextlib.suppress(OSError):  # another process sweeps too
            if number.isdigit() and folder.stat().st_uid == os.getuid() and not _lives(int(number)):
                shutil.rmtree(folder, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


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


def keops_pair_sum(z: Float[Tensor, "n D"], kernel: Kernel) -> tuple[Tensor, Tensor]:
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
    terms = LazyTensor.cat((k, slope, slope * zj), dim=-1)
    backend = "GPU" if z.is_cuda else "CPU"
    sums = terms.sum(1, dtype_acc="float64", backend=backend).double()
    total = sums[:, 0].sum() - len(z) * kernel.diagonal
    return total, 4 * (z * sums[:, 1:2] - sums[:, 2:])
