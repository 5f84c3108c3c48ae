"""Vietoris-Rips filtrations of points and distances."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor

from topolayer._checks import NonFiniteError, check_finite, check_number, check_points, check_threshold
from topolayer._filtrations.base import Filtration
from topolayer._filtrations.cells import CliqueComplex
from topolayer._filtrations.point_distances import point_distances
from topolayer._filtrations.rounding import check_distances
from topolayer._tracing import refuse_without_numbers

_NO_LIMIT = "math.inf lets all edges in"


@dataclass(frozen=True, eq=False, repr=False)
class Rips(Filtration):
    """Vietoris-Rips filtration: a simplex enters with its longest edge, a vertex at exactly 0 and with gradient 0.

    Args:
        distances: floating-point tensor `(*batch, n, n)`. Entries (i, j) with i < j are read; those with i > j
            and the diagonal only to see whether the matrix is symmetric, and its diagonal 0, up to rounding. Entries
            that are negative by rounding count as 0. Of points take `Rips.from_points`.
        threshold: longest edge there is, inclusive. Bars that are alive at it are essential.

    Raises:
        TypeError, ValueError: `distances` is no floating-point tensor, not square, not symmetric, negative or
            not finite; its diagonal shows that small distances are lost to rounding; `threshold` is negative or NaN.

    Example:
        >>> import torch, topolayer as tl
        >>> distances = torch.tensor([[0.0, 1.0, 3.0], [1.0, 0.0, 3.5], [3.0, 3.5, 0.0]])
        >>> tl.persistence(tl.Rips(distances)).deaths
        tensor([1., 3.])
    """

    distances: Tensor
    threshold: float = field(default=math.inf, kw_only=True)
    values: Tensor = field(init=False)

    def __post_init__(self) -> None:
        distances = self._take("distances", self.distances)
        refuse_without_numbers(distances)
        shape = tuple(distances.shape)
        if len(shape) < 2 or shape[-1] != shape[-2] or shape[-1] == 0:
            raise ValueError(
                f"distances: expected square matrices of shape (*batch, n, n), got {shape}; "
                "points are given to Rips.from_points(points)"
            )
        object.__setattr__(self, "threshold", check_threshold(self.threshold, self.input_dtype, remedy=_NO_LIMIT))
        if check_distances(distances.detach(), self.input_dtype):
            distances = distances.clamp(min=0)
        births = distances.new_zeros(shape[:-1])
        object.__setattr__(self, "values", torch.diagonal_scatter(distances, births, dim1=-2, dim2=-1))

    @classmethod
    def from_points(cls, points: Tensor, *, p: float = 2.0, threshold: float = math.inf) -> Self:
        """The filtration of points, by exact distances: from differences of coordinates, in O(n²) memory.

        `torch.cdist` by itself multiplies matrices from 26 points on, which loses small distances far from the origin.

        Args:
            points: floating-point tensor `(*batch, n, d)`; half precision is raised to float32.
            p: of which p-norm, >= 1; `math.inf` is the largest difference of coordinates.
            threshold: as in `Rips`.

        Returns:
            A filtration whose `distances` are symmetric and 0 on the diagonal. The gradient goes to the points, and is
            0 between equal ones. Where a norm has a kink it is a subgradient: that of p = 1 is 0 for a coordinate that
            two points share, that of `math.inf` is spread evenly over the coordinates that differ most.

        Raises:
            TypeError, ValueError: `points` is no floating-point tensor, has fewer than two axes, no point or no
                coordinate, or is not finite; distances leave the range of the dtype; `p` or `threshold` does its own.

        Example:
            >>> import torch, topolayer as tl
            >>> points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
            >>> tl.persistence(tl.Rips.from_points(points)).deaths
            tensor([1., 3.])
        """
        clouds = check_points(points)
        refuse_without_numbers(clouds)
        p = check_number("p", p, least=1, infinite=True, remedy="2 is Euclid's norm")
        threshold = check_threshold(threshold, points.dtype, remedy=_NO_LIMIT)
        check_finite("points", clouds)
        try:
            rips = cls(point_distances(clouds, p), threshold=threshold)
        except NonFiniteError as error:
            raise ValueError(
                f"points: their distances leave the range of {clouds.dtype}; rescale them, for instance to [0, 1]"
            ) from error
        object.__setattr__(rips, "input_dtype", points.dtype)
        return rips

    @property
    def cells(self) -> CliqueComplex:
        return CliqueComplex(self.sample_shape[0], self.threshold)

    @property
    def value_axes(self) -> int:
        return 2

    def order(self) -> Tensor:
        """All vertices, then the edges (i, j) with i < j; no entry below the diagonal."""
        points, values = self.sample_shape[0], self.values.cpu().reshape(self.samples, -1)
        entry = torch.arange(points * points, device=values.device).reshape(points, points)
        row, column = torch.triu_indices(points, points, offset=1, device=values.device)
        edge = entry[row, column]
        edges = edge[(values[:, edge] + 0.0).argsort(dim=1, stable=True)]
        return torch.cat([entry.diagonal().expand(len(values), -1), edges], dim=1)

    def ranks(self, order: Tensor) -> Tensor:
        """The place of every entry in that order, symmetric.

        Args:
            order: what `order` returns.

        Returns:
            (samples, n, n) float64, on the CPU; inf for edges beyond the threshold.
        """
        beyond = self.values.cpu().reshape(self.samples, *self.sample_shape) > self.threshold
        ranks = super().ranks(order).masked_fill(beyond, math.inf)
        return torch.minimum(ranks, ranks.mT)

    @property
    def top_dimension(self) -> None:
        return None
