"""The C++ core: grids in dimension 0 and in their top dimension, lower-star and Rips filtrations in dimension 0."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

try:
    from topolayer import _core
except ImportError as error:
    folder = Path(__file__).parents[1]
    if any(folder.glob("_core.*.so")) or any(folder.glob("_core*.pyd")):
        raise
    raise ImportError(
        f"topolayer was imported from {folder}, where its C++ core is not compiled. Is this the folder of a clone? "
        "Run Python in another one, or install with `pip install -e .` there"
    ) from error
from topolayer._backends.protocol import IndexPairs
from topolayer._complexes import edges
from topolayer._filtrations import Cubical, Filtration, Freudenthal, LowerStar, Rips

_Indices: TypeAlias = NDArray[np.int64]
_Arrays: TypeAlias = tuple[_Indices, _Indices, _Indices]  # indices of bars, their dimensions and samples
_LARGEST_SAMPLE = 2**32 - 1  # positions within a sample are 32 bits wide


class NativeBackend:
    """Spreads a batch over `torch.get_num_threads()` threads, with the GIL released. Copies tensors to the CPU."""

    name = "native"
    checks_finite = True

    def unsupported(self, filtration: Filtration, dims: tuple[int, ...]) -> str | None:
        if not isinstance(filtration, (Freudenthal, Cubical, LowerStar, Rips)):
            return f"it does not compute {type(filtration).__name__} filtrations"
        on_grid = isinstance(filtration, (Freudenthal, Cubical))
        if not set(dims) <= ({0, filtration.top_dimension} if on_grid else {0}):
            return "of grids it computes dimension 0 and the top one" if on_grid else "it computes dimension 0 only"
        entries = math.prod(filtration.sample_shape)
        if not isinstance(filtration, Rips) and entries > _LARGEST_SAMPLE:
            return f"it takes samples of at most {_LARGEST_SAMPLE} entries, got {entries}"
        return None

    def pairs(self, filtration: Filtration, dims: tuple[int, ...]) -> IndexPairs:
        finite_bars, essential_bars, all_finite = _bars(filtration, sorted(dims))
        if not all_finite:
            filtration.check_finite()
        finite, finite_dims, finite_samples = map(torch.from_numpy, finite_bars)
        essential, essential_dims, essential_samples = map(torch.from_numpy, essential_bars)
        return IndexPairs(
            finite=finite,
            finite_dims=finite_dims,
            finite_samples=finite_samples,
            essential=essential,
            essential_dims=essential_dims,
            essential_samples=essential_samples,
            canonical=True,
        )

    def simplified(self, filtration: Filtration, k: int, threshold: float) -> Tensor:
        values = _to_numpy(filtration.values.reshape(filtration.samples, -1))
        narrow = values.size <= 2**31  # half the memory to go through
        indices = torch.empty(values.size, dtype=torch.int32 if narrow else torch.int64, device="cpu")
        kept = min(k, sys.maxsize), threshold
        threads = torch.get_num_threads()
        if isinstance(filtration, LowerStar):
            graph = edges(filtration.arrays())
            all_finite = _core.simplify_graph(values, indices.numpy(), graph, filtration.superlevel, *kept, threads)
        else:
            grid = _grid(filtration)
            all_finite = _core.simplify_grid(values, indices.numpy(), grid, filtration.superlevel, *kept, threads)
        if not all_finite:
            filtration.check_finite()
        return indices.view(filtration.values.shape)

    def __repr__(self) -> str:
        return "<native: grids in dimension 0 and the top one, LowerStar and Rips in dimension 0>"


def _bars(filtration: Filtration, dims: list[int]) -> tuple[_Arrays, _Arrays, bool]:
    """Finite and essential bars, and whether all values were finite."""
    threads = torch.get_num_threads()
    if isinstance(filtration, Rips):
        distances = filtration.values.reshape(-1, *filtration.sample_shape)
        return _core.rips_bars(_to_numpy(distances), filtration.threshold, threads)
    values = _to_numpy(filtration.values.reshape(filtration.samples, -1))
    if isinstance(filtration, LowerStar):
        return _core.graph_bars(values, edges(filtration.arrays()), filtration.superlevel, threads)
    return _core.grid_bars(values, _grid(filtration), filtration.superlevel, dims, threads)


def _grid(filtration: Filtration) -> _core.Grid:
    if isinstance(filtration, Freudenthal):
        return _core.Grid(filtration.sample_shape, _core.Connectivity.FREUDENTHAL)
    assert isinstance(filtration, Cubical)
    vertices = filtration.construction == "V"
    connectivity = _core.Connectivity.VERTICES if vertices else _core.Connectivity.TOP_CELLS
    return _core.Grid(filtration.sample_shape, connectivity)


def _to_numpy(tensor: Tensor) -> np.ndarray:
    """Contiguous and on the CPU, without a copy where it is so already. A lazily negated view is resolved first."""
    return tensor.cpu().resolve_neg().contiguous().numpy()
