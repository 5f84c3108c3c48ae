"""torch's machinery: torch.func, whose tensors have no storage to look at; tracers and compilers; the profiler.

Every private name of torch that the package needs is here. Enter to follow a new version of torch.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch._compile import _disable_dynamo
from torch.autograd import forward_ad
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

_PROXY = torch._C._TorchDispatchModeKey.PROXY
# These are names, since the modules of some classes would have to be loaded for this.
_TRACING_MODES = {"FakeTensorMode", "FunctionalTensorMode", "FlopCounterMode", "_FlopCounterMode"}

Tensors = TypeVar("Tensors")  # a tensor or a tuple of tensors

transforms_are_active: Callable[[], bool] = torch._C._are_functorch_transforms_active
# Newer versions warn of the older name, which does not tell who traces.
_is_fx_tracing: Callable[[], bool] = (
    getattr(torch.fx._symbolic_trace, "is_fx_symbolic_tracing", None) or torch.fx._symbolic_trace.is_fx_tracing
)


# torch.compile breaks its graph for what this decorates. The public torch.compiler.disable loads the compiler at once.
untraced = _disable_dynamo


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
        return tensor.detach().resolve_neg().numpy()
    found: list[Any] = []

    def find(numbers: Tensor) -> Tensor:
        found.append(numbers.detach().resolve_neg().numpy())
        return numbers.new_empty(0)

    below_transforms(find, tensor)
    return found[0]


def refuse_without_numbers(tensor: Tensor) -> None:
    """For what looks at numbers before anything else, with operations that vmap or export refuse in other words."""
    if writes_a_graph():  # torch.export of 2.4 runs once without proxies
        refuse_whole_graph()
    else:
        refuse_jit_trace()
    if transforms_are_active():
        below_transforms(lambda numbers: numbers.new_empty(0), tensor)


def requires_grad_tells() -> bool:
    """Whether `requires_grad` says what has a derivative. In forward mode, and inside of torch.func, it does not."""
    return not transforms_are_active() and forward_ad._current_level < 0


def writes_a_graph() -> bool:
    """Whether torch.compile, torch.export or make_fx takes down the operations, to be repeated on other numbers."""
    return torch.compiler.is_compiling() or is_proxied()


def is_proxied() -> bool:
    """Whether make_fx or torch.export does so."""
    return (
        torch._C._get_dispatch_mode(_PROXY) is not None
        or torch._ops._get_dispatch_mode_pre_dispatch(_PROXY) is not None  # type: ignore[no-untyped-call]
    )


def is_traced() -> bool:
    """Whether code runs for what it does, not for its result: under a tracer, on fake tensors, to count operations."""
    return (
        writes_a_graph()
        or torch._C._is_tracing()
        or _is_fx_tracing()
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
            "by a backend that has a name, and penalties on them, as nothing else can do without numbers; compute this "
            "outside of the graph, or make it an operation of its own with torch.library.custom_op"
        )


def refuse_lost_detach(what: str) -> None:
    """For what must not get a gradient: from torch 2.15 on make_fx writes down `detach` as an alias, which has one."""
    if not torch.compiler.is_compiling() and is_proxied() and torch.__version__ >= "2.15":
        raise ValueError(
            f"make_fx: from torch 2.15 on its graphs pass gradients through detach(), and {what} would get another "
            "gradient; use torch.export.export, or compute this outside of the graph"
        )


def named(name: str) -> Any:
    """A context that torch.profiler shows by this name. It costs a quarter of a microsecond when there is none."""
    return torch._C._profiler._RecordFunctionFast(name)


def is_backward() -> bool:
    """Whether a backward pass is on its way, for whatever reason this runs in it."""
    return torch._C._current_graph_task_id() != -1


def without_functions(tensor: Tensor) -> Tensor:
    """The tensor without a subclass that changes nothing but the functions of torch, as MONAI's; on the graph still."""
    kind = type(tensor)
    if kind is Tensor or kind is nn.Parameter or kind.__torch_dispatch__ is not Tensor.__torch_dispatch__:
        return tensor
    return tensor.as_subclass(Tensor)


def version_of(tensor: Tensor) -> int:
    """A number that grows when the tensor is changed in place. Inference tensors have none."""
    return 0 if tensor.is_inference() else tensor._version


def children(module: nn.Module) -> dict[str, nn.Module | None]:
    """The layers directly below a module, each under all of its names: `named_children` gives but the first."""
    return module._modules


def uncompiled() -> AbstractContextManager[object]:
    """Code that was compiled without hooks, which would run past them, is not run."""
    if "torch._dynamo" not in sys.modules:  # nothing is compiled, and loading the compiler takes seconds
        return nullcontext()
    stance = getattr(torch.compiler, "set_stance", None)
    if stance is None:  # before torch 2.6
        sys.modules["torch._dynamo"].reset_code_caches()
        return nullcontext()
    eager: AbstractContextManager[object] = stance("force_eager")
    return eager


# -- hooks and compiled code

_NAME = "skip_nnmodule_hook_guards"
_lock = threading.RLock()  # the garbage collector may end one watch in the middle of another
_watches: set[object] = set()
_found: Any = None  # the setting before the first watch


def watch_hooks(owner: object) -> Callable[[], object]:
    """Code that torch.compile made before is discarded, and new code is used only where there are the same hooks.

    Otherwise dynamo takes the absence of hooks for granted: code runs past hooks that were added later, and the code
    of the first of several equal blocks serves the others too, whatever hooks they have.

    Returns:
        What ends it, at the latest with the owner. It may be called more than once.
    """
    # This loads the compiler, which takes a second; but any optimizer of torch has done so.
    import torch._dynamo

    global _found
    setting, watch = _setting(torch._dynamo.config), object()
    with _lock:
        if not _watches:
            _found = getattr(*setting)
        _watches.add(watch)
        setattr(*setting, False)
    # torch.compiler.reset() would do too, but it also switches compiled autograd off, for one.
    torch._dynamo.reset_code_caches()
    end = weakref.finalize(owner, _end, watch, setting)
    end.atexit = False
    return end


def _end(watch: object, setting: tuple[Any, str]) -> None:
    with _lock:
        _watches.discard(watch)
        if not _watches:
            setattr(*setting, _found)


def _setting(config: Any) -> tuple[Any, str]:
    """The place of the value for all threads. An assignment to the configuration counts in its own thread only."""
    entry = getattr(config, "_config", {}).get(_NAME)
    return (entry, "default") if hasattr(entry, "default") else (config, _NAME)  # before torch 2.6


# -- below torch.func


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
