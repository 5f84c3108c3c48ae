"""Induced matchings: which bars of two functions on one grid or graph are the same feature at the same place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from topolayer._backends import Backend, IndexPairs, capabilities_of, choose_backend
from topolayer._barcodes.barcode import Barcode
from topolayer._barcodes.bars import EssentialBars
from topolayer._barcodes.persistence import Tensors, check_dims, gather, inside, no_bars
from topolayer._checks import came, check_word, raise_memory_error
from topolayer._filtrations import Filtration, outside_last, with_tensors
from topolayer._filtrations.cells import Grid, VertexComplex
from topolayer._filtrations.simplices import edges
from topolayer._per_sample import lexsort
from topolayer._tracing import (
    below_transforms,
    named,
    refuse_jit_trace,
    refuse_whole_graph,
    transforms_are_active,
    untraced,
    writes_a_graph,
)

Comparison: TypeAlias = Literal["union", "intersection"]
_COMPARISONS = {"union": "", "intersection": ""}


@dataclass(frozen=True, eq=False, repr=False)
class InducedMatching:
    """The barcodes of two functions, and which of their bars are matched.

    Attributes:
        first: the barcode of the first function, as `persistence` gives it.
        second: the barcode of the second function.
        pairs: (2, matched) int64, indices of bars in `first`, ascending, and of those in `second` that they are matched
            with, for all samples.
        unmatched_first: (bars,) bool, the bars of `first` without a partner.
        unmatched_second: the same for `second`.
        essential: (2, m) int64, indices of all bars in `first.essential`, ascending, and of their partners in
            `second.essential`.

    Example:
        >>> import torch, topolayer as tl
        >>> first = torch.tensor([9.0, 1.0, 5.0, 2.0, 3.0])
        >>> second = torch.tensor([8.0, 0.0, 1.0, 0.0, 4.0])
        >>> tl.induced_matching(*(tl.Freudenthal(f, ndim=1, superlevel=True) for f in (first, second)))
        InducedMatching(matched: 1; unmatched: 1 of the first, 1 of the second; essential: 1)
    """

    first: Barcode
    second: Barcode
    pairs: Tensor
    unmatched_first: Tensor
    unmatched_second: Tensor
    essential: Tensor

    def __repr__(self) -> str:
        alone = [int(unmatched.sum()) for unmatched in (self.unmatched_first, self.unmatched_second)]
        return (
            f"{type(self).__name__}(matched: {self.pairs.shape[1]}; unmatched: {alone[0]} of the first, {alone[1]} of "
            f"the second; essential: {self.essential.shape[1]})"
        )


class _Found(NamedTuple):
    first: Tensors  # indices as of `persistence`
    second: Tensors
    pairs: Tensor


def induced_matching(
    first: Filtration,
    second: Filtration,
    dims: int | Sequence[int] = 0,
    *,
    comparison: Comparison = "union",
    backend: str | Backend | None = None,
) -> InducedMatching:
    """The induced matching of two functions (Stucki, Paetzold, Shit, Menze and Bauer, 2023): bars at the same place.

    Both functions are compared with a third one, whose sublevel sets (superlevel sets) are the unions of theirs. A bar
    of the comparison has a place for a feature of either function: that of the image of its homology in the homology of
    the comparison. Two bars that come to the same place are matched. So a loop is matched with a loop around the same
    hole, however long the two are, and not with one next to it.

    The matching is strict: the bars of the images, through which it goes, have positive length, as all bars do. The
    total order of cells settles it, also where several components meet at one pixel.

    Args:
        first: `Freudenthal`, `Cubical` or `LowerStar`.
        second: another filtration that differs in its values alone. Exchanging the two exchanges the pairs.
        dims: homology dimension, or several. `LowerStar` is matched in dimension 0.
        comparison: "union": the smaller of the two values at each pixel, in superlevel filtrations the larger one.
            "intersection": the other value; features are then matched through the sets that both have in common.
        backend: as in `persistence`; `"native"` is the only one here that can do it.

    Returns:
        Both barcodes on the graph of the values, and the matching, off the graph. Bars that never die are all matched:
        those of each dimension in the order of their births, as both have the same number of them; those of `LowerStar`
        by component.

    Raises:
        TypeError, ValueError: an argument is of another type; the two differ in kind, shape, direction, mask or device;
            a dimension does not exist; values are not finite; the backend cannot do it; the call is under
            `torch.jit.trace`, `torch.export` or `make_fx`.
        MemoryError: there is not enough memory.

    Example:
        >>> import torch, topolayer as tl
        >>> image = torch.rand(2, 32, 32, requires_grad=True)
        >>> mask = (torch.rand(2, 32, 32) > 0.5).float()
        >>> matching = tl.induced_matching(tl.Cubical(image), tl.Cubical(mask), dims=(0, 1))
        >>> i, j = matching.pairs
        >>> (matching.first.births[i] - matching.second.births[j]).square().sum().backward()
    """
    if writes_a_graph():
        refuse_whole_graph()
    _check_two(first, second)
    wanted = check_dims(dims, first)
    _check_matched_dims(wanted, first)
    check_comparison(comparison)
    if torch.compiler.is_compiling():
        return _matching(_indices(first, second, wanted, comparison, backend), first, second, wanted)
    refuse_jit_trace()
    try:
        with named("topolayer::induced_matching"):
            return _matching(_indices(first, second, wanted, comparison, backend), first, second, wanted)
    except RuntimeError as error:
        raise_memory_error(error, repr(first))


def check_comparison(comparison: str) -> None:
    check_word("comparison", comparison, _COMPARISONS, remedy='"union" is that of the authors')


def _check_two(first: Filtration, second: Filtration) -> None:
    for name, filtration in (("first", first), ("second", second)):
        if not isinstance(filtration, Filtration):
            raise TypeError(
                f"{name}: expected a Freudenthal, Cubical or LowerStar filtration, got {came(filtration)}; wrap the "
                "tensor in one of them"
            )
        if not isinstance(filtration.cells, (Grid, VertexComplex)):
            raise ValueError(
                f"{name}: expected a Freudenthal, Cubical or LowerStar filtration, got {filtration!r}; "
                "wasserstein_matching matches the bars of any two barcodes"
            )
    different = "make both from values on the same grid or graph, in the same way"
    expected = f"second: expected what differs from the first, {first!r}, in its values alone"
    if type(second) is not type(first) or not _same_cells(first, second) or second.superlevel != first.superlevel:
        raise ValueError(f"{expected}, got {second!r}; {different}")
    if first.is_ragged and not torch.equal(second.offsets.cpu(), first.offsets.cpu()):
        raise ValueError(f"{expected}, got {second!r} with samples of other sizes; {different}")
    if second.batch_shape != first.batch_shape:
        raise ValueError(f"{expected}, got {second!r}; expand the values of the one that has fewer samples")
    if second.values.device != first.values.device:
        raise ValueError(
            f"second: expected values on {first.values.device}, where those of the first are, got them on "
            f"{second.values.device}; move them with .to({str(first.values.device)!r})"
        )
    if (first.mask is None) != (second.mask is None) or not _equal(first.mask, second.mask):
        raise ValueError(f"{expected}, got {second!r} with another mask; give both the same one")


def _equal(one: Tensor | None, other: Tensor | None) -> bool:
    return one is other or (one is not None and other is not None and torch.equal(one, other))


def _same_cells(first: Filtration, second: Filtration) -> bool:
    one, other = first.cells, second.cells
    if isinstance(one, VertexComplex) and isinstance(other, VertexComplex):
        return len(one.simplices) == len(other.simplices) and all(map(_equal, one.simplices, other.simplices))
    return one == other


def _check_matched_dims(dims: tuple[int, ...], filtration: Filtration) -> None:
    cells = filtration.cells
    if isinstance(cells, VertexComplex) and set(dims) != {0}:
        raise ValueError(
            f"dims: expected 0, as LowerStar is matched in that dimension only, got {dims}; grids are in all of theirs"
        )


def _found(
    first: Filtration, second: Filtration, dims: tuple[int, ...], comparison: Comparison, backend: str | Backend | None
) -> _Found:
    chosen = choose_backend(backend, first, dims, task="match")
    mask = first.mask
    if first.samples == 0:
        none = no_bars(first)
        return _Found(none, none, none[0].T)
    one, other = _unmasked(first.detach(), second.detach())
    if not capabilities_of(chosen).checks_finite:
        one.check_finite()
        other.check_finite()
    *of_both, pairs = chosen.matched(one, other, dims, comparison)  # type: ignore[attr-defined]
    if not all(isinstance(bars, IndexPairs) and bars.canonical for bars in of_both):
        raise TypeError(f"backend: {chosen.name!r} was expected to return two canonical IndexPairs and a tensor")
    if mask is not None:
        dies = [mask.flatten()[bars.finite.indices[:, 1].to(mask.device)] for bars in of_both]
        place = [kept.cumsum(0) - 1 for kept in dies]
        pairs = pairs.to(mask.device)
        pairs = pairs[:, dies[0][pairs[0]]]  # a bar that dies outside in one does so in the other
        pairs = torch.stack([place[0][pairs[0]], place[1][pairs[1]]])
        of_both = [inside(bars, side, mask) for bars, side in zip(of_both, (one, other), strict=True)]
    of_first, of_second = (
        tuple(tensor for bars in (each.finite, each.essential) for tensor in (bars.indices, bars.dims, bars.samples))
        for each in of_both
    )
    return _Found(of_first, of_second, pairs)


def _unmasked(first: Filtration, second: Filtration) -> tuple[Filtration, Filtration]:
    """Both in one dtype; the values outside their mask come after all others in both."""
    dtype = torch.promote_types(first.values.dtype, second.values.dtype)
    values = [filtration.values.to(dtype) for filtration in (first, second)]
    if first.mask is not None:
        mask = torch.stack([first.mask, first.mask])
        values = list(outside_last(with_tensors(first, torch.stack(values), mask)).values)
    return with_tensors(first, values[0], None), with_tensors(second, values[1], None)


_outside = untraced(_found)


def _indices(
    first: Filtration, second: Filtration, dims: tuple[int, ...], comparison: Comparison, backend: str | Backend | None
) -> _Found:
    """Off the autograd graph."""
    if writes_a_graph():
        return _Found(*_outside(first, second, dims, comparison, backend))
    if not transforms_are_active():
        return _found(first, second, dims, comparison, backend)

    def below(values: Tensor, other: Tensor, mask: Tensor | None = None) -> Tensors:
        sides = with_tensors(first, values, mask), with_tensors(second, other, mask)
        found = _found(*sides, dims, comparison, backend)
        return (*found.first, *found.second, found.pairs)

    masks = () if first.mask is None else (first.mask,)
    tensors = below_transforms(below, first.values, second.values, *masks)
    half = len(tensors) // 2
    return _Found(tensors[:half], tensors[half:-1], tensors[-1])


def _matching(found: _Found, first: Filtration, second: Filtration, dims: tuple[int, ...]) -> InducedMatching:
    one, other = gather(found.first, first, dims), gather(found.second, second, dims)
    pairs = found.pairs.to(one.pairs.device)
    alone, other_alone = (
        torch.ones(len(barcode), dtype=torch.bool, device=pairs.device).index_fill(0, matched, False)
        for barcode, matched in zip((one, other), pairs, strict=True)
    )
    essential = _match_essential(one.essential, other.essential, first)
    return InducedMatching(one, other, pairs, alone, other_alone, essential)


def _match_essential(one: EssentialBars, other: EssentialBars, filtration: Filtration) -> Tensor:
    """The partners by sample and dimension in the order of births, which bars have; in a graph by component."""
    every = torch.arange(len(one), device=one.indices.device)
    cells = filtration.cells
    if not isinstance(cells, VertexComplex):
        return torch.stack([every, every])
    vertices = filtration.values.numel() if filtration.is_ragged else filtration.sample_shape[0]
    ends = edges(cells.maximal_simplices())
    graph = coo_matrix((np.ones(len(ends), dtype=np.int8), ends.T), shape=(vertices, vertices))
    component = torch.from_numpy(connected_components(graph, directed=False)[1]).to(every.device)
    order = [lexsort([bars.sample, component[bars.indices % vertices]]) for bars in (one, other)]
    return torch.stack([every, order[1][order[0].argsort()]])
