"""Sums of a kernel over all pairs of codes, with their gradient, in one pass and flat memory."""

import math
from itertools import combinations_with_replacement

import torch
from jaxtyping import Float
from torch import Tensor

from regularizers._keops import keops_pair_sum
from regularizers._kernels import Kernel

# Rows and columns of a block: what a processor's cache holds, measured best on a CPU; 256 MB of a GPU
SIDE = {"cpu": 288, "cuda": 8192}
BLUR = 1e-4  # of the kernel's finest scale: errors of squared distances that change nothing
# Shares of the largest squared norm. From NEAR on a squared distance in float32 has a relative error of 3e-5 at most;
# below CLOSE the slopes of two neighbours, which point to each other, do not cancel in float32
NEAR, CLOSE = 2.0**-8, 1e-7


def dense_pair_sum(z: Float[Tensor, "n D"], kernel: Kernel) -> tuple[Tensor, Tensor]:
    """Σ_{i≠j} k(|z_i - z_j|²), a scalar, and its gradient 4 Σ_j k'(|z_i - z_j|²) (z_i - z_j) (n, D), in float64.

    Only blocks on and above the diagonal are visited. Squared distances are one matrix product, |z|² - 2 z·z' + |z'|²;
    the sums over j are another one, of dk/dr² with [1, z]. Both cancel badly between neighbours far from the mean, as
    an outlier makes all codes, and where the kernel has a kink. There they are in float64: in the order of their widest
    coordinate, most blocks of many codes have no neighbours.
    """
    (n, D), dtype = z.shape, z.dtype
    side = min(n, SIDE.get(z.device.type, SIDE["cpu"]))
    z = z.double()
    z = z - z.mean(0)
    along = z.new_zeros(n)
    if n > side:
        along, order = z[:, z.var(0).argmax()].sort()
        z = z[order]
    blocks = [slice(i, min(i + side, n)) for i in range(0, n, side)]
    ends = {block.start: (float(along[block.start]), float(along[block.stop - 1])) for block in blocks}
    norm, one = z.square().sum(1, keepdim=True), z.new_ones(n, 1)
    largest = max(float(norm.max()), torch.finfo(dtype).tiny)
    near = math.sqrt(NEAR * largest) if torch.finfo(dtype).eps * largest > BLUR * kernel.finest else -math.inf
    # below this a squared distance is rounding error
    least = max(torch.finfo(z.dtype).eps * largest, torch.finfo(dtype).tiny)
    doubles = torch.cat([norm, -2 * z, one], 1), torch.cat([one, z, norm], 1).mT.contiguous()
    singles = tuple(m.to(dtype) for m in doubles)

    total, moments, workspace = 0.0, z.new_zeros(D + 1, n), z.new_empty(3, side**2, dtype=dtype)
    for rows, columns in combinations_with_replacement(blocks, 2):
        neighbours = ends[columns.start][0] - ends[rows.start][1] < near
        left, right = doubles if neighbours else singles
        left, right = left[rows], right[:, columns]
        shape = len(left), right.shape[1]
        r2, work, slope = workspace[:, : math.prod(shape)].view(3, *shape)
        if neighbours:
            r2.copy_(left @ right).clamp_(min=least)
        else:
            torch.mm(left, right, out=r2)
        if rows == columns:
            r2.fill_diagonal_(largest)  # i = j: a known value, taken off the sum below, and no slope
        target = (doubles if neighbours and float(r2.min()) < CLOSE * largest else singles)[1][:-1]
        value, slope = kernel.of_block(r2, work, slope)
        slope = slope.to(target)
        moments[:, rows] += target[:, columns] @ slope.mT
        total += value
        if rows != columns:
            moments[:, columns] += target[:, rows] @ slope
            total += value
    gradient = 4 * kernel.slope * (z * moments[:1].mT - moments[1:].mT)
    total = total - n * kernel.values(z.new_tensor(largest))
    return total, torch.empty_like(gradient).index_copy_(0, order, gradient) if n > side else gradient


BACKENDS = ("auto", "dense", "keops")
LARGE = 10_000  # codes on a GPU from which "auto" prefers KeOps


def pair_sum(
    z: Float[Tensor, "n D"], kernel: Kernel, diagonal: bool, backend: str = "auto"
) -> tuple[Tensor | dict[str, str], ...]:
    """Σ k(z_i, z_j) over all pairs, with i = j if `diagonal`, its gradient, and what computed it.

    "auto" is dense on a CPU: it needs no compiler, and was measured faster with all three kernels, from 1.6 times for
    256 codes to 55 times for 10,000, in 2, 8 and 16 dimensions on one thread. On a GPU it is KeOps from `LARGE` codes
    on, if KeOps finds CUDA; that threshold is a guess, not a measurement. Where KeOps fails, the sum is dense, and the
    record says why.
    """
    facts = {"backend": "dense"}
    if backend == "keops" or (backend == "auto" and z.is_cuda and len(z) >= LARGE):
        try:
            total, gradient = keops_pair_sum(z, kernel)
            facts = {"backend": "keops"}
        except Exception as error:  # whatever an import or a compiler raises
            facts["fallback"] = f"KeOps failed: {type(error).__name__}: {error}"
    if facts["backend"] == "dense":
        total, gradient = dense_pair_sum(z, kernel)
    return total + diagonal * len(z) * kernel.diagonal, gradient, facts
