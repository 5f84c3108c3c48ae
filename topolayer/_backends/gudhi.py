"""GUDHI through the rank adapter: every filtration, every dimension. It is the reference and not fast."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from topolayer._backends.ranks import RankBackend, Ranks
from topolayer._filtrations import Filtration
from topolayer._filtrations.cells import CliqueComplex, Grid, SimplexComplex, VertexComplex, as_arrays
from topolayer._filtrations.simplices import with_faces

_MOST_CELLS = 2**32 - 1


class GudhiBackend(RankBackend):
    """Uses the cubical complexes and simplex trees of GUDHI, whose code for these is under the MIT licence."""

    name = "gudhi"

    def unsupported(self, filtration: Filtration, dims: tuple[int, ...]) -> str | None:
        cells = filtration.cells
        if cells is None:
            return f"it does not know the filtration {type(filtration).__name__}"
        if isinstance(cells, Grid) and _count(cells) > _MOST_CELLS:
            entries = math.prod(cells.shape)
            return f"it numbers cells in 32 bits, which are too few for samples of {entries} entries"
        return None

    def diagram(self, filtration: Filtration, ranks: Ranks, dims: tuple[int, ...]) -> np.ndarray:
        match filtration.cells:
            case Grid(connectivity="V" | "T" as construction):
                return _cubical(ranks, construction)
            case Grid() | VertexComplex() as cells:
                values = ranks.ravel()
                simplices = with_faces(cells.maximal_simplices(), vertices=len(values), top=max(dims) + 1)
                return _simplicial(simplices, [values[rows].max(axis=1) for rows in simplices], top=max(dims))
            case SimplexComplex(simplices=tensors):
                simplices = as_arrays(tensors)
                by_dimension = np.split(ranks, np.cumsum([len(rows) for rows in simplices])[:-1])
                kept = max(dims) + 2  # bars of a dimension end with simplices of the next
                return _simplicial(simplices[:kept], by_dimension[:kept], top=max(dims))
            case CliqueComplex():
                return _rips(ranks, top=max(dims))
        raise AssertionError("unsupported")

    def __repr__(self) -> str:
        return "<gudhi: every filtration, every dimension>"


def _cubical(ranks: Ranks, construction: str) -> np.ndarray:
    import gudhi

    # GUDHI gets the array itself, because it would read flat data with `dimensions` in Fortran order.
    cells = {"vertices": ranks} if construction == "V" else {"top_dimensional_cells": ranks}
    return _rows(gudhi.CubicalComplex(**cells).persistence(homology_coeff_field=2))


def _simplicial(simplices: list[np.ndarray], ranks: list[np.ndarray], top: int) -> np.ndarray:
    import gudhi

    tree = gudhi.SimplexTree()
    # Faces come first, since a coface inserts those that are missing with its own rank.
    for rows, entry in zip(simplices, ranks, strict=True):
        tree.insert_batch(rows.T.astype(np.int32), entry)
    return _persistence(tree, top)


def _rips(ranks: Ranks, top: int) -> np.ndarray:
    import gudhi

    tree = gudhi.SimplexTree.create_from_array(ranks, max_filtration=np.finfo(np.float64).max)
    tree.expansion(top + 1)
    return _persistence(tree, top)


def _persistence(tree: Any, top: int) -> np.ndarray:
    """Bars up to dimension `top`."""
    # By default the dimension of the complex is left out, and with it the loops of a graph.
    tree.compute_persistence(homology_coeff_field=2, persistence_dim_max=tree.dimension() <= top)
    by_dimension = [tree.persistence_intervals_in_dimension(dim).reshape(-1, 2) for dim in range(top + 1)]
    dims = np.repeat(np.arange(top + 1), [len(bars) for bars in by_dimension])
    return np.column_stack([dims, np.concatenate(by_dimension)])


def _rows(diagram: list[tuple[int, tuple[float, float]]]) -> np.ndarray:
    return np.array([(dim, birth, death) for dim, (birth, death) in diagram]).reshape(-1, 3)


def _count(grid: Grid) -> int:
    """The largest possible number of cells: each pixel brings along those on one side of it."""
    per_pixel = (2, 6, 26) if grid.connectivity == "F" else (2, 4, 8)
    return math.prod(grid.shape) * per_pixel[len(grid.shape) - 1]
