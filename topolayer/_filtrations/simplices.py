"""Simplicial complexes as arrays of vertices: triangulated grids, faces, edges."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from topolayer import _core

Simplices = NDArray[np.int64]  # (m, d + 1): the vertices of m simplices of dimension d, ascending in every row
Indices = NDArray[np.int64]


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

    `simplices` need only have the maximal ones. All `vertices` vertices are in the result, used or not.
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


def edges(simplices: Iterable[Simplices]) -> Simplices:
    """(m, 2) the edges of some simplices, in any order and as often as they occur."""
    pairs = [rows[:, columns] for rows in simplices for columns in itertools.combinations(range(rows.shape[1]), 2)]
    return np.concatenate([np.empty((0, 2), np.int64), *pairs])


def offsets_of(sizes: Sequence[int]) -> Indices:
    """(samples + 1,) where each of several samples begins, and where the last one ends."""
    return np.cumsum([0, *sizes], dtype=np.int64)


def by_sample(simplices: Simplices, offsets: Indices) -> tuple[Simplices, Indices]:
    """Simplices whose vertices are in one sample each: sample by sample, vertices numbered from 0 in each; and offsets.

    offsets: (samples + 1,) where the vertices of each sample begin, and where those of the last one end.
    """
    sample = np.searchsorted(offsets, simplices[:, 0], side="right") - 1
    if (sample[1:] < sample[:-1]).any():
        order = np.argsort(sample, kind="stable")
        simplices, sample = simplices[order], sample[order]
    return simplices - offsets[sample, None], np.searchsorted(sample, np.arange(len(offsets)))


class FaceLattice(NamedTuple):
    """All simplices of a complex, per dimension in lexicographic order, and where the facets of each stand."""

    simplices: list[Simplices]
    facets: list[Indices]  # (m, d + 1): without the first vertex, the second, ...; (m, 0) of vertices


def face_lattice(cells: Iterable[Simplices], *, vertices: int) -> FaceLattice:
    """The faces of these cells of one dimension or several, with all of the vertices."""
    simplices, facets = _core.lattice([np.ascontiguousarray(rows) for rows in cells], vertices)
    return FaceLattice(simplices, [np.empty((vertices, 0), np.int64), *facets])
