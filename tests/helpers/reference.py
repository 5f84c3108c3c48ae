"""A slow, obvious reference, written from the definitions and independent of the library.

A filtration is a list of `Cell`s in the order in which they enter. Two methods compute its bars:

* `reduce`: the boundary matrix over Z/2, column by column, in every dimension;
* `union_find`: dimension 0 from a list of vertices and edges, by sorting and uniting.

A bar is a pair of *indices* into the flattened filtration values of one sample. A bar whose birth and death have
equal values is dropped. Nothing here is meant to be fast, and nothing uses torch or numpy.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Values = Sequence[float]
Shape = Sequence[int]
Pair = tuple[int, int, int]  # dimension, birth index, death index
Point = tuple[int, int]  # dimension, birth index


@dataclass(frozen=True)
class Bars:
    """Bars of one sample: a sorted list of finite ones (with repetitions) and one of essential ones."""

    finite: tuple[Pair, ...]
    essential: tuple[Point, ...]

    def restrict(self, dims: Iterable[int]) -> Bars:
        dims = set(dims)
        return Bars(
            tuple(bar for bar in self.finite if bar[0] in dims),
            tuple(bar for bar in self.essential if bar[0] in dims),
        )


@dataclass(frozen=True)
class Cell:
    name: object  # unique
    dim: int
    faces: tuple[object, ...]  # names of the faces of one dimension less
    index: int  # the entry of the filtration values at which the cell enters


# ---------------------------------------------------------------------------------------------------------------
# The total order


def positions_in_order(values: Values, superlevel: bool = False) -> list[int]:
    """Positions sorted by (value, position), or by (-value, position). -0.0 and +0.0 are equal."""
    return sorted(range(len(values)), key=lambda i: (-values[i] if superlevel else values[i], i))


def ranks(values: Values, superlevel: bool = False) -> list[int]:
    """The place of every entry in that order."""
    result = [0] * len(values)
    for place, i in enumerate(positions_in_order(values, superlevel)):
        result[i] = place
    return result


# ---------------------------------------------------------------------------------------------------------------
# Complexes: every function returns the cells in the order in which they enter


def _flat(point: Sequence[int], shape: Shape) -> int:
    index = 0
    for coordinate, side in zip(point, shape, strict=True):
        index = index * side + coordinate
    return index


def _grid_points(shape: Shape) -> Iterable[tuple[int, ...]]:
    return itertools.product(*(range(side) for side in shape))


Inside = Sequence[bool]  # which entries of the values ever enter


def _enter(
    cells: list[tuple[object, int, tuple[object, ...], Iterable[int]]],
    values: Values,
    superlevel: bool,
    last: bool,
    inside: Inside | None = None,
) -> list[Cell]:
    """Give every cell the last (lower star) or the first (upper star) of its entries, and sort by (it, dimension).

    With only some entries inside, a cell is there if all of its entries (lower star) or any of them (upper star) are.
    """
    if inside is not None:
        values = [value if enters else 0.0 for value, enters in zip(values, inside, strict=True)]
        there = [(*cell, [i for i in entries if inside[i]], len(list(entries))) for *cell, entries in cells]
        cells = [(*cell, some) for *cell, some, count in there if some and (len(some) == count or not last)]
    order = ranks(values, superlevel)
    chosen = [
        Cell(name, dim, faces, (max if last else min)(entries, key=order.__getitem__))
        for name, dim, faces, entries in cells
    ]
    return sorted(chosen, key=lambda cell: (order[cell.index], cell.dim))


def _simplicial(
    simplices: Iterable[tuple[int, ...]], values: Values, superlevel: bool, inside: Inside | None = None
) -> list[Cell]:
    """The lower star filtration of the closure of `simplices`, given as tuples of vertices."""
    closure: set[tuple[int, ...]] = set()
    for simplex in simplices:
        vertices = tuple(sorted(set(simplex)))
        for size in range(1, len(vertices) + 1):
            closure.update(itertools.combinations(vertices, size))
    cells = [
        (simplex, len(simplex) - 1, _faces(simplex), simplex) for simplex in sorted(closure, key=lambda s: (len(s), s))
    ]
    return _enter(cells, values, superlevel, last=True, inside=inside)


def _faces(simplex: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    if len(simplex) == 1:
        return ()
    return tuple(simplex[:i] + simplex[i + 1 :] for i in range(len(simplex)))


def freudenthal(values: Values, shape: Shape, superlevel: bool = False, inside: Inside | None = None) -> list[Cell]:
    """Each unit cube is cut along the chains of subsets of its axes, from its first corner to its last."""
    corners = list(itertools.product((0, 1), repeat=len(shape)))
    chains = [
        chain
        for size in range(1, len(shape) + 2)
        for chain in itertools.combinations(corners, size)
        if all(all(a <= b for a, b in zip(low, high, strict=True)) for low, high in itertools.pairwise(chain))
    ]
    simplices = []
    for base in _grid_points(shape):
        for chain in chains:
            points = [tuple(b + c for b, c in zip(base, corner, strict=True)) for corner in chain]
            if all(x < side for point in points for x, side in zip(point, shape, strict=True)):
                simplices.append(tuple(_flat(point, shape) for point in points))
    return _simplicial(simplices, values, superlevel, inside)


def cubical_v(values: Values, shape: Shape, superlevel: bool = False, inside: Inside | None = None) -> list[Cell]:
    """Pixels are vertices, at even coordinates of a doubled grid. A cell is an interval along its odd axes."""
    cells = []
    for point in _grid_points([2 * side - 1 for side in shape]):
        ends = [((x - 1) // 2, (x + 1) // 2) if x % 2 else (x // 2,) for x in point]
        cells.append(
            (point, sum(x % 2 for x in point), _box_faces(point), [_flat(v, shape) for v in itertools.product(*ends)])
        )
    return _enter(cells, values, superlevel, last=True, inside=inside)


def cubical_t(values: Values, shape: Shape, superlevel: bool = False, inside: Inside | None = None) -> list[Cell]:
    """Pixels are top cells, at odd coordinates of a doubled grid. A cell enters with the first pixel it touches."""
    cells = []
    for point in _grid_points([2 * side + 1 for side in shape]):
        touched = [
            ((x - 1) // 2,) if x % 2 else tuple(i for i in (x // 2 - 1, x // 2) if 0 <= i < side)
            for x, side in zip(point, shape, strict=True)
        ]
        cells.append(
            (
                point,
                sum(x % 2 for x in point),
                _box_faces(point),
                [_flat(v, shape) for v in itertools.product(*touched)],
            )
        )
    return _enter(cells, values, superlevel, last=False, inside=inside)


def _box_faces(point: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    return tuple(
        (*point[:axis], x + step, *point[axis + 1 :]) for axis, x in enumerate(point) if x % 2 for step in (-1, 1)
    )


def lower_star(values: Values, simplices: Iterable[Sequence[int]], superlevel: bool = False) -> list[Cell]:
    """Every vertex is there, whether a simplex names it or not."""
    everything = [(v,) for v in range(len(values))] + [tuple(simplex) for simplex in simplices]
    return _simplicial(everything, values, superlevel)


def rips(matrix: Sequence[Values], threshold: float = math.inf, top: int = 2) -> list[Cell]:
    """All cliques up to dimension `top` of edges not longer than the threshold.

    Vertex i enters at the entry (i, i); an edge at (i, j), i < j; anything else with its last edge.
    """
    n = len(matrix)
    edges = sorted(
        ((i, j) for i in range(n) for j in range(i + 1, n) if matrix[i][j] <= threshold),
        key=lambda edge: (matrix[edge[0]][edge[1]], edge),
    )
    place = {edge: number for number, edge in enumerate(edges)}
    cells = [Cell((i,), 0, (), i * n + i) for i in range(n)]
    later = []
    for size in range(2, top + 2):
        for clique in itertools.combinations(range(n), size):
            inside = list(itertools.combinations(clique, 2))
            if all(edge in place for edge in inside):
                last = max(inside, key=place.__getitem__)
                later.append((place[last], size, Cell(clique, size - 1, _faces(clique), last[0] * n + last[1])))
    later.sort(key=lambda entry: entry[:2])
    return cells + [cell for _, _, cell in later]


def alpha(simplices: Sequence[Sequence[int]], values: Values) -> list[Cell]:
    """A complex that is given whole, with the value of every simplex; it enters by (value, dimension, position)."""
    cells = [
        Cell(tuple(sorted(simplex)), len(simplex) - 1, _faces(tuple(sorted(simplex))), position)
        for position, simplex in enumerate(simplices)
    ]
    return sorted(cells, key=lambda cell: (values[cell.index], cell.dim, cell.index))


# ---------------------------------------------------------------------------------------------------------------
# Two ways from cells to bars


def reduce(cells: Sequence[Cell], value: Sequence[float] | dict[int, float]) -> Bars:
    """The standard reduction of the boundary matrix over Z/2. `value` gives the value of an index."""
    number = {cell.name: i for i, cell in enumerate(cells)}
    assert len(number) == len(cells), "two cells have one name"
    reduced: dict[int, set[int]] = {}  # lowest entry -> column
    births: set[int] = set()
    finite: list[Pair] = []
    for j, cell in enumerate(cells):
        column = {number[face] for face in cell.faces}
        assert all(i < j for i in column), "a cell enters before its face"
        while column and max(column) in reduced:
            column = column ^ reduced[max(column)]
        if column:
            low = max(column)
            reduced[low] = column
            births.discard(low)
            birth, death = cells[low].index, cell.index
            if value[birth] != value[death]:
                finite.append((cells[low].dim, birth, death))
        else:
            births.add(j)
    essential = [(cells[i].dim, cells[i].index) for i in births]
    return Bars(tuple(sorted(finite)), tuple(sorted(essential)))


def union_find(
    vertices: Sequence[int], edges: Iterable[tuple[int, int, int]], value: Sequence[float] | dict[int, float]
) -> Bars:
    """Dimension 0. `vertices` in the order of entry; `edges` as (index, vertex, vertex), also in order."""
    age = {vertex: i for i, vertex in enumerate(vertices)}
    parent = {vertex: vertex for vertex in vertices}

    def root(vertex: int) -> int:
        while parent[vertex] != vertex:
            vertex = parent[vertex]
        return vertex

    finite = []
    for index, a, b in edges:
        old, young = sorted((root(a), root(b)), key=age.__getitem__)
        if old != young:
            parent[young] = old  # the younger component dies
            if value[young] != value[index]:
                finite.append((0, young, index))
    return Bars(tuple(sorted(finite)), tuple(sorted((0, v) for v in vertices if parent[v] == v)))


def neighbours(shape: Shape, connectivity: str) -> list[tuple[int, int]]:
    """Pairs of adjacent pixels. V: along one axis. T: along any. Freudenthal: along any, all in one direction."""
    result = []
    for step in itertools.product((-1, 0, 1), repeat=len(shape)):
        if step <= (0,) * len(shape):  # every pair once
            continue
        if connectivity == "V" and sum(map(abs, step)) > 1:
            continue
        if connectivity == "F" and min(step) < 0:
            continue
        for point in _grid_points(shape):
            other = tuple(x + s for x, s in zip(point, step, strict=True))
            if all(0 <= x < side for x, side in zip(other, shape, strict=True)):
                result.append((_flat(point, shape), _flat(other, shape)))
    return result


def components(values: Values, edges: Iterable[tuple[int, int]], superlevel: bool = False) -> Bars:
    """Dimension 0 of a graph with values at its vertices."""
    place = ranks(values, superlevel)
    ordered = sorted((max(edge, key=place.__getitem__), *edge) for edge in edges)
    ordered.sort(key=lambda edge: place[edge[0]])
    return union_find(positions_in_order(values, superlevel), ordered, values)


def rips_components(matrix: Sequence[Values], threshold: float = math.inf) -> Bars:
    """Dimension 0 of a distance matrix; vertices are named by their diagonal entries, and born at 0."""
    n = len(matrix)
    edges = sorted(
        (matrix[i][j], i * n + j, i * n + i, j * n + j)
        for i in range(n)
        for j in range(i + 1, n)
        if matrix[i][j] <= threshold
    )
    value = {i * n + j: matrix[i][j] if i != j else 0.0 for i in range(n) for j in range(n)}
    return union_find([i * n + i for i in range(n)], (edge[1:] for edge in edges), value)


# ---------------------------------------------------------------------------------------------------------------
# Squared radii of the alpha complex, from their definition


def circumsphere(points: Sequence[Sequence[float]]) -> tuple[list[float], float]:
    """Centre and squared radius of the smallest sphere through all of `points` (affinely independent)."""
    base = points[0]
    edges = [[x - b for x, b in zip(point, base, strict=True)] for point in points[1:]]
    gram = [[_dot(a, b) for b in edges] for a in edges]
    weights = _solve(gram, [_dot(a, a) / 2 for a in edges])
    offset = [sum(w * edge[axis] for w, edge in zip(weights, edges, strict=True)) for axis in range(len(base))]
    return [b + o for b, o in zip(base, offset, strict=True)], _dot(offset, offset)


def smallest_ball(points: Sequence[Sequence[float]], tolerance: float = 1e-9) -> float:
    """The squared radius of the smallest ball that holds all of `points`: the best circumsphere of a subset."""
    best = math.inf
    for size in range(1, min(len(points), len(points[0]) + 1) + 1):
        for subset in itertools.combinations(points, size):
            try:
                centre, radius = circumsphere(subset)
            except ZeroDivisionError:
                continue  # not in general position
            if radius < best and all(_distance2(centre, p) <= radius + tolerance for p in points):
                best = radius
    return best


def cech(points: Sequence[Sequence[float]]) -> tuple[list[Cell], list[float]]:
    """The Čech filtration by squared radii, up to the dimension of space: its bars are those of the alpha complex."""
    simplices = [
        simplex for size in range(1, len(points[0]) + 2) for simplex in itertools.combinations(range(len(points)), size)
    ]
    values = [smallest_ball([points[i] for i in simplex]) for simplex in simplices]
    position = {simplex: i for i, simplex in enumerate(simplices)}
    for i, simplex in enumerate(simplices):  # rounding may put a face a hair above its coface
        for face in _faces(simplex):
            values[i] = max(values[i], values[position[face]])
    return alpha(simplices, values), values


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def _distance2(a: Sequence[float], b: Sequence[float]) -> float:
    return math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def _solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Gaussian elimination with pivoting; ZeroDivisionError for a singular matrix."""
    n = len(right)
    rows = [[*row, r] for row, r in zip(matrix, right, strict=True)]
    for k in range(n):
        pivot = max(range(k, n), key=lambda i: abs(rows[i][k]))
        rows[k], rows[pivot] = rows[pivot], rows[k]
        if abs(rows[k][k]) < 1e-12:
            raise ZeroDivisionError
        for i in range(k + 1, n):
            factor = rows[i][k] / rows[k][k]
            rows[i] = [x - factor * y for x, y in zip(rows[i], rows[k], strict=True)]
    solution = [0.0] * n
    for k in reversed(range(n)):
        solution[k] = (rows[k][n] - _dot(rows[k][k + 1 : n], solution[k + 1 :])) / rows[k][k]
    return solution
