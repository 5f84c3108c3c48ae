"""What is filtered: a tensor of filtration values that is still on the autograd graph, and the cells it belongs to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Self, TypeVar

import torch
from torch import Tensor

from topolayer._checks import (
    NonFiniteError,
    check_complex,
    check_distances,
    check_finite,
    check_ndim,
    check_number,
    check_points,
    check_superlevel,
    check_threshold,
    floating,
)
from topolayer._complexes import Simplices, alpha_values, delaunay, freudenthal_simplices, with_faces
from topolayer._point_distances import point_distances
from topolayer._transforms import refuse_vmap, to_numpy

Kind = TypeVar("Kind", bound="Filtration")

_NO_LIMIT = "math.inf lets all edges in"


def with_values(filtration: Kind, values: Tensor) -> Kind:
    """The same filtration with other values, which are not checked."""
    other = object.__new__(type(filtration))
    other.__dict__.update(filtration.__dict__, values=values)
    return other


class Filtration:
    """What the filtrations have in common, and what a backend may rely on.

    Attributes:
        values: float32 or float64, the batch axes first, then the axes of one sample. Indices of bars are flat into it.
        superlevel: whether high values come first.
        input_dtype: of the tensor that it was made from, before half precision was raised. Where a number is compared
            with values or lengths, it is rounded to this, as torch does in comparisons.

    Example:
        >>> import torch, topolayer as tl
        >>> filtration = tl.Cubical(torch.rand(8, 3, 24, 32))
        >>> filtration.batch_shape, filtration.sample_shape, filtration.samples, filtration.top_dimension
        ((8, 3), (24, 32), 24, 1)
    """

    values: Tensor
    superlevel: bool = False
    input_dtype: torch.dtype

    def _take(self, name: str, tensor: object) -> Tensor:
        """The tensor if it is a floating-point one, half precision raised to float32; keeps the dtype that it had."""
        raised = floating(name, tensor)
        object.__setattr__(self, "input_dtype", tensor.dtype)  # type: ignore[attr-defined]
        return raised

    @property
    def value_axes(self) -> int:
        """How many of the last axes of `values` belong to one sample."""
        return 1

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The batch axes."""
        return tuple(self.values.shape[: self.values.ndim - self.value_axes])

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample's values."""
        return tuple(self.values.shape[self.values.ndim - self.value_axes :])

    @property
    def samples(self) -> int:
        """Number of samples in the batch."""
        return math.prod(self.batch_shape)

    @property
    def top_dimension(self) -> int | None:
        """The highest dimension in which there can be bars, None if there is no limit."""
        raise NotImplementedError

    def detach(self) -> Self:
        """The same filtration off the autograd graph: what a backend gets to see."""
        return with_values(self, self.values.detach())

    def check_finite(self) -> None:
        """Looks for NaN and infinity among the values.

        Raises:
            ValueError: there is one.
        """
        check_finite("values", self.values)

    def __repr__(self) -> str:
        shape = ", ".join(map(str, self.values.shape))
        level = ", superlevel=True" if self.superlevel else ""
        return f"{type(self).__name__}(<{self.values.dtype} of shape ({shape})>{level})"


@dataclass(frozen=True, eq=False, repr=False)
class _Grid(Filtration):
    values: Tensor
    ndim: int = field(default=2, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", self._take("values", self.values))
        object.__setattr__(self, "ndim", check_ndim(self.ndim))
        check_superlevel(self.superlevel)
        if self.values.ndim < self.ndim:
            raise ValueError(
                f"values: expected at least {self.ndim} axes, the grid's, got shape {tuple(self.values.shape)}; "
                "ndim says how many of the axes are the grid's"
            )
        if 0 in self.grid_shape:
            raise ValueError(
                f"values: expected a grid with at least one entry, got shape {tuple(self.values.shape)}; ndim says how "
                "many of the axes are the grid's, and only those of the batch may be empty"
            )

    @property
    def grid_shape(self) -> tuple[int, ...]:
        """Shape of the grid of one sample."""
        return self.sample_shape

    @property
    def top_dimension(self) -> int:
        return self.ndim - 1

    @property
    def value_axes(self) -> int:
        return self.ndim


@dataclass(frozen=True, eq=False, repr=False)
class Freudenthal(_Grid):
    """Lower-star filtration of the Freudenthal triangulation of a grid: the paper's complex (Section 3).

    In 2D each pixel has 6 neighbours, the diagonal ones (i-1, j-1) and (i+1, j+1) among them, in 3D a voxel
    has 14.

    Args:
        values: floating-point tensor `(*batch, *grid)`, any number of batch axes.
        ndim: how many of the last axes are the grid: 1, 2 or 3.
        superlevel: sweep from high values to low ones, so that maxima give birth to components.

    Raises:
        TypeError, ValueError: `values` is no floating-point tensor, has too few axes, or an empty grid.

    Example:
        >>> import torch, topolayer as tl
        >>> tl.Freudenthal(torch.rand(8, 24, 32), superlevel=True)
        Freudenthal(<torch.float32 of shape (8, 24, 32)>, superlevel=True)
    """

    superlevel: bool = field(default=False, kw_only=True)

    @cached_property
    def simplices(self) -> Simplices:
        """The maximal simplices, rows of positions in the grid."""
        return freudenthal_simplices(self.grid_shape)


@dataclass(frozen=True, eq=False, repr=False)
class Cubical(_Grid):
    """Filtration of the cubical complex of a grid.

    Args:
        values: floating-point tensor `(*batch, *grid)`, any number of batch axes.
        ndim: how many of the last axes are the grid: 1, 2 or 3.
        construction: "V": pixels are vertices, and a pixel is connected with those it shares a side with (2D:
            4, 3D: 6); "T": pixels are top-dimensional cells, and a corner in common is enough (8, 26).
        superlevel: sweep from high values to low ones.

    Raises:
        TypeError, ValueError: `values` is no floating-point tensor, has too few axes, or an empty grid;
            unknown construction.

    Example:
        >>> import torch, topolayer as tl
        >>> diagonal = torch.eye(2)
        >>> [len(tl.persistence(tl.Cubical(diagonal, construction=c, superlevel=True))) for c in "VT"]
        [1, 0]
    """

    construction: Literal["V", "T"] = field(default="V", kw_only=True)
    superlevel: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.construction not in ("V", "T"):
            raise ValueError(
                f'construction: expected "V" (pixels are vertices) or "T" (pixels are cells), got {self.construction!r}'
                '; a side in common connects pixels in "V", a corner is enough in "T"'
            )


@dataclass(frozen=True, eq=False, repr=False)
class LowerStar(Filtration):
    """Lower-star (or upper-star) filtration of any simplicial complex: a function on the vertices of a graph or mesh.

    Args:
        values: floating-point tensor `(*batch, vertices)`, the function.
        simplices: integer tensor (m, d + 1), or a sequence of such with any d: the simplices' vertices, a row for each.
            Maximal ones suffice; every vertex is present, used or not. PyTorch Geometric's `edge_index` is transposed:
            `edge_index.mT`.
        superlevel: sweep from high values to low ones.

    Raises:
        TypeError, ValueError: `values` is no floating-point tensor or has no vertex; `simplices` is no
            integer tensor of two axes, names a vertex that is not there, or one twice in a simplex; or it is a
            single tensor (2, E) with E >= 3, which may be edges or two simplices: give these in a list.

    Example:
        >>> import torch, topolayer as tl
        >>> path = torch.tensor([[0, 1], [1, 2]])
        >>> tl.persistence(tl.LowerStar(torch.tensor([0.0, 3.0, 1.0]), path)).deaths
        tensor([3.])
    """

    values: Tensor
    simplices: tuple[Tensor, ...] | Sequence[Tensor] | Tensor
    superlevel: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", self._take("values", self.values))
        check_superlevel(self.superlevel)
        if self.values.ndim < 1 or self.values.shape[-1] == 0:
            raise ValueError(
                f"values: expected shape (*batch, vertices) with at least one vertex, got {tuple(self.values.shape)}"
            )
        simplices = check_complex(self.simplices, vertices=self.values.shape[-1])
        object.__setattr__(self, "simplices", simplices)

    @property
    def top_dimension(self) -> int:
        return max(simplices.shape[1] - 1 for simplices in self.simplices)

    def arrays(self) -> list[Simplices]:
        """The simplices as NumPy arrays."""
        return [simplices.cpu().long().numpy() for simplices in self.simplices]


@dataclass(frozen=True, eq=False, repr=False)
class Rips(Filtration):
    """Vietoris-Rips filtration: a simplex enters with its longest edge, a vertex at exactly 0 and with gradient 0.

    Args:
        distances: floating-point tensor `(*batch, n, n)`. Entries (i, j) with i < j are read; those with i > j
            and the diagonal only to see whether the matrix is symmetric, and its diagonal 0, up to rounding. Entries
            that are negative by rounding count as 0. Of points take `Rips.from_points`.
        threshold: longest edge there is, inclusive. Bars that are alive at it are essential.

    Raises:
        TypeError, ValueError: `distances` is no floating-point tensor, not square, not symmetric, negative or
            not finite; its diagonal shows that small distances are lost to rounding; `threshold` is negative or NaN.

    Example:
        >>> import torch, topolayer as tl
        >>> distances = torch.tensor([[0.0, 1.0, 3.0], [1.0, 0.0, 3.5], [3.0, 3.5, 0.0]])
        >>> tl.persistence(tl.Rips(distances)).deaths
        tensor([1., 3.])
    """

    distances: Tensor
    threshold: float = field(default=math.inf, kw_only=True)
    values: Tensor = field(init=False)

    def __post_init__(self) -> None:
        distances = self._take("distances", self.distances)
        refuse_vmap(distances)
        shape = tuple(distances.shape)
        if len(shape) < 2 or shape[-1] != shape[-2] or shape[-1] == 0:
            raise ValueError(
                f"distances: expected square matrices of shape (*batch, n, n), got {shape}; "
                "points are given to Rips.from_points(points)"
            )
        object.__setattr__(self, "threshold", check_threshold(self.threshold, self.input_dtype, remedy=_NO_LIMIT))
        check_distances(distances.detach(), self.input_dtype)
        diagonal = torch.eye(shape[-1], dtype=torch.bool, device=distances.device)
        object.__setattr__(self, "values", distances.masked_fill(diagonal | (distances < 0), 0))

    @classmethod
    def from_points(cls, points: Tensor, *, p: float = 2.0, threshold: float = math.inf) -> Self:
        """The filtration of points, by exact distances: from differences of coordinates, in O(n²) memory.

        `torch.cdist` by itself multiplies matrices from 26 points on, which loses small distances far from the origin.

        Args:
            points: floating-point tensor `(*batch, n, d)`; half precision is raised to float32.
            p: of which p-norm, >= 1; `math.inf` is the largest difference of coordinates.
            threshold: as in `Rips`.

        Returns:
            A filtration whose `distances` are symmetric and 0 on the diagonal. The gradient goes to the points, and is
            0 between equal ones. Where a norm has a kink it is a subgradient: that of p = 1 is 0 for a coordinate that
            two points share, that of `math.inf` is spread evenly over the coordinates that differ most.

        Raises:
            TypeError, ValueError: `points` is no floating-point tensor, has fewer than two axes, no point or no
                coordinate, or is not finite; distances leave the range of the dtype; `p` or `threshold` does its own.

        Example:
            >>> import torch, topolayer as tl
            >>> points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
            >>> tl.persistence(tl.Rips.from_points(points)).deaths
            tensor([1., 3.])
        """
        clouds = check_points(points)
        refuse_vmap(clouds)
        p = check_number("p", p, least=1, infinite=True, remedy="2 is Euclid's norm")
        threshold = check_threshold(threshold, points.dtype, remedy=_NO_LIMIT)
        check_finite("points", clouds)
        try:
            rips = cls(point_distances(clouds, p), threshold=threshold)
        except NonFiniteError as error:
            raise ValueError(
                f"points: their distances leave the range of {clouds.dtype}; rescale them, for instance to [0, 1]"
            ) from error
        object.__setattr__(rips, "input_dtype", points.dtype)
        return rips

    @property
    def value_axes(self) -> int:
        return 2

    @property
    def top_dimension(self) -> None:
        return None


@dataclass(frozen=True, eq=False, repr=False)
class Alpha(Filtration):
    """Alpha filtration of one point cloud: the Delaunay triangulation, by squared radius.

    A simplex whose smallest circumsphere has no point inside (it is *Gabriel*) enters at the squared radius
    of that sphere, any other one with its first coface. The triangulation is computed in float64 and is
    piecewise constant; the gradient is that of the radii.

    Args:
        points: floating-point tensor (n, d), distinct and not all in one hyperplane.

    Attributes:
        values: (number of simplices,) squared radii, vertices first, then edges, and so on.
        simplices: a tensor (m, k + 1) of vertices for each dimension k, in the same order.

    Raises:
        TypeError, ValueError: `points` is no floating-point tensor of two axes, not finite, has duplicates,
            or lies in a hyperplane.

    Example:
        >>> import torch, topolayer as tl
        >>> square = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        >>> bars = tl.persistence(tl.Alpha(square), dims=1)
        >>> bars.births, bars.deaths
        (tensor([0.2500]), tensor([0.5000]))
    """

    points: Tensor
    values: Tensor = field(init=False)
    simplices: tuple[Tensor, ...] = field(init=False)

    def __post_init__(self) -> None:
        points = self._take("points", self.points)
        refuse_vmap(points)
        if points.ndim != 2 or 0 in points.shape:
            raise ValueError(
                f"points: expected one cloud of shape (n, d), n and d >= 1, got {tuple(points.shape)}; the clouds of a "
                "batch are computed one by one"
            )
        check_finite("points", points)
        cloud = points.detach().double().cpu()
        _, group, counts = torch.unique(cloud, dim=0, return_inverse=True, return_counts=True)
        if len(counts) < len(cloud):
            twice = [int(place) for place in (group == counts.argmax()).nonzero()[:2]]
            raise ValueError(
                f"points: expected distinct points, got duplicates: {twice[0]} and {twice[1]} are equal "
                f"({len(cloud) - len(counts)} too many in all); drop one of them, or add a little noise"
            )
        maximal = delaunay(to_numpy(cloud))
        complex_ = with_faces([maximal], vertices=len(cloud), top=maximal.shape[1] - 1)
        values = alpha_values(points, complex_).to(points)
        edges_on = values.detach()[len(cloud) :]
        if not bool(((edges_on > 0) & (edges_on < math.inf)).all()):
            raise ValueError(
                f"points: their squared radii leave the range of {points.dtype}; rescale them, for instance to [0, 1]"
            )
        object.__setattr__(self, "simplices", tuple(torch.from_numpy(s).to(points.device) for s in complex_))
        object.__setattr__(self, "values", values)

    @property
    def top_dimension(self) -> int:
        return max(self.points.shape[1] - 1, 0)
