"""Cells without their values: a filtration says which of these kinds it has, and nobody asks for its class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, TypeAlias

from torch import Tensor

from topolayer._filtrations.simplices import Indices, Simplices, freudenthal_simplices


class Grid(NamedTuple):
    """A value for each pixel of a grid, which are connected as the letters say: F is Freudenthal's triangulation."""

    shape: tuple[int, ...]
    connectivity: Literal["F", "V", "T"]

    def maximal_simplices(self) -> list[Simplices]:
        """Those of the triangulation, for F."""
        return [freudenthal_simplices(self.shape)]


class VertexComplex(NamedTuple):
    """A value for each vertex: a simplex enters with its last one. The maximal simplices are among those here."""

    simplices: tuple[Tensor, ...]

    @property
    def dimension(self) -> int:
        return max(rows.shape[1] for rows in self.simplices) - 1

    def maximal_simplices(self) -> list[Simplices]:
        return as_arrays(self.simplices)


class TriangulatedBall(NamedTuple):
    """A value for each simplex: vertices first, then edges, and so on, in the order of these tensors.

    The last ones, the cells, fill a ball of their dimension.
    """

    simplices: tuple[Tensor, ...]
    facets: Indices  # (m, d + 1): where the facets of each cell are among the simplices of one dimension less


class CliqueComplex(NamedTuple):
    """A value for each pair of points, up to the threshold: a simplex enters with its last edge, a vertex at 0."""

    points: int
    threshold: float


Cells: TypeAlias = Grid | VertexComplex | TriangulatedBall | CliqueComplex


def as_arrays(simplices: Iterable[Tensor]) -> list[Simplices]:
    return [rows.cpu().long().numpy() for rows in simplices]
