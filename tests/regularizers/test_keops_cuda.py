"""The CUDA programs that KeOps writes for our kernels compile for GPUs of today: NVRTC needs no driver."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

NVRTC = sorted(Path(torch.__file__).parents[1].glob("nvidia/*/lib/libnvrtc.so.*"))
# In a process of its own: KeOps is told of a CUDA that it has not found. Its 1-D scheme for GPUs writes the program of
# the reduction that the CPU would compile.
PROGRAM = """
import ctypes, sys
import torch
from regularizers import _kernels, _keops, load, Gaussian

class Asked(Exception): pass

def ask(self, *args): raise Asked(args)

_keops.private_folder()
from keopscore.config import get_cuda_config
get_cuda_config().get_cuda_version = lambda *_: 13000
from keopscore.binders.nvrtc.Gpu_link_compile import Gpu_link_compile
Gpu_link_compile.__init__ = lambda self: None
from keopscore.mapreduce.gpu.GpuReduc1D import GpuReduc1D
from keopscore.utils.Cache import Cache
Cache.__call__ = ask

nvrtc = ctypes.CDLL(sys.argv[1])
for kernel in _kernels.KERNELS:
    held = load("mmd")(Gaussian(8), kernel=kernel)
    try:
        _keops.keops_pair_sum(torch.randn(9, 8), held.kernel)
    except Asked as asked:
        [[_, formula, _, _, _, aliases, *rest]] = asked.args
    rest[4:6] = 1, 1  # codes in the GPU's memory, the reduction on it
    scheme = GpuReduc1D(formula, aliases, *rest)
    scheme.get_code()
    for arch in ("sm_80", "sm_90"):
        program, option = ctypes.c_void_p(), (ctypes.c_char_p * 1)(f"-arch={arch}".encode())
        nvrtc.nvrtcCreateProgram(ctypes.byref(program), scheme.code.encode(), None, 0, None, None)
        failed, size = nvrtc.nvrtcCompileProgram(program, 1, option), ctypes.c_size_t()
        nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
        print(kernel, arch, failed, size.value)
"""


@pytest.mark.slow
@pytest.mark.skipif(not NVRTC, reason="this torch brings no NVRTC")
def test_the_cuda_of_every_kernel_compiles_for_two_generations():
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(NVRTC[-1])], capture_output=True, text=True, timeout=300)
    lines = [line.split() for line in done.stdout.splitlines() if " sm_" in line]
    assert len(lines) == 6, done.stderr
    for kernel, arch, failed, size in lines:
        assert failed == "0", f"{kernel} does not compile for {arch}"
        assert int(size) > 1000, f"{kernel} on {arch} is an empty program"
