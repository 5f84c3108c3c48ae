"""What a table has of each file: statistics of its bars, Betti curves, landscapes and persistence images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from topolayer._barcodes.barcode import Barcode
from topolayer._barcodes.persistence import persistence
from topolayer._barcodes.sums import longest_lengths, persistent_entropy, total_persistence
from topolayer._barcodes.vectors import betti_numbers, landscape, persistence_image
from topolayer._checks import came, check_bool, check_integer, check_integers, check_number, check_word
from topolayer._filtrations import Cubical, Filtration, Freudenthal

Points = tuple[float, float, int]  # first, last, how many

_FILTRATIONS = {"T": "pixels are cells", "V": "pixels are vertices", "freudenthal": "the triangulation"}
_POINTS = "three numbers: the first point, the last, and how many"


@dataclass(frozen=True)
class Vectors:
    """The numbers that a table has of each file, in columns that begin with the dimension, such as `h0_`.

    These columns are always there: `bars` is how many bars die. `total` and `total_squared` are the sums of their
    lengths and of the squares of these. `entropy` is that of `persistent_entropy`. `longest` is a vector of the longest
    lengths, 0 where there are fewer. `levels` adds the vectors `curve`, as of `betti_numbers`, and `landscape`, one
    function after another. `lengths` adds the vector `image`, as of `persistence_image`, one row after another.

    Args:
        filtration: "T" and "V" as in `Cubical`, or the triangulation of `Freudenthal`.
        superlevel: sweep from high values to low ones.
        dims: 0 for components, 1 for holes, 2 for cavities.
        longest: how many lengths the column `longest` has.
        levels: first, last and number of the levels of curves, landscapes and images. Without them there are none.
        landscapes: how many landscape functions.
        lengths: first, last and number of the lengths that the rows of images stand for.
        sigma: standard deviation of the Gaussians of images. None is the distance of two levels.

    Raises:
        TypeError, ValueError: an option is of another type or out of its range.

    Example:
        >>> import torch
        >>> from topolayer.tables import Vectors
        >>> list(Vectors(dims=(0,), longest=2)(torch.rand(8, 8)))
        ['h0_bars', 'h0_total', 'h0_total_squared', 'h0_entropy', 'h0_longest']
    """

    filtration: Literal["T", "V", "freudenthal"] = "T"
    superlevel: bool = False
    dims: tuple[int, ...] = (0, 1)
    longest: int = 4
    levels: Points | None = None
    landscapes: int = 3
    lengths: Points | None = None
    sigma: float | None = None

    def __post_init__(self) -> None:
        check_word("filtration", self.filtration, _FILTRATIONS, remedy='"T" connects pixels with a corner in common')
        check_bool("superlevel", self.superlevel)
        dims = check_integers("dims", self.dims, what="ints such as 0 1")
        if not dims or min(dims) < 0 or len(set(dims)) < len(dims):
            raise ValueError(f"dims: expected different dimensions >= 0, got {self.dims}; 0 stands for components")
        object.__setattr__(self, "dims", dims)
        check_integer("longest", self.longest, least=1, remedy="1 is the longest alone")
        check_integer("landscapes", self.landscapes, least=1, remedy="without levels there are none")
        for name in ("levels", "lengths"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _checked(name, getattr(self, name)))
        if self.levels is None and self.lengths is not None:
            raise ValueError("levels: expected the columns of images beside their rows, lengths, got None; give both")
        if self.sigma is not None and check_number("sigma", self.sigma, remedy="leave it out") <= 0:
            raise ValueError(f"sigma: expected a number > 0, got {self.sigma}; leave it out")

    def __call__(self, values: Tensor) -> dict[str, Tensor]:
        """The numbers of one signal, image or volume.

        Args:
            values: one to three axes.

        Returns:
            A tensor for each column, without axes or with one.

        Raises:
            TypeError, ValueError: as of `persistence`, for instance where `values` has not all dimensions.
        """
        barcode = persistence(self._of(values), self.dims)
        return {f"h{dim}_{name}": found for dim in self.dims for name, found in self._columns(barcode, dim).items()}

    def _of(self, values: Tensor) -> Filtration:
        if self.filtration == "freudenthal":
            return Freudenthal(values, ndim=values.ndim, superlevel=self.superlevel)
        return Cubical(values, ndim=values.ndim, construction=self.filtration, superlevel=self.superlevel)

    def _columns(self, barcode: Barcode, dim: int) -> dict[str, Tensor]:
        bars = barcode.select(dim=dim)
        columns = {
            "bars": bars.births.new_tensor(len(bars)),
            "total": total_persistence(bars),
            "total_squared": total_persistence(bars, p=2),
            "entropy": persistent_entropy(bars),
            "longest": longest_lengths(bars, self.longest),
        }
        if self.levels is None:
            return columns
        levels = _points(self.levels, bars)
        columns["curve"] = betti_numbers(bars, levels)
        columns["landscape"] = landscape(bars, levels, k=self.landscapes).flatten()
        if self.lengths is not None:
            first, last, count = self.levels
            sigma = abs(last - first) / max(1, count - 1) if self.sigma is None else self.sigma
            image = persistence_image(bars, levels, _points(self.lengths, bars), sigma=sigma)
            columns["image"] = image.flatten()
        return columns


def _checked(name: str, points: object) -> Points:
    if not isinstance(points, (tuple, list)) or len(points) != 3:
        raise TypeError(f"{name}: expected {_POINTS}, got {came(points)}; (0, 1, 32), for instance")
    first, last = (check_number(name, number, remedy="give finite ones") for number in points[:2])
    count = check_integer(
        name,
        points[2],
        least=2,
        what="an int, the last of three numbers (first point, last point, how many)",
        remedy="take more points",
    )
    if first == last:
        raise ValueError(f"{name}: expected different first and last points, got {points}; (0, 1, 32), for instance")
    return first, last, count


def _points(points: Points, like: Barcode) -> Tensor:
    return torch.linspace(*points, dtype=like.births.dtype, device=like.births.device)
