"""What a bar stands for: the pixels of its component, the line around its hole, or its loop."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cache, partial
from math import inf
from typing import Any

import numpy as np
import torch
from torch import Tensor

from topolayer._barcodes.barcode import Barcode, check_barcode
from topolayer._barcodes.extended import ExtendedBarcode
from topolayer._checks import came, dense
from topolayer._filtrations import Filtration, with_tensors
from topolayer._filtrations.cells import CliqueComplex, Grid, VertexComplex
from topolayer._tracing import below_transforms, refuse_without_numbers, to_numpy, untraced

_RELATIVE, _EXTENDED = 1, 2  # kinds of an ExtendedBarcode


@untraced  # a loop over bars
def representatives(filtration: Filtration, barcode: Barcode, which: Tensor) -> list[Tensor]:
    """What some of the bars stand for, as lists of cells.

    In dimension 0 this is the component of the bar at its largest, just before it dies. In the top dimension of a grid
    it is the closed line around a hole, in volumes the closed surface, just when the hole is born. This is the outer
    border of the component of the complement that the bar stands for by duality (contract 14). In `Rips` a loop is the
    edge that it is born with and a way back over earlier edges, as few as possible. In `extended_persistence` of a
    graph a loop goes from its birth down to its death and back. All of this follows the
    total order, so equal values cause no ambiguity.

    Args:
        filtration: `Freudenthal`, `Cubical`, `LowerStar` or `Rips`, without a mask. Samples may differ in size.
        barcode: its barcode, all of it or a part, or some of its dimensions. A graph's may be extended.
        which: the finite bars to look at: their indices (m,), or a mask (bars,) of bools, such as
            `barcode.lengths > 0.5`.

    Returns:
        A tensor for each bar: int64, flat indices into `filtration.values`, ascending. They are those of pixels or
        vertices. In `Rips` they are those of the entries (i, i), which stand for points, and those of a loop are the
        entries (i, j), i < j, of its edges. Each bar costs a pass over its sample, on the CPU.

    Raises:
        TypeError, ValueError: an argument is of another type; the barcode is that of another filtration; there is no
            such bar; a bar of a grid has a dimension in between, as tunnels of volumes do; a bar of `Rips` has a
            dimension >= 2; a bar of `LowerStar` has a dimension >= 1 without being an extended one of a graph.

    Example:
        >>> import torch, topolayer as tl
        >>> ring = torch.tensor([[1.0, 1, 1, 1], [1, 0, 0.5, 1], [1, 1, 1, 1], [0, 0, 0, 0.8]])
        >>> cubical = tl.Cubical(ring, superlevel=True)
        >>> barcode = tl.persistence(cubical, dims=(0, 1))
        >>> (loop,) = tl.representatives(cubical, barcode, barcode.dims == 1)
        >>> torch.zeros(16, dtype=torch.int64).index_fill(0, loop, 1).view(4, 4)
        tensor([[1, 1, 1, 1],
                [1, 0, 0, 1],
                [1, 1, 1, 1],
                [0, 0, 0, 0]])
    """
    cells = filtration.cells if isinstance(filtration, Filtration) else None
    if not isinstance(cells, (Grid, VertexComplex, CliqueComplex)):
        raise TypeError(
            f"filtration: expected a Freudenthal, Cubical, LowerStar or Rips filtration, got {came(filtration)}; wrap "
            "a tensor in one of them"
        )
    if filtration.mask is not None:
        raise ValueError(
            f"filtration: expected a grid without a mask, got {filtration!r}; fill in what is outside, with "
            "torch.where(mask, values, number) and a number that enters last"
        )
    check_barcode("barcode", barcode)
    refuse_without_numbers(barcode.births)
    if (barcode.entries, barcode.superlevel) != (filtration.values.numel(), filtration.superlevel):
        raise ValueError(
            f"barcode: expected the one of the filtration, {filtration!r}, got one of {barcode.entries} values with "
            f"superlevel={barcode.superlevel}; make it with persistence(filtration)"
        )
    kinds = barcode.kind if isinstance(barcode, ExtendedBarcode) else torch.zeros_like(barcode.dims)
    bars = torch.column_stack([barcode.pairs, barcode.dims, barcode.sample, kinds])
    ends = torch.stack([barcode.births, barcode.deaths], dim=1)
    given = filtration.values, ends, bars, dense("which", which)
    places, sizes = below_transforms(partial(_places, filtration), *given)
    return [part.clone() for part in torch.split(places, to_numpy(sizes).tolist())]


def _places(filtration: Filtration, values: Tensor, ends: Tensor, bars: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
    """The cells of all chosen bars, one after another, and on the CPU how many each has.

    A bar is (birth, death, dimension, sample, kind).
    """
    device, cells = values.device, filtration.cells
    assert isinstance(cells, (Grid, VertexComplex, CliqueComplex))
    filtration = with_tensors(filtration, values.detach().cpu(), None)
    bars = bars.cpu()
    if bool((filtration.values.flatten()[bars[:, :2]] != ends.cpu()).any()):
        raise ValueError(
            f"barcode: expected the one of the filtration, {filtration!r}, got one with other births and deaths; make "
            "it with persistence(filtration)"
        )
    chosen = _chosen(which.cpu(), len(bars))
    _check_dims(cells, *bars[chosen][:, [2, 4]].T)
    offsets = filtration.offsets.tolist()

    @cache
    def alone(sample: int) -> tuple[Any, Any]:
        """The cells of a sample, and the places of its entries in the order."""
        one = filtration.sample(sample)
        return one.cells, one.ranks(one.order())[0].numpy()

    @cache
    def loops(sample: int) -> dict[tuple[int, int], list[list[int]]]:
        return _loops_of_graph(filtration.sample(sample))

    equal: Counter[tuple[int, ...]] = Counter()  # bars before with the same birth and death
    found = {}
    wanted = set(chosen.tolist())
    for number, bar in enumerate(bars.tolist()):
        before = equal[*bar]
        equal[*bar] += 1
        if number not in wanted:
            continue
        *pair, dim, sample, kind = bar
        first = offsets[sample]
        birth, death = (end - first for end in pair)
        own, ranks = alone(sample)
        if isinstance(own, Grid):
            places = _of_grid(own, ranks, birth, death, dim).ravel().nonzero()[0]
        elif dim == 0:
            places = _component(own, ranks, birth, inf if kind == _EXTENDED else ranks.flat[death])
        elif isinstance(own, CliqueComplex):
            places = _loop_of_edges(own, ranks, birth)
        else:
            places = np.array(loops(sample)[birth, death][before])
        found[number] = torch.from_numpy(places) + first
    parts = [found[number] for number in chosen.tolist()]
    sizes = torch.tensor([len(part) for part in parts], dtype=torch.int64, device="cpu")
    return torch.cat([bars[:0, 0], *parts]).to(device), sizes


def _check_dims(cells: Grid | VertexComplex | CliqueComplex, dims: Tensor, kinds: Tensor) -> None:
    """Of the chosen bars."""
    if bool((kinds == _RELATIVE).any()):
        raise ValueError(
            "which: expected ordinary or extended bars, got a relative one, a branch of the graph; leave them out, "
            "with & (barcode.kind != 1)"
        )
    top = len(cells.shape) - 1 if isinstance(cells, Grid) else int(isinstance(cells, CliqueComplex))
    refused = (dims != 0) & (dims != top) & (kinds != _EXTENDED)
    if bool(refused.any()):
        dim = int(dims[refused][0])
        expected = f"0 or {top}" if top else "0"
        graph = (
            "of a graph extended_persistence(filtration) has loops, else " if isinstance(cells, VertexComplex) else ""
        )
        raise ValueError(
            f"which: expected bars of dimension {expected} of this filtration, got one of dimension {dim}; {graph}"
            f"leave them out, with & (barcode.dims != {dim})"
        )


def _chosen(indices: Tensor, bars: int) -> Tensor:
    remedy = "barcode.lengths > 0.5, for instance, chooses some"
    if indices.dtype == torch.bool and indices.shape == (bars,):
        return indices.nonzero()[:, 0]
    if indices.dtype == torch.bool or indices.ndim != 1:
        raise ValueError(
            f"which: expected a mask ({bars},) of the bars or indices (m,), got shape {tuple(indices.shape)}; {remedy}"
        )
    if indices.is_floating_point() or indices.is_complex():
        raise TypeError(f"which: expected integers or bools, got {indices.dtype}; {remedy}")
    outside = (indices < 0) | (indices >= bars)
    if bool(outside.any()):
        raise ValueError(
            f"which: expected indices from 0 to {bars - 1}, got {int(indices[outside][0])}; bars that never die have "
            "none"
        )
    return indices.long()


# -- grids; arrays are of NumPy, since labels are SciPy's


def _of_grid(cells: Grid, ranks: Any, birth: int, death: int, dim: int) -> Any:
    if dim == 0:
        return _region(ranks < ranks.flat[death], birth, _neighbours(cells))
    return _border(cells, ranks > ranks.flat[birth], death)


def _neighbours(cells: Grid, *, dual: bool = False) -> Any:
    """(3, ..., 3) bool: which pixels around one are connected to it, or in the dual connectivity (contract 14)."""
    axes = len(cells.shape)
    steps = torch.cartesian_prod(*[torch.arange(-1, 2, device="cpu")] * axes).view(3**axes, axes)
    if cells.connectivity == "F":
        near = (steps >= 0).all(1) | (steps <= 0).all(1)
    elif (cells.connectivity == "V") != dual:
        near = steps.abs().sum(1) <= 1
    else:
        near = torch.ones_like(steps[:, 0], dtype=torch.bool)
    return near.view([3] * axes).numpy()


def _region(inside: Any, place: int, neighbours: Any) -> Any:
    """The component of a flat place in a set of pixels."""
    from scipy import ndimage

    labels, _ = ndimage.label(inside, neighbours)
    return labels == labels.flat[place]


def _border(cells: Grid, later: Any, place: int) -> Any:
    """The pixels around a hole, whose own pixels are later, without those that lie inside it."""
    from scipy import ndimage

    across = _neighbours(cells, dual=True)
    filled = ndimage.binary_fill_holes(_region(later, place, across), _neighbours(cells))
    return ndimage.binary_dilation(filled, across) & ~filled


# -- graphs and points


def _edges(cells: VertexComplex | CliqueComplex) -> tuple[Any, Any]:
    """The two vertices of each edge, in one sample."""
    if isinstance(cells, CliqueComplex):
        first, second = np.triu_indices(cells.points, k=1)
        return first, second
    rows = [torch.combinations(torch.arange(simplices.shape[1], device="cpu"), 2) for simplices in cells.simplices]
    pairs = [simplices.cpu().long()[:, row].view(-1, 2) for simplices, row in zip(cells.simplices, rows, strict=True)]
    first, second = torch.cat(pairs).mT.numpy()
    return first, second


def _graph(points: int, first: Any, second: Any) -> Any:
    from scipy.sparse import coo_array

    # The traversals of SciPy before 1.13 are wrong, without an exception, where indices have 64 bits.
    places = (first.astype(np.int32), second.astype(np.int32))
    return coo_array((np.ones(len(first), dtype=bool), places), shape=(points, points))


def _component(cells: VertexComplex | CliqueComplex, ranks: Any, birth: int, end: float) -> Any:
    """The component in which a bar of dimension 0 was born, of all that has a rank below the end."""
    from scipy.sparse.csgraph import connected_components

    first, second = _edges(cells)
    if isinstance(cells, CliqueComplex):
        points, place, entry = cells.points, birth // cells.points, cells.points + 1
        early = ranks[first, second] < end
    else:
        points, place, entry = len(ranks), birth, 1
        early = (ranks[first] < end) & (ranks[second] < end)
    _, labels = connected_components(_graph(points, first[early], second[early]), directed=False)
    return (labels == labels[place]).nonzero()[0] * entry


def _loop_of_edges(cells: CliqueComplex, ranks: Any, birth: int) -> Any:
    """The edge that closes a loop, and as few earlier edges as possible from one end to the other."""
    from scipy.sparse.csgraph import shortest_path

    first, second = _edges(cells)
    early = ranks[first, second] < ranks.flat[birth]
    start, at = divmod(birth, cells.points)
    graph = _graph(cells.points, first[early], second[early])
    _, before = shortest_path(graph, directed=False, unweighted=True, indices=start, return_predecessors=True)
    entries = [birth]
    while at != start:
        entries.append(min(at, before[at]) * cells.points + max(at, before[at]))
        at = before[at]
    return np.sort(entries)


def _loops_of_graph(filtration: Filtration) -> dict[tuple[int, int], list[list[int]]]:
    """The vertices of the loops of one graph, by birth and death.

    Edges enter by their later vertex, and a forest connects what they connect. An edge between connected vertices
    closes a loop. Of its edges the one that comes last in the second sweep is the loop's death, and leaves the forest.
    """
    back = with_tensors(filtration, filtration.values, None, superlevel=not filtration.superlevel)
    there, again = (one.ranks(one.order())[0].tolist() for one in (filtration, back))
    assert isinstance(filtration.cells, VertexComplex)
    pairs = zip(*(ends.tolist() for ends in _edges(filtration.cells)), strict=True)
    edges = {tuple(sorted(pair, key=there.__getitem__, reverse=True)) for pair in pairs}
    forest: dict[int, set[int]] = defaultdict(set)
    loops: dict[tuple[int, int], list[list[int]]] = defaultdict(list)
    for birth, other in sorted(edges, key=lambda edge: (there[edge[0]], there[edge[1]])):
        forest[birth].add(other)
        forest[other].add(birth)
        path = _path(forest, birth, other)
        if path:
            around = zip(path, [*path[1:], birth], strict=True)
            one, two = max(around, key=lambda ends: max(again[ends[0]], again[ends[1]]))
            loops[birth, max(one, two, key=again.__getitem__)].append(sorted(path))
            forest[one].discard(two)
            forest[two].discard(one)
    return loops


def _path(forest: dict[int, set[int]], start: int, end: int) -> list[int]:
    """The vertices of the way from one to the other that does not take the edge between them; none if there is none."""
    before = {start: start}
    stack = [start]
    while stack:
        vertex = stack.pop()
        for neighbor in forest[vertex]:
            if neighbor in before or (vertex, neighbor) == (start, end):
                continue
            before[neighbor] = vertex
            stack.append(neighbor)
    if end not in before:
        return []
    path = [end]
    while path[-1] != start:
        path.append(before[path[-1]])
    return path[::-1]
