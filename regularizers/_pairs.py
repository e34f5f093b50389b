"""Sums of a kernel over all pairs of codes, with their gradient, in one pass and flat memory."""

import math
from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations_with_replacement

import torch
from jaxtyping import Float
from torch import Tensor

from regularizers._keops import keops_pair_sum
from regularizers._kernels import Kernel

# kernel values held at once: in float32 the 2 MB measured best on a CPU (the processor cache), or 256 MB of a GPU
BLOCK = {"cpu": 2**19, "cuda": 2**26}
# Above so many codes the scales are swept one after the other, in blocks of so many rows and columns: 1.1 to 2.6 times
# as fast for 1,000 codes. Below, fewer and larger operations are faster.
SWEPT, SWEPT_SIDE = 512, 288
# Share of the largest squared norm: a squared distance above it has a relative error of 3e-5 at most in float32
NEAR = 2.0**-8


def dense_pair_sum(z: Float[Tensor, "n D"], kernel: Kernel, gradient: bool = True) -> tuple[Tensor, ...]:
    """Σ_{i≠j} k(|z_i - z_j|²), a scalar, and its gradient 4 Σ_j k'(|z_i - z_j|²) (z_i - z_j) (n, D), in float64.

    Only blocks on and above the diagonal are visited. Squared distances are one matrix product
    of the centred codes, the sums over j another one, of dk/dr² with [1, z].
    """
    n, S = len(z), len(kernel.scales)
    if gradient and n > SWEPT and not z.is_cuda:
        return swept_pair_sum(z, kernel)
    z, left, right, least = factors(z, kernel)
    target = torch.cat([torch.ones_like(z[:, :1]), z], 1)
    size = max(16, int((BLOCK.get(z.device.type, BLOCK["cpu"]) / S) ** 0.5))
    if n <= size:
        distances = (left @ right.mT).clamp_(min=least).fill_diagonal_(0)
        total, slope = kernel.profile(z.new_empty(S, n, n).copy_(distances), gradient)
        total = total.double()
        if slope is not None:
            moments = (slope.fill_diagonal_(0) @ target).double()
    else:
        total = z.new_zeros((), dtype=torch.float64)
        moments = z.new_zeros(n, z.shape[1] + 1, dtype=torch.float64)
        workspace = z.new_empty(S * size**2)
        for rows, columns in upper_blocks(n, size):
            shape = (S, rows.stop - rows.start, columns.stop - columns.start)
            work = workspace[: math.prod(shape)].view(shape)
            distances = (left[rows] @ right[columns].mT).clamp_(min=least)
            if rows == columns:
                distances.fill_diagonal_(0)
            value, slope = kernel.profile(work.copy_(distances.expand(shape)), gradient)
            total += value if rows == columns else 2 * value
            if slope is None:
                continue
            if rows == columns:
                slope.fill_diagonal_(0)
            else:
                moments[columns] += slope.mT @ target[rows]
            moments[rows] += slope @ target[columns]
    total -= n * kernel.diagonal
    if not gradient:
        return (total,)
    return total, 4 * (z * moments[:, :1] - moments[:, 1:])


def swept_pair_sum(z: Float[Tensor, "n D"], kernel: Kernel) -> tuple[Tensor, Tensor]:
    """The two of `dense_pair_sum` for many codes on a CPU: scale after scale, in what the processor's cache holds.

    Codes lie in columns: a product of a few rows with a block takes a third of the time of a
    product of the block with a few columns. A kernel with a kink needs exact distances between
    neighbours alone: in the order of their widest coordinate, most blocks have none.
    """
    n = len(z)
    if kernel.kinked:
        order = z[:, z.var(0).argmax()].argsort()
        z = z[order]
    z, left, right, least = factors(z, kernel)
    largest = float(left[:, -2].max())
    if kernel.kinked:
        along, near = z[:, z.var(0).argmax()].tolist(), math.sqrt(NEAR * largest)
        least = max(float(least), (64 * torch.finfo(z.dtype).eps) ** 2 * largest)  # k' z and k' z' are to cancel
    else:
        least = 0.0  # of the largest norm alone it would blind the whole batch for an outlier's sake
    right, target = right.mT.contiguous(), torch.cat([torch.ones_like(z[:, :1]), z], 1).mT.contiguous()
    tiny, total = torch.finfo(z.dtype).tiny, 0.0
    moments = z.new_zeros(len(target), n, dtype=torch.float64)
    in_rows, in_columns = (left, left.to(z)), (right, right.to(z), target, moments)
    split = [m.split(SWEPT_SIDE) for m in in_rows] + [m.split(SWEPT_SIDE, dim=1) for m in in_columns]
    blocks = list(zip(*split, strict=True))
    workspace, exact_workspace = reused(z.new_empty, 3), reused(left.new_empty, 1)
    for i, (exact_rows, rows, *_, target_rows, moments_rows) in enumerate(blocks):
        for j, (_, _, exact_columns, columns, target_columns, moments_columns) in enumerate(blocks[i:], start=i):
            shape = (len(rows), columns.shape[1])
            distances, *work = workspace(*shape)
            if kernel.kinked and along[j * SWEPT_SIDE] - along[min((i + 1) * SWEPT_SIDE, n) - 1] < near:
                [exact] = exact_workspace(*shape)
                distances.copy_(torch.mm(exact_rows, exact_columns, out=exact))
            else:
                torch.mm(rows, columns, out=distances)
            distances.clamp_(min=least)
            if i == j:
                distances.fill_diagonal_(tiny)
            value, slope, factor = kernel.sweep(distances, *work)
            total += value if i == j else 2 * value
            if i == j:
                slope.fill_diagonal_(0)
            else:
                moments_columns += target_rows @ slope
            moments_rows += target_columns @ slope.mT
    gradient = 4 * factor * (z * moments[:1].mT - moments[1:].mT)
    total = (z * gradient).sum() if kernel.homogeneous else moments.new_tensor(total - n * kernel.diagonal)
    return total, torch.empty_like(gradient).index_copy_(0, order, gradient) if kernel.kinked else gradient


def reused(new: Callable[..., Tensor], count: int) -> Callable[..., tuple[Tensor, ...]]:
    """What gives `count` tensors of a shape: the same memory whenever it is asked for that shape."""
    return cache(lambda *shape: tuple(new(*shape) for _ in range(count)))


def factors(z: Float[Tensor, "n D"], kernel: Kernel) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The centred codes; A and B (n, D + 2) of squared distances A Bᵀ; the least of them that is not rounding error."""
    z = z - z.mean(0)  # |z|² - 2 z·z' + |z'|² cancels badly far from the origin
    precise = z.double() if kernel.kinked else z
    norm, one = precise.square().sum(1, keepdim=True), precise.new_ones(len(z), 1)
    left, right = torch.cat([-2 * precise, norm, one], 1), torch.cat([precise, one, norm], 1)
    # below this a squared distance is rounding error, at worst where k' has a pole
    least = (torch.finfo(precise.dtype).eps * norm.max()).clamp(min=torch.finfo(z.dtype).tiny)
    return z, left, right, least


def upper_blocks(n: int, size: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the blocks on and above the diagonal of a matrix (n, n)."""
    parts = [slice(i, min(i + size, n)) for i in range(0, n, size)]
    return combinations_with_replacement(parts, 2)


BACKENDS = ("auto", "dense", "keops")
LARGE = 10_000  # codes on a GPU from which "auto" prefers KeOps


def pair_sum(
    z: Float[Tensor, "n D"], kernel: Kernel, gradient: bool, diagonal: bool, backend: str = "auto"
) -> tuple[Tensor | dict[str, str], ...]:
    """Σ k(z_i, z_j) over all pairs, with i = j if `diagonal`, its gradient if asked, and what computed it.

    "auto" is dense on a CPU: it needs no compiler, and was measured faster with all three kernels, from 1.6 times for
    256 codes to 55 times for 10,000, in 2, 8 and 16 dimensions on one thread. On a GPU it is KeOps from `LARGE` codes
    on, if KeOps finds CUDA; that threshold is a guess, not a measurement. Where KeOps fails, the sum is dense, and the
    record says why.
    """
    facts = {"backend": "dense"}
    if backend == "keops" or (backend == "auto" and z.is_cuda and len(z) >= LARGE):
        try:
            total, *gradients = keops_pair_sum(z, kernel, gradient)
            facts = {"backend": "keops"}
        except Exception as error:  # whatever an import or a compiler raises
            facts["fallback"] = f"KeOps failed: {type(error).__name__}: {error}"
    if facts["backend"] == "dense":
        total, *gradients = dense_pair_sum(z, kernel, gradient)
    return total + diagonal * len(z) * kernel.diagonal, *gradients, facts
