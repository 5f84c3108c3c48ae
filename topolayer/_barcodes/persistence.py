"""From a filtration to its barcode, through a backend."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from topolayer._backends import Backend, BarIndices, IndexPairs, capabilities_of, choose_backend
from topolayer._barcodes.barcode import Barcode, gathered
from topolayer._barcodes.operators import of_filtrations
from topolayer._checks import came, check_integers, raise_memory_error
from topolayer._filtrations import Filtration, outside_last
from topolayer._filtrations.cells import Grid
from topolayer._per_sample import lexsort
from topolayer._tracing import named, refuse_jit_trace

Tensors: TypeAlias = tuple[Tensor, ...]


def persistence(
    filtration: Filtration, dims: int | Sequence[int] = 0, *, backend: str | Backend | None = None
) -> Barcode:
    """Persistent homology (Edelsbrunner, Letscher and Zomorodian, 2000), with coefficients in Z/2, as a barcode.

    Births and deaths are entries gathered from the filtration values, so their gradient is that of Section 3 of the
    paper. Where values are equal it is one of several subgradients, always the same one.

    Args:
        filtration: `Freudenthal`, `Cubical`, `LowerStar`, `Rips` or `Alpha`.
        dims: homology dimension, or several: 0 for components, 1 for loops, 2 for voids.
        backend: a name from `backends()`, an object with the protocol `Backend`, or None for the first one that
            supports the filtration and dimensions.

    Returns:
        The bars of all samples in these dimensions, on the filtration's device. The pairs do not depend on
        backend, device or threads.

    Raises:
        TypeError: `filtration` or `dims` is of another type.
        ValueError: the filtration does not have a dimension; values are not finite; the backend is unknown or does not
            support this; the call is under `torch.jit.trace`, which would repeat the bars of its example.
        MemoryError: there is not enough memory.

    Example:
        >>> import torch, topolayer as tl
        >>> signal = torch.tensor([0.0, 3.0, 1.0, 2.0], requires_grad=True)
        >>> barcode = tl.persistence(tl.Freudenthal(signal, ndim=1, superlevel=True))
        >>> barcode.births, barcode.deaths
        (tensor([2.], grad_fn=<UnbindBackward0>), tensor([1.], grad_fn=<UnbindBackward0>))
        >>> barcode.lengths.sum().backward()
        >>> signal.grad
        tensor([ 0.,  0., -1.,  1.])
    """
    if not isinstance(filtration, Filtration):
        raise TypeError(
            "filtration: expected a Freudenthal, Cubical, LowerStar, Simplicial, Rips or Alpha filtration, "
            f"got {came(filtration)}; wrap the tensor in one of them"
        )
    wanted = check_dims(dims, filtration)
    if torch.compiler.is_compiling():
        return gather(_index_pairs(filtration, wanted, backend), filtration, wanted)
    refuse_jit_trace()
    try:
        with named("topolayer::persistence"):
            return gather(_index_pairs(filtration, wanted, backend), filtration, wanted)
    except RuntimeError as error:
        raise_memory_error(error, repr(filtration))


def _fake(values: Tensor, *options: object) -> Tensors:
    context = torch.library.get_ctx()
    finite, essential = context.new_dynamic_size(), context.new_dynamic_size()
    shapes = (finite, 2), (finite,), (finite,), (essential,), (essential,), (essential,)
    return tuple(values.new_empty(shape, dtype=torch.int64) for shape in shapes)


def no_bars(filtration: Filtration) -> Tensors:
    none = torch.empty(0, dtype=torch.int64, device=filtration.numbers.device)
    return none.reshape(0, 2), none, none, none, none, none


@of_filtrations(
    "index_pairs",
    options="int[] dims",
    returns="(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    fake=_fake,
    empty=no_bars,
)
def _index_pairs(filtration: Filtration, dims: Sequence[int], backend: str | Backend | None) -> Tensors:
    """The backend's bars in canonical order: indices, dims and samples of finite ones, then of essential ones."""
    chosen = choose_backend(backend, filtration, tuple(dims))
    if filtration.samples == 0:
        return no_bars(filtration)
    unmasked = outside_last(filtration.detach())  # so that nothing below is on the graph
    if not capabilities_of(chosen).checks_finite:
        unmasked.check_finite()
    if filtration.is_ragged and not capabilities_of(chosen).ragged:
        pairs = _one_by_one(chosen, unmasked, tuple(dims))
    else:
        pairs = _canonical_pairs(chosen, unmasked, tuple(dims))
    if filtration.mask is not None:
        pairs = inside(pairs, unmasked, filtration.mask)
    finite, essential = pairs.finite, pairs.essential
    return finite.indices, finite.dims, finite.samples, essential.indices, essential.dims, essential.samples


def _canonical_pairs(backend: Backend, filtration: Filtration, dims: tuple[int, ...]) -> IndexPairs:
    pairs = backend.pairs(filtration, dims)
    if isinstance(pairs, IndexPairs) and pairs.canonical:
        return pairs
    _check_pairs(pairs, filtration, dims, backend.name)
    return _canonical(pairs, filtration)


def _one_by_one(backend: Backend, filtration: Filtration, dims: tuple[int, ...]) -> IndexPairs:
    """The bars by a backend that takes samples of one size only. A sample without values has no bars."""
    none = torch.empty(0, dtype=torch.int64, device="cpu")
    finite, essential = [BarIndices(none.reshape(0, 2), none, none)], [BarIndices(none, none, none)]
    offsets = filtration.offsets.tolist()
    for number, (first, end) in enumerate(itertools.pairwise(offsets)):
        if first == end:
            continue
        found = _canonical_pairs(backend, filtration.sample(number), dims)
        for bars, all_bars in ((found.finite, finite), (found.essential, essential)):
            here = bars.map(lambda tensor: tensor.cpu())
            all_bars.append(BarIndices(here.indices + first, here.dims, here.samples + number))
    return IndexPairs(_catenated(finite), _catenated(essential), canonical=True)


def _catenated(parts: Sequence[BarIndices]) -> BarIndices:
    indices, dims, samples = zip(*((part.indices, part.dims, part.samples) for part in parts), strict=True)
    return BarIndices(torch.cat(indices), torch.cat(dims), torch.cat(samples))


def check_dims(dims: object, filtration: Filtration) -> tuple[int, ...]:
    if type(dims) is int and dims == 0:  # which every filtration has
        return (0,)
    kind = "an int, or a tuple or list of ints such as (0, 1)"
    wanted = check_integers("dims", dims, what=kind, remedy="0 stands for components")
    if not wanted:
        raise TypeError(f"dims: expected {kind}, got {dims!r}; 0 stands for components")
    if len(set(wanted)) < len(wanted):
        raise ValueError(f"dims: expected different dimensions, got {dims!r}; name each once")
    top = filtration.top_dimension
    if min(wanted) < 0 or (top is not None and max(wanted) > top):
        more_axes = ", or say by ndim=3 that it is a volume" if isinstance(filtration.cells, Grid) and top != 2 else ""
        span = "dimensions >= 0" if top is None else f"dimensions from 0 to {top}" if top else "dimension 0"
        raise ValueError(
            f"dims: expected {span}, the only bars that {filtration!r} has, got {dims!r}; leave out "
            f"the others{more_axes}"
        )
    return wanted


def _check_pairs(pairs: object, filtration: Filtration, dims: tuple[int, ...], backend: str) -> None:
    """Refuses indices that must not be gathered from."""
    if not isinstance(pairs, IndexPairs):
        raise TypeError(f"backend: {backend!r} was expected to return IndexPairs, got {type(pairs).__name__}")
    for kind, bars in (("finite", pairs.finite), ("essential", pairs.essential)):
        if bool((bars.indices < 0).any() or (bars.indices >= filtration.numbers.numel()).any()):
            raise ValueError(
                f"backend: {backend!r} returned {kind} bars with an index outside filtration.values, "
                f"which has {filtration.numbers.numel()} entries"
            )
        offsets = filtration.offsets.to(bars.indices.device)
        sample = torch.searchsorted(offsets, bars.indices.contiguous(), right=True) - 1
        if bool((sample != bars.samples.reshape(-1, *[1] * (bars.indices.ndim - 1))).any()):
            raise ValueError(f"backend: {backend!r} returned {kind} bars whose indices are not of their sample")
        if not set(bars.dims.tolist()) <= set(dims):
            raise ValueError(f"backend: {backend!r} returned {kind} bars in dimensions that were not requested, {dims}")


def _canonical(pairs: IndexPairs, filtration: Filtration) -> IndexPairs:
    """Drops bars of length zero and orders the others by sample, dimension, death, birth in filtration order."""
    keys = _keys(filtration)
    finite, essential = (bars.map(lambda tensor: tensor.to(keys.device)) for bars in (pairs.finite, pairs.essential))
    birth, death = finite.indices.unbind(1)
    order = lexsort([finite.samples, finite.dims, keys[death], death, keys[birth], birth])
    order = order[(keys[birth] != keys[death])[order]]
    return IndexPairs(finite.map(lambda tensor: tensor[order]), _by_birth(essential, keys), canonical=True)


def _keys(filtration: Filtration) -> Tensor:
    values = filtration.values.flatten()
    return -values if filtration.superlevel else values


def _by_birth(essential: BarIndices, keys: Tensor) -> BarIndices:
    born = essential.indices
    order = lexsort([essential.samples, essential.dims, keys[born], born])
    return essential.map(lambda tensor: tensor[order])


def inside(pairs: IndexPairs, unmasked: Filtration, mask: Tensor) -> IndexPairs:
    """The bars of a masked filtration, from those of `outside_last`: a bar that dies outside never dies.

    No bar is born outside: all of the outside enters at one value, at the end, and then the whole grid is filled.
    """
    finite, essential = (bars.map(lambda tensor: tensor.to(mask.device)) for bars in (pairs.finite, pairs.essential))
    dies = mask.flatten()[finite.indices[:, 1]]
    kept, never = dies.nonzero()[:, 0], (~dies).nonzero()[:, 0]
    every = BarIndices(
        torch.cat([essential.indices, finite.indices[never, 0]]),
        torch.cat([essential.dims, finite.dims[never]]),
        torch.cat([essential.samples, finite.samples[never]]),
    )
    return IndexPairs(finite.map(lambda tensor: tensor[kept]), _by_birth(every, _keys(unmasked)), canonical=True)


def gather(indices: Tensors, filtration: Filtration, dims: tuple[int, ...]) -> Barcode:
    values = filtration.numbers.flatten()
    if indices[0].device != values.device:
        indices = tuple(tensor.to(values.device) for tensor in indices)
    cells = filtration.cells
    return gathered(
        values,
        indices,
        computed_dims=dims,
        batch_shape=filtration.batch_shape,
        grid_shape=cells.shape if isinstance(cells, Grid) else None,
        superlevel=filtration.superlevel,
        input_dtype=filtration.input_dtype,
    )
