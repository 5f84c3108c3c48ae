"""What bars that die and bars that do not have in common, and the bars that do not."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from topolayer._checks import came, check_integer, dense
from topolayer._per_sample import counts, rows, sums


@dataclass(frozen=True, eq=False, repr=False)
class Bars:
    """The part that finite and essential bars have in common."""

    _tensors: ClassVar[tuple[str, ...]]  # the fields with an entry per bar

    births: Tensor
    dims: Tensor
    sample: Tensor
    computed_dims: tuple[int, ...]
    batch_shape: tuple[int, ...]
    grid_shape: tuple[int, ...] | None

    def __len__(self) -> int:
        return len(self.births)

    def sum(self, terms: Tensor) -> Tensor:
        """Adds up one term per bar to one number per sample; 0 for a sample without bars.

        The bars of a barcode are those that die. Terms of bars that never die are for `barcode.essential.sum`.

        Args:
            terms: (bars,) one entry per bar, of any dtype.

        Returns:
            `(*batch,)` of the dtype of the terms; int64 where they are integers or bools. Differentiable in the terms.

        Raises:
            TypeError, ValueError: `terms` is no tensor of shape (bars,).

        Example:
            >>> import torch, topolayer as tl
            >>> barcode = tl.persistence(tl.Freudenthal(torch.tensor([[0.0, 2.0, 1.0, 5.0]])[:, None]))
            >>> barcode.sum(barcode.lengths**2)
            tensor([1.])
        """
        terms = self._plain_terms(terms)
        if not terms.is_floating_point() and not terms.is_complex():
            terms = terms.long()  # a count, which a small integer type might not hold
        return sums(terms, self.sample, math.prod(self.batch_shape)).reshape(self.batch_shape)

    def padded(self, terms: Tensor, *, fill: float = 0.0) -> tuple[Tensor, Tensor]:
        """One row per sample instead of one flat list, for code that needs a rectangle.

        Args:
            terms: (bars,), one entry per bar, for instance `barcode.lengths`.
            fill: the value at the end of rows that have fewer bars than the longest one.

        Returns:
            `(*batch, max_bars)` the terms, in the barcode's order, and a bool tensor of the same shape, true
            where there is a bar. Differentiable in the terms.

        Raises:
            TypeError, ValueError: `terms` is no tensor of shape (bars,), or `fill` no number.

        Example:
            >>> import torch, topolayer as tl
            >>> barcode = tl.persistence(tl.Freudenthal(torch.rand(4, 16, 16)))
            >>> lengths, mask = barcode.padded(barcode.lengths)
        """
        terms = self._plain_terms(terms)
        if not isinstance(fill, numbers.Number):
            raise TypeError(f"fill: expected a number, got {came(fill)}; 0 or math.nan, for instance, is one")
        row, mask = rows(terms, self.sample, math.prod(self.batch_shape), fill=fill)
        shape = (*self.batch_shape, row.shape[1])
        return row.reshape(shape), mask.reshape(shape)

    def _plain_terms(self, terms: Tensor) -> Tensor:
        remedy = "barcode.lengths, for instance, has it"
        if not isinstance(terms, Tensor):
            raise TypeError(f"terms: expected a torch.Tensor with one entry per bar, got {came(terms)}; {remedy}")
        terms = dense("terms", terms)
        if terms.shape != self.births.shape:
            raise ValueError(
                f"terms: expected shape ({len(self)},), one entry per bar, got {tuple(terms.shape)}; {remedy}"
            )
        return terms

    def _plain_mask(self, mask: Tensor) -> Tensor:
        remedy = "barcode.lengths > 0.1, for instance, has it"
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
            got = mask.dtype if isinstance(mask, Tensor) else came(mask)
            raise TypeError(f"mask: expected a bool tensor of shape ({len(self)},), got {got}; {remedy}")
        mask = dense("mask", mask)
        if mask.shape != self.dims.shape:
            raise ValueError(
                f"mask: expected shape ({len(self)},), one entry per bar, got {tuple(mask.shape)}; {remedy}"
            )
        return mask

    def _chosen(self, dim: int | None, sample: int | None) -> Tensor:
        """(bars,) bool: the bars of one dimension and one sample, None meaning any."""
        chosen = torch.ones_like(self.dims, dtype=torch.bool)
        if dim is not None:
            chosen &= self.dims == self._single_dim(dim)
        if sample is not None:
            count = math.prod(self.batch_shape)
            sample = check_integer("sample", sample, what="a flat batch index, an int", remedy="0 is the first")
            if not 0 <= sample < count:
                raise ValueError(
                    f"sample: expected a flat batch index >= 0 and < {count}, got {sample}; the batch shape is "
                    f"{self.batch_shape}"
                )
            chosen &= self.sample == sample
        return chosen

    def _single_dim(self, dim: int | None) -> int:
        """The requested dimension; None stands for the only one that was computed."""
        if dim is None and len(self.computed_dims) > 1:
            raise ValueError(
                f"dim: expected one of the dimensions in this barcode, {self.computed_dims}, got None, which is for "
                "a barcode of one dimension; pass dim=..."
            )
        chosen = self.computed_dims[0] if dim is None else check_integer("dim", dim, remedy="0 is for components")
        if chosen not in self.computed_dims:
            raise ValueError(
                f"dim: expected one of the dimensions in this barcode, {self.computed_dims}, got {dim}; "
                "persistence(..., dims=...) says which are computed"
            )
        return chosen

    @property
    def _groups(self) -> Tensor:
        """A number for each pair of sample and dimension, ascending as the bars are ordered."""
        return self.sample if self._dims_bound == 1 else self.sample * self._dims_bound + self.dims

    @property
    def _group_sizes(self) -> Tensor:
        """(groups,) int64: how many bars each group has."""
        return counts(self._groups, self._groups_count)

    @property
    def _groups_count(self) -> int:
        return math.prod(self.batch_shape) * self._dims_bound

    @property
    def _dims_bound(self) -> int:
        return 1 if len(self.computed_dims) == 1 else 1 + max(self.computed_dims)

    def _on_grid(self, indices: Tensor) -> Tensor:
        if self.grid_shape is None:
            raise ValueError(
                "coordinates: expected bars of a grid (Freudenthal, Cubical), of one shape, got others; use the flat "
                "indices"
            )
        position = indices % math.prod(self.grid_shape)
        return torch.stack(torch.unravel_index(position, self.grid_shape), dim=-1)

    def _numbers(self) -> str:
        """How many bars there are in each dimension."""
        dims = self.dims.tolist()
        found = [f"{dims.count(dim)} of dimension {dim}" for dim in sorted(self.computed_dims)]
        return ", ".join(found)

    def _changed(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same bars with other tensors."""
        tensors: dict[str, Any] = {name: change(getattr(self, name)) for name in self._tensors}
        return replace(self, **tensors)

    def _kind(self, new_axis: bool) -> dict[str, object]:
        """The properties that barcodes share which are put together, along a new axis or along the first one."""
        shape = self.batch_shape if new_axis else ("any", *self.batch_shape[1:])
        dims = tuple(sorted(self.computed_dims))
        return {"dimensions": dims, "dtype": self.births.dtype, "device": self.births.device, "batch shape": shape}


@dataclass(frozen=True, eq=False, repr=False)
class EssentialBars(Bars):
    """Bars that never die: each is a birth alone. Shapes are (bars,).

    Attributes:
        births: values at birth, on the autograd graph, in the input's units.
        indices: int64, flat indices of the births into `filtration.values`.
        dims: homology dimension of each bar.
        sample: flat batch index of each bar.
        computed_dims: as in `Barcode`.
        batch_shape, grid_shape: as in `Barcode`.

    Example:
        >>> import torch, topolayer as tl
        >>> triangle = torch.tensor([[0, 1], [1, 2], [0, 2]])
        >>> graph = tl.LowerStar(torch.tensor([0.0, 3.0, 1.0]), triangle)
        >>> bars = tl.persistence(graph, dims=(0, 1)).essential  # a component, and the loop that the edges make
        >>> bars.births, bars.dims
        (tensor([0., 3.]), tensor([0, 1]))
    """

    _tensors = ("indices", "dims", "sample", "births")

    indices: Tensor

    @property
    def coordinates(self) -> Tensor:
        """(bars, ndim) int64: where on the grid each bar is born."""
        return self._on_grid(self.indices)

    def __repr__(self) -> str:
        return f"EssentialBars({self._numbers()})"


SomeBars = TypeVar("SomeBars", bound=Bars)


def check_alike(barcodes: Sequence[SomeBars], kind: type[SomeBars], *, new_axis: bool) -> SomeBars:
    """The first barcode, if the others fit it along a new axis, or along the first axis."""
    several = isinstance(barcodes, (list, tuple))
    wrong = [barcode for barcode in barcodes if not isinstance(barcode, kind)] if several else []
    if wrong or not several:
        other = f"one with {came(wrong[0])} in it" if wrong else came(barcodes)
        raise TypeError(f"barcodes: expected a list of Barcodes, got {other}; make them with persistence(...)")
    if not barcodes:
        raise ValueError("barcodes: expected at least one, got none; leave out empty lists")
    first = barcodes[0]
    if not (new_axis or first.batch_shape):
        raise ValueError("barcodes: expected ones with a batch axis, got single samples; Barcode.stack gives them one")
    expected = first._kind(new_axis)
    for number, barcode in enumerate(barcodes):
        for what, got in barcode._kind(new_axis).items():
            if got != expected[what]:
                raise ValueError(
                    f"barcodes: expected {what} {expected[what]} of all, as of the first, got {got} at {number}; "
                    "make all of them alike"
                )
    return first


def catenated(parts: Sequence[SomeBars], **others: Any) -> SomeBars:
    """The bars of all, one after another, with other metadata."""
    tensors: dict[str, Any] = {name: torch.cat([getattr(part, name) for part in parts]) for name in parts[0]._tensors}
    return replace(parts[0], **tensors, **others)


Packed = tuple[Tensor, list[torch.dtype], list[tuple[int, ...]]]


def pack(tensors: Sequence[Tensor]) -> Packed:
    """The bytes of all tensors in one, and what `unpack` needs to know."""
    rows = [tensor.detach().flatten().clone(memory_format=torch.contiguous_format) for tensor in tensors]
    aligned = [pad(row.view(torch.uint8), (0, -row.nbytes % _WORD)) for row in rows]
    return torch.cat(aligned), [tensor.dtype for tensor in tensors], [tuple(tensor.shape) for tensor in tensors]


def unpack(packed: Tensor, dtypes: Sequence[torch.dtype], shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """The tensors, which share the memory of that one tensor."""
    sizes = [math.prod(shape) * dtype.itemsize for shape, dtype in zip(shapes, dtypes, strict=True)]
    rows = torch.split(packed, [size + -size % _WORD for size in sizes])
    return [
        row[:size].view(dtype).view(shape) for row, size, dtype, shape in zip(rows, sizes, dtypes, shapes, strict=True)
    ]


_WORD = 8  # bytes of the largest number
