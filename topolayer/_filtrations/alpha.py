"""Alpha filtrations of point clouds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from topolayer._checks import check_finite, joined
from topolayer._filtrations.base import Filtration, with_tensors
from topolayer._filtrations.cells import SimplexComplex, disjoint_union
from topolayer._filtrations.delaunay import check_size, delaunay
from topolayer._filtrations.point_distances import check_clouds
from topolayer._filtrations.radii import alpha_values
from topolayer._tracing import refuse_without_numbers, to_numpy


@dataclass(frozen=True, eq=False, repr=False)
class Alpha(Filtration):
    """Alpha filtration of one point cloud: the Delaunay triangulation, ordered by squared radius.

    A simplex whose smallest circumsphere has no point inside (it is *Gabriel*) enters at the squared radius of that
    sphere; any other simplex enters with its first coface. The triangulation is computed in float64 and is piecewise
    constant; the gradient is that of the radii. Bars are within 1e-6 of the squared extent of the exact ones, even if
    many points lie on one sphere or nearly do. Equal points are one vertex, the first of them.

    Args:
        points: tensor (n, d), floating-point or of small integers, not all in one hyperplane. The triangulation grows
            quickly with d: thousands of points are fast in two and three dimensions, 10,000 in five take a minute and
            gigabytes, and the limits are 800 points in six dimensions, 64 in seven, 31 in eight, and fewer in more.
            `Rips.from_points` has no such limits.

    Attributes:
        values: (number of simplices,) squared radii, vertices first, then edges, and so on.
        simplices: a tensor (m, k + 1) of vertices for each dimension k, in the same order.

    Raises:
        TypeError, ValueError: `points` is no tensor of such numbers of two axes, is not finite, lies in a hyperplane,
            or has too many points for its dimension.

    Example:
        >>> import torch, topolayer as tl
        >>> square = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        >>> bars = tl.persistence(tl.Alpha(square), dims=1)
        >>> bars.births, bars.deaths
        (tensor([0.2500]), tensor([0.5000]))
    """

    points: Tensor | Sequence[Tensor]
    values: Tensor = field(init=False)
    simplices: tuple[Tensor, ...] = field(init=False)
    _complexes: tuple[SimplexComplex, ...] = field(init=False)  # of each cloud

    def __post_init__(self) -> None:
        given: Any = self.points
        several = isinstance(given, (list, tuple))
        clouds = self._take_each("points", given) if several else [self._take("points", given)]
        if several:
            check_clouds(clouds)
            object.__setattr__(self, "points", tuple(given))  # a list may change later
        found = [_filtered(f"points[{i}]" if several else "points", cloud) for i, cloud in enumerate(clouds)]
        complexes = tuple(complex_ for _, complex_ in found)
        object.__setattr__(self, "_complexes", complexes)
        object.__setattr__(self, "values", joined([values for values, _ in found]))
        if several:
            object.__setattr__(self, "_sizes", tuple(len(values) for values, _ in found))
        object.__setattr__(self, "simplices", self.cells.simplices)

    @property
    def cells(self) -> SimplexComplex:
        if self._sizes is None:
            return self._complexes[0]
        return disjoint_union(self._complexes, [len(cloud) for cloud in self.points])

    def _alone(self, number: int, values: Tensor) -> Self:
        complex_ = self._complexes[number]
        others = {"points": self.points[number], "simplices": complex_.simplices, "_complexes": (complex_,)}
        return with_tensors(self, values, None, **others, _sizes=None)

    @property
    def top_dimension(self) -> int:
        clouds = [self.points] if isinstance(self.points, Tensor) else self.points[:1]
        return max([cloud.shape[1] - 1 for cloud in clouds], default=0)


def _filtered(name: str, points: Tensor) -> tuple[Tensor, SimplexComplex]:
    """The values of the simplices of a cloud, and the simplices."""
    refuse_without_numbers(points)
    if points.ndim != 2 or 0 in points.shape:
        raise ValueError(
            f"{name}: expected one cloud of shape (n, d), n and d >= 1, got {tuple(points.shape)}; the clouds of a "
            f"batch are a list, list({name})"
        )
    check_finite(name, points)
    check_size(len(points), points.shape[1], name)
    unit, scale = _into_the_unit_cube(points)
    triangulation = delaunay(to_numpy(unit), name)
    vertices, lattice = triangulation.vertices, triangulation.lattice
    values = (alpha_values(unit, triangulation) * scale * scale).to(points)
    edges_on = values.detach()[len(vertices) :]
    if not bool(((edges_on > 0) & (edges_on < math.inf)).all()):
        raise ValueError(
            f"{name}: their squared radii leave the range of {points.dtype}; rescale them, for instance to [0, 1]"
        )
    simplices = tuple(torch.from_numpy(vertices[rows]).to(points.device) for rows in lattice.simplices)
    return values, SimplexComplex(simplices, lattice.facets[1:], is_ball=True)


def _into_the_unit_cube(points: Tensor) -> tuple[Tensor, float]:
    """The points on the graph, in float64 on the CPU, and the number that their coordinates were divided by.

    Far from the origin little precision would be left, and squares of huge or tiny numbers leave the range. Dividing by
    a power of two rounds nothing.
    """
    points = points.cpu().double()  # not every device has float64
    points = points - points.detach().amin(dim=0)
    scale = 2.0 ** max(-1000, min(1000, int(np.frexp(float(points.detach().max()))[1])))
    return points / scale, scale
