"""Alpha filtrations of point clouds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from topolayer._checks import check_finite
from topolayer._filtrations.base import Filtration
from topolayer._filtrations.cells import SimplexComplex
from topolayer._filtrations.delaunay import alpha_values, check_size, delaunay
from topolayer._filtrations.simplices import with_faces
from topolayer._tracing import refuse_jit_trace, refuse_without_numbers, to_numpy


@dataclass(frozen=True, eq=False, repr=False)
class Alpha(Filtration):
    """Alpha filtration of one point cloud: the Delaunay triangulation, by squared radius.

    A simplex whose smallest circumsphere has no point inside (it is *Gabriel*) enters at the squared radius
    of that sphere, any other one with its first coface. The triangulation is computed in float64 and is
    piecewise constant; the gradient is that of the radii.

    Args:
        points: floating-point tensor (n, d), distinct and not all in one hyperplane. The triangulation grows quickly
            with d: from eight dimensions on it takes 31 points, and fewer in more; `Rips.from_points` takes any.

    Attributes:
        values: (number of simplices,) squared radii, vertices first, then edges, and so on.
        simplices: a tensor (m, k + 1) of vertices for each dimension k, in the same order.

    Raises:
        TypeError, ValueError: `points` is no floating-point tensor of two axes, not finite, has duplicates,
            lies in a hyperplane, or has too many points for its dimension.

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
        cloud = points.detach().double().cpu()
        _, group, counts = torch.unique(cloud, dim=0, return_inverse=True, return_counts=True)
        if len(counts) < len(cloud):
            twice = [int(place) for place in (group == counts.argmax()).nonzero()[:2]]
            raise ValueError(
                f"points: expected distinct points, got duplicates: {twice[0]} and {twice[1]} are equal "
                f"({len(cloud) - len(counts)} too many in all); drop one of them, or add a little noise"
            )
        maximal = delaunay(to_numpy(cloud))
        complex_ = with_faces([maximal], vertices=len(cloud), top=maximal.shape[1] - 1)
        values = alpha_values(points, complex_).to(points)
        edges_on = values.detach()[len(cloud) :]
        if not bool(((edges_on > 0) & (edges_on < math.inf)).all()):
            raise ValueError(
                f"points: their squared radii leave the range of {points.dtype}; rescale them, for instance to [0, 1]"
            )
        object.__setattr__(self, "simplices", tuple(torch.from_numpy(s).to(points.device) for s in complex_))
        object.__setattr__(self, "values", values)

    @property
    def cells(self) -> SimplexComplex:
        return SimplexComplex(self.simplices)

    @property
    def top_dimension(self) -> int:
        return max(self.points.shape[1] - 1, 0)
