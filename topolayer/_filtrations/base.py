"""The base of all filtrations: backends may rely on what is here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self, TypeVar

import torch
from torch import Tensor

from topolayer._checks import (
    alike,
    are_small,
    check_finite,
    check_inside,
    check_integer,
    dense,
    dtype_as_compared,
    real,
)
from topolayer._filtrations.cells import Cells
from topolayer._filtrations.simplices import offsets_of
from topolayer._tracing import is_traced, transforms_are_active

Kind = TypeVar("Kind", bound="Filtration")


def with_tensors(filtration: Kind, values: Tensor, mask: Tensor | None, **others: Any) -> Kind:
    """The same filtration with other values and another mask, which are not checked, and other attributes."""
    other = object.__new__(type(filtration))
    other.__dict__.update(filtration.__dict__, values=values, mask=mask, _integers=None, **others)
    return other


def outside_last(filtration: Kind) -> Kind:
    """The filtration without its mask. Values outside enter after all others; until then the two filtrations are equal.

    Raises:
        ValueError: a sample has nothing inside.
    """
    if filtration.mask is None:
        return filtration
    values, mask, superlevel = filtration.values, filtration.mask, filtration.superlevel
    check_inside("mask", mask, filtration.value_axes)
    last = torch.finfo(values.dtype).min if superlevel else torch.finfo(values.dtype).max
    later = torch.where(mask, values, last)
    if bool(((values == last) & mask).any()):  # no number is later, so places stand for the values
        filtration.check_finite()
        distinct, place = torch.where(mask, values, 0).unique(return_inverse=True)  # type: ignore[no-untyped-call]
        later = torch.where(mask, place.double(), -1 if superlevel else len(distinct))
    return with_tensors(filtration, later, None)


class Filtration:
    """A tensor of values and the cells that they belong to: the part that all filtrations have in common.

    Attributes:
        values: float32 or float64, the batch axes first, then the axes of one sample. Indices of bars are flat into it.
            Where samples may differ in size (`is_ragged`) it has one axis, with one sample after another.
        superlevel: whether high values come first.
        mask: of the shape of `values`, False where they never enter; None if all do. A backend gets none with a mask.
        input_dtype: of the tensor that it was made from, before half precision was raised; float32 for integers. Where
            a number is compared with values or lengths, it is rounded to this dtype, as torch does in comparisons.

    Raises:
        TypeError: this class itself is called, not one of its kinds.

    Example:
        >>> import torch, topolayer as tl
        >>> filtration = tl.Cubical(torch.rand(8, 3, 24, 32))
        >>> filtration.batch_shape, filtration.sample_shape, filtration.samples, filtration.top_dimension
        ((8, 3), (24, 32), 24, 1)
    """

    values: Tensor
    superlevel: bool = False
    mask: Tensor | None = None
    input_dtype: torch.dtype
    _sizes: tuple[int, ...] | None = None  # how many values each sample has, where they may differ in that
    _integers: Tensor | None = None  # bool or small integers as they were given: `values` is made when it is first read

    def __init__(self) -> None:
        if type(self) is Filtration:
            raise TypeError(
                "Filtration: expected one of its kinds, got the class that they have in common; make a Freudenthal, "
                "Cubical, LowerStar, Simplicial, Rips or Alpha filtration"
            )

    def __getattr__(self, name: str) -> Any:  # of what is not there
        integers = self.__dict__.get("_integers")
        if name != "values" or integers is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self.__dict__.setdefault("values", integers.float())

    def __getstate__(self) -> dict[str, Any]:
        if self._integers is None or self._integers.dtype is not torch.uint16:
            return self.__dict__
        return self.__dict__ | {"values": self.values, "_integers": None}  # torch cannot pickle these

    def _take(self, name: str, tensor: object) -> Tensor:
        """The tensor as `real` returns it, with a note of the dtype in which it is compared."""
        raised = real(name, tensor)
        object.__setattr__(self, "input_dtype", dtype_as_compared(tensor))  # type: ignore[arg-type]
        return raised

    def _take_numbers(self, name: str, tensor: object) -> None:
        """Sets `values`, but keeps integers as they are if there are numbers to look at later."""
        checked = dense(name, tensor)
        if are_small(checked) and not (is_traced() or transforms_are_active()):
            object.__delattr__(self, "values")
            object.__setattr__(self, "_integers", checked)
            object.__setattr__(self, "input_dtype", dtype_as_compared(checked))
        else:
            object.__setattr__(self, "values", self._take(name, tensor))

    def _take_each(self, name: str, tensors: Sequence[object]) -> list[Tensor]:
        """The same for a list of tensors of one dtype and one device."""
        raised = alike(name, tensors, real)
        dtype = dtype_as_compared(tensors[0]) if tensors else torch.float32  # type: ignore[arg-type]
        object.__setattr__(self, "input_dtype", dtype)
        return raised

    @property
    def numbers(self) -> Tensor:
        """The values, or the bool or small integers of which they are a float32 copy: reading these makes no copy."""
        return self.values if self._integers is None else self._integers

    @property
    def cells(self) -> Cells | None:
        """The cells that the values belong to, which tell a backend what to compute; None if no kind here fits.

        They are those of one sample, or of all samples together where samples may differ in size.
        """
        return None

    @property
    def is_ragged(self) -> bool:
        """Whether samples may differ in size. A backend gets them one by one, unless it declares `ragged`."""
        return self._sizes is not None

    @property
    def value_axes(self) -> int:
        """How many of the last axes of `values` belong to one sample."""
        return 1

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The batch axes."""
        if self._sizes is not None:
            return (len(self._sizes),)
        shape = tuple(self.numbers.shape)
        return shape[: len(shape) - self.value_axes]

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample's values.

        Raises:
            ValueError: samples may differ in size, so they have no common shape.
        """
        if self._sizes is not None:
            raise ValueError(
                f"sample_shape: expected samples of one shape, got {self!r}, whose samples may differ in size; "
                "filtration.sample(0) is the first alone"
            )
        shape = tuple(self.numbers.shape)
        return shape[len(shape) - self.value_axes :]

    @property
    def samples(self) -> int:
        """Number of samples in the batch."""
        return math.prod(self.batch_shape)

    @property
    def offsets(self) -> Tensor:
        """(samples + 1,) int64: where each sample begins in the values, flat, and where the last one ends."""
        device, sizes = self.numbers.device, self._sizes
        if sizes is not None:
            return torch.from_numpy(offsets_of(sizes)).to(device)
        return torch.arange(self.samples + 1, device=device) * math.prod(self.sample_shape)

    def sample(self, number: int) -> Self:
        """One sample alone, without a batch axis, on the autograd graph.

        Args:
            number: which one, a flat batch index.

        Returns:
            A filtration whose indices are those of this one minus `offsets[number]`.

        Raises:
            TypeError, ValueError: there is no such sample.

        Example:
            >>> import torch, topolayer as tl
            >>> tl.Freudenthal(torch.rand(4, 24, 32)).sample(0)
            Freudenthal(<torch.float32 of shape (24, 32)>)
        """
        number = check_integer("number", number, what="a flat batch index, an int", remedy="0 is the first")
        if not 0 <= number < self.samples:
            raise ValueError(
                f"number: expected a flat batch index >= 0 and < {self.samples}, got {number}; the batch shape is "
                f"{self.batch_shape}"
            )
        if self._sizes is not None:
            first = sum(self._sizes[:number])
            return self._alone(number, self.values[first : first + self._sizes[number]])
        values, mask = (
            None if tensor is None else tensor.reshape(self.samples, *self.sample_shape)[number]
            for tensor in (self.values, self.mask)
        )
        assert values is not None
        return with_tensors(self, values, mask)

    def _alone(self, number: int, values: Tensor) -> Self:
        """A sample whose size may differ from that of others, with its values."""
        raise NotImplementedError

    @property
    def top_dimension(self) -> int | None:
        """The highest dimension in which there can be bars, None if there is no limit."""
        raise NotImplementedError

    def order(self) -> Tensor:
        """The entries of each sample in the total order in which they enter.

        Returns:
            (samples, entries) int64, on the CPU.
        """
        values = (
            outside_last(self).values.cpu().reshape(self.samples, math.prod(self.sample_shape)) + 0.0
        )  # +0.0 for -0.0: no sort may tell them apart
        return (-values if self.superlevel else values).argsort(dim=1, stable=True)

    def ranks(self, order: Tensor) -> Tensor:
        """The place of every entry in that order.

        Args:
            order: what `order` returns.

        Returns:
            (samples, *sample_shape) float64, on the CPU; inf for entries that never enter.
        """
        samples, count = order.shape
        place = torch.arange(count, dtype=torch.float64, device=order.device).expand(samples, -1)
        ranks = place.new_full((samples, math.prod(self.sample_shape)), math.inf).scatter(1, order, place)
        if self.mask is not None:
            ranks = ranks.masked_fill(~self.mask.cpu().reshape(samples, -1), math.inf)
        return ranks.reshape(samples, *self.sample_shape)

    def detach(self) -> Self:
        """The same filtration off the autograd graph: what a backend gets to see."""
        return self if self._integers is not None else with_tensors(self, self.values.detach(), self.mask)

    def check_finite(self) -> None:
        """Looks for NaN and infinity among the values, inside the mask if there is one.

        Raises:
            ValueError: there is one.
        """
        check_finite("values", self.values if self.mask is None else torch.where(self.mask, self.values, 0))

    def sums(self, terms: Tensor) -> Tensor:
        """Adds up one term per value to one number per sample.

        Args:
            terms: of the shape of `values`.

        Returns:
            `(*batch,)`, on the graph of the terms.
        """
        if self._sizes is None:
            return terms.flatten(len(self.batch_shape)).sum(dim=-1)
        sizes = torch.tensor(self._sizes, dtype=torch.int64, device=terms.device)
        sample = torch.arange(len(sizes), device=terms.device).repeat_interleave(sizes)
        return terms.new_zeros(len(sizes)).index_add(0, sample, terms)

    def __repr__(self) -> str:
        dtype = self.values.dtype if self._integers is None else torch.float32
        shape = ", ".join(map(str, self.numbers.shape))
        samples = "" if self._sizes is None else f" in {len(self._sizes)} samples"
        level = ", superlevel=True" if self.superlevel else ""
        mask = "" if self.mask is None else ", mask=..."
        return f"{type(self).__name__}(<{dtype} of shape ({shape}){samples}>{level}{mask})"
