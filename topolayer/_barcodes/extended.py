"""Extended persistence of graphs, which gives components and loops that never die a death."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from topolayer._backends import extended_pairs
from topolayer._barcodes.barcode import Barcode
from topolayer._barcodes.bars import EssentialBars
from topolayer._checks import came, raise_memory_error
from topolayer._filtrations import Filtration, with_tensors
from topolayer._filtrations.cells import VertexComplex
from topolayer._tracing import (
    below_transforms,
    named,
    refuse_jit_trace,
    refuse_whole_graph,
    transforms_are_active,
    untraced,
    writes_a_graph,
)

_DIMS = (0, 1)


@dataclass(frozen=True, eq=False, repr=False)
class ExtendedBarcode(Barcode):
    """The bars of `extended_persistence`: a `Barcode` without essential bars, where each bar has one of three kinds.

    Bars are ordered by sample, dimension, kind, death and birth. Relative bars and extended ones of loops have their
    deaths before their births, in the units of the input: `lengths` are `|death - birth|`.

    Attributes:
        kind: (bars,) int64, 0 ordinary, 1 relative, 2 extended.
        births, deaths, pairs, dims, sample: as in `Barcode`.
        computed_dims, batch_shape, superlevel, entries, input_dtype: as in `Barcode`.
        essential: no bars.
        grid_shape: None.

    Example:
        >>> import torch, topolayer as tl
        >>> triangle = torch.tensor([[0, 1], [1, 2], [0, 2]])
        >>> barcode = tl.extended_persistence(tl.LowerStar(torch.tensor([0.0, 3.0, 1.0]), triangle))
        >>> barcode.select(barcode.kind == 2, dim=1).lengths
        tensor([3.])
    """

    _tensors = (*Barcode._tensors, "kind")

    kind: Tensor = field(kw_only=True)

    @property
    def lengths(self) -> Tensor:
        """(bars,) length `|birth - death|` of each bar, on the autograd graph, > 0."""
        return (self.births - self.deaths).abs()


def extended_persistence(filtration: Filtration) -> ExtendedBarcode:
    """Extended persistent homology of graphs (Cohen-Steiner, Edelsbrunner and Harer, 2009), with coefficients in Z/2.

    After the sweep through the filtration a second one goes back, from the last vertex to the first. The bars that the
    first sweep leaves alive die in the second. So loops have deaths and lengths. Hofer, Graf, Rieck, Niethammer and
    Kwitt (2020) use these to learn a filtration of graphs. In a sublevel filtration the bars are

    * in dimension 0, *ordinary*: a component from a minimum to where it meets an older one, as in `persistence`;
    * in dimension 0, *extended*: a connected component of the graph, from its least value to its greatest;
    * in dimension 1, *relative*: a branch from a maximum down to where it meets one with a higher maximum, as
      components in `persistence` of the superlevel filtration;
    * in dimension 1, *extended*: a loop, from the greatest value on it down to the least. Among the loops that a vertex
      completes, and those that they make with older ones, these are the loops whose least values are greatest.

    In a superlevel filtration greater and less change places. Bars of length zero are left out. Births and deaths are
    entries of the filtration values, as in `persistence`, and so are their gradients.

    Args:
        filtration: `LowerStar` of a graph: simplices have no more than two vertices.

    Returns:
        The bars of all samples in dimensions 0 and 1, on the filtration's device. None is essential.

    Raises:
        TypeError: `filtration` is not a filtration.
        ValueError: it is not that of a graph, or has values that are not finite; the call is under `torch.jit.trace`,
            `torch.export` or `make_fx`.
        MemoryError: there is not enough memory.

    Example:
        >>> import torch, topolayer as tl
        >>> ring_with_tail = torch.tensor([[0, 1], [1, 2], [2, 3], [3, 0], [3, 4]])
        >>> values = torch.tensor([1.0, 2.0, 4.0, 3.0, 0.0], requires_grad=True)
        >>> barcode = tl.extended_persistence(tl.LowerStar(values, ring_with_tail))
        >>> for dim, kind, pair in zip(barcode.dims.tolist(), barcode.kind.tolist(), barcode.pairs.tolist()):
        ...     print(dim, ["ordinary", "relative", "extended"][kind], [values[i].item() for i in pair])
        0 ordinary [1.0, 3.0]
        0 extended [0.0, 4.0]
        1 extended [4.0, 1.0]
        >>> barcode.select(dim=1).lengths.sum().backward()
        >>> values.grad
        tensor([-1.,  0.,  1.,  0.,  0.])
    """
    _check_graph(filtration)
    if torch.compiler.is_compiling():
        return _gather(_indices(filtration), filtration)
    refuse_jit_trace()
    try:
        with named("topolayer::extended_persistence"):
            return _gather(_indices(filtration), filtration)
    except RuntimeError as error:
        raise_memory_error(error, repr(filtration))


def _check_graph(filtration: object) -> None:
    expected = "filtration: expected a LowerStar filtration of a graph, with simplices of one or two vertices"
    if not isinstance(filtration, Filtration):
        raise TypeError(f"{expected}, got {came(filtration)}; make one with tl.LowerStar(values, edges)")
    cells = filtration.cells
    if not isinstance(cells, VertexComplex):
        raise ValueError(
            f"{expected}, got {filtration!r}; use persistence, or make one with tl.LowerStar(values, edges)"
        )
    if cells.dimension > 1:
        raise ValueError(
            f"{expected}, got simplices of {cells.dimension + 1} vertices; use persistence, or give the edges alone, "
            "tl.LowerStar(values, edges)"
        )


def _found(filtration: Filtration) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return extended_pairs(filtration.detach())


_outside = untraced(_found)


def _indices(filtration: Filtration) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Off the autograd graph: (bars, 2) indices, dimensions, kinds and samples."""
    if writes_a_graph():
        refuse_whole_graph()
        return _outside(filtration)
    if transforms_are_active():
        return below_transforms(lambda values: _found(with_tensors(filtration, values, None)), filtration.values)
    return _found(filtration)


def _gather(indices: tuple[Tensor, Tensor, Tensor, Tensor], filtration: Filtration) -> ExtendedBarcode:
    values, batch_shape = filtration.values.flatten(), filtration.batch_shape
    pairs, dims, kind, sample = (tensor.to(values.device) for tensor in indices)
    births, deaths = values.index_select(0, pairs.flatten()).view(-1, 2).unbind(1)
    return ExtendedBarcode(
        births=births,
        deaths=deaths,
        pairs=pairs,
        dims=dims,
        kind=kind,
        sample=sample,
        computed_dims=_DIMS,
        batch_shape=batch_shape,
        grid_shape=None,
        essential=EssentialBars(
            births=births[:0],
            dims=dims[:0],
            sample=sample[:0],
            computed_dims=_DIMS,
            batch_shape=batch_shape,
            grid_shape=None,
            indices=dims[:0],
        ),
        superlevel=filtration.superlevel,
        entries=values.numel(),
        input_dtype=filtration.input_dtype,
    )


torch.serialization.add_safe_globals([ExtendedBarcode])
