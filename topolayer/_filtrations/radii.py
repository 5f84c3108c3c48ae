"""The value of each simplex of a Delaunay complex in the alpha filtration."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from topolayer._filtrations.delaunay import Triangulation
from topolayer._filtrations.predicates import center, signs
from topolayer._filtrations.simplices import Indices, Simplices
from topolayer._tracing import to_numpy, untraced

# A squared radius changes by up to twice the radius times the move of the points times the sizes of the center's
# barycentric coordinates. Beyond this product a simplex is too flat for its sphere.
_MOST_CHANGE = 2.0**-25
_ROUNDING = 2.0**-52


@untraced
def alpha_values(points: Tensor, triangulation: Triangulation) -> Tensor:
    """The alpha filtration's squared radius of every simplex, (number of simplices,), on the graph of `points`.

    points: (n, d), what was triangulated. The simplices that share a sphere are found exactly, for the points of the
    triangulation; the radii are those of `points`.

    The simplices that share a sphere make an *interval* (Bauer and Edelsbrunner, 2017): the largest of them, whose
    smallest circumsphere it is and which is Gabriel, and its faces that have all vertices towards which the center
    lies. They have one value, so no bar begins or ends there unless the interval is a single simplex. Then the center
    is inside, and the radius changes no more than the points do. In other simplices it may change much more. If it
    does, the value of the interval is that of its largest face outside.
    """
    vertices, _, move, lattice = triangulation
    points = points[torch.from_numpy(vertices)]
    first = np.cumsum([0] + [len(rows) for rows in lattice.simplices])
    of_interval = _intervals(triangulation, first)
    largest = [np.flatnonzero(of_interval[a:b] == np.arange(a, b)) for a, b in itertools.pairwise(first)]
    known, radii = [np.arange(len(largest[0]))], [points.new_zeros(len(largest[0]))]
    for dimension in range(1, len(largest)):
        rows = largest[dimension]
        radius2, is_flat = _squared_radii(points, lattice.simplices[dimension][rows], move)
        known.append(first[dimension] + rows[~is_flat])
        radii.append(radius2)
    radius2 = _without_rounding(torch.cat(radii))
    place = np.zeros(first[-1], np.int64)  # of the radius that a simplex has; 0 is that of a vertex
    place[np.concatenate(known)] = np.arange(len(radius2))
    _raise(place, to_numpy(radius2), of_interval, lattice.facets, largest, first)
    return radius2[torch.from_numpy(place[of_interval])]


def _intervals(triangulation: Triangulation, first: Indices) -> Indices:
    """The largest simplex of the interval of each simplex."""
    _, cloud, _, lattice = triangulation
    of_interval = np.arange(first[-1])
    # The vertices of each simplex from which the center of its interval's sphere lies away.
    behind: NDArray[np.bool_] = np.zeros(lattice.simplices[-1].shape, dtype=bool)
    for dimension in range(len(lattice.simplices) - 1, 1, -1):
        rows, facets = lattice.simplices[dimension], lattice.facets[dimension]
        numbers = np.arange(first[dimension], first[dimension + 1])
        is_largest = of_interval[numbers] == numbers
        behind[is_largest] = signs(center, cloud, rows[is_largest]) < 0
        simplex, place = behind.nonzero()  # without such a vertex it is a face in the same interval
        facet = facets[simplex, place]
        of_interval[first[dimension - 1] + facet] = of_interval[numbers[simplex]]
        below = np.zeros(lattice.simplices[dimension - 1].shape, dtype=bool)
        for i in range(dimension + 1):
            some = place == i
            below[facet[some]] = np.delete(behind[simplex[some]], i, axis=1)
        behind = below
    return of_interval


def _raise(
    place: Indices,
    radius2: NDArray[np.float64],
    of_interval: Indices,
    facets: list[Indices],
    largest: list[Indices],
    first: Indices,
) -> None:
    """Gives every interval the value of its largest face outside where that is larger. Changes `place`."""
    outside = []
    for dimension in range(2, len(largest)):
        numbers = first[dimension] + largest[dimension]
        faces = of_interval[first[dimension - 1] + facets[dimension][largest[dimension]]]
        faces[faces == numbers[:, None]] = 0  # a vertex
        outside.append((numbers, faces))
    changed = True
    while changed:
        changed = False
        for numbers, faces in outside:
            values = radius2[place[faces]]
            best = values.argmax(axis=1)
            late = np.flatnonzero(values[np.arange(len(values)), best] > radius2[place[numbers]])
            place[numbers[late]] = place[faces[late, best[late]]]
            changed |= len(late) > 0


def _squared_radii(points: Tensor, rows: Simplices, move: float) -> tuple[Tensor, NDArray[np.bool_]]:
    """Squared radii of smallest circumspheres, on the graph, of the simplices that are not flat; and which are flat."""
    found = _orthogonal(points, rows)
    is_flat = to_numpy(_are_flat(found, move))
    if is_flat.any():  # not even their gradient may be infinite
        found = _orthogonal(points, rows[~is_flat])
    radius2 = points.new_zeros(len(rows) - int(is_flat.sum()))
    for square, along in zip(found.squares, found.along, strict=True):
        radius2 = radius2 + along * along * square
    return radius2, is_flat


class _Orthogonal(NamedTuple):
    """Edges from the first vertex made orthogonal, e_i = u_i + sum m_ij u_j; the sphere's center is sum y_i u_i."""

    longest: Tensor  # (m,) squared length of the longest edge
    products: list[list[Tensor]]  # m_ij, (m,) each
    squares: list[Tensor]  # of the lengths of u_i
    along: list[Tensor]  # y_i, so that c . e_i = |e_i|^2 / 2

    def detach(self) -> _Orthogonal:
        products = [[m.detach() for m in row] for row in self.products]
        return _Orthogonal(self.longest, products, [w.detach() for w in self.squares], [y.detach() for y in self.along])


def _orthogonal(points: Tensor, rows: Simplices) -> _Orthogonal:
    corners = points.mT[:, torch.from_numpy(rows.T.copy())]  # (d, k + 1, m): long axes last
    edges = [corners[:, i] - corners[:, 0] for i in range(1, rows.shape[1])]
    lengths = [edge.square().sum(dim=0) for edge in edges]
    across: list[Tensor] = []
    found = _Orthogonal(torch.stack([length.detach() for length in lengths]).amax(dim=0), [], [], [])
    for edge, length in zip(edges, lengths, strict=True):
        rest, height = edge, length / 2
        row: list[Tensor] = []
        for u, w, y in zip(across, found.squares, found.along, strict=True):
            row.append((rest * u).sum(dim=0) / w)
            rest = rest - row[-1] * u
            height = height - row[-1] * y * w
        across.append(rest)
        found.products.append(row)
        found.squares.append(rest.square().sum(dim=0))
        found.along.append(height / found.squares[-1])
    return found


def _are_flat(found: _Orthogonal, move: float) -> Tensor:
    """(m,) bool: which simplices are too flat for their spheres if points may move this far."""
    longest, products, squares, along = found.detach()
    if len(squares) == 1:
        return torch.zeros_like(longest, dtype=torch.bool)
    least = torch.stack(squares).amin(dim=0)
    flat = (least <= (2.0**8 * move) ** 2) | (least <= 1e-20 * longest)
    total, sizes = torch.zeros_like(longest), torch.zeros_like(longest)
    coordinates: list[Tensor] = []  # of the center, along the edges, from the last one
    for i in range(len(along) - 1, -1, -1):
        coordinate = along[i]
        for later, other in zip(range(len(along) - 1, i, -1), coordinates, strict=True):
            coordinate = coordinate - products[later][i] * other
        coordinates.append(coordinate)
        total, sizes = total + coordinate, sizes + coordinate.abs()
    sizes = sizes + (1 - total).abs()
    return flat | ~(sizes * max(move, _ROUNDING) <= _MOST_CHANGE)


def _without_rounding(values: Tensor) -> Tensor:
    """Rounds to 44 significant bits, gradient unchanged.

    Radii that differ by rounding only, as those of cospherical points do, become equal, so no bar is left that is only
    as long as an error.
    """
    detached = values.detach()
    mantissa, exponent = np.frexp(to_numpy(values))  # torch 2.4's ldexp underflows where float32 does
    rounded = np.ldexp(np.round(mantissa * 2.0**44) / 2.0**44, exponent)
    return values + (torch.from_numpy(rounded) - detached)
