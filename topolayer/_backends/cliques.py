"""Libraries for `Rips` in any dimension, through the rank adapter. Each is imported when it is first used."""

from __future__ import annotations

import importlib.util
import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import cast

import numpy as np

from topolayer._backends.ranks import RankBackend, Ranks
from topolayer._filtrations import Filtration
from topolayer._filtrations.cells import CliqueComplex


class CliqueBackend(RankBackend):
    """The libraries compute in float32, in which whole numbers are exact up to 2**24: more ranks than that are refused.

    They take a dense matrix, in which all vertices are born at 0: the bars of dimension 0 are put together here.
    """

    module: str
    extra: str

    @abstractmethod
    def diagrams(self, distances: Ranks, top: int, last: float) -> Sequence[np.ndarray]:
        """(bars, 2) births and deaths of each dimension up to `top`, of edges up to `last`; others have infinity."""

    def unsupported(self, filtration: Filtration, dims: tuple[int, ...]) -> str | None:
        if not isinstance(filtration.cells, CliqueComplex):
            return "it computes Rips filtrations only"
        if importlib.util.find_spec(self.module) is None:
            return f'it is not installed; pip install "topolayer[{self.extra}]"'
        points = filtration.cells.points
        if points * (points + 1) // 2 > 2**24:
            return f"it computes in float32, which cannot tell the {points * (points + 1) // 2} entries apart"
        return None

    def diagram(self, filtration: Filtration, ranks: Ranks, dims: tuple[int, ...]) -> np.ndarray:
        entered = np.isfinite(ranks)
        distances = ranks.copy()
        np.fill_diagonal(distances, 0)
        last = math.inf if entered.all() else float(ranks[entered].max())
        diagrams = self.diagrams(distances, max(dims), last)
        rows = [np.insert(bars, 0, dim, axis=1) for dim, bars in enumerate(diagrams) if dim > 0]
        return np.concatenate([_components(diagrams[0][:, 1], ranks), *rows])

    def __repr__(self) -> str:
        return f"<{self.name}: Rips, every dimension>"


class RedzedBackend(CliqueBackend):
    """redzed-tda (Kapulkin and Kershaw, 2026)."""

    name, module, extra = "redzed", "redzed_tda", "redzed"

    def diagrams(self, distances: Ranks, top: int, last: float) -> Sequence[np.ndarray]:
        import redzed_tda

        distances = np.where(np.isfinite(distances), distances, last + 1)  # it refuses infinity
        return cast("Sequence[np.ndarray]", redzed_tda.rips(distances, maxdim=max(top, 1), threshold=last))


class RipserBackend(CliqueBackend):
    """Ripser (Bauer, 2021)."""

    name, module, extra = "ripser", "ripser", "ripser"

    def diagrams(self, distances: Ranks, top: int, last: float) -> Sequence[np.ndarray]:
        import ripser

        return ripser.ripser(distances, distance_matrix=True, maxdim=top, thresh=last)["dgms"]  # type: ignore[no-any-return]


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
