"""From a filtration to its barcode, through a backend."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch._compile import _disable_dynamo  # the public torch.compiler.disable loads the compiler at once

from topolayer._backends import Backend, IndexPairs, backends, choose_backend
from topolayer._barcode import Barcode
from topolayer._bars import EssentialBars
from topolayer._checks import came, check_integer, raise_memory_error
from topolayer._filtrations import Cubical, Filtration, Freudenthal, with_values
from topolayer._order import lexsort
from topolayer._transforms import (
    below_transforms,
    named,
    refuse_jit_trace,
    refuse_whole_graph,
    transforms_are_active,
    writes_a_graph,
)


def persistence(
    filtration: Filtration, dims: int | tuple[int, ...] = 0, *, backend: str | Backend | None = None
) -> Barcode:
    """Persistent homology (Edelsbrunner, Letscher and Zomorodian, 2000), with coefficients in Z/2, as a barcode.

    Births and deaths are entries of the filtration values, gathered, and so is their gradient: that of Section 3 of
    the paper. Where values are equal it is one of several subgradients, always the same.

    Args:
        filtration: `Freudenthal`, `Cubical`, `LowerStar`, `Rips` or `Alpha`.
        dims: homology dimension, or several: 0 are components, 1 loops, 2 voids.
        backend: a name from `backends()`, an object with the protocol `Backend`, or None: the first that can
            do it.

    Returns:
        The bars of all samples in these dimensions, on the filtration's device. The pairs do not depend on
        backend, device or threads.

    Raises:
        TypeError: `filtration` or `dims` is of another type.
        ValueError: a dimension that the filtration does not have; values that are not finite; a backend that
            is unknown or cannot do it; under `torch.jit.trace`, which would repeat the bars of its example.
        MemoryError: there is not enough memory.

    Example:
        >>> import torch, topolayer as tl
        >>> signal = torch.tensor([0.0, 3.0, 1.0, 2.0], requires_grad=True)
        >>> barcode = tl.persistence(tl.Freudenthal(signal, ndim=1, superlevel=True))
        >>> barcode.births, barcode.deaths
        (tensor([2.], grad_fn=<SelectBackward0>), tensor([1.], grad_fn=<SelectBackward0>))
        >>> barcode.lengths.sum().backward()
        >>> signal.grad
        tensor([ 0.,  0., -1.,  1.])
    """
    if not isinstance(filtration, Filtration):
        raise TypeError(
            "filtration: expected a Freudenthal, Cubical, LowerStar, Rips or Alpha filtration, "
            f"got {came(filtration)}; wrap the tensor in one of them"
        )
    wanted = _check_dims(dims, filtration)
    if torch.compiler.is_compiling():
        return _gather(_index_pairs_in_graph(filtration, wanted, backend), filtration, wanted)
    refuse_jit_trace()
    try:
        with named("topolayer::persistence"):
            return _gather(_index_pairs(filtration, wanted, backend), filtration, wanted)
    except RuntimeError as error:
        raise_memory_error(error, repr(filtration))


def _index_pairs(filtration: Filtration, dims: tuple[int, ...], backend: str | Backend | None) -> IndexPairs:
    """What the backend finds, checked and in canonical order."""
    if transforms_are_active():
        found = below_transforms(
            lambda values: _tensors(_index_pairs(with_values(filtration, values), dims, backend)), filtration.values
        )
        return IndexPairs(*found, canonical=True)
    if writes_a_graph():
        return _index_pairs_in_graph(filtration, dims, backend)
    chosen = choose_backend(backend, filtration, dims)
    detached = filtration.detach()
    with torch.no_grad():
        if filtration.samples == 0:
            return _no_pairs()
        if not getattr(chosen, "checks_finite", False):
            detached.check_finite()
        pairs = chosen.pairs(detached, dims)
        if not (isinstance(pairs, IndexPairs) and pairs.canonical):
            _check_pairs(pairs, detached, dims, chosen.name)
            pairs = _canonical(pairs, detached)
    return pairs


_untraced_index_pairs = _disable_dynamo(_index_pairs)


def _index_pairs_in_graph(filtration: Filtration, dims: tuple[int, ...], backend: str | Backend | None) -> IndexPairs:
    """Of grids one operation in the graph; of all else a break between two graphs, where there may be one."""
    if not is_traceable(filtration, backend):
        refuse_whole_graph()
        return _untraced_index_pairs(filtration, dims, backend)
    if filtration.samples == 0:  # the compiler has no gather from nothing
        return _no_pairs()
    tensors: tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor] = _index_pairs_op(
        *operands(filtration), dims, getattr(backend, "name", backend)
    )
    return IndexPairs(*tensors, canonical=True)


def is_traceable(filtration: Filtration, backend: str | Backend | None) -> bool:
    """Whether an operation can be called for it, which takes no objects: of a grid, with a backend that has a name."""
    registered = backend is None or isinstance(backend, str) or backends().get(getattr(backend, "name", "")) is backend
    return registered and type(filtration) in (Freudenthal, Cubical)


def operands(filtration: Filtration) -> tuple[Tensor, int, str | None, bool]:
    """What `grid_of` makes a grid from; off the autograd graph."""
    construction = filtration.construction if isinstance(filtration, Cubical) else None
    return filtration.values.detach(), filtration.value_axes, construction, filtration.superlevel


def grid_of(
    values: Tensor, ndim: int, construction: Literal["V", "T"] | None, superlevel: bool
) -> Freudenthal | Cubical:
    if construction is None:
        return Freudenthal(values, ndim=ndim, superlevel=superlevel)
    return Cubical(values, ndim=ndim, construction=construction, superlevel=superlevel)


@torch.library.custom_op(
    "topolayer::index_pairs",
    mutates_args=(),
    schema="(Tensor values, int ndim, str? construction, bool superlevel, int[] dims, str? backend)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _index_pairs_op(
    values: Tensor,
    ndim: int,
    construction: Literal["V", "T"] | None,
    superlevel: bool,
    dims: list[int],
    backend: str | None,
) -> tuple[Tensor, ...]:
    tensors = _tensors(_index_pairs(grid_of(values, ndim, construction, superlevel), tuple(dims), backend))
    return tuple(tensor.to(values.device, copy=True) for tensor in tensors)  # copied: no two may be the same


@_index_pairs_op.register_fake
def _(values: Tensor, *options: object) -> tuple[Tensor, ...]:
    context = torch.library.get_ctx()
    finite, essential = context.new_dynamic_size(), context.new_dynamic_size()
    shapes = (finite, 2), (finite,), (finite,), (essential,), (essential,), (essential,)
    return tuple(values.new_empty(shape, dtype=torch.int64) for shape in shapes)


def _tensors(pairs: IndexPairs) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    finite = pairs.finite, pairs.finite_dims, pairs.finite_samples
    return *finite, pairs.essential, pairs.essential_dims, pairs.essential_samples


def _check_dims(dims: object, filtration: Filtration) -> tuple[int, ...]:
    kind = "an int, or a tuple or list of ints such as (0, 1)"
    several = dims if isinstance(dims, (tuple, list, range)) else (dims,)
    wanted = tuple(check_integer("dims", dim, what=kind) for dim in several)
    if not wanted:
        raise TypeError(f"dims: expected {kind}, got {dims!r}; 0 stands for components")
    if len(set(wanted)) < len(wanted):
        raise ValueError(f"dims: expected different dimensions, got {dims!r}; name each once")
    top = filtration.top_dimension
    if min(wanted) < 0 or (top is not None and max(wanted) > top):
        span = "dimensions >= 0" if top is None else f"dimensions from 0 to {top}" if top else "dimension 0"
        raise ValueError(
            f"dims: expected dimensions that there are, as {filtration!r} has bars in {span} only, got {dims!r}; leave "
            "out the others"
        )
    return wanted


def _no_pairs() -> IndexPairs:
    none = torch.empty(0, dtype=torch.int64, device="cpu")
    return IndexPairs(none.reshape(0, 2), none, none, none, none, none, canonical=True)


def _check_pairs(pairs: object, filtration: Filtration, dims: tuple[int, ...], backend: str) -> None:
    """Refuses what no gather should be made from."""
    if not isinstance(pairs, IndexPairs):
        raise TypeError(f"backend: {backend!r} was expected to return IndexPairs, got {type(pairs).__name__}")
    size = math.prod(filtration.sample_shape)
    for kind, index, dim, sample in (
        ("finite", pairs.finite, pairs.finite_dims, pairs.finite_samples[:, None]),
        ("essential", pairs.essential, pairs.essential_dims, pairs.essential_samples),
    ):
        if bool((index < 0).any() or (index >= filtration.values.numel()).any()):
            raise ValueError(
                f"backend: {backend!r} returned {kind} bars with an index outside of filtration.values, "
                f"which has {filtration.values.numel()} entries"
            )
        if bool((index // size != sample).any()):
            raise ValueError(f"backend: {backend!r} returned {kind} bars whose indices are not of their sample")
        if not set(dim.tolist()) <= set(dims):
            raise ValueError(f"backend: {backend!r} returned {kind} bars in dimensions that are not asked for, {dims}")


def _canonical(pairs: IndexPairs, filtration: Filtration) -> IndexPairs:
    """Drops bars of length zero and orders the others by sample, dimension, death, birth in filtration order."""
    keys = -filtration.values.flatten() if filtration.superlevel else filtration.values.flatten()
    birth, death = pairs.finite.to(keys.device).unbind(1)
    sample, dim = pairs.finite_samples.to(keys.device), pairs.finite_dims.to(keys.device)
    order = lexsort([sample, dim, keys[death], death, keys[birth], birth])
    order = order[(keys[birth] != keys[death])[order]]
    essential = pairs.essential.to(keys.device)
    essential_sample, essential_dim = (
        pairs.essential_samples.to(keys.device),
        pairs.essential_dims.to(keys.device),
    )
    essential_order = lexsort([essential_sample, essential_dim, keys[essential], essential])
    return IndexPairs(
        finite=torch.stack([birth, death], dim=1)[order],
        finite_dims=dim[order],
        finite_samples=sample[order],
        essential=essential[essential_order],
        essential_dims=essential_dim[essential_order],
        essential_samples=essential_sample[essential_order],
        canonical=True,
    )


def _gather(pairs: IndexPairs, filtration: Filtration, dims: tuple[int, ...]) -> Barcode:
    """Births and deaths are entries of the values: the gradient of Section 3 is the gradient of this indexing."""
    values = filtration.values.flatten()
    device = values.device
    finite, finite_dims, finite_samples, essential, essential_dims, essential_samples = (
        tensor if tensor.device == device else tensor.to(device) for tensor in _tensors(pairs)
    )
    batch_shape, grid_shape = filtration.batch_shape, getattr(filtration, "grid_shape", None)
    ends = values.index_select(0, finite.flatten()).view(-1, 2)  # one gather has one backward
    return Barcode(
        births=ends[:, 0],
        deaths=ends[:, 1],
        dims=finite_dims,
        sample=finite_samples,
        computed_dims=dims,
        batch_shape=batch_shape,
        grid_shape=grid_shape,
        pairs=finite,
        essential=EssentialBars(
            births=values.index_select(0, essential),
            dims=essential_dims,
            sample=essential_samples,
            computed_dims=dims,
            batch_shape=batch_shape,
            grid_shape=grid_shape,
            indices=essential,
        ),
        superlevel=filtration.superlevel,
        entries=values.numel(),
        input_dtype=filtration.input_dtype,
    )
