"""Alpha filtrations of point clouds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from topolayer._checks import check_finite
from topolayer._filtrations.base import Filtration
from topolayer._filtrations.cells import SimplexComplex
from topolayer._filtrations.delaunay import check_size, delaunay
from topolayer._filtrations.radii import alpha_values
from topolayer._filtrations.simplices import Indices
from topolayer._tracing import refuse_jit_trace, refuse_without_numbers, to_numpy


@dataclass(frozen=True, eq=False, repr=False)
class Alpha(Filtration):
    """Alpha filtration of one point cloud: the Delaunay triangulation, by squared radius.

    A simplex whose smallest circumsphere has no point inside (it is *Gabriel*) enters at the squared radius
    of that sphere, any other one with its first coface. The triangulation is computed in float64 and is
    piecewise constant; the gradient is that of the radii. Bars are within 1e-6 of the squared extent of the exact
    ones, also if many points lie on one sphere or nearly do. Of equal points the first one is a vertex.

    Args:
        points: floating-point tensor (n, d), not all in one hyperplane. The triangulation grows quickly
            with d: from eight dimensions on it takes 31 points, and fewer in more; `Rips.from_points` takes any.

    Attributes:
        values: (number of simplices,) squared radii, vertices first, then edges, and so on.
        simplices: a tensor (m, k + 1) of vertices for each dimension k, in the same order.

    Raises:
        TypeError, ValueError: `points` is no floating-point tensor of two axes, not finite, lies in a hyperplane,
            or has too many points for its dimension.

    Example:
        >>> import torch, topolayer as tl
        >>> square = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        >>> bars = tl.persistence(tl.Alpha(square), dims=1)
        >>> bars.births, bars.deaths
        (tensor([0.2500]), tensor([0.5000]))
    """

    points: Tensor
    values: Tensor = field(init=False)
    simplices: tuple[Tensor, ...] = field(init=False)
    _facets: list[Indices] = field(init=False)

    def __post_init__(self) -> None:
        points = self._take("points", self.points)
        refuse_without_numbers(points)
        refuse_jit_trace()
        if points.ndim != 2 or 0 in points.shape:
            raise ValueError(
                f"points: expected one cloud of shape (n, d), n and d >= 1, got {tuple(points.shape)}; the clouds of a "
                "batch are computed one by one"
            )
        check_finite("points", points)
        check_size(*points.shape)
        unit, scale = _into_the_unit_cube(points)
        triangulation = delaunay(to_numpy(unit))
        vertices, simplices = triangulation.vertices, triangulation.lattice.simplices
        values = (alpha_values(unit, triangulation) * scale * scale).to(points)
        edges_on = values.detach()[len(vertices) :]
        if not bool(((edges_on > 0) & (edges_on < math.inf)).all()):
            raise ValueError(
                f"points: their squared radii leave the range of {points.dtype}; rescale them, for instance to [0, 1]"
            )
        tensors = tuple(torch.from_numpy(vertices[rows]).to(points.device) for rows in simplices)
        object.__setattr__(self, "simplices", tensors)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "_facets", triangulation.lattice.facets[1:])

    @property
    def cells(self) -> SimplexComplex:
        return SimplexComplex(self.simplices, self._facets, is_ball=True)

    @property
    def top_dimension(self) -> int:
        return max(self.points.shape[1] - 1, 0)


def _into_the_unit_cube(points: Tensor) -> tuple[Tensor, float]:
    """The points on the graph, in float64 on the CPU, and by what their coordinates were divided.

    Far from the origin little precision would be left, and squares of huge or tiny numbers leave the range; a power of
    two rounds nothing.
    """
    points = points.cpu().double()  # not every device has float64
    points = points - points.detach().amin(dim=0)
    scale = 2.0 ** max(-1000, min(1000, int(np.frexp(float(points.detach().max()))[1])))
    return points / scale, scale
