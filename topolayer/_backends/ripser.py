"""Ripser through the rank adapter: Rips filtrations, every dimension. It is imported when it is first used."""

from __future__ import annotations

import importlib.util
import math

import numpy as np

from topolayer._backends.ranks import RankBackend, Ranks
from topolayer._filtrations import Filtration
from topolayer._filtrations.cells import CliqueComplex


class RipserBackend(RankBackend):
    """Ripser computes in float32, in which whole numbers are exact up to 2**24: more ranks than that are refused."""

    name = "ripser"

    def unsupported(self, filtration: Filtration, dims: tuple[int, ...]) -> str | None:
        if not isinstance(filtration.cells, CliqueComplex):
            return "it computes Rips filtrations only"
        if importlib.util.find_spec("ripser") is None:
            return 'it is not installed; pip install "topolayer[ripser]"'
        points = filtration.cells.points
        if points * (points + 1) // 2 > 2**24:
            return f"it computes in float32, which cannot tell the {points * (points + 1) // 2} entries apart"
        return None

    def diagram(self, filtration: Filtration, ranks: Ranks, dims: tuple[int, ...]) -> np.ndarray:
        import ripser

        # A dense matrix is faster than a sparse one, but all vertices are born at 0 there.
        entered = np.isfinite(ranks)
        dense = ranks.copy()
        np.fill_diagonal(dense, 0)
        last = math.inf if entered.all() else float(ranks[entered].max())
        diagrams = ripser.ripser(dense, distance_matrix=True, maxdim=max(dims), thresh=last)["dgms"]
        rows = [np.insert(bars, 0, dim, axis=1) for dim, bars in enumerate(diagrams) if dim > 0]
        return np.concatenate([_components(diagrams[0][:, 1], ranks), *rows])

    def __repr__(self) -> str:
        return "<ripser: Rips, every dimension>"


def _components(deaths: np.ndarray, ranks: Ranks) -> np.ndarray:
    """The bars of dimension 0, from the ranks of the edges that join something. A vertex has its number as its rank."""
    oldest = list(range(len(ranks)))

    def root(vertex: int) -> int:
        while oldest[vertex] != vertex:
            vertex = oldest[vertex]
        return vertex

    first, second = np.nonzero(np.triu(np.isin(ranks, deaths[np.isfinite(deaths)]), 1))
    rows = []
    for edge in np.argsort(ranks[first, second]):
        a, b = root(int(first[edge])), root(int(second[edge]))
        oldest[max(a, b)] = min(a, b)
        rows.append((0, max(a, b), ranks[first[edge], second[edge]]))
    rows += [(0, vertex, math.inf) for vertex, older in enumerate(oldest) if vertex == older]
    return np.array(rows, dtype=np.float64)
