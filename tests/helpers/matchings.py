"""A slow, obvious reference of induced matchings, from their definition and independent of the library.

The image of the homology of one filtration in that of another has bars too: reduce the boundary matrix with its rows in
the order of the first and its columns in that of the second, and every column that is left pairs a birth in the first
with a death in the second. Two bars are matched through the one of the comparison that both images share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from .reference import Cell, Pair, ranks

Name = object
Order = Callable[[Sequence[float]], list[Cell]]  # values to the cells in the order in which they enter


def image_pairs(first: Sequence[Cell], second: Sequence[Cell]) -> list[tuple[Name, Name]]:
    """The names of the cells at which bars of the image of `first` in `second` are born and die, of every dimension."""
    place = {cell.name: i for i, cell in enumerate(first)}
    reduced: dict[int, set[int]] = {}  # lowest entry -> column
    pairs = []
    for cell in second:
        column = {place[face] for face in cell.faces}
        while column and max(column) in reduced:
            column = column ^ reduced[max(column)]
        if column:
            reduced[max(column)] = column
            pairs.append((first[max(column)].name, cell.name))
    return pairs


@dataclass(frozen=True)
class _Filtered:
    """The cells of one function in their order."""

    cells: list[Cell]
    values: Sequence[float]
    sign: int

    def value(self, name: Name) -> float:
        return self.sign * self.values[self.index[name]]

    @cached_property
    def index(self) -> dict[Name, int]:
        return {cell.name: cell.index for cell in self.cells}

    def bars(self, end: int) -> dict[Name, Pair]:
        """By the cell at which they are born, 0, or die, 1."""
        dim, index = {cell.name: cell.dim for cell in self.cells}, self.index
        pairs = image_pairs(self.cells, self.cells)
        return {
            pair[end]: (dim[pair[0]], index[pair[0]], index[pair[1]])
            for pair in pairs
            if self.value(pair[0]) != self.value(pair[1])
        }


def compared(first: Sequence[float], second: Sequence[float], union: bool, superlevel: bool) -> list[float]:
    """Of the sublevel sets of both, or the superlevel sets, the union or the intersection."""
    return [(max if union == superlevel else min)(pair) for pair in zip(first, second, strict=True)]


def induced_matching(
    order: Order, first: Sequence[float], second: Sequence[float], *, union: bool = True, superlevel: bool = False
) -> list[tuple[Pair, Pair]]:
    """The matched bars of both, (dimension, birth index, death index), sorted."""
    sign = -1 if superlevel else 1
    comparison = compared(first, second, union, superlevel)
    one, two, both = (_Filtered(order(values), values, sign) for values in (first, second, comparison))
    via: list[dict[Name, Pair]] = []  # the bars by the cell at which a bar of the comparison begins or ends
    for side in (one, two):
        lower, upper = (side, both) if union else (both, side)
        images = [p for p in image_pairs(lower.cells, upper.cells) if lower.value(p[0]) < upper.value(p[1])]
        shared, own = (1, 0) if union else (0, 1)
        bars = side.bars(own)
        via.append({pair[shared]: bars[pair[own]] for pair in images if pair[own] in bars})
    bars_of_both = both.bars(1 if union else 0)
    return sorted((via[0][cell], via[1][cell]) for cell in bars_of_both if cell in via[0] and cell in via[1])


def matched_indices(bars: Sequence[Pair], values: Sequence[float], superlevel: bool) -> dict[Pair, int]:
    """Where each bar stands in a `Barcode` of one sample."""
    place = ranks(values, superlevel)
    ordered = sorted(bars, key=lambda bar: (bar[0], place[bar[2]], place[bar[1]]))
    return {bar: number for number, bar in enumerate(ordered)}
