"""The C++ core: grids, graphs, meshes and all other complexes in every dimension, `Rips` in 0 and 1."""

from __future__ import annotations

import sys
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from topolayer import _core
from topolayer._backends.protocol import BarIndices, Capabilities, IndexPairs, unchecked
from topolayer._filtrations import Filtration
from topolayer._filtrations.cells import CliqueComplex, Grid, SimplexComplex, VertexComplex
from topolayer._filtrations.simplices import Simplices, by_sample, edges

_Indices: TypeAlias = NDArray[np.int64]
_Arrays: TypeAlias = tuple[_Indices, _Indices, _Indices]  # indices of bars, their dimensions and samples
_Found: TypeAlias = tuple[_Arrays, _Arrays, bool]  # finite and essential bars, and whether all values were finite
LARGEST_SAMPLE = 2**32 - 1  # positions within a sample are 32 bits wide
_MOST_POINTS_OF_LOOPS = 2**16  # so are edges, and each has two ends


class NativeBackend:
    """Spreads a batch over `torch.get_num_threads()` threads, with the GIL released. Copies tensors to the CPU."""

    name = "native"
    capabilities = Capabilities(simplifies=True, matches=True, checks_finite=True, ragged=True)

    def unsupported(self, filtration: Filtration, dims: tuple[int, ...]) -> str | None:
        match filtration.cells:
            case Grid(shape=shape):
                if max(dims) >= len(shape):
                    return f"a grid with {len(shape)} axes has no bars of dimension {max(dims)}"
            case VertexComplex() | SimplexComplex():
                if max(dims) > (filtration.top_dimension or 0):
                    return f"it has no bars of dimension {max(dims)}"
            case CliqueComplex(points=points):
                if not set(dims) <= {0, 1}:
                    return "of Rips it computes dimensions 0 and 1"
                if 1 in dims and points > _MOST_POINTS_OF_LOOPS:
                    return f"it takes at most {_MOST_POINTS_OF_LOOPS} points in dimension 1, got {points}"
            case _:
                return f"it does not compute {type(filtration).__name__} filtrations"
        if filtration.numbers.numel() > LARGEST_SAMPLE and not isinstance(filtration.cells, CliqueComplex):
            entries = int(filtration.offsets.diff().max())
            if entries > LARGEST_SAMPLE:
                return f"it takes samples of at most {LARGEST_SAMPLE} entries, got {entries}"
        return None

    def pairs(self, filtration: Filtration, dims: tuple[int, ...]) -> IndexPairs:
        return _index_pairs(filtration, _bars(filtration, sorted(dims)))

    def simplified(self, filtration: Filtration, k: int, threshold: float) -> Tensor:
        entries = filtration.values.numel()
        narrow = entries <= 2**31  # half of the memory to read
        indices = torch.empty(entries, dtype=torch.int32 if narrow else torch.int64, device="cpu")
        kept = min(k, sys.maxsize), threshold
        threads = torch.get_num_threads()
        options = filtration.superlevel, *kept, threads
        match filtration.cells:
            case VertexComplex() as complex_:
                (values, offsets), graphs = _flat(filtration), _graphs(filtration, complex_)
                all_finite = _core.simplify_graph(values, offsets, indices.numpy(), *graphs, *options)  # type: ignore[call-overload]
            case Grid() as grid:
                all_finite = _core.simplify_grid(_rows(filtration), indices.numpy(), _grid(grid), *options)
            case _:
                raise AssertionError("unsupported")
        if not all_finite:
            filtration.check_finite()
        return indices.view(filtration.values.shape)

    def matched(
        self, first: Filtration, second: Filtration, dims: tuple[int, ...], comparison: str
    ) -> tuple[IndexPairs, IndexPairs, Tensor]:
        threads = torch.get_num_threads()
        compared = _core.Comparison.UNION if comparison == "union" else _core.Comparison.INTERSECTION
        match first.cells:
            case VertexComplex() as complex_:
                (values, offsets), (others, _) = _flat(first), _flat(second)
                samples = values, others, offsets
                *found, pairs = _core.graph_matching(
                    *samples, *_graphs(first, complex_), first.superlevel, compared, threads
                )
            case Grid() as grid:
                found_and_pairs = _core.grid_matching(
                    _rows(first), _rows(second), _grid(grid), first.superlevel, sorted(dims), compared, threads
                )
                *found, pairs = found_and_pairs
            case _:
                raise AssertionError("unsupported")
        of_first, of_second = (
            _index_pairs(filtration, bars) for filtration, bars in zip((first, second), found, strict=True)
        )
        return of_first, of_second, torch.from_numpy(pairs).T

    def __repr__(self) -> str:
        return "<native: every dimension of all filtrations, but of Rips 0 and 1>"


def extended_pairs(filtration: Filtration) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The bars of graphs: (bars, 2) indices, dims, kinds (0 ordinary, 1 relative, 2 extended) and samples, in order."""
    if filtration.samples == 0:
        none = torch.empty(0, dtype=torch.int64)
        return none.reshape(0, 2), none, none, none
    if not isinstance(filtration.cells, VertexComplex):
        raise AssertionError("unsupported")
    graphs = _graphs(filtration, filtration.cells)
    (indices, code, samples), _, all_finite = _core.extended_graph_bars(
        *_flat(filtration), *graphs, filtration.superlevel, torch.get_num_threads()
    )
    if not all_finite:
        filtration.check_finite()
    kinds = np.array([0, 2, 1, 2])[code]
    return torch.from_numpy(indices), torch.from_numpy(code // 2), torch.from_numpy(kinds), torch.from_numpy(samples)


def _index_pairs(filtration: Filtration, found: _Found) -> IndexPairs:
    finite_bars, essential_bars, all_finite = found
    if not all_finite:
        filtration.check_finite()
    return unchecked(IndexPairs, finite=_indices(*finite_bars), essential=_indices(*essential_bars), canonical=True)


def _bars(filtration: Filtration, dims: list[int]) -> _Found:
    """Finite and essential bars, and whether all values were finite."""
    threads = torch.get_num_threads()
    match filtration.cells:
        case CliqueComplex(threshold=threshold):
            return _core.rips_bars(*_flat(filtration), threshold, dims, threads)
        case VertexComplex() as complex_ if complex_.dimension <= 1 or dims == [0]:
            graphs = _graphs(filtration, complex_)
            return _core.graph_bars(*_flat(filtration), *graphs, filtration.superlevel, dims, threads)
        case VertexComplex() as complex_:
            simplices = _complexes(filtration, complex_)
            return _core.lower_star_bars(*_flat(filtration), simplices, filtration.superlevel, dims, threads)
        case SimplexComplex() as complex_:
            each = _each(filtration, complex_)
            vertices = [len(part.simplices[0]) for part in each]
            facets = [part.facets[: dims[-1] + 1] for part in each]  # bars end with simplices of the next dimension
            balls = all(part.is_ball for part in each)
            return _core.simplicial_bars(
                *_flat(filtration), vertices, facets, balls, filtration.superlevel, dims, threads
            )
        case Grid() as grid:
            numbers = _readable(filtration.numbers).reshape(filtration.samples, -1)
            return _core.grid_bars(numbers, _grid(grid), filtration.superlevel, dims, threads)
    raise AssertionError("unsupported")


def _indices(indices: _Indices, dims: _Indices, samples: _Indices) -> BarIndices:
    tensor = torch.from_numpy
    return unchecked(BarIndices, indices=tensor(indices), dims=tensor(dims), samples=tensor(samples))


CONNECTIVITY = {
    "F": _core.Connectivity.FREUDENTHAL,
    "V": _core.Connectivity.VERTICES,
    "T": _core.Connectivity.TOP_CELLS,
}


def _grid(grid: Grid) -> _core.Grid:
    return _core.Grid(grid.shape, CONNECTIVITY[grid.connectivity])


def _graphs(filtration: Filtration, complex_: VertexComplex) -> tuple[_Indices, _Indices]:
    """The edges of one graph that all samples have, or of one for each, and where those of each graph begin."""
    found = edges(complex_.maximal_simplices())
    if filtration.is_ragged:
        return by_sample(found, filtration.offsets.cpu().numpy())
    return found, np.array([0, len(found)])


def _complexes(filtration: Filtration, complex_: VertexComplex) -> list[list[Simplices]]:
    """The simplices of the one complex that all samples have, or of one complex for each."""
    simplices = complex_.maximal_simplices()
    if not filtration.is_ragged:
        return [simplices]
    parts = [np.split(*_cut(rows, filtration.offsets.cpu().numpy())) for rows in simplices]
    return [list(rows) for rows in zip(*parts, strict=True)]


def _cut(simplices: Simplices, offsets: _Indices) -> tuple[Simplices, _Indices]:
    rows, firsts = by_sample(simplices, offsets)
    return rows, firsts[1:-1]


def _each(filtration: Filtration, complex_: SimplexComplex) -> list[SimplexComplex]:
    """The complex that all samples have, or that of each."""
    if not filtration.is_ragged:
        return [complex_]
    every = [filtration.sample(number).cells for number in range(filtration.samples)]
    return [cells for cells in every if isinstance(cells, SimplexComplex)]


def _rows(filtration: Filtration) -> np.ndarray:
    """(samples, values)."""
    return _to_numpy(filtration.values).reshape(filtration.samples, -1)


def _flat(filtration: Filtration) -> tuple[np.ndarray, _Indices]:
    """All values, and where each sample begins."""
    return _to_numpy(filtration.values).ravel(), filtration.offsets.cpu().numpy()


def _readable(numbers: Tensor) -> np.ndarray:
    """In a dtype whose grids the core takes: of integers all but int8."""
    array = _to_numpy(numbers.short() if numbers.dtype is torch.int8 else numbers)
    return array.view(np.uint8) if array.dtype == np.bool_ else array


def _to_numpy(tensor: Tensor) -> np.ndarray:
    """The tensor on the CPU, contiguous and without a needless copy. A lazily negated view is resolved first."""
    return tensor.cpu().resolve_neg().contiguous().numpy()
