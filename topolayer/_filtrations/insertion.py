"""Delaunay triangulations by inserting one point after another: exact, and slow."""

from __future__ import annotations

import numpy as np

from topolayer._filtrations.predicates import Array, Cloud, Signs, in_sphere, orientation, signs
from topolayer._filtrations.simplices import Indices, Simplices

_GHOST = -1  # a vertex outside everything: a facet of the hull makes a cell with it


def by_insertion(cloud: Cloud) -> Simplices | None:
    """The cells of the Delaunay triangulation of (n, d) distinct points, n > d; None if d + 2 lie on a sphere or plane.

    The algorithm of Bowyer (1981) and Watson (1981): the cells whose spheres hold the new point go, and the hole that
    they leave is filled with cells at the point. All spheres are looked at for each point, which is n**2 work in the
    plane.
    """
    first = _simplex(cloud.doubles)
    # Vertices of a cell are in the order in which it is oriented positively.
    if signs(orientation, cloud, first[None])[0] < 0:
        first[:2] = first[1::-1]
    cells = np.stack([first, *(_with_ghost(first, place) for place in range(len(first)))])
    for point in np.setdiff1d(np.arange(len(cloud.doubles)), first):
        side = _sides(cloud, cells, point)
        if not side.all():
            return None
        hit = cells[side < 0]
        new = hit.repeat(hit.shape[1], axis=0)
        place = np.tile(np.arange(hit.shape[1]), len(hit))
        new[np.arange(len(new)), place] = point
        _, index, count = np.unique(np.sort(new, axis=1), axis=0, return_index=True, return_counts=True)
        cells = np.concatenate([cells[side > 0], new[index[count == 1]]])  # a facet of two cells is inside the hole
    return np.sort(cells[(cells != _GHOST).all(axis=1)], axis=1)


def _simplex(points: Array) -> Indices:
    """Some d + 1 points, each as far as can be from the plane of those before."""
    chosen = [0]
    rest = points - points[0]
    for _ in range(points.shape[1]):
        chosen.append(int(np.square(rest).sum(axis=1).argmax()))
        axis = rest[chosen[-1]] / np.linalg.norm(rest[chosen[-1]])
        rest = rest - np.outer(rest @ axis, axis)
    return np.array(chosen)


def _with_ghost(cell: Indices, place: int) -> Indices:
    """The cell on the other side of a facet of a single cell."""
    ghost = cell.copy()
    ghost[place] = _GHOST
    one, other = np.delete(np.arange(len(cell)), place)[:2]
    ghost[[one, other]] = ghost[[other, one]]
    return ghost


def _sides(cloud: Cloud, cells: Simplices, point: int) -> Signs:
    """Whether a point is outside (1) or inside (-1) the sphere of each cell; a ghost's is all beyond its facet."""
    is_ghost = cells == _GHOST
    of_hull = is_ghost.any(axis=1)
    side = np.empty(len(cells), np.int8)
    real = cells[~of_hull]
    side[~of_hull] = signs(in_sphere, cloud, np.concatenate([real, np.full((len(real), 1), point)], axis=1))
    side[of_hull] = -signs(orientation, cloud, np.where(is_ghost, point, cells)[of_hull])
    return side
