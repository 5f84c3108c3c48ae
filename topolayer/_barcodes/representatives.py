"""What a bar stands for: the pixels of its component, the line around its hole, its loop, or its cycle."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cache, partial
from math import inf
from typing import Any

import numpy as np
import torch
from torch import Tensor

from topolayer._barcodes.barcode import Barcode, check_barcode
from topolayer._barcodes.cycles import Level, Pair, check_size, cycles, levels
from topolayer._barcodes.extended import ExtendedBarcode, extended_persistence
from topolayer._barcodes.persistence import persistence
from topolayer._checks import came, dense
from topolayer._filtrations import Filtration, with_tensors
from topolayer._filtrations.cells import Cells, CliqueComplex, Grid, SimplexComplex, VertexComplex
from topolayer._tracing import below_transforms, refuse_without_numbers, to_numpy, untraced

_RELATIVE, _EXTENDED = 1, 2  # kinds of an ExtendedBarcode


@untraced  # a loop over bars
def representatives(filtration: Filtration, barcode: Barcode, which: Tensor) -> list[Tensor]:
    """What some of the bars stand for, as lists of cells.

    In dimension 0 this is the component of the bar at its largest, just before it dies. In the top dimension of a grid
    it is the closed line around a hole, in volumes the closed surface, just when the hole is born. This is the outer
    border of the component of the complement that the bar stands for by duality (contract 14). In `Rips` a loop is the
    edge that it is born with and a way back over earlier edges, as few as possible. In `extended_persistence` of a
    graph a loop goes from its birth down to its death and back. All other bars, such as tunnels of volumes, loops on
    meshes and voids of clouds, stand for a cycle that is born with the bar and is filled just when it dies: the reduced
    column of the boundary matrix. There are many such cycles, and it need not be the shortest. All of this follows the
    total order, so equal values cause no ambiguity.

    Args:
        filtration: without a mask. Samples may differ in size.
        barcode: its barcode, all of it or a part, or some of its dimensions. A graph's may be extended.
        which: the finite bars to look at: their indices (m,), or a mask (bars,) of bools, such as
            `barcode.lengths > 0.5`.

    Returns:
        A tensor for each bar: int64, flat indices into `filtration.values`, ascending. They are those of pixels or
        vertices; those of a tunnel with `construction="T"` are the voxels that its edges enter with. In `Simplicial`
        and `Alpha` they are those of the simplices of a cycle, and of the vertices of a component. In `Rips` they are
        those of the entries (i, i), which stand for points, and those of a loop are the entries (i, j), i < j, of its
        edges. Each bar costs a pass over its sample, on the CPU. All cycles of a dimension together cost one reduction
        of a sample, in Python: a few seconds for a volume of 32 x 32 x 32 voxels.

    Raises:
        TypeError, ValueError: an argument is of another type; the barcode is that of another filtration; there is no
            such bar; a bar of `Rips` has a dimension >= 2, or one of an extended barcode is relative; a sample has too
            many cells for the reduction, 2**22 or so.

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
    if not isinstance(cells, (Grid, VertexComplex, SimplexComplex, CliqueComplex)):
        raise TypeError(
            "filtration: expected a Freudenthal, Cubical, LowerStar, Simplicial, Alpha or Rips filtration, got "
            f"{came(filtration)}; wrap a tensor in one of them"
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
    ends = torch.stack([barcode.births, barcode.deaths], dim=1)
    given = filtration.values, ends, _rows(barcode), dense("which", which)
    places, sizes = below_transforms(partial(_places, filtration, isinstance(barcode, ExtendedBarcode)), *given)
    return [part.clone() for part in torch.split(places, to_numpy(sizes).tolist())]


def _rows(barcode: Barcode) -> Tensor:
    """A bar is (birth, death, dimension, sample, kind)."""
    kinds = barcode.kind if isinstance(barcode, ExtendedBarcode) else torch.zeros_like(barcode.dims)
    return torch.column_stack([barcode.pairs, barcode.dims, barcode.sample, kinds])


def _places(
    filtration: Filtration, extended: bool, values: Tensor, ends: Tensor, bars: Tensor, which: Tensor
) -> tuple[Tensor, Tensor]:
    """The cells of all chosen bars, one after another, and on the CPU how many each has."""
    device, cells = values.device, filtration.cells
    assert cells is not None  # as `representatives` has made sure
    filtration = with_tensors(filtration, values.detach().cpu(), None)
    bars = bars.cpu()
    chosen = _chosen(which.cpu(), len(bars))
    has_cycle = _check_dims(cells, *bars[chosen][:, [2, 4]].T)
    _check_bars(filtration, extended, ends.cpu(), bars, bars[chosen, 2])
    offsets = filtration.offsets.tolist()
    wanted: dict[tuple[int, int], set[Pair]] = defaultdict(set)  # by sample and dimension
    for birth, death, dim, sample, _ in bars[chosen[has_cycle]].tolist():
        wanted[sample, dim].add((birth - offsets[sample], death - offsets[sample]))
    for sample in {sample for sample, _ in wanted}:
        own: Any = filtration.sample(sample).cells
        check_size(own)

    @cache
    def alone(sample: int) -> tuple[Any, Any]:
        """The cells of a sample, and the places of its entries in the order."""
        one = filtration.sample(sample)
        return one.cells, one.ranks(one.order())[0].numpy()

    @cache
    def loops(sample: int) -> dict[tuple[int, int], list[list[int]]]:
        return _loops_of_graph(filtration.sample(sample))

    @cache
    def complex_of(sample: int, dim: int) -> list[Level]:
        own, ranks = alone(sample)
        return levels(own, ranks, dim + 2)

    @cache
    def cycles_of(sample: int, dim: int) -> dict[Pair, list[Any]]:
        return cycles(complex_of(sample, dim), dim, wanted[sample, dim])

    equal: Counter[tuple[int, ...]] = Counter()  # bars before with the same birth and death
    found = {}
    asked = set(chosen.tolist())
    for number, bar in enumerate(bars.tolist()):
        before = equal[*bar]
        equal[*bar] += 1
        if number not in asked:
            continue
        *pair, dim, sample, kind = bar
        first = offsets[sample]
        birth, death = (end - first for end in pair)
        own, ranks = alone(sample)
        if (birth, death) in wanted[sample, dim]:
            places = np.unique(complex_of(sample, dim)[dim].named[cycles_of(sample, dim)[birth, death][before]])
        elif isinstance(own, Grid):
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


def _check_dims(cells: Cells, dims: Tensor, kinds: Tensor) -> Tensor:
    """Which of the chosen bars stand for a cycle that is found by reduction."""
    if bool((kinds == _RELATIVE).any()):
        raise ValueError(
            "which: expected ordinary or extended bars, got a relative one, a branch of the graph; leave them out, "
            "with & (barcode.kind != 1)"
        )
    if isinstance(cells, CliqueComplex):
        if bool((dims > 1).any()):
            raise ValueError(
                f"which: expected bars of dimension 0 or 1 of this filtration, got one of dimension {int(dims.max())}; "
                "leave them out, with & (barcode.dims <= 1), or take Alpha of the points"
            )
        return torch.zeros_like(dims, dtype=torch.bool)
    found = (dims != 0) & (kinds != _EXTENDED)
    if isinstance(cells, Grid):
        found &= dims != len(cells.shape) - 1
    return found


def _check_bars(filtration: Filtration, extended: bool, ends: Tensor, bars: Tensor, dims: Tensor) -> None:
    """Refuses bars of these dimensions that are not those of the filtration, as of other cells with the same values."""
    wanted, top = set(dims.tolist()), filtration.top_dimension
    got = ""
    if bool((filtration.values.flatten()[bars[:, :2]] != ends).any()):
        got = "other births and deaths"
    elif wanted and (top is None or max(wanted) <= top):
        own = extended_persistence(filtration) if extended else persistence(filtration, sorted(wanted))
        missing = Counter(map(tuple, bars[torch.isin(bars[:, 2], dims)].tolist()))
        missing.subtract(map(tuple, _rows(own).tolist()))
        got = "other pairs" if max(missing.values(), default=0) > 0 else ""
    elif wanted:
        got = f"bars of dimension {max(wanted)}"
    if got:
        raise ValueError(
            f"barcode: expected the one of the filtration, {filtration!r}, got one with {got}; make it with "
            "persistence(filtration)"
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
    indices = indices.long()
    outside = (indices < 0) | (indices >= bars)
    if bool(outside.any()):
        expected = f"indices from 0 to {bars - 1}" if bars else "no indices, as the barcode has no finite bars"
        raise ValueError(f"which: expected {expected}, got {int(indices[outside][0])}; bars that never die have none")
    return indices


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


def _edges(cells: VertexComplex | SimplexComplex | CliqueComplex) -> tuple[Any, Any]:
    """The two vertices of each edge, in one sample."""
    if isinstance(cells, SimplexComplex):
        return tuple(cells.facets[0].T) if cells.facets else (np.empty(0, np.int64),) * 2
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


def _component(cells: VertexComplex | SimplexComplex | CliqueComplex, ranks: Any, birth: int, end: float) -> Any:
    """The component in which a bar of dimension 0 was born, of all that has a rank below the end."""
    from scipy.sparse.csgraph import connected_components

    first, second = _edges(cells)
    if isinstance(cells, CliqueComplex):
        points, place, entry = cells.points, birth // cells.points, cells.points + 1
        early = ranks[first, second] < end
    elif isinstance(cells, SimplexComplex):
        points, place, entry = len(cells.simplices[0]), birth, 1
        early = ranks[points : points + len(first)] < end
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
