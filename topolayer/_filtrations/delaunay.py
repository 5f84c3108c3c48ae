"""Delaunay complexes, and the squared radius at which each of their simplices enters the alpha filtration."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import Delaunay, QhullError, cKDTree
from torch import Tensor

from topolayer._filtrations.simplices import Simplices
from topolayer._tracing import to_numpy

_MANY_DIMENSIONS = 8  # below, no cloud of ordinary size comes near the bound on its simplices
_MANY_SIMPLICES = 2**24


def delaunay(points: NDArray[np.float64]) -> Simplices:
    """The maximal simplices of the Delaunay triangulation of (n, d) distinct points.

    Raises ValueError where there is none: the points lie in a hyperplane, or too close to one another for
        Qhull.
    """
    count, dimension = points.shape
    if dimension == 1:
        order = np.argsort(points[:, 0], kind="stable")
        return np.sort(np.stack([order[:-1], order[1:]], axis=1), axis=1) if count > 1 else order[:, None]
    if count <= dimension:  # too few for Qhull: one simplex, if it is not degenerate
        if count > 1 and np.linalg.matrix_rank(points[1:] - points[0]) < count - 1:
            raise ValueError(_flat(count, dimension))
        return np.arange(count, dtype=np.int64)[None, :]
    try:
        triangulation = Delaunay(_near_unit_size(points))
    except QhullError as error:
        raise ValueError(_flat(count, dimension)) from error
    if len(triangulation.coplanar):
        raise ValueError(
            f"points: point {int(triangulation.coplanar[0, 0])} is too close to another one for a Delaunay "
            "triangulation in float64; merge points that are nearly equal"
        )
    return np.sort(triangulation.simplices.astype(np.int64), axis=1)


def check_size(count: int, dimension: int) -> None:
    """Refuses what could not be computed in minutes, or in the memory of a large machine."""
    simplices = most_maximal(count, dimension) * (2 ** min(count, dimension + 1) - 1)
    if dimension >= _MANY_DIMENSIONS and simplices > _MANY_SIMPLICES:
        raise ValueError(
            f"points: expected few enough for a Delaunay triangulation in {dimension} dimensions, got {count}, with up "
            f"to {simplices:.0e} simplices; Rips.from_points(points) does without one, and a projection to fewer "
            f"dimensions makes it small"
        )


def most_maximal(count: int, dimension: int) -> int:
    """How many maximal simplices there can be: McMullen's upper bound (1970), of the facets of the lifted points."""
    if count <= dimension + 1:
        return 1
    half = (dimension + 1) // 2
    other = dimension + 1 - half
    return math.comb(count - other, half) + math.comb(count - half - 1, other - 1)


def _near_unit_size(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Moved to the origin and scaled by a power of two, which rounds nothing: Qhull overflows with huge numbers."""
    moved = points - points.min(axis=0)
    exponent = np.frexp(moved.max())[1]
    return np.asarray(np.ldexp(moved, -exponent), dtype=np.float64)


def _flat(count: int, dimension: int) -> str:
    return (
        f"points: expected points in general position, got {count} points that lie in a hyperplane of R^{dimension}; "
        "use fewer coordinates, or add a little noise"
    )


def alpha_values(points: Tensor, simplices: Sequence[Simplices]) -> Tensor:
    """The alpha filtration's squared radius of every simplex of a Delaunay complex, float64, on the graph of `points`.

    points: (n, d). simplices: all faces, an array per dimension as from `with_faces`. Returns (number of simplices,),
    in that order. A simplex that is Gabriel (no point lies inside its smallest circumsphere) has the squared radius of
    that sphere, any other one the smallest value of its cofaces: it gathers that entry, gradient included.
    """
    points = points.cpu().double()  # not every device has float64
    points = points - points.detach().amin(dim=0)  # far from the origin little precision would be left
    # Squares of huge and of tiny numbers leave the range, and a power of two rounds nothing.
    scale = 2.0 ** max(-1000, min(1000, int(np.frexp(float(points.detach().max()))[1])))
    points = points / scale
    spheres = [_circumspheres(points[torch.from_numpy(rows)]) for rows in simplices]
    radius2 = _without_rounding(torch.cat([r2 for r2, _, _ in spheres]))
    known_radius2 = np.append(to_numpy(radius2), np.inf)  # the last one is that of _UNKNOWN
    source = np.arange(len(radius2))  # the simplex whose sphere gives the value
    top = len(simplices) - 1
    first = np.cumsum([0] + [len(rows) for rows in simplices])
    facets = [np.empty((len(simplices[0]), 0), np.int64)]
    for dimension in range(1, top + 1):
        facets.append(first[dimension - 1] + _facets(simplices[dimension], simplices[dimension - 1]))

    # A simplex without volume (Qhull makes some from cospherical points) has the sphere of its largest facet.
    for dimension in range(2, top + 1):
        flat = np.flatnonzero(spheres[dimension][2])
        source[first[dimension] + flat] = _of_largest(facets[dimension][flat], known_radius2, source)
    cloud = to_numpy(points)
    inside = []
    for rows, (_, center, _) in zip(simplices, spheres, strict=True):
        nearest, _ = cKDTree(cloud).query(center)
        corner2 = ((cloud[rows] - center[:, None]) ** 2).sum(axis=2).min(axis=1)  # the squared radius, rounded alike
        inside.append(nearest**2 < (1 - 1e-10) * corner2)
    gabriel = ~np.concatenate(inside)[source]

    # If such a sphere is not empty, and there are no cofaces to ask, then the neighbours on its facets decide.
    flat = np.flatnonzero(spheres[top][2])
    pending = flat[~gabriel[first[top] + flat]] if top >= 2 else flat[:0]
    source[first[top] + pending] = _UNKNOWN
    while len(pending):
        _settle_facets(facets[top], first[top], gabriel, known_radius2, source)
        around = facets[top][pending]
        ready = (source[around] != _UNKNOWN).any(axis=1)
        if not ready.any():
            raise ValueError(_flat(len(points), points.shape[1]))
        source[first[top] + pending[ready]] = _of_largest(around[ready], known_radius2, source)
        pending = pending[~ready]
    for dimension in range(top, 0, -1):
        _settle_facets(facets[dimension], first[dimension], gabriel, known_radius2, source)
    return radius2[torch.from_numpy(source)] * scale * scale


_UNKNOWN = -1


def _of_largest(
    facets: NDArray[np.int64], radius2: NDArray[np.float64], source: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The sources of the largest known one in each row of facets."""
    value = radius2[source[facets]]
    largest = np.where(np.isfinite(value), value, -1).argmax(axis=1)
    return np.take_along_axis(source[facets], largest[:, None], axis=1)[:, 0]


def _settle_facets(
    facets: NDArray[np.int64],
    first: int,
    gabriel: NDArray[np.bool_],
    radius2: NDArray[np.float64],
    source: NDArray[np.int64],
) -> None:
    """Gives facets that are not Gabriel, or by rounding later than a coface, the source of their smallest coface.

    Row i of `facets` has those of simplex `first + i`. Changes `source`.
    """
    of_coface = np.broadcast_to(source[first : first + len(facets), None], facets.shape).ravel()
    smallest_last = np.argsort(-radius2[of_coface], kind="stable")
    smallest = np.full(len(source), _UNKNOWN)
    smallest[facets.ravel()[smallest_last]] = of_coface[smallest_last]  # of equal indices the last one stays
    facet = np.unique(facets)
    late = facet[~gabriel[facet] | (radius2[source[facet]] > radius2[smallest[facet]])]
    source[late] = smallest[late]


def _without_rounding(values: Tensor) -> Tensor:
    """Rounds to 44 significant bits, gradient unchanged.

    Radii that differ by rounding only, as those of cospherical points do, become equal: no bars as long as an error.
    """
    detached = values.detach()
    mantissa, exponent = np.frexp(to_numpy(values))  # torch 2.4's ldexp underflows where float32 does
    rounded = np.ldexp(np.round(mantissa * 2.0**44) / 2.0**44, exponent)
    return values + (torch.from_numpy(rounded) - detached)


def _facets(simplices: Simplices, lower: Simplices) -> NDArray[np.int64]:
    """(m, d + 1): where the facet without the i-th vertex stands in `lower`, all simplices of one dimension less."""
    count, width = simplices.shape
    rows = np.stack([np.delete(simplices, i, axis=1) for i in range(width)], axis=1)
    _, inverse = np.unique(np.concatenate([lower, rows.reshape(-1, width - 1)]), axis=0, return_inverse=True)
    return inverse.reshape(-1)[len(lower) :].reshape(count, width)


def _circumspheres(corners: Tensor) -> tuple[Tensor, NDArray[np.float64], NDArray[np.bool_]]:
    """Smallest circumspheres of (m, k + 1, d) simplices: squared radii on the graph, centers, which have no volume."""
    origin = corners[:, 0]
    edges = (corners[:, 1:] - origin[:, None]).mT  # (m, d, k)
    count, dimension, k = edges.shape
    if k == 0:
        return origin.new_zeros(count), to_numpy(origin), np.zeros(count, dtype=bool)
    half_squares = edges.square().sum(dim=1) / 2
    diagonal = torch.linalg.qr(edges.detach(), mode="r").R.diagonal(dim1=1, dim2=2).abs()
    flat = diagonal.amin(dim=1) <= 1e-10 * diagonal.amax(dim=1)
    # Any simplex with volume stands in for a flat one, so that neither values nor gradients are infinite.
    stand_in = torch.eye(dimension, k, dtype=edges.dtype, device=edges.device)
    q, r = torch.linalg.qr(torch.where(flat[:, None, None], stand_in, edges))
    # The center c, from the origin: c . edge = |edge|^2 / 2 for every edge, c in their span.
    coordinates = torch.linalg.solve_triangular(r.mT, half_squares[:, :, None], upper=False)
    center = origin.detach() + (q @ coordinates).detach()[:, :, 0]
    return coordinates.square().sum(dim=(1, 2)), to_numpy(center), to_numpy(flat)
