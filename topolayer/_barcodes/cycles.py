"""Cycles that bars stand for, by reduction of a boundary matrix over Z/2: any dimension of any complex, one sample."""

from __future__ import annotations

import math
from collections import defaultdict
from heapq import heapify, heappop, heappush
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from topolayer._filtrations.cells import Grid, SimplexComplex, VertexComplex
from topolayer._filtrations.simplices import face_lattice

_MOST_CELLS = 2**22
Array = Any  # of NumPy
Pair = tuple[int, int]  # entries of the values


class Level(NamedTuple):
    """The cells of one dimension, in the order in which they enter (contract 2)."""

    entries: Array  # (m,) with which entry of the values each enters
    named: Array  # (m, w) the entries that it is shown by: its vertices, or the one that it enters with
    facets: Array  # (m, f) their places in the level below, ascending


def check_size(cells: Grid | VertexComplex | SimplexComplex) -> None:
    """Refuses samples whose reduction would take minutes and gigabytes."""
    if isinstance(cells, Grid):
        count = math.prod(cells.shape) * (26 if cells.connectivity == "F" else 8)  # each voxel brings so many
        remedy = "torch.nn.functional.avg_pool3d, or a part of the volume, has fewer voxels"
    else:
        faces = 1 if isinstance(cells, SimplexComplex) else 2
        count = sum(len(rows) * faces ** rows.shape[1] for rows in cells.simplices)
        remedy = "a part of the complex has fewer"
    if count > _MOST_CELLS:
        raise ValueError(
            f"filtration: expected at most {_MOST_CELLS} cells where bars stand for cycles, got up to {count}; {remedy}"
        )


def levels(cells: Grid | VertexComplex | SimplexComplex, ranks: Array, top: int) -> list[Level]:
    """Those from 0 to `top`, as far as there are any. Ranks are of the entries."""
    flat = ranks.ravel()
    given: list[tuple[Array, Array, Array]]
    if isinstance(cells, SimplexComplex):
        sizes = [len(rows) for rows in cells.simplices]
        own = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
        given = [(of_dim, of_dim[:, None], facets) for of_dim, facets in zip(own, [None, *cells.facets], strict=True)]
    elif isinstance(cells, Grid) and cells.connectivity != "F":
        given = _cubes(cells, flat)
    else:
        simplices, facets_of = face_lattice(cells.maximal_simplices(), vertices=len(flat))
        last = [rows[np.arange(len(rows)), flat[rows].argmax(axis=1)] for rows in simplices]
        given = list(zip(last, simplices, facets_of, strict=True))
    found: list[Level] = []
    places: Array = None
    for entries, named, facets in given[: top + 1]:
        order = flat[entries].argsort(kind="stable")
        below = np.empty((len(order), 0), np.int64) if places is None else np.sort(places[facets[order]], axis=1)
        found.append(Level(entries[order], named[order], below))
        places = np.empty_like(order)
        places[order] = np.arange(len(order))
    return found


def _cubes(grid: Grid, ranks: Array) -> list[tuple[Array, Array, Array]]:
    """The cells of a cubical complex, in C order: entries, what they are shown by, facets.

    A cell has coordinates in a grid that is twice as fine. The odd ones are those along which it extends.
    """
    by_vertices = grid.connectivity == "V"
    shape = [2 * size - 1 if by_vertices else 2 * size + 1 for size in grid.shape]
    strides = np.array([math.prod(shape[axis + 1 :]) for axis in range(len(shape))], dtype=np.int64)
    coordinates = np.indices(shape).reshape(len(shape), -1)
    dimension = (coordinates % 2).sum(axis=0)
    number = np.empty_like(dimension)  # among the cells of its dimension
    found = []
    for dim in range(len(shape) + 1):
        at = (dimension == dim).nonzero()[0]
        number[at] = np.arange(len(at))
        own = coordinates[:, at]
        # Its vertices, or the pixels that it is a face of: two along each axis, which may be the same one.
        either = [
            [((own[axis] + step) // 2).clip(0, size - 1) for step in ((0, 1) if by_vertices else (-1, 0))]
            for axis, size in enumerate(grid.shape)
        ]
        pixels = np.stack([np.ravel_multi_index(one, grid.shape) for one in product(*either)], axis=1)
        place = ranks[pixels].argmax(axis=1) if by_vertices else ranks[pixels].argmin(axis=1)
        entries = pixels[np.arange(len(at)), place]
        steps = strides[(own.T % 2).nonzero()[1]].reshape(len(at), dim)
        facets = number[np.concatenate([at[:, None] - steps, at[:, None] + steps], axis=1)] if dim else None
        found.append((entries, pixels if by_vertices else entries[:, None], facets))
    return found


def cycles(complex_: list[Level], dim: int, wanted: set[Pair]) -> dict[Pair, list[Array]]:
    """The cycles of the bars of a dimension with these births and deaths: places of cells in their level.

    The cell with which a bar dies bounds, with earlier ones, a cycle whose last cell is the one that the bar is born
    with. This is the reduced column of the cell. It is no boundary before, or the last cell would have been paired.
    """
    born, dying = complex_[dim], complex_[dim + 1]
    columns = dying.facets.tolist()
    idle = _paired_at_once(complex_[dim + 2]) if dim + 2 < len(complex_) else []
    skipped = np.zeros(len(columns), dtype=bool)
    skipped[idle] = True  # it gives birth, so its column is reduced to nothing
    deaths = {death for _, death in wanted}
    final = np.isin(dying.entries, list(deaths)).nonzero()[0]
    last = int(final[-1]) if len(final) else -1
    owner = [-1] * len(born.entries)  # of a row: the column that ends in it
    for column in (~skipped[: last + 1]).nonzero()[0].tolist():
        rows = columns[column]
        if owner[rows[-1]] < 0:  # most columns are as they should be
            owner[rows[-1]] = column
            continue
        left = [-row for row in rows]
        heapify(left)
        while (row := _pop(left)) >= 0:
            if owner[row] < 0:
                owner[row] = column
                rest = [row]
                while (row := _pop(left)) >= 0:
                    rest.append(row)
                columns[column] = rest[::-1]
                break
            for other in columns[owner[row]][:-1]:
                heappush(left, -other)
    found = defaultdict(list)
    for column in final.tolist():
        row = columns[column][-1]
        if owner[row] == column:
            found[int(born.entries[row]), int(dying.entries[column])].append(np.array(columns[column]))
    return found


def _paired_at_once(level: Level) -> Array:
    """The facets of cells that kill their last facet, as it has no earlier coface."""
    first = np.full(int(level.facets.max(initial=-1)) + 1, len(level.facets))
    np.minimum.at(first, level.facets.ravel(), np.arange(len(level.facets)).repeat(level.facets.shape[1]))
    latest = level.facets[:, -1]
    return latest[first[latest] == np.arange(len(level.facets))]


def _pop(left: list[int]) -> int:
    """Takes the largest row out of a heap of negative rows, of which two equal ones cancel; -1 if none is left."""
    while left:
        row = heappop(left)
        if left and left[0] == row:
            heappop(left)
        else:
            return -row
    return -1
