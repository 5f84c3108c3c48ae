"""Simplification: a function with only the most prominent extrema, differentiable like a barcode."""

from __future__ import annotations

import sys
from typing import Literal

import torch
from torch import Tensor
from torch._compile import _disable_dynamo  # the public torch.compiler.disable loads the compiler at once

from topolayer._backends import Backend, choose_backend
from topolayer._checks import came, check_integer, check_threshold, raise_memory_error
from topolayer._filtrations import Cubical, Filtration, Freudenthal, LowerStar, with_values
from topolayer._persistence import grid_of, is_traceable, operands
from topolayer._transforms import (
    below_transforms,
    named,
    refuse_jit_trace,
    refuse_whole_graph,
    transforms_are_active,
    writes_a_graph,
)


def simplify(
    filtration: Freudenthal | Cubical | LowerStar,
    *,
    k: int | None = None,
    threshold: float | None = None,
    backend: str | Backend | None = None,
) -> Tensor:
    """The function with its most prominent extrema alone: the others are cut off (superlevel) or filled (sublevel).

    Every other extremum is flattened to the value at which its component meets one that stays. In a superlevel
    filtration this is the largest function below that has no maxima but those that stay, and morphological
    reconstruction by dilation from them (Vincent, 1993). The bars of the result in dimension 0 are those that were
    kept; in higher dimensions bars may become shorter or vanish.

    Args:
        filtration: `Freudenthal`, `Cubical` or `LowerStar`.
        k: how many bars of dimension 0 to keep of each sample, the longest, ranked as in `Barcode.ranks`. The
            one that never dies counts; if there are several, all of them stay.
        threshold: keep the bars that are at least so long, instead; one that never dies stays.
        backend: a name from `backends()`, an object with the protocol `Backend`, or None: the first that can
            do it.

    Returns:
        Values of the same shape, on the filtration's device. Each is one of the filtration values, gathered, and
        the gradient is that of a gather: a flattened entry passes it on to the saddle whose value it takes.

    Raises:
        TypeError: an argument is of another type, or there is not exactly one of `k` and `threshold`.
        ValueError: `k` is below 1, `threshold` negative or NaN; values that are not finite; a backend that is
            unknown or cannot do it; under `torch.jit.trace`, which would repeat the pixels of its example.
        MemoryError: there is not enough memory.

    Example:
        >>> import torch, topolayer as tl
        >>> signal = torch.tensor([0.0, 5.0, 3.0, 4.0, 1.0, 2.0])
        >>> tl.simplify(tl.Freudenthal(signal, ndim=1, superlevel=True), k=1)
        tensor([0., 5., 3., 3., 1., 1.])
        >>> tl.simplify(tl.Freudenthal(signal, ndim=1), threshold=2)
        tensor([0., 5., 4., 4., 1., 2.])
    """
    if not isinstance(filtration, (Freudenthal, Cubical, LowerStar)):
        raise TypeError(
            "filtration: expected a Freudenthal, Cubical or LowerStar filtration, whose values are a function on its "
            f"vertices or cells, got {came(filtration)}; wrap a tensor in one of them"
        )
    kept = _check_kept(k, threshold, filtration.input_dtype)
    if torch.compiler.is_compiling():
        if filtration.samples == 0:  # the compiler has no gather from nothing
            return filtration.values.clone()
        return _gather(filtration, _indices_in_graph(filtration, *kept, backend))
    refuse_jit_trace()
    try:
        with named("topolayer::simplify"):
            return _gather(filtration, _indices(filtration, *kept, backend))
    except RuntimeError as error:
        raise_memory_error(error, repr(filtration))


def _gather(filtration: Filtration, indices: Tensor) -> Tensor:
    return filtration.values.flatten().index_select(0, indices.flatten()).reshape(filtration.values.shape)


def _check_kept(k: int | None, threshold: float | None, dtype: torch.dtype) -> tuple[int, float]:
    """How many bars are kept, and how long they are at least: of the two, one limits nothing."""
    if (k is None) == (threshold is None):
        got = "neither" if k is None else "both"
        raise TypeError(
            f"k: expected exactly one of k and threshold, got {got}; k is how many bars to keep, threshold how long "
            "they are at least"
        )
    if threshold is None:
        k = check_integer("k", k, least=1, remedy="k=1 keeps the component that never dies alone")
        return min(k, sys.maxsize), 0.0
    return sys.maxsize, check_threshold(threshold, dtype, remedy="0 keeps every bar")


def _indices(filtration: Filtration, k: int, threshold: float, backend: str | Backend | None) -> Tensor:
    """For every value the flat index of the one that it takes, by the backend."""
    if transforms_are_active():
        indices = below_transforms(
            lambda values: _indices(with_values(filtration, values), k, threshold, backend), filtration.values
        )
        return indices.long()  # torch 2.4 cannot batch a gather by int32
    if writes_a_graph():
        return _indices_in_graph(filtration, k, threshold, backend)
    chosen = choose_backend(backend, filtration, (0,), to_simplify=True)
    if filtration.samples == 0:
        return torch.empty_like(filtration.values, dtype=torch.int64)
    detached = filtration.detach()
    with torch.no_grad():
        if not getattr(chosen, "checks_finite", False):
            detached.check_finite()
        indices = chosen.simplified(detached, k, threshold)  # type: ignore[attr-defined]
    if not isinstance(indices, Tensor) or indices.dtype not in (torch.int32, torch.int64):
        got = indices.dtype if isinstance(indices, Tensor) else type(indices).__name__
        raise TypeError(f"backend: {chosen.name!r} was expected to return an int32 or int64 tensor, got {got}")
    if indices.shape != filtration.values.shape:
        raise ValueError(
            f"backend: {chosen.name!r} was expected to return an index for each value, of shape "
            f"{tuple(filtration.values.shape)}, got {tuple(indices.shape)}"
        )
    return indices.to(filtration.values.device)


_untraced_indices = _disable_dynamo(_indices)


def _indices_in_graph(filtration: Filtration, k: int, threshold: float, backend: str | Backend | None) -> Tensor:
    """Of grids one operation in the graph; of all else a break between two graphs, where there may be one."""
    if not is_traceable(filtration, backend):
        refuse_whole_graph()
        return _untraced_indices(filtration, k, threshold, backend)
    name = getattr(backend, "name", backend)
    indices: Tensor = _simplified_op(*operands(filtration), k, threshold, name)
    return indices


@torch.library.custom_op(
    "topolayer::simplified",
    mutates_args=(),
    schema="(Tensor values, int ndim, str? construction, bool superlevel, int k, float threshold, str? backend)"
    " -> Tensor",
)
def _simplified_op(
    values: Tensor,
    ndim: int,
    construction: Literal["V", "T"] | None,
    superlevel: bool,
    k: int,
    threshold: float,
    backend: str | None,
) -> Tensor:
    indices = _indices(grid_of(values, ndim, construction, superlevel), k, threshold, backend)
    return indices.long().contiguous()


@_simplified_op.register_fake
def _(values: Tensor, *options: object) -> Tensor:
    return torch.empty_like(values, dtype=torch.int64, memory_format=torch.contiguous_format)
