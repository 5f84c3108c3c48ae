"""From a filtration to its barcode, through a backend."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from topolayer._backends import Backend, IndexPairs, choose_backend
from topolayer._barcode import Barcode, EssentialBars, lexsort
from topolayer._filtrations import Filtration


def persistence(
    filtration: Filtration, dims: int | tuple[int, ...] = 0, *, backend: str | Backend | None = None
) -> Barcode:
    """Persistent homology, with coefficients in Z/2, as a differentiable barcode.

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
            is unknown or cannot do it.

    Example:
        >>> import torch, topolayer as tl
        >>> signal = torch.tensor([0.0, 3.0, 1.0, 2.0], requires_grad=True)
        >>> barcode = tl.persistence(tl.Freudenthal(signal, ndim=1, superlevel=True))
        >>> barcode.births, barcode.deaths
        (tensor([2.], grad_fn=<IndexSelectBackward0>), tensor([1.], grad_fn=<IndexSelectBackward0>))
        >>> barcode.lengths.sum().backward()
        >>> signal.grad
        tensor([ 0.,  0., -1.,  1.])
    """
    if not isinstance(filtration, Filtration):
        raise TypeError(
            "filtration: expected a Freudenthal, Cubical, LowerStar, Rips or Alpha filtration, "
            f"got {type(filtration).__name__}; wrap the tensor in one of them"
        )
    wanted = _check_dims(dims, filtration)
    chosen = choose_backend(backend, filtration, wanted)
    detached = filtration.detach()
    with torch.no_grad():
        if filtration.samples == 0:
            pairs = _no_pairs()
        else:
            if not getattr(chosen, "checks_finite", False):
                detached.check_finite()
            pairs = chosen.pairs(detached, wanted)
        if not (isinstance(pairs, IndexPairs) and pairs.canonical):
            _check_pairs(pairs, detached, wanted, chosen.name)
            pairs = _canonical(pairs, detached)
    return _gather(pairs, filtration, wanted)


def _check_dims(dims: object, filtration: Filtration) -> tuple[int, ...]:
    wanted = dims if isinstance(dims, tuple) else (dims,)
    if not wanted or any(isinstance(dim, bool) or not isinstance(dim, int) for dim in wanted):
        raise TypeError(f"dims: expected an int or a tuple of ints, got {dims!r}")
    if len(set(wanted)) < len(wanted):
        raise ValueError(f"dims: expected different dimensions, got {dims!r}")
    top = filtration.top_dimension
    if min(wanted) < 0 or (top is not None and max(wanted) > top):
        span = "dimensions >= 0" if top is None else f"dimensions from 0 to {top}" if top else "dimension 0"
        raise ValueError(f"dims: {filtration!r} has bars in {span} only, got {dims!r}")
    return wanted


def _no_pairs() -> IndexPairs:
    none = torch.empty(0, dtype=torch.int64)
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
    grid_shape = getattr(filtration, "grid_shape", None)

    def here(indices: Tensor) -> Tensor:
        return indices.to(values.device)

    essential = EssentialBars(
        births=values.index_select(0, here(pairs.essential)),
        dims=here(pairs.essential_dims),
        sample=here(pairs.essential_samples),
        computed_dims=dims,
        batch_shape=filtration.batch_shape,
        grid_shape=grid_shape,
        indices=here(pairs.essential),
    )
    finite = here(pairs.finite)
    return Barcode(
        births=values.index_select(0, finite[:, 0]),
        deaths=values.index_select(0, finite[:, 1]),
        dims=here(pairs.finite_dims),
        sample=here(pairs.finite_samples),
        computed_dims=dims,
        batch_shape=filtration.batch_shape,
        grid_shape=grid_shape,
        pairs=finite,
        essential=essential,
        superlevel=filtration.superlevel,
    )
