"""What looks at numbers, below the transforms of torch.func, whose tensors have no storage to look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd import forward_ad

Tensors = TypeVar("Tensors")  # a tensor or a tuple of tensors

transforms_are_active: Callable[[], bool] = torch._C._are_functorch_transforms_active


def below_transforms(compute: Callable[..., Tensors], *inputs: Tensor) -> Tensors:
    """``compute(*inputs)`` of the numbers themselves: for results, such as indices, that have no derivative.

    Raises:
        ValueError: torch.func.vmap has put samples together, of which each has another number of bars.
    """
    computed: Tensors = _Below.apply(compute, *inputs)  # type: ignore[no-untyped-call]
    return computed


def to_numpy(tensor: Tensor) -> Any:
    """The numbers of a tensor on the CPU as an array, off the autograd graph."""
    if not transforms_are_active():
        return tensor.detach().numpy()
    found: list[Any] = []

    def find(numbers: Tensor) -> Tensor:
        found.append(numbers.detach().numpy())
        return numbers.new_empty(0)

    below_transforms(find, tensor)
    return found[0]


def refuse_vmap(tensor: Tensor) -> None:
    """For what looks at numbers before anything else, with operations that vmap would refuse in other words."""
    if transforms_are_active():
        below_transforms(lambda numbers: numbers.new_empty(0), tensor)


def requires_grad_tells() -> bool:
    """Whether `requires_grad` says what has a derivative. In forward mode, and inside of torch.func, it does not."""
    return not transforms_are_active() and forward_ad._current_level < 0


class _Below(torch.autograd.Function):
    @staticmethod
    def forward(compute: Callable[..., Tensors], *inputs: Tensor) -> Tensors:
        return compute(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        outputs = output if isinstance(output, tuple) else (output,)
        ctx.mark_non_differentiable(*outputs)
        ctx.inputs, ctx.outputs = len(inputs), len(outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return (None,) * ctx.inputs

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return (None,) * ctx.outputs

    @staticmethod
    def vmap(info: Any, in_dims: Any, *inputs: Any) -> Any:
        raise ValueError(
            "torch.func.vmap: a barcode has another number of bars for each sample, which it cannot put together; "
            "give the filtration all samples at once, which are independent of each other, or one after another"
        )
