"""Extended persistence of a graph from the definition: the boundary matrix of the graph and its cone, reduced.

The apex is left out, so that every cell is in a pair. Written with lists, on its own; nothing here is meant to be fast.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .reference import ranks

ORDINARY, RELATIVE, EXTENDED = range(3)
Bar = tuple[int, int, int, int]  # dimension, kind, birth, death


def extended(values: Sequence[float], edges: Iterable[Sequence[int]], superlevel: bool = False) -> list[Bar]:
    """Sorted, with indices of vertices, without bars of length zero."""
    there, back = ranks(values, superlevel), ranks(values, not superlevel)
    graph = [frozenset([v]) for v in range(len(values))] + list({frozenset(edge) for edge in edges})

    def last(cell: frozenset[int], place: list[int]) -> int:
        return max(cell, key=lambda vertex: place[vertex])

    order = [
        (in_cone, cell)
        for in_cone, place in ((False, there), (True, back))
        for cell in sorted(graph, key=lambda cell: (place[last(cell, place)], len(cell), sorted(cell)))
    ]
    number = {cell: i for i, cell in enumerate(order)}
    reduced: dict[int, set[int]] = {}
    bars = []
    for in_cone, cell in order:
        boundary = {number[in_cone, cell - {vertex}] for vertex in cell if len(cell) > 1}
        if in_cone:
            boundary.add(number[False, cell])
        while boundary and max(boundary) in reduced:
            boundary ^= reduced[max(boundary)]
        if not boundary:
            continue
        reduced[max(boundary)] = boundary
        began_in_cone, began = order[max(boundary)]
        birth, death = last(began, back if began_in_cone else there), last(cell, back if in_cone else there)
        kind = RELATIVE if began_in_cone else EXTENDED if in_cone else ORDINARY
        if values[birth] != values[death]:
            bars.append((len(began) - 1 + began_in_cone, kind, birth, death))
    return sorted(bars)
