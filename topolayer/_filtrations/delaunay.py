"""Delaunay triangulations that are exact: of the points, or of points next to them where the points are degenerate."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay, QhullError

from topolayer._filtrations.insertion import by_insertion
from topolayer._filtrations.predicates import Cloud, Signs, have_sign, in_sphere, orientation, signs
from topolayer._filtrations.simplices import FaceLattice, Indices, Simplices, face_lattice
from topolayer._tracing import untraced

# Points lie in the unit cube. Coordinates that were moved are multiples of the grid's, so that differences are exact.
_MOVES = [2.0**-28, 2.0**-27]
_GRID = 2.0**-52
_SEVERAL_DIMENSIONS = 5  # below, no cloud of ordinary size has so many simplices
_MANY_DIMENSIONS = 8  # from here on those that there can be are counted, not those of random points
_MANY_SIMPLICES = 2**24


class Triangulation(NamedTuple):
    """A Delaunay complex of points that are near to given ones."""

    vertices: Indices  # which of the given points it has, in ascending order
    cloud: Cloud  # its points, (vertices, d)
    move: float  # how far a coordinate of these may be from that of the given point
    lattice: FaceLattice  # of positions in `vertices`


@untraced  # SciPy's classes are no code for a compiler
def delaunay(points: NDArray[np.float64], name: str = "points") -> Triangulation:
    """The Delaunay complex of (n, d) points in the unit cube, exact for the points that it has in the end.

    It has the first of several equal points. The points are moved where they are degenerate, with d + 2 on a sphere, or
    so near to one that Qhull, which rounds, is wrong. The moves depend only on their position among the distinct
    points.

    Raises ValueError where the points lie in a hyperplane, up to the rounding of doubles.
    """
    vertices = _distinct(points)
    points = points[vertices]
    count, dimension = points.shape
    cells: Simplices | None
    if dimension == 1 or count <= dimension:  # Qhull needs more
        if dimension > 1:
            _refuse_flat(points, name)
        cells = _on_a_line(points) if dimension == 1 else np.arange(count, dtype=np.int64)[None, :]
        return Triangulation(vertices, Cloud(points), 0.0, face_lattice([cells], vertices=count))
    for triangulate in (_by_qhull, by_insertion):  # Qhull fails as well where points are very close to one another
        for move in (0.0, *_MOVES):
            cloud = _moved(points, move)
            cells = triangulate(cloud)
            if cells is not None:
                lattice = face_lattice([cells], vertices=count)
                if _is_delaunay(cloud, lattice):
                    return Triangulation(vertices, cloud, move, lattice)
            _refuse_flat(points, name)
    raise ValueError(
        f"{name}: expected points that can be triangulated once they are moved a little, got {count} points in "
        f"R^{dimension} that cannot; add a little noise"
    )


def check_size(count: int, dimension: int, name: str = "points") -> None:
    """Refuses clouds that could not be computed in minutes, or in the memory of a large machine."""
    if dimension < _SEVERAL_DIMENSIONS:
        return
    maximal = most_maximal(count, dimension)
    if dimension < _MANY_DIMENSIONS:  # with each maximal simplex of random points come about so many faces
        simplices = min(maximal, count * maximal_per_point(dimension)) * 2 ** (dimension - 2)
    else:
        simplices = maximal * (2 ** min(count, dimension + 1) - 1)
    if simplices > _MANY_SIMPLICES:
        raise ValueError(
            f"{name}: expected few enough for a Delaunay triangulation in {dimension} dimensions, got {count}, which "
            f"may have {simplices:.0e} simplices; Rips.from_points(points) does without one, and a projection to fewer "
            f"dimensions makes it small"
        )


def most_maximal(count: int, dimension: int) -> int:
    """How many maximal simplices there can be: McMullen's upper bound, of the facets of the lifted points."""
    if count <= dimension + 1:
        return 1
    half = (dimension + 1) // 2
    other = dimension + 1 - half
    return math.comb(count - other, half) + math.comb(count - half - 1, other - 1)


def maximal_per_point(dimension: int) -> float:
    """How many there are for each of many random points: the mean of the Poisson-Delaunay triangulation."""
    square, gamma = dimension**2, math.gamma
    ratio = gamma(dimension / 2 + 1) / gamma((dimension + 1) / 2)
    volume = gamma((square + 1) / 2) / gamma(square / 2) * ratio**dimension
    return float(2 ** (dimension + 1) * math.pi ** ((dimension - 1) / 2) / (square * (dimension + 1)) * volume)


def _on_a_line(points: NDArray[np.float64]) -> Simplices:
    order = np.argsort(points[:, 0])
    return order[:, None] if len(points) == 1 else np.sort(np.stack([order[:-1], order[1:]], axis=1), axis=1)


def _by_qhull(cloud: Cloud) -> Simplices | None:
    try:
        triangulation = Delaunay(cloud.doubles)
    except QhullError:
        return None
    if len(triangulation.coplanar):  # points that are left out, as they are too close to another one
        return None
    return np.sort(triangulation.simplices.astype(np.int64), axis=1)


def _moved(points: NDArray[np.float64], move: float) -> Cloud:
    """Every coordinate moved by up to `move`, as its position says."""
    if move == 0:
        return Cloud(points)
    raw = np.random.PCG64(0).random_raw(points.size)  # the same in all versions of NumPy
    shift = ((raw >> 11) * 2.0**-52 - 1).reshape(points.shape)  # in [-1, 1)
    return Cloud(np.round((points + move * shift) / _GRID) * _GRID)


def _distinct(points: NDArray[np.float64]) -> Indices:
    """The first of each set of equal points."""
    order = np.lexsort(points.T)  # stable: equal points keep their order
    is_new = np.append(True, (points[order[1:]] != points[order[:-1]]).any(axis=1))
    return np.sort(order[is_new])


def _refuse_flat(points: NDArray[np.float64], name: str) -> None:
    """Raises ValueError if they lie in a hyperplane, and n <= d points if they lie in a plane of dimension n - 2."""
    count, dimension = points.shape
    if count == 1:
        return
    width = np.linalg.svd(points[1:] - points[0], compute_uv=False)[min(count - 1, dimension) - 1]
    if width <= 4 * np.sqrt(points.size) * np.finfo(np.float64).eps:
        raise ValueError(
            f"{name}: expected points in general position, got {count} points that lie in a hyperplane of "
            f"R^{dimension}; use fewer coordinates, or add a little noise"
        )


def _is_delaunay(cloud: Cloud, lattice: FaceLattice) -> bool:
    """Whether the cells are a Delaunay triangulation in general position.

    This follows from two tests. Each two neighbors lie on two sides of their facet, and each is outside the sphere of
    the other. On the boundary, which must be that of the convex hull, no two facets make a dent.
    """
    cells, facets = lattice.simplices[-1], lattice.facets[-1]
    turn = signs(orientation, cloud, cells)
    if not turn.all():
        return False
    width = cells.shape[1]
    places = facets.ravel()  # in cells, one after another
    first, last = (np.empty(len(lattice.simplices[-2]), np.int64) for _ in range(2))
    last[places] = np.arange(len(places))  # of equal indices the last one stays
    first[places[::-1]] = np.arange(len(places))[::-1]
    is_inner = first != last
    if 2 * is_inner.sum() + (~is_inner).sum() < len(places):  # a facet of three cells
        return False
    cell, place = np.divmod(np.arange(len(places)), width)
    one, other = first[is_inner], last[is_inner]
    towards = turn[cell] * (1 - 2 * (place % 2))  # of the side of the facet on which its cell lies
    if (towards[one] == towards[other]).any():
        return False
    opposite = cells[cell[other], place[other]]
    rows = np.concatenate([cells[cell[one]], opposite[:, None]], axis=1)
    if not have_sign(in_sphere, cloud, rows, turn[cell[one]], or_zero=False):
        return False
    outer = first[~is_inner]
    return _is_convex(cloud, cells, turn, cell[outer], place[outer])


def _is_convex(cloud: Cloud, cells: Simplices, turn: Signs, cell: Indices, place: Indices) -> bool:
    """Whether facets on the boundary, each by its cell and the place of the vertex that it lacks, have no dents."""
    width = cells.shape[1]
    boundary = cells[cell][place[:, None] != np.arange(width)].reshape(-1, width - 1)
    ridges = np.concatenate([np.delete(boundary, i, axis=1) for i in range(width - 1)])
    facet = np.tile(np.arange(len(boundary)), width - 1)
    lacking = boundary.T.ravel()
    order = np.lexsort(ridges.T)
    one, other = order[::2], order[1::2]
    if len(one) != len(other) or (ridges[one] != ridges[other]).any():
        return False
    of_one = cell[facet[one]]
    rows = cells[of_one]
    rows[np.arange(len(rows)), place[facet[one]]] = lacking[other]  # the other facet's last vertex is on the same side
    return have_sign(orientation, cloud, rows, turn[of_one], or_zero=True)
