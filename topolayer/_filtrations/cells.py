"""Cells without their values. A filtration says which of these kinds it has, so no code looks at its class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from topolayer._filtrations.simplices import Indices, Simplices, freudenthal_simplices
from topolayer._tracing import to_numpy


class Grid(NamedTuple):
    """A value for each pixel of a grid, which are connected as the letters say: F is Freudenthal's triangulation."""

    shape: tuple[int, ...]
    connectivity: Literal["F", "V", "T"]

    def maximal_simplices(self) -> list[Simplices]:
        """The simplices of the triangulation, for F."""
        return [freudenthal_simplices(self.shape)]


class VertexComplex(NamedTuple):
    """A value for each vertex: a simplex enters with its last one. The maximal simplices are among those here."""

    simplices: tuple[Tensor, ...]

    @property
    def dimension(self) -> int:
        return max(rows.shape[1] for rows in self.simplices) - 1

    def maximal_simplices(self) -> list[Simplices]:
        return as_arrays(self.simplices)


class SimplexComplex(NamedTuple):
    """A value for each simplex: vertices first, then edges, and so on, in the order of these tensors."""

    simplices: tuple[Tensor, ...]
    facets: list[Indices]  # of edges, triangles, ...: (m, d + 1), their places one dimension below
    is_ball: bool = False  # nothing but one component lives forever


class CliqueComplex(NamedTuple):
    """A value for each pair of points, up to the threshold: a simplex enters with its last edge, a vertex at 0."""

    points: int  # of one sample; where they differ, of the largest
    threshold: float


def disjoint_union(parts: Sequence[SimplexComplex], points: Sequence[int]) -> SimplexComplex:
    """Complexes beside each other with these numbers of points, which are numbered on from one to the next."""
    dimensions = max((len(part.simplices) for part in parts), default=0)
    simplices: list[list[Tensor]] = [[] for _ in range(dimensions)]
    facets: list[list[Indices]] = [[] for _ in range(1, dimensions)]
    before = [0] * dimensions  # how many simplices of each dimension
    first = 0
    for part, count in zip(parts, points, strict=True):
        for dimension, rows in enumerate(part.simplices):
            simplices[dimension].append(rows + first)
        for dimension, places in enumerate(part.facets):
            facets[dimension].append(places + before[dimension])
        for dimension, rows in enumerate(part.simplices):
            before[dimension] += len(rows)
        first += count
    return SimplexComplex(tuple(map(torch.cat, simplices)), list(map(np.concatenate, facets)))


Cells: TypeAlias = Grid | VertexComplex | SimplexComplex | CliqueComplex


def as_arrays(simplices: Iterable[Tensor]) -> list[Simplices]:
    return [to_numpy(rows.cpu().long().contiguous()) for rows in simplices]
