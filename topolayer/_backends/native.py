"""The C++ core: H0 of grids, of lower-star filtrations and of Rips filtrations, on the CPU."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from topolayer import _core
from topolayer._backends.protocol import IndexPairs
from topolayer._complexes import with_faces
from topolayer._filtrations import Cubical, Filtration, Freudenthal, LowerStar, Rips

# Positions within a sample are 32 bits wide, and a grid gets a margin of one cell on every side.
_LARGEST_SAMPLE = 2**32 - 1


class NativeBackend:
    """Spreads a batch over `torch.get_num_threads()` threads, with the GIL released. Copies tensors to the CPU."""

    name = "native"
    checks_finite = True

    def unsupported(self, filtration: Filtration, dims: tuple[int, ...]) -> str | None:
        if not isinstance(filtration, (Freudenthal, Cubical, LowerStar, Rips)):
            return f"it does not compute {type(filtration).__name__} filtrations"
        if dims != (0,):
            return "it computes dimension 0 only"
        cells = math.prod(length + 2 for length in filtration.sample_shape)
        if not isinstance(filtration, Rips) and cells > _LARGEST_SAMPLE:
            return f"it takes samples of at most {_LARGEST_SAMPLE} entries, their margin counted in, got {cells}"
        return None

    def pairs(self, filtration: Filtration, dims: tuple[int, ...]) -> IndexPairs:
        finite, finite_counts, essential, essential_counts, all_finite = _h0(filtration)
        if not all_finite:
            filtration.check_finite()
        sample = torch.arange(filtration.samples)
        finite_bars, essential_bars = torch.from_numpy(finite), torch.from_numpy(essential)
        return IndexPairs(
            finite=finite_bars,
            finite_dims=torch.zeros(len(finite_bars), dtype=torch.int64),
            finite_samples=sample.repeat_interleave(torch.from_numpy(finite_counts), output_size=len(finite_bars)),
            essential=essential_bars,
            essential_dims=torch.zeros(len(essential_bars), dtype=torch.int64),
            essential_samples=sample.repeat_interleave(
                torch.from_numpy(essential_counts), output_size=len(essential_bars)
            ),
            canonical=True,
        )

    def __repr__(self) -> str:
        return "<native: Freudenthal, Cubical, LowerStar, Rips in dimension 0>"


def _h0(filtration: Filtration) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool]:
    threads = torch.get_num_threads()
    if isinstance(filtration, Rips):
        distances = filtration.values.reshape(-1, *filtration.sample_shape)
        return _core.rips_h0(_to_numpy(distances), filtration.threshold, threads)
    values = _to_numpy(filtration.values.reshape(filtration.samples, -1))
    if isinstance(filtration, LowerStar):
        edges = with_faces(filtration.arrays(), vertices=values.shape[1], top=1)[1]
        return _core.graph_h0(values, edges, filtration.superlevel, threads)
    if isinstance(filtration, Freudenthal):
        connectivity = _core.Connectivity.FREUDENTHAL
    else:
        assert isinstance(filtration, Cubical)
        vertices = filtration.construction == "V"
        connectivity = _core.Connectivity.VERTICES if vertices else _core.Connectivity.TOP_CELLS
    return _core.grid_h0(values, filtration.sample_shape, connectivity, filtration.superlevel, threads)


def _to_numpy(tensor: Tensor) -> np.ndarray:
    """Contiguous and on the CPU, without a copy where it is so already. A lazily negated view is resolved first."""
    return tensor.cpu().resolve_neg().contiguous().numpy()
