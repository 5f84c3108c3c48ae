"""The C++ core: grids in dimension 0 and in their top dimension, lower-star and Rips filtrations in dimension 0."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import torch
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
        finite, finite_dims, finite_samples, essential, essential_dims, essential_samples, all_finite = _bars(
            filtration, sorted(dims)
        )
        if not all_finite:
            filtration.check_finite()
        return IndexPairs(
            finite=torch.from_numpy(finite),
            finite_dims=torch.from_numpy(finite_dims),
            finite_samples=torch.from_numpy(finite_samples),
            essential=torch.from_numpy(essential),
            essential_dims=torch.from_numpy(essential_dims),
            essential_samples=torch.from_numpy(essential_samples),
            canonical=True,
        )

    def simplified(self, filtration: Filtration, k: int, threshold: float) -> Tensor:
        values = _to_numpy(filtration.values.reshape(filtration.samples, -1))
        narrow = values.size <= 2**31  # half the memory to go through
        indices = torch.empty(values.size, dtype=torch.int32 if narrow else torch.int64)
        kept = min(k, sys.maxsize), threshold
        threads = torch.get_num_threads()
        if isinstance(filtration, LowerStar):
            graph = edges(filtration.arrays())
            all_finite = _core.simplify_graph(values, indices.numpy(), graph, filtration.superlevel, *kept, threads)
        else:
            shape, connectivity = filtration.sample_shape, _connectivity(filtration)
            all_finite = _core.simplify_grid(
                values, indices.numpy(), shape, connectivity, filtration.superlevel, *kept, threads
            )
        if not all_finite:
            filtration.check_finite()
        return indices.view(filtration.values.shape)

    def __repr__(self) -> str:
        return "<native: grids in dimension 0 and the top one, LowerStar and Rips in dimension 0>"


def _bars(filtration: Filtration, dims: list[int]) -> _core._Bars:
    threads = torch.get_num_threads()
    if isinstance(filtration, Rips):
        distances = filtration.values.reshape(-1, *filtration.sample_shape)
        return _core.rips_h0(_to_numpy(distances), filtration.threshold, threads)
    values = _to_numpy(filtration.values.reshape(filtration.samples, -1))
    if isinstance(filtration, LowerStar):
        return _core.graph_h0(values, edges(filtration.arrays()), filtration.superlevel, threads)
    shape, connectivity = filtration.sample_shape, _connectivity(filtration)
    return _core.grid(values, shape, connectivity, filtration.superlevel, dims, threads)


def _connectivity(filtration: Filtration) -> _core.Connectivity:
    if isinstance(filtration, Freudenthal):
        return _core.Connectivity.FREUDENTHAL
    assert isinstance(filtration, Cubical)
    return _core.Connectivity.VERTICES if filtration.construction == "V" else _core.Connectivity.TOP_CELLS


def _to_numpy(tensor: Tensor) -> np.ndarray:
    """Contiguous and on the CPU, without a copy where it is so already. A lazily negated view is resolved first."""
    return tensor.cpu().resolve_neg().contiguous().numpy()
