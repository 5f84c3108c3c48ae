"""Simplicial complexes as arrays of vertices: triangulated grids, faces, Delaunay complexes. Off the autograd graph."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import Delaunay, QhullError
from torch import Tensor

Simplices = NDArray[np.int64]  # (m, d + 1): the vertices of m simplices of dimension d, ascending in every row


def freudenthal_simplices(shape: Sequence[int]) -> Simplices:
    """The maximal simplices of the Freudenthal triangulation of a grid: monotone paths through each unit cube."""
    positions = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
    long_axes = [axis for axis, length in enumerate(shape) if length > 1]
    corners = positions[tuple(slice(-1) if axis in long_axes else slice(None) for axis in range(len(shape)))]
    paths = []
    for order in itertools.permutations(long_axes):
        steps = [positions.strides[axis] // positions.itemsize for axis in order]
        paths.append(corners.reshape(-1, 1) + np.cumsum([0, *steps], dtype=np.int64))
    return np.concatenate(paths)


def with_faces(simplices: Iterable[Simplices], *, vertices: int, top: int) -> list[Simplices]:
    """All simplices of a complex up to dimension `top`: per dimension an array in lexicographic order.

    `simplices` need only hold the maximal ones. Every one of the `vertices` vertices is there, used or not.
    """
    given = [np.sort(rows, axis=1) for rows in simplices]
    complex_ = [np.arange(vertices, dtype=np.int64)[:, None]]
    for dimension in range(1, top + 1):
        faces = [
            rows[:, columns]
            for rows in given
            for columns in itertools.combinations(range(rows.shape[1]), dimension + 1)
        ]
        complex_.append(np.unique(np.concatenate([np.empty((0, dimension + 1), np.int64), *faces]), axis=0))
    return complex_


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
        if np.linalg.matrix_rank(points[1:] - points[0]) < count - 1:
            raise ValueError(_flat(count, dimension))
        return np.arange(count, dtype=np.int64)[None, :]
    try:
        triangulation = Delaunay(points)
    except QhullError as error:
        raise ValueError(_flat(count, dimension)) from error
    if len(triangulation.coplanar):
        raise ValueError(
            f"points: point {int(triangulation.coplanar[0, 0])} is too close to another one for a Delaunay "
            "triangulation in float64; merge points that are nearly equal"
        )
    return np.sort(triangulation.simplices.astype(np.int64), axis=1)


def _flat(count: int, dimension: int) -> str:
    return (
        f"points: expected points in general position, got {count} points that lie in a hyperplane of R^{dimension}; "
        "use fewer coordinates, or add a little noise"
    )


def alpha_values(points: Tensor, simplices: Sequence[Simplices]) -> Tensor:
    """The alpha filtration's squared radius of every simplex of a Delaunay complex, float64, on the graph of `points`.

    points: (n, d). simplices: all faces, an array per dimension as from `with_faces`. Returns (number of
        simplices,), in that
    order. A simplex that is Gabriel (no coface's further vertex lies inside its smallest circumsphere) has
    the squared radius of
    that sphere, any other one the smallest value of its cofaces: it gathers that entry, gradient included.
    """
    points = points.double()
    first = np.cumsum([0] + [len(s) for s in simplices])
    radii2, centers, degenerate = [], [], []
    for rows in simplices:
        r2, center, flat = _circumsphere(points[torch.from_numpy(rows).to(points.device)])
        radii2.append(r2)
        centers.append(center)
        degenerate.append(flat)
    own = _without_rounding(torch.cat(radii2))
    value, center = own.detach().cpu().numpy().copy(), np.concatenate(centers)
    source = np.arange(len(value))  # whose circumsphere a simplex's value is
    where = points.detach().cpu().numpy()

    facets = [np.empty((0, 0), np.int64)]
    for dimension in range(1, len(simplices)):
        facets.append(first[dimension - 1] + _facets(simplices[dimension], simplices[dimension - 1]))

    # A simplex without volume (Qhull makes some from cospherical points) has the sphere of its largest facet.
    for dimension in range(2, len(simplices)):
        row = np.flatnonzero(degenerate[dimension])
        candidates = facets[dimension][row]
        largest = candidates[np.arange(len(row)), value[candidates].argmax(axis=1)]
        flat = first[dimension] + row
        value[flat], center[flat], source[flat] = value[largest], center[largest], source[largest]

    for dimension in range(len(simplices) - 1, 0, -1):
        facet = facets[dimension]
        coface = np.broadcast_to(np.arange(first[dimension], first[dimension + 1])[:, None], facet.shape)
        opposite = where[simplices[dimension]]  # (m, dimension + 1, d): the vertex that each facet lacks
        inside = ((opposite - center[facet]) ** 2).sum(axis=2) < value[facet]
        # The second condition is for rounding: a face never enters after its coface.
        late = np.unique(facet[inside | (value[facet] > value[coface])])
        smallest_last = np.argsort(-value[coface.ravel()], kind="stable")
        smallest = np.zeros(len(value), dtype=np.int64)
        smallest[facet.ravel()[smallest_last]] = coface.ravel()[smallest_last]  # of equal indices the last one stays
        value[late], source[late] = value[smallest[late]], source[smallest[late]]
    return own[torch.from_numpy(source).to(own.device)]


def _without_rounding(values: Tensor) -> Tensor:
    """Rounds to 44 significant bits, gradient unchanged.

    Radii that differ by rounding only, as those of cospherical points do, become equal: no bars as long as an error.
    """
    with torch.no_grad():
        mantissa, exponent = torch.frexp(values)
        rounded = torch.ldexp((mantissa * 2.0**44).round() / 2.0**44, exponent)
        correction = rounded - values
    return values + correction


def _facets(simplices: Simplices, lower: Simplices) -> NDArray[np.int64]:
    """(m, d + 1): where the facet without the i-th vertex stands in `lower`, all simplices of one dimension less."""
    count, width = simplices.shape
    rows = np.stack([np.delete(simplices, i, axis=1) for i in range(width)], axis=1)
    _, inverse = np.unique(np.concatenate([lower, rows.reshape(-1, width - 1)]), axis=0, return_inverse=True)
    return inverse.reshape(-1)[len(lower) :].reshape(count, width)


def _circumsphere(corners: Tensor) -> tuple[Tensor, NDArray[np.float64], NDArray[np.bool_]]:
    """Smallest circumspheres of (m, k + 1, d) simplices: squared radii on the graph, centers, which have no volume."""
    origin = corners[:, 0]
    edges = (corners[:, 1:] - origin[:, None]).mT  # (m, d, k)
    count, dimension, k = edges.shape
    if k == 0:
        return origin.new_zeros(count), origin.detach().cpu().numpy(), np.zeros(count, dtype=bool)
    half_squares = edges.square().sum(dim=1) / 2
    with torch.no_grad():
        diagonal = torch.linalg.qr(edges, mode="r").R.diagonal(dim1=1, dim2=2).abs()
        flat = diagonal.amin(dim=1) <= 1e-10 * diagonal.amax(dim=1)
    # Any simplex with volume stands in for a flat one, so that neither values nor gradients are infinite.
    stand_in = torch.eye(dimension, k, dtype=edges.dtype, device=edges.device)
    q, r = torch.linalg.qr(torch.where(flat[:, None, None], stand_in, edges))
    # The center c, from the origin: c . edge = |edge|^2 / 2 for every edge, c in their span.
    coordinates = torch.linalg.solve_triangular(r.mT, half_squares[:, :, None], upper=False)
    center = origin.detach() + (q @ coordinates).detach()[:, :, 0]
    return coordinates.square().sum(dim=(1, 2)), center.cpu().numpy(), flat.cpu().numpy()
