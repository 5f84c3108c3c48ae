"""The protocol of backends, which map a filtration to indices. This file says what backends return and declare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from topolayer._checks import came, check_bool, dense
from topolayer._filtrations import Filtration


@dataclass(frozen=True, eq=False)
class BarIndices:
    """A set of bars as a backend finds them: which filtration values they begin and end at.

    Attributes:
        indices: int64, flat into all of `filtration.values`, batch included, in C order: (bars, 2) birth and death of
            bars that die, (bars,) birth of bars that do not.
        dims: (bars,) int64, homology dimension of each bar.
        samples: (bars,) int64, flat batch index of each bar.

    Raises:
        TypeError, ValueError: a tensor has another dtype or shape.

    Example:
        >>> import torch, topolayer as tl
        >>> zero = torch.zeros(1, dtype=torch.int64)
        >>> dies = tl.BarIndices(torch.tensor([[3, 2]]), dims=zero, samples=zero)  # from values[3] to values[2]
        >>> len(dies)
        1
    """

    indices: Tensor
    dims: Tensor
    samples: Tensor

    def __post_init__(self) -> None:
        indices, dims, samples = self.indices, self.dims, self.samples
        for name, tensor in (("indices", indices), ("dims", dims), ("samples", samples)):
            if dense(f"BarIndices.{name}", tensor).dtype is not torch.int64:
                raise TypeError(
                    f"BarIndices.{name}: expected an int64 tensor, got {tensor.dtype}; convert it with .long()"
                )
        shape = indices.shape
        if len(shape) != 1 and (len(shape) != 2 or shape[1] != 2):
            raise ValueError(
                f"BarIndices.indices: expected shape (bars, 2) or (bars,), got {tuple(shape)}; births and deaths are "
                "its columns"
            )
        if not dims.shape == samples.shape == shape[:1]:
            name, other = ("samples", samples) if dims.shape == shape[:1] else ("dims", dims)
            raise ValueError(
                f"BarIndices.{name}: expected shape ({shape[0]},), one entry per bar, got {tuple(other.shape)}; give "
                "one for each bar"
            )

    def __len__(self) -> int:
        return len(self.indices)

    def map(self, function: Callable[[Tensor], Tensor]) -> BarIndices:
        """The same bars after one change of all three tensors.

        Args:
            function: the change of each tensor, such as moving it to another device or taking some of its entries.

        Returns:
            The changed bars.
        """
        return BarIndices(function(self.indices), function(self.dims), function(self.samples))


@dataclass(frozen=True, eq=False)
class IndexPairs:
    """Which entry of the filtration values gives birth to each bar, and which one kills it.

    The tensors are on any one device. Bars may come in any order, and bars of length zero may be among them, unless
    `canonical` says that `persistence` need not look.

    Attributes:
        finite: the bars that die; their indices are (n, 2).
        essential: the bars that do not; their indices are (m,).
        canonical: bars are already as in a `Barcode`: by sample, dimension, death, birth, none of length zero.

    Raises:
        TypeError, ValueError: a field is no `BarIndices` or has indices of the other kind.

    Example:
        >>> import torch, topolayer as tl
        >>> none, zero = torch.empty(0, dtype=torch.int64), torch.zeros(1, dtype=torch.int64)
        >>> one_bar = tl.IndexPairs(
        ...     finite=tl.BarIndices(torch.tensor([[3, 2]]), zero, zero),  # from values[3] to values[2]
        ...     essential=tl.BarIndices(none, none, none),
        ... )
    """

    finite: BarIndices
    essential: BarIndices
    canonical: bool = False

    def __post_init__(self) -> None:
        for name, bars, axes in (("finite", self.finite, 2), ("essential", self.essential, 1)):
            if not isinstance(bars, BarIndices):
                raise TypeError(
                    f"IndexPairs.{name}: expected BarIndices, got {came(bars)}; put indices, dims and samples into one"
                )
            if bars.indices.ndim != axes:
                expected = "(bars, 2), birth and death as columns" if axes == 2 else "(bars,), the birth alone"
                raise ValueError(
                    f"IndexPairs.{name}: expected indices of shape {expected}, got {tuple(bars.indices.shape)}; bars "
                    "that die are finite, all others essential"
                )


@dataclass(frozen=True)
class Capabilities:
    """The abilities of a backend beyond the two methods of `Backend`.

    Attributes:
        simplifies: the backend has a third method `simplified(filtration, k, threshold)`, for `simplify`. It returns an
            integer tensor shaped like `filtration.values`, which has for each entry the flat index of the entry whose
            value it takes. The essential bars of dimension 0 are kept. The longest finite bars are kept too, as many as
            make up k with the essential ones (ties as in `Barcode.ranks`), except those that are shorter than
            `threshold`. The method is called if `unsupported(filtration, (0,))` is None.
        matches: the backend has a method `matched(first, second, dims, comparison)`, for `induced_matching`, of two
            filtrations without masks that differ in their values alone. It returns the canonical pairs of both, and a
            tensor (2, matched), int64: indices of finite bars in the first, ascending, and in the second. It is called
            if `unsupported(first, dims)` is None.
        checks_finite: `pairs`, `simplified` and `matched` find NaN and infinity on their way and then call
            `filtration.check_finite()`, so that no check is needed before.
        ragged: the backend takes filtrations whose samples may differ in size (`filtration.is_ragged`), with `offsets`
            that say where each begins. Other backends are given one sample at a time.
        devices: types of devices, such as ("cuda",), on which the backend computes; None is any. It may be given values
            on another device, which it copies. For values on an accelerator the backends that name its type come first,
            then those with None.

    Raises:
        TypeError: a field is of another type.

    Example:
        >>> import topolayer as tl
        >>> tl.backends()["torch"].capabilities.simplifies
        True
    """

    simplifies: bool = False
    matches: bool = False
    checks_finite: bool = False
    ragged: bool = False
    devices: tuple[str, ...] | None = ("cpu",)

    def __post_init__(self) -> None:
        for name in ("simplifies", "matches", "checks_finite", "ragged"):
            check_bool(name, getattr(self, name))
        if isinstance(self.devices, list):
            object.__setattr__(self, "devices", tuple(self.devices))
        named = isinstance(self.devices, tuple) and all(isinstance(device, str) for device in self.devices)
        if self.devices is not None and not named:
            raise TypeError(
                "devices: expected a tuple or list of types such as ('cuda',), or None for any device, "
                f"got {came(self.devices)}; put a single one into a tuple"
            )


Record = TypeVar("Record", BarIndices, IndexPairs)


def unchecked(kind: type[Record], **fields: object) -> Record:
    """A record of what the core made, without the checks for other backends, which cost a tenth for small images."""
    record = object.__new__(kind)
    record.__dict__.update(fields)
    return record


_PLAIN = Capabilities()


@runtime_checkable
class Backend(Protocol):
    """A way to compute persistence. It sees filtrations off the autograd graph, and returns nothing but indices.

    A backend that can do more says so in an attribute `capabilities`, of the class `Capabilities`. Without one it can
    do no more than this.

    Example:
        >>> import torch, topolayer as tl
        >>> native = tl.backends()["native"]
        >>> native.unsupported(tl.Rips(torch.zeros(3, 3)), (2,))
        'of Rips it computes dimensions 0 and 1'
        >>> native.pairs(tl.Freudenthal(torch.tensor([0.0, 3.0, 1.0, 2.0]), ndim=1), (0,)).finite.indices
        tensor([[2, 1]])
    """

    name: str

    def unsupported(self, filtration: Filtration, dims: tuple[int, ...]) -> str | None:
        """Why this backend cannot compute these dimensions of this filtration; None if it can.

        Args:
            filtration: what `persistence` was asked about; it may still be on the autograd graph.
            dims: the requested homology dimensions, one or more.

        Returns:
            The reason, which goes into the error message; None if there is none.
        """
        ...

    def pairs(self, filtration: Filtration, dims: tuple[int, ...]) -> IndexPairs:
        """The index pairs of all samples in these dimensions.

        Args:
            filtration: off the autograd graph, not empty, with finite values.
            dims: the requested homology dimensions; bars of others are an error.

        Returns:
            The pairs, on any one device.
        """
        ...


def capabilities_of(backend: Backend) -> Capabilities:
    """The capabilities that a backend declares, or those of the bare protocol."""
    declared: Capabilities = getattr(backend, "capabilities", _PLAIN)
    return declared
