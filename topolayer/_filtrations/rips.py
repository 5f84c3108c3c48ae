"""Vietoris-Rips filtrations of points and distances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor

from topolayer._checks import check_finite, check_number, check_threshold, dtype_as_compared, joined
from topolayer._filtrations.base import Filtration, with_tensors
from topolayer._filtrations.cells import CliqueComplex
from topolayer._filtrations.point_distances import check_clouds, check_points, distances_of_each, point_distances
from topolayer._filtrations.rounding import check_distances, check_each
from topolayer._filtrations.simplices import offsets_of
from topolayer._tracing import refuse_without_numbers, requires_grad_tells

_NO_LIMIT = "math.inf lets all edges in"


@dataclass(frozen=True, eq=False, repr=False)
class Rips(Filtration):
    """Vietoris-Rips filtration: a simplex enters with its longest edge, a vertex at exactly 0 and with gradient 0.

    Args:
        distances: tensor `(*batch, n, n)`, floating-point or of small integers. Entries (i, j) with i < j are used.
            Those with i > j and the diagonal are only checked: up to rounding, the matrix has to be symmetric and its
            diagonal 0. Entries that are negative by rounding count as 0. For points use `Rips.from_points`. A list of
            matrices (n, n), of any sizes, is a batch, and `values` are their entries, one matrix after another.
        threshold: the length of the longest edge, inclusive. Bars that are alive at it are essential.

    Raises:
        TypeError, ValueError: `distances` is no tensor of such numbers, not square, not symmetric, negative or
            not finite; its diagonal shows that small distances are lost to rounding; matrices of a list have several
            dtypes or devices; `threshold` is negative or NaN.

    Example:
        >>> import torch, topolayer as tl
        >>> distances = torch.tensor([[0.0, 1.0, 3.0], [1.0, 0.0, 3.5], [3.0, 3.5, 0.0]])
        >>> tl.persistence(tl.Rips(distances)).deaths
        tensor([1., 3.])
        >>> barcode = tl.persistence(tl.Rips([distances, distances[:2, :2]]))
        >>> barcode.sum(barcode.lengths)
        tensor([4., 1.])
    """

    distances: Tensor | Sequence[Tensor]
    threshold: float = field(default=math.inf, kw_only=True)
    values: Tensor = field(init=False)

    def __post_init__(self) -> None:
        given: Any = self.distances
        several = isinstance(given, (list, tuple))
        matrices = self._take_each("distances", given) if several else [self._take("distances", given)]
        if several:
            object.__setattr__(self, "distances", tuple(given))  # a list may change later
        for i, matrix in enumerate(matrices):
            _check_square(f"distances[{i}]" if several else "distances", matrix, several)
        object.__setattr__(self, "threshold", check_threshold(self.threshold, self.input_dtype, remedy=_NO_LIMIT))
        values = self._of_list(matrices) if several else self._of_tensor(*matrices)
        object.__setattr__(self, "values", values)

    def _of_tensor(self, distances: Tensor) -> Tensor:
        refuse_without_numbers(distances)
        if check_distances(distances.detach(), self.input_dtype):
            distances = distances.clamp(min=0)
        is_constant = requires_grad_tells() and not distances.requires_grad
        if is_constant and not bool(distances.diagonal(dim1=-2, dim2=-1).any()):
            return distances
        births = distances.new_zeros(distances.shape[:-1])
        return torch.diagonal_scatter(distances, births, dim1=-2, dim2=-1)

    def _of_list(self, matrices: list[Tensor]) -> Tensor:
        flat = joined(matrices)
        refuse_without_numbers(flat)
        sizes = tuple(matrix.numel() for matrix in matrices)
        object.__setattr__(self, "_sizes", sizes)
        offsets = offsets_of(sizes)
        if check_each([matrix.detach() for matrix in matrices], flat.detach(), offsets, self.input_dtype):
            flat = flat.clamp(min=0)
        starts = zip(offsets.tolist(), matrices, strict=False)
        diagonals = [torch.arange(first, first + len(m) ** 2, len(m) + 1, device=flat.device) for first, m in starts]
        return flat.index_fill(0, torch.cat(diagonals), 0) if diagonals else flat

    @classmethod
    def from_points(cls, points: Tensor | Sequence[Tensor], *, p: float = 2.0, threshold: float = math.inf) -> Self:
        """The filtration of points, by exact distances: from differences of coordinates, in O(n²) memory.

        By default `torch.cdist` multiplies matrices from 26 points on, which loses small distances far from the origin.

        Args:
            points: tensor `(*batch, n, d)`, floating-point or of small integers. A list of clouds (n,
                d), of any sizes in one R^d, is a batch, as a list of matrices is for `Rips`.
            p: the p of the p-norm, >= 1; `math.inf` is the largest difference of coordinates.
            threshold: as in `Rips`.

        Returns:
            A filtration whose `distances` are symmetric and 0 on the diagonal. The gradient goes to the points, and is
            0 between equal ones. Where a norm has a kink it is a subgradient: that of p = 1 is 0 for a coordinate that
            two points share, that of `math.inf` is spread evenly over the coordinates that differ most.

        Raises:
            TypeError, ValueError: `points` is no tensor of such numbers, has fewer than two axes, no point or no
                coordinate, or is not finite; clouds of a list are of several dtypes, devices or dimensions; distances
                leave the range of the dtype; `p` or `threshold` is out of its range.

        Example:
            >>> import torch, topolayer as tl
            >>> points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
            >>> tl.persistence(tl.Rips.from_points(points)).deaths
            tensor([1., 3.])
            >>> tl.persistence(tl.Rips.from_points([points, points[:2]])).sample
            tensor([0, 0, 1])
        """
        given: Any = points
        several = isinstance(given, (list, tuple))
        clouds = check_clouds(given) if several else [check_points(given)]
        input_dtype = dtype_as_compared(given[0] if several else given) if len(given) else torch.float32
        p = check_number("p", p, least=1, infinite=True, remedy="2 is Euclid's norm")
        threshold = check_threshold(threshold, input_dtype, remedy=_NO_LIMIT)
        for cloud in clouds:
            refuse_without_numbers(cloud)
        if not bool(joined([cloud.detach() for cloud in clouds]).isfinite().all()):
            for i, cloud in enumerate(clouds):
                check_finite(f"points[{i}]" if several else "points", cloud)
        values = distances_of_each(clouds, p) if several else point_distances(clouds[0], p)
        if values.numel() > 0 and not math.isfinite(values.detach().amax()):  # NaN is the largest of all
            raise ValueError(
                f"points: their distances leave the range of {values.dtype}; rescale them, for instance to [0, 1]"
            )
        distances: Tensor | tuple[Tensor, ...] = values
        if several:
            parts = torch.split(values, [len(cloud) ** 2 for cloud in clouds])
            distances = tuple(part.view(len(cloud), len(cloud)) for part, cloud in zip(parts, clouds, strict=True))
        rips = object.__new__(cls)
        sizes = tuple(len(cloud) ** 2 for cloud in clouds) if several else None
        rips.__dict__.update(
            distances=distances, values=values, threshold=threshold, input_dtype=input_dtype, _sizes=sizes
        )
        return rips

    @property
    def cells(self) -> CliqueComplex:
        points = math.isqrt(max(self._sizes, default=0)) if self._sizes is not None else self.sample_shape[0]
        return CliqueComplex(points, self.threshold)

    @property
    def value_axes(self) -> int:
        return 2 if self._sizes is None else 1

    def _alone(self, number: int, values: Tensor) -> Self:
        count = math.isqrt(len(values))
        distances = self.distances[number]
        return with_tensors(self, values.view(count, count), None, distances=distances, _sizes=None)

    def order(self) -> Tensor:
        """All vertices, then the edges (i, j) with i < j; no entry below the diagonal."""
        points, values = self.sample_shape[0], self.values.cpu().reshape(self.samples, -1)
        entry = torch.arange(points * points, device=values.device).reshape(points, points)
        row, column = torch.triu_indices(points, points, offset=1, device=values.device)
        edge = entry[row, column]
        edges = edge[(values[:, edge] + 0.0).argsort(dim=1, stable=True)]
        return torch.cat([entry.diagonal().expand(len(values), -1), edges], dim=1)

    def ranks(self, order: Tensor) -> Tensor:
        """The place of every entry in that order, symmetric.

        Args:
            order: what `order` returns.

        Returns:
            (samples, n, n) float64, on the CPU; inf for edges beyond the threshold.
        """
        beyond = self.values.cpu().reshape(self.samples, *self.sample_shape) > self.threshold
        ranks = super().ranks(order).masked_fill(beyond, math.inf)
        return torch.minimum(ranks, ranks.mT)

    @property
    def top_dimension(self) -> None:
        return None


def _check_square(name: str, distances: Tensor, alone: bool) -> None:
    """One matrix alone, or a batch of them."""
    shape = tuple(distances.shape)
    if len(shape) >= 2 and shape[-1] == shape[-2] != 0 and (len(shape) == 2 or not alone):
        return
    expected = "one square matrix of shape (n, n)" if alone else "square matrices of shape (*batch, n, n)"
    remedy = "points are given to Rips.from_points(points)"
    if len(shape) > 2 and alone:
        remedy = f"list({name}) has the matrices of a batch"
    elif 0 in shape[-2:]:
        remedy = "samples without points are left out"
    raise ValueError(f"{name}: expected {expected}, got {shape}; {remedy}")
