"""Bars by length: the place of each one in its group, and the longest of each group.

A group is the bars of one sample and dimension. Bars come group by group, and within a group in the order of deaths.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from topolayer._per_sample import lexsort, rows
from topolayer._tracing import below_transforms, transforms_are_active, writes_a_graph


def places(lengths: Tensor, births: Tensor, pairs: Tensor, group: Tensor, groups: int, superlevel: bool) -> Tensor:
    """(bars,) int64: place by length within the group; of equal lengths the earlier birth comes first, then death."""
    if writes_a_graph():  # without tangents, which the operation cannot carry in torch 2.4
        bars = lengths.detach(), births.detach(), pairs, group
        place_in_graph: Tensor = _places_op(*bars, groups, superlevel)
        return place_in_graph
    row, mask = rows(lengths, group, groups, fill=0)  # no bar has length 0
    descending, order = row.sort(dim=1, descending=True)
    place = torch.arange(row.shape[1], device=row.device).expand_as(row)
    if not bool(((descending[:, 1:] == descending[:, :-1]) & mask[:, 1:]).any()):
        return torch.empty_like(order).scatter_(1, order, place)[mask]
    # The sort is stable, and bars of a group are in the order of deaths already.
    order = lexsort([group, -lengths, -births if superlevel else births, pairs[:, 0]])
    return torch.empty_like(order).index_copy_(0, order, place[mask])


def first_places(
    lengths: Tensor, births: Tensor, pairs: Tensor, group: Tensor, first: Tensor, superlevel: bool
) -> Tensor:
    """(bars,) bool: the `first[i]` longest bars of each group i, none below 1: those whose `places` are less."""
    if transforms_are_active() and not torch.compiler.is_compiling():
        return below_transforms(partial(first_places, superlevel=superlevel), lengths, births, pairs, group, first)
    if writes_a_graph():
        bars = lengths.detach(), births.detach(), pairs, group
        first_in_graph: Tensor = _first_places_op(*bars, first, superlevel)
        return first_in_graph
    if lengths.device.type == "cpu":
        longest = _longest(lengths.numpy(), group.numpy(), first.numpy())
        if longest is not None:
            return torch.from_numpy(longest)
    return places(lengths, births, pairs, group, len(first), superlevel) < first[group]


def _longest(lengths: NDArray[Any], group: NDArray[np.int64], first: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    """`first_places` without a sort of all bars; None if equal lengths leave a choice."""
    sizes = np.bincount(group, minlength=len(first))
    numbers = np.minimum(np.maximum(first, 0), sizes)
    longest = np.zeros(len(lengths), dtype=bool)
    start = 0
    for size, wanted in zip(sizes.tolist(), numbers.tolist(), strict=True):
        if wanted > 0:
            bars = lengths[start : start + size]
            shortest = np.partition(bars, size - wanted)[size - wanted]
            np.greater_equal(bars, shortest, out=longest[start : start + size])
        start += size
    return longest if np.count_nonzero(longest) == numbers.sum() else None


# For torch.compile each is one operation: what happens inside depends on the numbers, and cannot be traced.
_BARS = "Tensor lengths, Tensor births, Tensor pairs, Tensor group"
_places_op = torch.library.custom_op(
    "topolayer::places", places, mutates_args=(), schema=f"({_BARS}, SymInt groups, bool superlevel) -> Tensor"
)
_first_places_op = torch.library.custom_op(
    "topolayer::first_places",
    first_places,
    mutates_args=(),
    schema=f"({_BARS}, Tensor first, bool superlevel) -> Tensor",
)


@_places_op.register_fake
def _(lengths: Tensor, births: Tensor, pairs: Tensor, group: Tensor, *options: object) -> Tensor:
    return torch.empty_like(group)


@_first_places_op.register_fake
def _(lengths: Tensor, births: Tensor, pairs: Tensor, group: Tensor, *options: object) -> Tensor:
    return torch.empty_like(group, dtype=torch.bool)
