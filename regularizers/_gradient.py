"""Scalars whose gradients are computed together with them, in one pass."""

from collections.abc import Callable

import torch
from torch import Tensor


class ValueWithGradient(torch.autograd.Function):
    """A scalar whose gradients are computed together with it, and kept until the backward pass."""

    @staticmethod
    def forward(ctx, evaluate: Callable, *inputs: Tensor) -> Tensor:
        value, *gradients = evaluate(*inputs)
        ctx.save_for_backward(*inputs, *(g.to(x) for g, x in zip(gradients, inputs, strict=True)))
        return value.to(inputs[0])

    @staticmethod
    def backward(ctx, output_gradient):
        half = len(ctx.saved_tensors) // 2
        inputs, gradients = ctx.saved_tensors[:half], ctx.saved_tensors[half:]
        return None, *(OnceOnly.apply(output_gradient * gradient, *inputs) for gradient in gradients)


class OnceOnly(torch.autograd.Function):
    """A gradient that depends on the inputs, but not in a way that anybody has written down."""

    @staticmethod
    def forward(ctx, gradient: Tensor, *inputs: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx, _):
        raise RuntimeError("this regularizer has first derivatives only; it was differentiated twice")


def with_gradient(evaluate: Callable, *inputs: Tensor) -> Tensor:
    """The scalar of `evaluate(*inputs)`, which returns it with one gradient for each input.

    Only first derivatives exist: to differentiate twice raises a RuntimeError. Half-precision
    inputs are computed in float32.
    """
    inputs = [x.float() if x.dtype in (torch.float16, torch.bfloat16) else x for x in inputs]
    return ValueWithGradient.apply(evaluate, *inputs)
