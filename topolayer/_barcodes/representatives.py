"""What a bar stands for: the pixels of its component, or the loop around its hole."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from topolayer._barcodes.barcode import Barcode, check_barcode
from topolayer._checks import came, dense
from topolayer._filtrations import Filtration
from topolayer._filtrations.cells import CliqueComplex, Grid, VertexComplex
from topolayer._tracing import untraced


@untraced  # a loop over bars
def representatives(filtration: Filtration, barcode: Barcode, which: Tensor) -> list[Tensor]:
    """What some of the bars stand for, as lists of cells.

    In dimension 0 this is the component of the bar at its largest, just before it dies. In the top dimension of a grid
    it is the closed line around a hole, in volumes the closed surface, just when the hole is born. This is the outer
    border of the component of the complement that the bar stands for by duality (contract 14). All of this follows the
    total order, so equal values cause no ambiguity.

    Args:
        filtration: `Freudenthal`, `Cubical`, `LowerStar` or `Rips`, without a mask.
        barcode: its barcode, all of it or a part, or some of its dimensions.
        which: the finite bars to look at: their indices (m,), or a mask (bars,) of bools, such as
            `barcode.lengths > 0.5`.

    Returns:
        A tensor for each bar: int64, flat indices into `filtration.values`, ascending. They are those of pixels or
        vertices, and in `Rips` those of the entries (i, i) that stand for points. Each bar costs a pass over its
        sample, on the CPU.

    Raises:
        TypeError, ValueError: an argument is of another type; the barcode is that of another filtration; there is no
            such bar; a bar of a grid has a dimension in between, as tunnels of volumes do; a bar of another filtration
            has a dimension >= 1.

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
    if (barcode.entries, barcode.superlevel) != (filtration.values.numel(), filtration.superlevel):
        raise ValueError(
            f"barcode: expected the one of the filtration, {filtration!r}, got one of {barcode.entries} values with "
            f"superlevel={barcode.superlevel}; make it with persistence(filtration)"
        )
    chosen = _chosen(which, len(barcode))
    top = len(cells.shape) - 1 if isinstance(cells, Grid) else 0
    between = (barcode.dims[chosen] != 0) & (barcode.dims[chosen] != top)
    if bool(between.any()):
        dim = int(barcode.dims[chosen[between]][0])
        dims = f"0 or {top}" if top else "0"
        raise ValueError(
            f"which: expected bars of dimension {dims} of this filtration, got one of dimension {dim}; "
            f"leave them out, with & (barcode.dims != {dim})"
        )
    if len(chosen) == 0:
        return []
    filtration = filtration.detach()
    ranks, size = filtration.ranks(filtration.order()).numpy(), math.prod(filtration.sample_shape)
    bars = torch.column_stack([barcode.pairs, barcode.dims, barcode.sample])[chosen].tolist()
    found = []
    for birth, death, dim, sample in bars:
        of_sample, birth, death = ranks[sample], birth % size, death % size
        if not isinstance(cells, Grid):
            places = _component(cells, of_sample, birth, death)
        elif dim == 0:
            places = _region(of_sample < of_sample.flat[death], birth, _neighbours(cells)).ravel().nonzero()[0]
        else:
            places = _border(cells, of_sample > of_sample.flat[birth], death).ravel().nonzero()[0]
        found.append(torch.from_numpy(places).to(filtration.values.device) + sample * size)
    return found


def _chosen(which: object, bars: int) -> Tensor:
    """The indices, on the device of the tensor."""
    remedy = "barcode.lengths > 0.5, for instance, chooses some"
    indices = dense("which", which)
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


def _neighbours(cells: Grid, *, dual: bool = False) -> Any:
    """(3, ..., 3) bool: which pixels around one are connected to it, or in the dual connectivity (contract 14)."""
    axes = len(cells.shape)
    steps = torch.cartesian_prod(*[torch.arange(-1, 2)] * axes).view(3**axes, axes)
    if cells.connectivity == "F":
        near = (steps >= 0).all(1) | (steps <= 0).all(1)
    elif (cells.connectivity == "V") != dual:
        near = steps.abs().sum(1) <= 1
    else:
        near = torch.ones(3**axes, dtype=torch.bool)
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


def _component(cells: VertexComplex | CliqueComplex, ranks: Any, birth: int, death: int) -> Any:
    """The component in which a bar of dimension 0 was born, before it dies."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if isinstance(cells, CliqueComplex):
        first, second = torch.triu_indices(cells.points, cells.points, offset=1).numpy()
        points, place, entry = cells.points, birth // cells.points, cells.points + 1
        early = ranks[first, second] < ranks.flat[death]
    else:
        rows = [torch.combinations(torch.arange(simplices.shape[1]), 2) for simplices in cells.simplices]
        pairs = [
            simplices.cpu().long()[:, row].view(-1, 2) for simplices, row in zip(cells.simplices, rows, strict=True)
        ]
        first, second = torch.cat(pairs).mT.numpy()
        points, place, entry = len(ranks), birth, 1
        early = (ranks[first] < ranks[death]) & (ranks[second] < ranks[death])
    ones = early[early]
    graph = coo_array((ones, (first[early], second[early])), shape=(points, points))
    _, labels = connected_components(graph, directed=False)
    return (labels == labels[place]).nonzero()[0] * entry
