"""The rank adapter: any library that computes diagrams of values becomes a backend with exact index pairs."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from topolayer._backends.protocol import BarIndices, IndexPairs
from topolayer._checks import came
from topolayer._filtrations import Filtration

Ranks = NDArray[np.float64]

_ROWS = "a row is a dimension, the rank of a birth and that of a death"


class RankBackend(ABC):
    """Base of backends that wrap a library which maps filtration values to diagrams of values.

    The library never sees the values. It gets each value's *rank* in the total order (value, dimension,
    position), and gives a diagram of ranks; a rank is an index. So ties, precision, superlevel filtrations
    and missing generators are dealt with here, once.

    Subclasses give `name`, `unsupported` and `diagram`.

    Example:
        >>> import cripser, numpy as np, torch, topolayer as tl
        >>> class Cripser(tl.RankBackend):
        ...     name = "cripser"
        ...
        ...     def unsupported(self, filtration, dims):
        ...         return None if isinstance(filtration, tl.Cubical) else "it computes cubical filtrations only"
        ...
        ...     def diagram(self, filtration, ranks, dims):
        ...         volume = np.atleast_3d(ranks)
        ...         return cripser.compute_ph(volume, filtration=filtration.construction, maxdim=max(dims))[:, :3]
        >>> signal = torch.tensor([0.0, 3.0, 1.0, 2.0])
        >>> tl.persistence(tl.Cubical(signal, ndim=1, superlevel=True), backend=Cripser()).births
        tensor([2.])
    """

    name: str

    @abstractmethod
    def unsupported(self, filtration: Filtration, dims: tuple[int, ...]) -> str | None:
        """Why this backend cannot compute these dimensions of this filtration; None if it can.

        Args:
            filtration: what `persistence` was asked about.
            dims: the requested homology dimensions, one or more.

        Returns:
            The reason, which goes into the error message; None if there is none.
        """

    @abstractmethod
    def diagram(self, filtration: Filtration, ranks: Ranks, dims: tuple[int, ...]) -> ArrayLike:
        """The diagram of one sample, as rows (dimension, birth rank, death rank); the death of an essential bar is inf.

        Args:
            filtration: says what cells there are (construction, simplices, ...); do not use its values.
            ranks: float64 array of whole numbers, all different, for a *sublevel* filtration whatever the original was.
                Grids: shaped like the grid. LowerStar: (vertices,). Simplicial, Alpha: (simplices,). Rips: symmetric
                (n, n) with vertices on the diagonal, inf where there is no edge.
            dims: the requested dimensions; the rows may have others, which are left out.

        Returns:
            (bars, 3), anything that NumPy makes an array of, with rows in any order.
        """

    def pairs(self, filtration: Filtration, dims: tuple[int, ...]) -> IndexPairs:
        """The index pairs of all samples in these dimensions, from one `diagram` for each sample.

        Args:
            filtration: off the autograd graph, with finite values.
            dims: the requested homology dimensions.

        Returns:
            The pairs, on the CPU.

        Raises:
            TypeError, ValueError: `diagram` returned something else than rows of whole ranks.
        """
        order = filtration.order()
        ranks = filtration.ranks(order).numpy()
        rows = [np.empty((0, 4))]
        for sample in range(filtration.samples):
            bars = self._checked(self.diagram(filtration, ranks[sample], dims), ranks[sample])
            rows.append(np.insert(bars[np.isin(bars[:, 0], dims)], 0, sample, axis=1))
        bars = np.concatenate(rows)
        samples, dimensions = torch.from_numpy(bars[:, :2].astype(np.int64)).T
        first_index = samples * math.prod(filtration.sample_shape)
        finite = torch.from_numpy(np.isfinite(bars[:, 3]))
        birth_death = torch.from_numpy(np.where(np.isfinite(bars[:, 2:]), bars[:, 2:], 0).astype(np.int64))
        pairs = first_index[:, None] + order[samples[:, None], birth_death]
        return IndexPairs(
            finite=BarIndices(pairs[finite], dimensions[finite], samples[finite]),
            essential=BarIndices(pairs[~finite, 0], dimensions[~finite], samples[~finite]),
        )

    def _checked(self, diagram: ArrayLike, ranks: Ranks) -> NDArray[np.float64]:
        """The diagram as an array, if its rows can be read as bars between ranks."""
        try:
            rows = np.asarray(diagram, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"{self.name}: expected a diagram, an array of numbers of shape (m, 3), got {came(diagram)} ({error}); "
                f"{_ROWS}"
            ) from error
        if rows.size == 0:
            return np.empty((0, 3))
        if rows.ndim != 2 or rows.shape[1] != 3:
            raise ValueError(f"{self.name}: expected a diagram of shape (m, 3), got {rows.shape}; {_ROWS}")
        dim, birth, death = rows.T
        last = ranks[np.isfinite(ranks)].max()
        whole = (np.trunc(rows) == rows).all(axis=1)
        ordered = (dim >= 0) & (dim < np.inf) & (birth >= 0) & (birth <= np.minimum(death, last))
        wrong = np.flatnonzero(~(whole & ordered & ((death <= last) | (death == np.inf))))
        if len(wrong):
            raise ValueError(
                f"{self.name}: expected rows (dimension, birth, death) with whole ranks from 0 to {last:.0f} in "
                f"ascending order, inf for the death of an essential bar, got {rows[wrong[0]].tolist()}; "
                "give the library the ranks, not the values"
            )
        return rows
