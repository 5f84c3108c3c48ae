"""Filtrations of signals, images and volumes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from topolayer._checks import check_bool, check_ndim, check_region, check_word
from topolayer._filtrations.base import Filtration
from topolayer._filtrations.cells import Grid

_CONSTRUCTIONS = {"V": "pixels are vertices", "T": "pixels are cells"}


def check_construction(construction: object) -> None:
    remedy = 'a side in common connects pixels in "V", a corner is enough in "T"'
    check_word("construction", construction, _CONSTRUCTIONS, remedy=remedy)


@dataclass(frozen=True, eq=False, repr=False)
class _Grid(Filtration):
    values: Tensor
    ndim: int = field(default=2, kw_only=True)
    _cells: Grid = field(init=False)  # made once, as they are used often

    def __post_init__(self) -> None:
        self._take_numbers("values", self.values)
        numbers = self.numbers
        object.__setattr__(self, "ndim", check_ndim(self.ndim))
        check_bool("superlevel", self.superlevel)
        if numbers.ndim < self.ndim:
            raise ValueError(
                f"values: expected at least {self.ndim} axes, the grid's, got shape {tuple(numbers.shape)}; "
                "ndim says how many of the axes are the grid's"
            )
        shape = tuple(numbers.shape[numbers.ndim - self.ndim :])
        if 0 in shape:
            raise ValueError(
                f"values: expected a grid with at least one entry, got shape {tuple(numbers.shape)}; ndim says how "
                "many of the axes are the grid's, and only those of the batch may be empty"
            )
        if self.mask is not None:
            object.__setattr__(self, "mask", check_region("mask", self.mask, numbers, self.ndim))
        object.__setattr__(self, "_cells", Grid(shape, self._connectivity()))

    def _connectivity(self) -> Literal["F", "V", "T"]:
        raise NotImplementedError

    @property
    def cells(self) -> Grid:
        return self._cells

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return self._cells.shape

    @property
    def grid_shape(self) -> tuple[int, ...]:
        """Shape of the grid of one sample."""
        return self._cells.shape

    @property
    def top_dimension(self) -> int:
        return self.ndim - 1

    @property
    def value_axes(self) -> int:
        return self.ndim


@dataclass(frozen=True, eq=False, repr=False)
class Freudenthal(_Grid):
    """Lower-star filtration of the Freudenthal triangulation of a grid: the paper's complex (Section 3).

    In 2D each pixel has 6 neighbours, including the diagonal ones (i-1, j-1) and (i+1, j+1). In 3D a voxel has 14.

    Args:
        values: tensor `(*batch, *grid)`, any number of batch axes: floating-point, bool, or integers of up to 16 bits.
        ndim: how many of the last axes are the grid: 1, 2 or 3.
        superlevel: sweep from high values to low ones, so that maxima give birth to components.
        mask: bool tensor, True inside, of the shape of `values`, or of the grid for all samples; axes of the batch are
            broadcast. Pixels outside never enter: their values may be anything, and get gradient 0. One bar never dies
            for each component of the region, and for each hole that nothing fills.

    Raises:
        TypeError, ValueError: `values` is no tensor of such numbers, has too few axes, or an empty grid; `mask` is no
            bool tensor, on another device, or of another shape.

    Example:
        >>> import torch, topolayer as tl
        >>> tl.Freudenthal(torch.rand(8, 24, 32), superlevel=True)
        Freudenthal(<torch.float32 of shape (8, 24, 32)>, superlevel=True)
        >>> depth = torch.tensor([0.0, 3.0, torch.nan, 1.0, 2.0])  # two pieces: neither dies
        >>> tl.persistence(tl.Freudenthal(depth, ndim=1, mask=depth.isfinite())).essential.births
        tensor([0., 1.])
    """

    superlevel: bool = field(default=False, kw_only=True)
    mask: Tensor | None = field(default=None, kw_only=True)

    def _connectivity(self) -> Literal["F"]:
        return "F"


@dataclass(frozen=True, eq=False, repr=False)
class Cubical(_Grid):
    """Filtration of the cubical complex of a grid.

    Args:
        values: tensor `(*batch, *grid)`, any number of batch axes: floating-point, bool, or integers of up to 16 bits.
        ndim: how many of the last axes are the grid: 1, 2 or 3.
        construction: "V": pixels are vertices, and a pixel is connected with those it shares a side with (2D:
            4, 3D: 6); "T": pixels are top-dimensional cells, and a corner in common is enough (8, 26).
        superlevel: sweep from high values to low ones.
        mask: as in `Freudenthal`.

    Raises:
        TypeError, ValueError: `values` is no tensor of such numbers, has too few axes, or an empty grid; `mask` does
            not go with it; unknown construction.

    Example:
        >>> import torch, topolayer as tl
        >>> diagonal = torch.eye(2)
        >>> [len(tl.persistence(tl.Cubical(diagonal, construction=c, superlevel=True))) for c in "VT"]
        [1, 0]
    """

    construction: Literal["V", "T"] = field(default="V", kw_only=True)
    superlevel: bool = field(default=False, kw_only=True)
    mask: Tensor | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_construction(self.construction)

    def _connectivity(self) -> Literal["V", "T"]:
        return self.construction


def grid_of(
    values: Tensor, mask: Tensor | None, ndim: int, connectivity: Literal["F", "V", "T"], superlevel: bool
) -> Freudenthal | Cubical:
    """The filtration that has these cells."""
    if connectivity == "F":
        return Freudenthal(values, ndim=ndim, superlevel=superlevel, mask=mask)
    return Cubical(values, ndim=ndim, construction=connectivity, superlevel=superlevel, mask=mask)
