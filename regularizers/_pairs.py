"""Sums of a kernel over all pairs of codes, with their gradient, in one pass and flat memory."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from regularizers._kernels import Kernel

BLOCK = 2**18  # kernel values held at once: one core's share of the second-level cache, in float32


class ValueWithGradient(torch.autograd.Function):
    """A scalar whose gradients are computed together with it, and kept until the backward pass."""

    @staticmethod
    def forward(ctx, evaluate: Callable, *inputs: Tensor) -> Tensor:
        value, *gradients = evaluate(*inputs, gradient=True)
        ctx.save_for_backward(*(g.to(x) for g, x in zip(gradients, inputs, strict=True)))
        return value.to(inputs[0])

    @staticmethod
    @once_differentiable
    def backward(ctx, output_gradient):
        return None, *(output_gradient * gradient for gradient in ctx.saved_tensors)


def with_gradient(evaluate: Callable, *inputs: Tensor) -> Tensor:
    """The scalar of `evaluate(*inputs, gradient)`, which returns it with one gradient for each input if asked.

    Only first derivatives exist: to differentiate twice raises a RuntimeError. Half-precision
    inputs are computed in float32.
    """
    inputs = [x.float() if x.dtype in (torch.float16, torch.bfloat16) else x for x in inputs]
    if torch.is_grad_enabled() and any(x.requires_grad for x in inputs):
        return ValueWithGradient.apply(evaluate, *inputs)
    return evaluate(*inputs, gradient=False)[0].to(inputs[0])


def dense_pair_sum(z: Float[Tensor, "n D"], kernel: Kernel, gradient: bool = True) -> tuple[Tensor, ...]:
    """Σ_{i≠j} k(|z_i - z_j|²), a scalar, and its gradient 4 Σ_j k'(|z_i - z_j|²) (z_i - z_j) (n, D), in float64.

    Only blocks on and above the diagonal are visited. Squared distances are one matrix product
    of the centred codes, the sums over j another one, of dk/dr² with [1, z].
    """
    n, S = len(z), len(kernel.scales)
    z = z - z.mean(0)  # |z|² - 2 z·z' + |z'|² cancels badly far from the origin
    norm, one = z.square().sum(1, keepdim=True), z.new_ones(n, 1)
    left, right = torch.cat([-2 * z, norm, one], 1), torch.cat([z, one, norm], 1)
    target = torch.cat([one, z], 1)
    # below this a squared distance is rounding error, and k' of the energy distance has a pole at 0
    least = (torch.finfo(z.dtype).eps * norm.max()).clamp(min=torch.finfo(z.dtype).tiny)
    total = z.new_zeros((), dtype=torch.float64)
    moments = z.new_zeros(n, z.shape[1] + 1, dtype=torch.float64)
    size = max(16, int((BLOCK / S) ** 0.5))
    workspace = z.new_empty(S * min(size, n) ** 2)
    for i in range(0, n, size):
        for j in range(i, n, size):
            rows, columns = slice(i, min(i + size, n)), slice(j, min(j + size, n))
            shape = (S, rows.stop - i, columns.stop - j)
            r2 = workspace[: shape[0] * shape[1] * shape[2]].view(shape)
            distances = (left[rows] @ right[columns].mT).clamp_(min=least)
            if i == j:
                distances.fill_diagonal_(least)
            value, slope = kernel.profile(r2.copy_(distances.expand(shape)), gradient)
            total += value if i == j else 2 * value
            if slope is None:
                continue
            if i == j:
                slope.fill_diagonal_(0)
            else:
                moments[columns] += slope.mT @ target[rows]
            moments[rows] += slope @ target[columns]
    diagonal = kernel.profile(least.expand(S, 1, 1).clone(), False)[0]
    total -= n * diagonal.double()
    if not gradient:
        return (total,)
    return total, 4 * (z * moments[:, :1] - moments[:, 1:])


BACKENDS = {"dense": dense_pair_sum}


def pair_sum(
    z: Float[Tensor, "n D"], kernel: Kernel, gradient: bool, diagonal: bool, backend: str = "auto"
) -> tuple[Tensor | dict[str, str], ...]:
    """Σ k(z_i, z_j) over all pairs, with i = j if `diagonal`, its gradient if asked, and what computed it.

    Raises:
        ValueError: no such backend.
    """
    total, *gradients = dense_pair_sum(z, kernel, gradient)
    return total + diagonal * len(z) * kernel.diagonal, *gradients, {"backend": "dense"}
