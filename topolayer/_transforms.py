"""Transforms of torch.func, whose tensors have no storage to look at; tracers; the profiler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

_PROXY = torch._C._TorchDispatchModeKey.PROXY
# By name: the modules of some would have to be loaded for this.
_TRACING_MODES = {"FakeTensorMode", "FunctionalTensorMode", "FlopCounterMode", "_FlopCounterMode"}

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


def writes_a_graph() -> bool:
    """Whether torch.compile, torch.export or make_fx takes down the operations, to be repeated on other numbers."""
    return torch.compiler.is_compiling() or (
        torch._C._get_dispatch_mode(_PROXY) is not None
        or torch._ops._get_dispatch_mode_pre_dispatch(_PROXY) is not None  # type: ignore[no-untyped-call]
    )


def is_traced() -> bool:
    """Whether code runs for what it does, not for its result: under a tracer, on fake tensors, to count operations."""
    return (
        writes_a_graph()
        or torch._C._is_tracing()
        or torch.fx._symbolic_trace._is_fx_tracing_flag
        or any(type(mode).__name__ in _TRACING_MODES for mode in _get_current_dispatch_mode_stack())
    )


def refuse_jit_trace() -> None:
    """For what the trace would take for constants."""
    if torch._C._is_tracing():
        raise ValueError(
            "torch.jit.trace: the bars of the example would be those of every input. Use torch.export.export, which "
            "takes barcodes and simplifications of grids (Freudenthal, Cubical); others have to stay outside of it"
        )


def refuse_whole_graph() -> None:
    """For what torch.compile computes between two graphs."""
    if not torch.compiler.is_dynamo_compiling():
        raise ValueError(
            "torch.export, make_fx: a graph holds only barcodes and simplifications of grids (Freudenthal, Cubical), "
            "by a backend that has a name; compute this one outside of it"
        )


def named(name: str) -> Any:
    """A context that torch.profiler shows by this name. It costs a quarter of a microsecond when there is none."""
    return torch._C._profiler._RecordFunctionFast(name)


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
