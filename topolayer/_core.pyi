"""The C++ core. Indices are flat into the whole array of values; bars come in the order that `Barcode` documents."""

import enum
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

class Connectivity(enum.Enum):
    FREUDENTHAL = 0
    VERTICES = 1
    TOP_CELLS = 2

_Float: TypeAlias = np.floating[Any]
_Indices: TypeAlias = NDArray[np.int64]
# finite (n, 2), their dimensions and samples; essential (m,), likewise; whether all values were finite
_Bars: TypeAlias = tuple[_Indices, _Indices, _Indices, _Indices, _Indices, _Indices, bool]

def grid(
    values: NDArray[_Float],
    shape: Sequence[int],
    connectivity: Connectivity,
    superlevel: bool,
    dims: Sequence[int],
    threads: int,
) -> _Bars: ...
def graph_h0(values: NDArray[_Float], edges: _Indices, superlevel: bool, threads: int) -> _Bars: ...
def rips_h0(distances: NDArray[_Float], threshold: float, threads: int) -> _Bars: ...

# Each writes, for every value, the index of the one that it takes, and says whether all values were finite.
def simplify_grid(
    values: NDArray[_Float],
    indices: NDArray[np.integer[Any]],
    shape: Sequence[int],
    connectivity: Connectivity,
    superlevel: bool,
    most: int,
    shortest: float,
    threads: int,
) -> bool: ...
def simplify_graph(
    values: NDArray[_Float],
    indices: NDArray[np.integer[Any]],
    edges: _Indices,
    superlevel: bool,
    most: int,
    shortest: float,
    threads: int,
) -> bool: ...
