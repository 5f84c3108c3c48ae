"""Ripser through the rank adapter: Rips filtrations, every dimension. It is imported when it is first used."""

from __future__ import annotations

import importlib.util

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
        from scipy.sparse import coo_matrix

        row, column = np.nonzero(np.isfinite(ranks))
        # Vertices are born at different ranks, which Ripser takes from the diagonal of a sparse matrix only.
        sparse = coo_matrix((ranks[row, column], (row, column)), shape=ranks.shape)
        diagrams = ripser.ripser(sparse, distance_matrix=True, maxdim=max(dims))["dgms"]
        return np.concatenate([np.insert(bars, 0, dim, axis=1) for dim, bars in enumerate(diagrams)])

    def __repr__(self) -> str:
        return "<ripser: Rips, every dimension>"
