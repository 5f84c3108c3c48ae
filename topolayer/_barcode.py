"""The result: births and deaths of bars, gathered from the filtration values and thereby differentiable."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from topolayer._order import counts, first_places, places, rows
from topolayer._transforms import transforms_are_active


@dataclass(frozen=True, eq=False, repr=False)
class _Bars:
    """What finite and essential bars have in common."""

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
        self._check_terms(terms)
        if not terms.is_floating_point() and not terms.is_complex():
            terms = terms.long()  # a count, which a small integer type might not hold
        sums = terms.new_zeros(math.prod(self.batch_shape)).index_add(0, self.sample, terms)
        return sums.reshape(self.batch_shape)

    def _check_terms(self, terms: Tensor) -> None:
        if not isinstance(terms, Tensor):
            raise TypeError(f"terms: expected a tensor with one entry per bar, got {type(terms).__name__}")
        if terms.shape != self.births.shape:
            raise ValueError(f"terms: expected shape ({len(self)},), one entry per bar, got {tuple(terms.shape)}")

    def _chosen(self, dim: int | None, sample: int | None) -> Tensor:
        """(bars,) bool: the bars of one dimension and one sample, None meaning any."""
        chosen = torch.ones_like(self.dims, dtype=torch.bool)
        if dim is not None:
            self._check_dim(dim)
            chosen &= self.dims == dim
        if sample is not None:
            count = math.prod(self.batch_shape)
            if isinstance(sample, bool) or not isinstance(sample, int):
                raise TypeError(f"sample: expected a flat batch index, an int, got {type(sample).__name__}")
            if not 0 <= sample < count:
                raise ValueError(f"sample: expected a flat batch index >= 0 and < {count}, got {sample}")
            chosen &= self.sample == sample
        return chosen

    def _check_dim(self, dim: int) -> None:
        if isinstance(dim, bool) or not isinstance(dim, int):
            raise TypeError(f"dim: expected an int, got {type(dim).__name__}")
        if dim not in self.computed_dims:
            raise ValueError(
                f"dim: expected one of the dimensions in this barcode, {self.computed_dims}, got {dim}; "
                "persistence(..., dims=...) says which are computed"
            )

    def _single_dim(self, dim: int | None) -> int:
        """The dimension that is asked for; None is the one that there is."""
        if dim is None and len(self.computed_dims) > 1:
            raise ValueError(
                f"dim: expected one of the dimensions in this barcode, {self.computed_dims}, got None, which is for "
                "a barcode of one dimension; pass dim=..."
            )
        chosen = self.computed_dims[0] if dim is None else dim
        self._check_dim(chosen)
        return chosen

    def _on_grid(self, indices: Tensor) -> Tensor:
        if self.grid_shape is None:
            raise ValueError("coordinates: only bars of a grid (Freudenthal, Cubical) have them; use the flat indices")
        position = indices % math.prod(self.grid_shape)
        return torch.stack(torch.unravel_index(position, self.grid_shape), dim=-1)


@dataclass(frozen=True, eq=False, repr=False)
class EssentialBars(_Bars):
    """Bars that never die: each is a birth alone. Shapes are (bars,).

    Attributes:
        births: values at birth, on the autograd graph, in the input's units.
        indices: int64, flat indices of the births into `filtration.values`.
        dims: homology dimension of each bar.
        sample: flat batch index of each bar.
        computed_dims: as in `Barcode`.
        batch_shape: the batch axes of the filtration.
        grid_shape: the grid of one sample, None if the filtration has none.

    Example:
        >>> import torch, topolayer as tl
        >>> triangle = torch.tensor([[0, 1], [1, 2], [0, 2]])
        >>> graph = tl.LowerStar(torch.tensor([0.0, 3.0, 1.0]), triangle)
        >>> bars = tl.persistence(graph, dims=(0, 1)).essential  # a component, and the loop that the edges make
        >>> bars.births, bars.dims
        (tensor([0., 3.]), tensor([0, 1]))
    """

    indices: Tensor

    @property
    def coordinates(self) -> Tensor:
        """(bars, ndim) int64: where on the grid each bar is born."""
        return self._on_grid(self.indices)

    def __repr__(self) -> str:
        return f"EssentialBars({len(self)} bars)"


@dataclass(frozen=True, eq=False, repr=False)
class Barcode(_Bars):
    """The bars that die, of all samples and dimensions in one flat list; shapes are (bars,) unless said otherwise.

    Bars are ordered by sample, dimension, death and birth in filtration order; those of length zero are left
    out. Any PyTorch function of births and deaths is differentiable: each is an entry of the filtration
    values, gathered (Section 3 of the paper).

    Attributes:
        births: values at birth, on the autograd graph, in the input's units.
        deaths: values at death, likewise: births >= deaths in a superlevel filtration, births <= deaths in a
            sublevel one.
        pairs: (bars, 2) int64, flat indices of birth and death into `filtration.values`.
        dims: homology dimension of each bar.
        sample: flat batch index of each bar.
        essential: the bars that never die, kept apart.
        computed_dims: the dimensions that `persistence` was asked for, or `select` chose; a bar has one of them.
        batch_shape: the batch axes of the filtration.
        grid_shape: the grid of one sample, None if the filtration has none.
        superlevel: whether high values come first.

    Example:
        >>> import torch, topolayer as tl
        >>> image = torch.tensor([[3.0, 0.0, 2.0], [0.0, 0.0, 0.0], [1.0, 0.0, 4.0]], requires_grad=True)
        >>> barcode = tl.persistence(tl.Cubical(image, superlevel=True))
        >>> barcode.lengths
        tensor([2., 1., 3.], grad_fn=<SubBackward0>)
        >>> barcode.ranks, barcode.essential.births
        (tensor([2, 3, 1]), tensor([4.], grad_fn=<IndexSelectBackward0>))
        >>> barcode.coordinates[0]  # born at pixel (0, 2), dies at (0, 1)
        tensor([[0, 2],
                [0, 1]])
    """

    deaths: Tensor
    pairs: Tensor
    essential: EssentialBars
    superlevel: bool
    _whole: tuple[Barcode, Tensor] | None = None  # what this was selected from, and which of its bars

    @property  # not cached: what is first read under no_grad would stay off the graph
    def lengths(self) -> Tensor:
        """(bars,) length `|birth - death|` of each bar, on the autograd graph, > 0."""
        return self.births - self.deaths if self.superlevel else self.deaths - self.births

    @property
    def ranks(self) -> Tensor:
        """(bars,) int64: place by length within the bar's sample and dimension, from 0.

        Essential bars are the longest and come first, so the longest finite bar of a connected image has rank
        1. Of equal lengths the earlier birth comes first, then the earlier death.
        """
        # torch.compile cannot trace the lock that a cached property has before Python 3.12.
        keep = not (torch.compiler.is_compiling() or transforms_are_active())  # nor what torch.func has wrapped
        return self._cached_ranks if keep else self._rank()

    @cached_property
    def _cached_ranks(self) -> Tensor:
        return self._rank()

    @property
    def essential_counts(self) -> Tensor:
        """(bars,) int64: how many essential bars there are in each bar's sample and dimension."""
        return self._essential_counts()[self._groups(self.sample, self.dims)]

    @property
    def coordinates(self) -> Tensor:
        """(bars, 2, ndim) int64: where on the grid each bar is born, [:, 0], and dies, [:, 1]."""
        return self._on_grid(self.pairs)

    def select(self, mask: Tensor | None = None, *, dim: int | None = None, sample: int | None = None) -> Barcode:
        """Some of the bars, with the ranks they have here.

        Args:
            mask: (bars,) bool, of the finite bars; essential bars are not affected.
            dim: keep this homology dimension.
            sample: keep this sample, a flat batch index.

        Returns:
            A barcode with the same batch shape.

        Raises:
            TypeError, ValueError: `mask` is not a bool tensor of shape (bars,), or there is no such sample.

        Example:
            >>> import torch, topolayer as tl
            >>> barcode = tl.persistence(tl.Freudenthal(torch.rand(4, 16, 16)), dims=(0, 1))
            >>> prominent_loops = barcode.select(barcode.lengths > 0.5, dim=1)
        """
        chosen = self._chosen(dim, sample)
        computed_dims = self.computed_dims if dim is None else (dim,)
        if mask is not None:
            if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
                got = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
                raise TypeError(f"mask: expected a bool tensor of shape ({len(self)},), got {got}")
            if mask.shape != chosen.shape:
                raise ValueError(f"mask: expected shape ({len(self)},), one entry per bar, got {tuple(mask.shape)}")
            chosen &= mask
        kept = chosen.nonzero()[:, 0]
        essential = self.essential
        if dim is not None or sample is not None:
            still = essential._chosen(dim, sample).nonzero()[:, 0]
            essential = replace(
                essential,
                births=essential.births[still],
                indices=essential.indices[still],
                dims=essential.dims[still],
                sample=essential.sample[still],
                computed_dims=computed_dims,
            )
        return replace(
            self,
            births=self.births[kept],
            deaths=self.deaths[kept],
            pairs=self.pairs[kept],
            dims=self.dims[kept],
            sample=self.sample[kept],
            computed_dims=computed_dims,
            essential=essential,
            _whole=(self, kept),
        )

    def padded(self, terms: Tensor, *, fill: float = 0.0) -> tuple[Tensor, Tensor]:
        """One row per sample instead of one flat list, for code that wants a rectangle.

        Args:
            terms: (bars,), one entry per bar, for instance `barcode.lengths`.
            fill: what stands where a sample has fewer bars than the longest row.

        Returns:
            `(*batch, max_bars)` the terms, in the barcode's order, and a bool tensor of the same shape, true
            where there is a bar. Differentiable in the terms.

        Raises:
            TypeError, ValueError: `terms` is no tensor of shape (bars,).

        Example:
            >>> import torch, topolayer as tl
            >>> barcode = tl.persistence(tl.Freudenthal(torch.rand(4, 16, 16)))
            >>> lengths, mask = barcode.padded(barcode.lengths)
        """
        self._check_terms(terms)
        row, mask = rows(terms, self.sample, math.prod(self.batch_shape), fill=fill)
        shape = (*self.batch_shape, row.shape[1])
        return row.reshape(shape), mask.reshape(shape)

    def __repr__(self) -> str:
        batch = f" in a batch of shape {self.batch_shape}" if self.batch_shape else ""
        return f"Barcode({len(self)} finite and {len(self.essential)} essential bars{batch})"

    def _rank(self) -> Tensor:
        if self._whole is not None:
            whole, kept = self._whole
            return whole.ranks[kept]
        with torch.no_grad():
            group, groups = self._groups(self.sample, self.dims), self._groups_count()
            place = places(self.lengths, self.births, self.pairs, group, groups, self.superlevel)
            return place + self.essential_counts

    def _longest(self, k: int, *, count_essential: bool) -> Tensor:
        """(bars,) bool: the bars of rank below k, without a sort of all bars; ranks count essential bars, or do not."""
        if self._whole is not None:
            whole, kept = self._whole
            return whole._longest(k, count_essential=count_essential)[kept]
        with torch.no_grad():
            essential = self._essential_counts()
            first = (k - essential).clamp(min=0) if count_essential else torch.full_like(essential, k)
            group = self._groups(self.sample, self.dims)
            return first_places(self.lengths, self.births, self.pairs, group, first, self.superlevel)

    def _groups(self, sample: Tensor, dims: Tensor) -> Tensor:
        """A number for each pair of sample and dimension, ascending as the bars are ordered."""
        return sample if self._dims_bound == 1 else sample * self._dims_bound + dims

    def _essential_counts(self) -> Tensor:
        """(groups,) int64: how many essential bars each group has."""
        return counts(self._groups(self.essential.sample, self.essential.dims), self._groups_count())

    def _groups_count(self) -> int:
        return math.prod(self.batch_shape) * self._dims_bound

    @property
    def _dims_bound(self) -> int:
        return 1 + max(self.computed_dims)
