"""The result: births and deaths of bars, which are gathered from the filtration values and so are differentiable."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Any, ClassVar

import torch
from torch import Tensor

from topolayer._barcodes.bars import Bars, EssentialBars, catenated, check_alike, pack, unpack
from topolayer._barcodes.diagrams import read_diagrams
from topolayer._barcodes.ranks import first_places, places
from topolayer._checks import are_small, came
from topolayer._tracing import transforms_are_active


@dataclass(frozen=True, eq=False, repr=False)
class Barcode(Bars):
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
        computed_dims: the dimensions that `persistence` computed, or `select` chose; a bar has one of them.
        batch_shape: the batch axes of the filtration.
        grid_shape: the grid of one sample, None if the filtration has none.
        superlevel: whether high values come first.
        entries: how many filtration values there are in all samples; indices are below it.
        input_dtype: of the tensor that the filtration was made from; numbers are rounded to it before a comparison.

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

    _tensors: ClassVar[tuple[str, ...]] = ("pairs", "dims", "sample", "births", "deaths")

    deaths: Tensor
    pairs: Tensor
    essential: EssentialBars
    superlevel: bool
    entries: int
    input_dtype: torch.dtype
    _whole: tuple[Barcode, Tensor] | None = None  # what this was selected from by a mask, and which of its bars

    @staticmethod
    def from_diagram(diagram: Tensor | Sequence[Tensor], *, dim: int = 0, superlevel: bool = False) -> Barcode:
        """The barcode of births and deaths that exist already, such as those of another library.

        Args:
            diagram: (bars, 2) births and deaths, in any order. A bar whose death is infinite never dies. A list of
                diagrams, of any sizes, is a batch.
            dim: homology dimension of the bars.
            superlevel: whether they are of superlevel sets: deaths are not above births, and -inf if there is none.

        Returns:
            A barcode on the diagram's graph and device, for every function of barcodes but those of a grid. Its `pairs`
            are flat indices into the diagram, birth 2i and death 2i + 1, or into torch.cat of the list. Bars of length
            zero are left out.

        Raises:
            TypeError, ValueError: a diagram is of another type or shape, or has NaN, an infinite birth, a death before
                its birth, or an infinity of the other direction; diagrams are of several dtypes or devices.

        Example:
            >>> import math, torch, topolayer as tl
            >>> diagram = torch.tensor([[0.0, math.inf], [1.0, 4.0], [2.0, 2.5]])
            >>> tl.Barcode.from_diagram(diagram)
            Barcode(finite: 2 of dimension 0; essential: 1 of dimension 0)
            >>> tl.wasserstein(tl.Barcode.from_diagram(diagram), tl.Barcode.from_diagram(diagram[:2]))
            tensor(0.2500)
        """
        read = read_diagrams(diagram, dim=dim, superlevel=superlevel)
        return gathered(
            read.values,
            read.indices,
            computed_dims=(int(dim),),
            batch_shape=read.batch_shape,
            grid_shape=None,
            superlevel=superlevel,
            input_dtype=read.input_dtype,
        )

    @property  # not cached: what is first read under no_grad would stay off the graph
    def lengths(self) -> Tensor:
        """(bars,) length `|birth - death|` of each bar, on the autograd graph, > 0."""
        return self.births - self.deaths if self.superlevel else self.deaths - self.births

    @property
    def ranks(self) -> Tensor:
        """(bars,) int64: place by length within the bar's sample and dimension, from 0.

        Essential bars are the longest and come first, so the longest finite bar of a connected image has rank
        1. Among equal lengths the earlier birth comes first, then the earlier death.
        """
        # torch.compile cannot trace the lock that a cached property has before Python 3.12.
        keep = not (torch.compiler.is_compiling() or transforms_are_active())  # nor what torch.func has wrapped
        return self._cached_ranks if keep else self._rank()

    @cached_property
    def _cached_ranks(self) -> Tensor:
        return self._rank()

    @property
    def essential_per_bar(self) -> Tensor:
        """(bars,) int64: how many essential bars there are in each bar's sample and dimension."""
        return self.essential._group_sizes[self._groups]

    @property
    def coordinates(self) -> Tensor:
        """(bars, 2, ndim) int64: where on the grid each bar is born, [:, 0], and dies, [:, 1]."""
        return self._on_grid(self.pairs)

    def select(self, mask: Tensor | None = None, *, dim: int | None = None, sample: int | None = None) -> Barcode:
        """Some of the bars, with the ranks that they have in this barcode.

        Args:
            mask: (bars,) bool, of the finite bars; essential bars are not affected.
            dim: keep this homology dimension.
            sample: keep this sample, a flat batch index.

        Returns:
            A barcode with the same batch shape. A selection by a mask keeps the original barcode alive, since ranks are
            computed when they are first used.

        Raises:
            TypeError, ValueError: `mask` is not a bool tensor of shape (bars,), or there is no such sample.

        Example:
            >>> import torch, topolayer as tl
            >>> barcode = tl.persistence(tl.Freudenthal(torch.rand(4, 16, 16)), dims=(0, 1))
            >>> prominent_loops = barcode.select(barcode.lengths > 0.5, dim=1)
        """
        chosen = self._chosen(dim, sample)
        kept = chosen.nonzero()[:, 0] if mask is None else (chosen & self._plain_mask(mask)).nonzero()[:, 0]
        if self._whole is None and mask is None:  # all bars of a sample and dimension: their ranks are the same
            return self._complete(kept, dim, sample)
        whole, places = self._whole or (self, None)
        in_whole = kept if places is None else places[kept]
        if dim is None and sample is None:
            return whole._part(in_whole)
        of_whole = whole._chosen(dim, sample)
        complete = whole._complete(of_whole.nonzero()[:, 0], dim, sample)
        return complete._part(of_whole.cumsum(0)[in_whole] - 1)

    def detach(self) -> Barcode:
        """The same barcode off the autograd graph, which it does not keep alive.

        Example:
            >>> import torch, topolayer as tl
            >>> barcode = tl.persistence(tl.Freudenthal(torch.rand(8, 8, requires_grad=True)))
            >>> barcode.lengths.requires_grad, barcode.detach().lengths.requires_grad
            (True, False)
        """
        return self._everywhere(Tensor.detach)

    def cpu(self) -> Barcode:
        """The same barcode on the CPU, still on the autograd graph.

        Example:
            >>> import torch, topolayer as tl
            >>> tl.persistence(tl.Freudenthal(torch.rand(8, 8))).cpu().births.device
            device(type='cpu')
        """
        return self._everywhere(Tensor.cpu)

    def to(self, device: str | int | torch.device, *, non_blocking: bool = False) -> Barcode:
        """The same barcode on another device, still on the autograd graph.

        Args:
            device: where to.
            non_blocking: as in `torch.Tensor.to`.

        Returns:
            A barcode whose tensors are all on this device.

        Raises:
            TypeError: `device` is not a device. To change the dtype, change that of the values before the filtration.

        Example:
            >>> import torch, topolayer as tl
            >>> barcode = tl.persistence(tl.Freudenthal(torch.rand(8, 8)))
            >>> barcode.to("cuda" if torch.cuda.is_available() else "cpu").births.shape == barcode.births.shape
            True
        """
        if not isinstance(device, (str, int, torch.device)) or isinstance(device, bool):
            raise TypeError(
                f"device: expected one such as 'cpu' or 'cuda:0', got {came(device)}; a dtype is changed before the "
                "filtration"
            )
        return self._everywhere(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    @staticmethod
    def cat(barcodes: Sequence[Barcode]) -> Barcode:
        """The barcodes of several batches as one, samples in order: torch.cat along the first batch axis.

        Args:
            barcodes: one or more, with batch axes that differ in the first one only, of the same dimensions, direction,
                dtype and device. Filtrations and grids may be of different sizes.

        Returns:
            A barcode on the graph of all. Its indices are flat into the values of the filtrations one after another,
            which are torch.cat of the values for grids of one shape. `grid_shape` is None unless all grids have the
            same.

        Raises:
            TypeError, ValueError: there is no barcode, or they do not go together.

        Example:
            >>> import torch, topolayer as tl
            >>> batches = [tl.persistence(tl.Freudenthal(torch.rand(n, 8, 8))) for n in (2, 3)]
            >>> tl.Barcode.cat(batches).batch_shape
            (5,)
        """
        first = check_alike(barcodes, Barcode, new_axis=False)
        return _joined(barcodes, (sum(barcode.batch_shape[0] for barcode in barcodes), *first.batch_shape[1:]))

    @staticmethod
    def stack(barcodes: Sequence[Barcode]) -> Barcode:
        """Barcodes of one batch shape, such as those of single samples, as one with a new first axis.

        Args:
            barcodes: as in `cat`, but of one batch shape.

        Returns:
            A barcode as `cat` returns it. `DataLoader(..., collate_fn=tl.Barcode.stack)` makes batches of barcodes.

        Raises:
            TypeError, ValueError: there is no barcode, or they do not go together.

        Example:
            >>> import torch, topolayer as tl
            >>> clouds = [torch.rand(n, 2) for n in (5, 9)]
            >>> tl.Barcode.stack([tl.persistence(tl.Alpha(cloud)) for cloud in clouds]).batch_shape
            (2,)
        """
        first = check_alike(barcodes, Barcode, new_axis=True)
        return _joined(barcodes, (len(barcodes), *first.batch_shape))

    def __repr__(self) -> str:
        batch = f", in a batch of shape {self.batch_shape}" if self.batch_shape else ""
        return f"{type(self).__name__}(finite: {self._numbers()}; essential: {self.essential._numbers()}{batch})"

    def __copy__(self) -> Barcode:
        return self

    def __getstate__(self) -> dict[str, object]:
        """All tensors in one: each costs a file descriptor on its way from one process to another."""
        whole, kept = self._whole or (self, None)
        tensors = [getattr(bars, name) for bars in (whole, whole.essential) for name in bars._tensors]
        if any(tensor.requires_grad for tensor in tensors):
            raise ValueError(
                "barcode: expected one off the autograd graph to be copied or pickled, got one on it; take detach()"
            )
        metadata = {name: getattr(whole, name) for name in (*_OF_FILTRATION, "superlevel", "entries", "input_dtype")}
        return metadata | {"tensors": pack(tensors if kept is None else [*tensors, kept])}

    def __setstate__(self, state: dict[str, Any]) -> None:
        tensors = unpack(*state.pop("tensors"))
        of_filtration = {name: state[name] for name in _OF_FILTRATION}
        finite, essential = len(self._tensors), len(EssentialBars._tensors)
        never: dict[str, Any] = dict(zip(EssentialBars._tensors, tensors[finite:][:essential], strict=True))
        bars: dict[str, Any] = dict(zip(self._tensors, tensors[:finite], strict=True))
        whole = type(self)(**bars, essential=EssentialBars(**never, **of_filtration), **state)
        kept = tensors[finite + essential :]
        self.__dict__.update(vars(whole._part(*kept) if kept else whole))

    def _complete(self, kept: Tensor, dim: int | None, sample: int | None) -> Barcode:
        """These bars, which are all of one dimension and one sample, None meaning any."""
        if dim is None and sample is None:
            return self
        essential = self.essential
        never = essential._chosen(dim, sample).nonzero()[:, 0]
        computed_dims = self.computed_dims if dim is None else (self._single_dim(dim),)
        return replace(
            self._changed(lambda tensor: tensor[kept]),
            essential=replace(essential._changed(lambda tensor: tensor[never]), computed_dims=computed_dims),
            computed_dims=computed_dims,
        )

    def _part(self, kept: Tensor) -> Barcode:
        return replace(self._changed(lambda tensor: tensor[kept]), _whole=(self, kept))

    def _kind(self, new_axis: bool) -> dict[str, object]:
        return super()._kind(new_axis) | {"class": type(self).__name__, "superlevel": self.superlevel}

    def _after(self, entries: int, samples: int) -> Barcode:
        """The same bars of a filtration and a batch that come after others."""
        never = self.essential
        never = replace(never, indices=never.indices + entries, sample=never.sample + samples)
        return replace(self, pairs=self.pairs + entries, sample=self.sample + samples, essential=never)

    def _everywhere(self, change: Callable[[Tensor], Tensor]) -> Barcode:
        """The same barcode with other tensors, those of the essential bars included."""
        if self._whole is not None:
            whole, kept = self._whole
            return whole._everywhere(change)._part(change(kept))
        return replace(self._changed(change), essential=self.essential._changed(change))

    def _rank(self) -> Tensor:
        if self._whole is not None:
            whole, kept = self._whole
            return whole.ranks[kept]
        with torch.no_grad():
            group, groups = self._groups, self._groups_count
            place = places(self.lengths, self.births, self.pairs, group, groups, self.superlevel)
            return place + self.essential_per_bar

    def _longest(self, k: int, *, count_essential: bool) -> Tensor:
        """(bars,) bool: the bars of rank below k, without a sort of all bars. Ranks may count essential bars or not."""
        if self._whole is not None:
            whole, kept = self._whole
            return whole._longest(k, count_essential=count_essential)[kept]
        with torch.no_grad():
            essential = self.essential._group_sizes
            first = k - essential if count_essential else torch.full_like(essential, k)
            return first_places(self.lengths, self.births, self.pairs, self._groups, first, self.superlevel)


def gathered(
    values: Tensor, indices: Sequence[Tensor], *, superlevel: bool, input_dtype: torch.dtype, **of_filtration: Any
) -> Barcode:
    """Births and deaths are entries of the values: the gradient of Section 3 is the gradient of this indexing.

    Indices are flat: those of finite bars, then those of essential ones, each followed by their dimensions and samples.
    """
    pairs, dims, sample, born, never_dims, never_sample = indices
    births, deaths = _at(pairs.flatten(), values).view(-1, 2).unbind(1)  # one gather has one backward
    never = EssentialBars(_at(born, values), never_dims, never_sample, indices=born, **of_filtration)
    return Barcode(
        births=births,
        deaths=deaths,
        dims=dims,
        sample=sample,
        pairs=pairs,
        essential=never,
        superlevel=superlevel,
        entries=values.numel(),
        input_dtype=input_dtype,
        **of_filtration,
    )


def _at(places: Tensor, values: Tensor) -> Tensor:
    """Entries of the values, in float32 where these are small integers."""
    if not are_small(values):
        return values.index_select(0, places)
    if values.dtype is torch.uint16:  # torch cannot gather these
        return values.view(torch.int16).index_select(0, places).view(torch.uint16).float()
    return values.index_select(0, places).float()


_OF_FILTRATION = ("computed_dims", "batch_shape", "grid_shape")


def _joined(parts: Sequence[Barcode], batch_shape: tuple[int, ...]) -> Barcode:
    """One after another: indices and numbers of samples start where those of the barcode before end."""
    if any(part._whole is not None for part in parts):
        wholes, kept = zip(*(part._whole or (part, torch.arange(len(part))) for part in parts), strict=True)
        starts = accumulate(map(len, wholes[:-1]), initial=0)
        places = [place.to(part.dims.device) + start for place, part, start in zip(kept, parts, starts, strict=True)]
        return _joined(wholes, batch_shape)._part(torch.cat(places))
    entries = list(accumulate((part.entries for part in parts), initial=0))
    samples = accumulate((math.prod(part.batch_shape) for part in parts[:-1]), initial=0)
    moved = [part._after(*start) for part, *start in zip(parts, entries[:-1], samples, strict=True)]
    shapes = {part.grid_shape for part in parts}
    common: dict[str, Any] = {"batch_shape": batch_shape, "grid_shape": shapes.pop() if len(shapes) == 1 else None}
    never = catenated([part.essential for part in moved], **common)
    return catenated(moved, essential=never, entries=entries[-1], **common)


def check_barcode(name: str, barcode: object) -> None:
    if not isinstance(barcode, Barcode):
        remedy = "make one with persistence(...), or with Barcode.from_diagram(...) of births and deaths"
        raise TypeError(f"{name}: expected a Barcode, got {type(barcode).__name__}; {remedy}")


torch.serialization.add_safe_globals([Barcode])  # torch.load with weights_only=True makes one from tensors and numbers
