"""Entries of samples, or of any other groups: counted, added up, compared, laid out in rows. One spelling of each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # by their bytes
_MANY = 2**15  # from here on torch sorts integers on the CPU by their digits, five to eight times as fast as floats


def lexsort(keys: Sequence[Tensor]) -> Tensor:
    """Stable order by the first key, ties by the second, and so on: (n,) tensors -> (n,) int64."""
    *others, last = keys
    order = _argsort(last)
    for key in reversed(others):
        order = order.index_select(0, _argsort(key.index_select(0, order)))
    return order


def _argsort(key: Tensor) -> Tensor:
    if len(key) >= _MANY and key.is_floating_point():
        bits = key.detach().add(0.0).view(_INTEGERS[key.itemsize])  # 0.0 for -0.0, which is equal
        # The bits of negative floats ascend downwards. As in torch.sort, NaN comes last.
        largest = torch.iinfo(bits.dtype).max
        key = torch.where(key.isnan(), largest, bits ^ (bits >> (8 * key.itemsize - 1) & largest))
    return key.argsort(stable=True)


def counts(group: Tensor, groups: int) -> Tensor:
    """(groups,) int64: how many bars each group has. Not torch.bincount, which waits for an accelerator."""
    return group.new_zeros(groups).index_add(0, group, torch.ones_like(group))


def sums(terms: Tensor, group: Tensor, groups: int) -> Tensor:
    """(groups, ...) the sum of the terms (n, ...) of each group."""
    return terms.new_zeros(groups, *terms.shape[1:]).index_add(0, group, terms)


def largest(terms: Tensor, group: Tensor, groups: int) -> Tensor:
    """(groups,) the largest term of each group, 0 if it has none above."""
    return terms.new_zeros(groups).scatter_reduce(0, group, terms, "amax")


def rows(terms: Tensor, group: Tensor, groups: int, *, fill: float) -> tuple[Tensor, Tensor]:
    """One row per group, (groups, widest): the terms, and a bool tensor, true where there is a bar."""
    sizes = counts(group, groups)
    width = int(sizes.max()) if groups else 0
    mask = torch.arange(width, device=terms.device) < sizes[:, None]
    return terms.new_full((groups, width), fill).masked_scatter(mask, terms), mask
