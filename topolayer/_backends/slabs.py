"""Pairs of a grid that is read slab by slab, as it does not fit into memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from topolayer import _core
from topolayer._backends.native import CONNECTIVITY, LARGEST_SAMPLE

Planes: TypeAlias = NDArray[Any]  # float32 or float64


class SlabBars(NamedTuple):
    """Bars of one dimension, in canonical order: flat indices into the whole, and the values there."""

    pairs: NDArray[np.int64]  # (bars, 2)
    values: NDArray[np.float64]
    essential: NDArray[np.int64]  # (bars,)
    essential_values: NDArray[np.float64]


def planes_of_slab(shape: tuple[int, ...]) -> int:
    """How many planes a slab may have: with one on both sides it is a sample of the core."""
    return LARGEST_SAMPLE // math.prod(shape[1:]) - 2


def bars_of_slabs(
    read: Callable[[int, int, Planes], None],
    *,
    shape: tuple[int, ...],
    dtype: type[np.float32 | np.float64],
    connectivity: Literal["F", "V", "T"],
    superlevel: bool,
    top: tuple[bool, ...],
    slab: int,
) -> list[SlabBars]:
    """The bars of dimension 0, or of the top dimension, for each entry of `top`. Every plane is read once.

    Args:
        read: `read(begin, end, planes)` writes these planes of the whole.
        shape: of the whole.
        dtype: to compute in.
        connectivity: as in `Grid`.
        superlevel: whether high values come first.
        top: for each result, whether it is of the top dimension.
        slab: how many planes are read at once.

    Raises:
        ValueError: a value is not finite.
    """
    make = _core.DoubleSlabs if dtype is np.float64 else _core.Slabs
    graphs = [make(shape, CONNECTIVITY[connectivity], superlevel, one) for one in top]
    depth, threads = shape[0], torch.get_num_threads()
    slab = min(slab, depth)
    kept = 0  # planes that were read before: the last one of the slab before, and the first of this one
    planes: Planes = np.empty((2 + slab, *shape[1:]), dtype)
    for begin in range(0, depth, slab):
        end = min(begin + slab, depth)
        planes[2 - kept : 2] = planes[2 + slab - kept : 2 + slab]
        here = planes[2 - kept : 2 + end - begin]
        read(begin, end, here[kept:])
        if len(here) > 1 or depth == 1:  # the last plane waits for the one behind it
            for graph in graphs:
                if not graph.add(here.reshape(-1), threads):
                    _refuse(here, begin - kept)
        kept = min(2, len(here))
    return [SlabBars(*graph.bars()) for graph in graphs]


def _refuse(planes: Planes, first: int) -> None:
    """Says where the first value is that is not finite."""
    place = np.unravel_index(np.isfinite(planes).argmin(), planes.shape)
    index = (first + int(place[0]), *map(int, place[1:]))
    raise ValueError(
        f"array: expected finite numbers, got {planes[place]} at index {index}; replace what is not finite, for "
        "instance with numpy.nan_to_num, in a copy of the file"
    )
