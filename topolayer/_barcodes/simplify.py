"""Simplification: a function with only the most prominent extrema, differentiable like a barcode."""

from __future__ import annotations

import itertools
import sys

import torch
from torch import Tensor

from topolayer._backends import Backend, capabilities_of, choose_backend
from topolayer._barcodes.operators import of_filtrations
from topolayer._checks import came, check_integer, check_threshold, raise_memory_error
from topolayer._filtrations import Filtration
from topolayer._filtrations.cells import Grid, VertexComplex
from topolayer._tracing import named, refuse_jit_trace


def simplify(
    filtration: Filtration,
    *,
    k: int | None = None,
    threshold: float | None = None,
    backend: str | Backend | None = None,
) -> Tensor:
    """The function with only its most prominent extrema: the others are cut off (superlevel) or filled (sublevel).

    Every other extremum is flattened to the value at which its component meets one that is kept. In a superlevel
    filtration the result is the largest function below the values whose maxima are only those that are kept. It is the
    morphological reconstruction by dilation from them (Vincent, 1993). The bars of the result in dimension 0 are those
    that were kept. In higher dimensions bars may become shorter or vanish.

    Args:
        filtration: `Freudenthal`, `Cubical` or `LowerStar`.
        k: how many bars of dimension 0 to keep in each sample: the longest, ranked as in `Barcode.ranks`. The one that
            never dies counts. If several never die, all of them are kept.
        threshold: instead of `k`: keep the bars that are at least this long. A bar that never dies is always kept.
        backend: a name from `backends()`, an object with the protocol `Backend`, or None: the first that can
            do it.

    Returns:
        Values of the same shape, on the filtration's device. Each is gathered from the filtration values, and the
        gradient is that of a gather: a flattened entry passes it on to the saddle whose value it takes.

    Raises:
        TypeError: an argument is of another type, or not exactly one of `k` and `threshold` is given.
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
    if not isinstance(filtration, Filtration) or not isinstance(filtration.cells, (Grid, VertexComplex)):
        raise TypeError(
            "filtration: expected a Freudenthal, Cubical or LowerStar filtration, whose values are a function on its "
            f"vertices or cells, got {came(filtration)}; wrap a tensor in one of them"
        )
    if filtration.mask is not None:
        raise ValueError(
            f"filtration: expected a grid without a mask, got {filtration!r}; fill in what is outside, with "
            "torch.where(mask, values, number) and a number that enters last"
        )
    kept = _check_kept(k, threshold, filtration.input_dtype)
    if torch.compiler.is_compiling():
        if filtration.samples == 0:  # the compiler has no gather from nothing
            return filtration.values.clone()
        return _gather(filtration, _indices(filtration, *kept, backend))
    refuse_jit_trace()
    try:
        with named("topolayer::simplify"):
            return _gather(filtration, _indices(filtration, *kept, backend))
    except RuntimeError as error:
        raise_memory_error(error, repr(filtration))


def _gather(filtration: Filtration, indices: Tensor) -> Tensor:
    return filtration.values.flatten().index_select(0, indices.flatten()).reshape(filtration.values.shape)


def _check_kept(k: int | None, threshold: float | None, dtype: torch.dtype) -> tuple[int, float]:
    """How many bars are kept, and how long they are at least; one of the two has no effect."""
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


def _fake(values: Tensor, *options: object) -> Tensor:
    return torch.empty_like(values, dtype=torch.int64, memory_format=torch.contiguous_format)


def _no_indices(filtration: Filtration) -> Tensor:
    return _fake(filtration.values)


@of_filtrations("simplified", options="int k, float threshold", returns="Tensor", fake=_fake, empty=_no_indices)
def _indices(filtration: Filtration, k: int, threshold: float, backend: str | Backend | None) -> Tensor:
    """For every value the flat index of the value that replaces it, by the backend."""
    chosen = choose_backend(backend, filtration, (0,), task="simplify")
    if filtration.samples == 0:
        return _no_indices(filtration)
    detached = filtration.detach()  # so that nothing below is on the graph
    if not capabilities_of(chosen).checks_finite:
        detached.check_finite()
    if not filtration.is_ragged or capabilities_of(chosen).ragged:
        return _checked(chosen, detached, k, threshold)
    parts = [torch.empty(0, dtype=torch.int64, device=filtration.values.device)]
    for number, (first, end) in enumerate(itertools.pairwise(filtration.offsets.tolist())):
        if first < end:
            parts.append(first + _checked(chosen, detached.sample(number), k, threshold).long())
    return torch.cat(parts)


def _checked(chosen: Backend, filtration: Filtration, k: int, threshold: float) -> Tensor:
    indices = chosen.simplified(filtration, k, threshold)  # type: ignore[attr-defined]
    if not isinstance(indices, Tensor) or indices.dtype not in (torch.int32, torch.int64):
        got = indices.dtype if isinstance(indices, Tensor) else type(indices).__name__
        raise TypeError(f"backend: {chosen.name!r} was expected to return an int32 or int64 tensor, got {got}")
    if indices.shape != filtration.values.shape:
        raise ValueError(
            f"backend: {chosen.name!r} was expected to return an index for each value, of shape "
            f"{tuple(filtration.values.shape)}, got {tuple(indices.shape)}"
        )
    return indices.to(filtration.values.device)
