"""Delaunay complexes as graphs, for which the core has union-find."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from topolayer import _core
from topolayer._filtrations.cells import TriangulatedBall, as_arrays
from topolayer._filtrations.simplices import Indices

Values = NDArray[np.floating[Any]]


def components(values: Values, complex_: TriangulatedBall) -> tuple[Indices, Indices]:
    """Finite and essential bars of dimension 0. An edge is a vertex between its ends that comes when the edge does."""
    vertices, *higher = as_arrays(complex_.simplices[:2])
    edges = higher[0] if higher else np.empty((0, 2), np.int64)
    position = np.zeros(int(vertices.max()) + 1, np.int64)
    position[vertices[:, 0]] = np.arange(len(vertices))
    middle = np.arange(len(vertices), len(vertices) + len(edges))
    graph = _pairs(position[edges], middle)
    (finite, *_), (essential, *_), _ = _core.graph_bars(
        values[None, : len(vertices) + len(edges)], graph, False, [0], torch.get_num_threads()
    )
    return finite, essential


def voids(values: Values, complex_: TriangulatedBall) -> Indices:
    """Finite bars of the dimension below that of the cells; there are no others.

    They are components of the dual graph in the reversed order, with birth and death exchanged. There a cell is a
    vertex, a facet is an edge between its cells, or to what is outside, and that is the oldest of all.
    """
    cells, facets = (len(rows) for rows in complex_.simplices[:-3:-1])
    # Number 0 is the outside, p the p-th from the end of the values.
    reversed_values = np.append(values.max(), values[: -1 - cells - facets : -1])
    number = cells + facets - np.arange(facets)
    outer = number[np.bincount(complex_.facets.ravel(), minlength=facets) == 1]
    graph = np.concatenate(
        [_pairs(number[complex_.facets], cells - np.arange(cells)), _pairs(outer[:, None], 0 * outer)]
    )
    (finite, *_), _, _ = _core.graph_bars(reversed_values[None], graph, True, [0], torch.get_num_threads())
    bars = len(values) - finite[:, ::-1]
    death = bars[:, 1]
    return np.asarray(bars[np.lexsort([death, values[death]])], dtype=np.int64)


def _pairs(others: Indices, numbers: Indices) -> Indices:
    """(m * k, 2): the m numbers, each with its k others."""
    return np.stack([others, np.broadcast_to(numbers[:, None], others.shape)], axis=2).reshape(-1, 2)
