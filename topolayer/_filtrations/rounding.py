"""Rounding errors in a matrix of distances: harmless ones pass, others are refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NoReturn, TypeAlias

import numpy as np
import torch
from torch import Tensor

from topolayer import _core
from topolayer._checks import check_finite
from topolayer._filtrations.simplices import Indices
from topolayer._tracing import is_traced, to_numpy


def check_distances(distances: Tensor, dtype: torch.dtype, name: str = "distances") -> bool:
    """Refuse (*batch, n, n) matrices, off the graph, whose entries are not distances up to the rounding of `dtype`.

    The diagonal is still there, and `dtype` is that of the input, before half precision is raised. Returns whether
    rounding has made an entry negative.
    """
    count = distances.shape[-1]
    if count == 1:
        check_finite(name, distances, remedy="the distance of a point to itself is 0")
    if count == 1 or distances.numel() == 0:
        return False
    extremes, eps = _extremes(distances), torch.finfo(dtype).eps
    smallest, largest, diagonal, _ = extremes
    has_negative = bool((smallest < 0).any())
    if bool(_Bounds(extremes, largest.clamp(min=0), eps).hold.all()):
        return has_negative
    scale = torch.where(_differ_from_one(distances, eps), largest.clamp(min=1), largest.clamp(min=0))
    bounds = _Bounds(extremes, scale, eps)
    if bool(bounds.hold.all()):
        return has_negative
    missing = "an edge that is missing gets a large finite distance, with a threshold below it"
    check_finite(name, _without_diagonal(distances), remedy=missing)
    if bool((smallest < -bounds.rounding).any()):
        _refuse_negative(name, distances, bounds.rounding)
    if not bool(bounds.exact.all()):
        _refuse_diagonal(name, diagonal, smallest, bounds.exact)
    _check_squares(name, distances, scale[..., None, None])
    return has_negative


def check_each(matrices: Sequence[Tensor], flat: Tensor, offsets: Indices, dtype: torch.dtype) -> bool:
    """`check_distances` for matrices (n, n) of any sizes; `flat` has their entries, one matrix after another."""
    if _core_sees(flat) and matrices:
        extremes = _by_core(flat, offsets)
        if bool(_Bounds(extremes, extremes[1].clamp(min=0), torch.finfo(dtype).eps).hold.all()):
            return bool((extremes[0] < 0).any())
    negative = [check_distances(matrix, dtype, f"distances[{i}]") for i, matrix in enumerate(matrices)]
    return any(negative)


_Extremes: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor]


class _Bounds:
    """How large rounding may be in matrices whose distances were rounded on a scale, and whether it is no larger."""

    def __init__(self, extremes: _Extremes, scale: Tensor, eps: float) -> None:
        smallest, largest, diagonal, asymmetry = extremes
        self.rounding = 64 * eps * scale
        # Rounding changed the other entries as much as the diagonal: in squares, by the diagonal squared.
        self.exact = diagonal <= torch.maximum(self.rounding, math.sqrt(0.02) * smallest)
        # float64 gets float32's tolerance: it may come from there.
        symmetric = asymmetry <= max(1e-6, 64 * eps) * scale
        self.hold = (smallest >= -self.rounding) & (largest < math.inf) & self.exact & symmetric


def _extremes(distances: Tensor) -> _Extremes:
    """For each matrix of two points or more, the smallest and the largest entry off the diagonal, the largest absolute
    value on it, and the largest difference of two entries across it. On the CPU that is one pass of the core.
    """
    *batch, count, _ = distances.shape
    if _core_sees(distances):
        offsets = np.arange(math.prod(batch) + 1) * count**2
        smallest, largest, diagonal, asymmetry = (
            found.view(batch) for found in _by_core(distances.contiguous().view(-1), offsets)
        )
        return smallest, largest, diagonal, asymmetry
    # Without every (n + 1)-th entry, and without a copy.
    others = distances.flatten(-2)[..., 1:].view(*batch, count - 1, count + 1)[..., :-1]
    diagonal = distances.diagonal(dim1=-2, dim2=-1).abs().amax(dim=-1)
    asymmetry = (distances - distances.mT).amax(dim=(-2, -1))
    return others.amin(dim=(-2, -1)), others.amax(dim=(-2, -1)), diagonal, asymmetry


def _core_sees(distances: Tensor) -> bool:
    return distances.device.type == "cpu" and not is_traced()


def _by_core(flat: Tensor, offsets: Indices) -> _Extremes:
    """For a single point the diagonal counts only where it is not finite."""
    entries = to_numpy(flat.resolve_neg())
    found = np.empty((len(offsets) - 1, 4), entries.dtype)
    _core.rips_extremes(entries, offsets, found.ravel(), torch.get_num_threads())
    smallest, largest, diagonal, asymmetry = torch.from_numpy(found).unbind(-1)
    return smallest, largest, diagonal, asymmetry


def _differ_from_one(distances: Tensor, eps: float) -> Tensor:
    """Whether each matrix may be 1 minus cosines, or half of that: differences of numbers near 1 are multiples of eps /
    2. All entries may then be small, as for equal vectors, although they were rounded on the scale of 1.
    """
    steps = distances * (4 / eps)
    return (steps == steps.round()).all(dim=-1).all(dim=-1)


_MENDED = "use d = distances.clamp(min=0).triu(1), and d + d.mT as distances"


def _without_diagonal(distances: Tensor) -> Tensor:
    diagonal = torch.eye(distances.shape[-1], dtype=torch.bool, device=distances.device)
    return distances.masked_fill(diagonal, 0)


def _refuse_negative(name: str, distances: Tensor, rounding: Tensor) -> NoReturn:
    distances = _without_diagonal(distances)
    first = tuple((distances < -rounding[..., None, None]).nonzero()[0].tolist())
    raise ValueError(
        f"{name}: expected numbers >= 0, up to rounding, got {float(distances[first])} at index {first}; "
        f"where rounding alone makes them negative, {_MENDED}"
    )


def _refuse_diagonal(name: str, diagonal: Tensor, smallest: Tensor, exact: Tensor) -> NoReturn:
    first = tuple((~exact).nonzero()[0].tolist())
    where = f" in matrix {first}" if first else ""
    raise ValueError(
        f"{name}: expected a diagonal of zeros, up to rounding, got {float(diagonal[first])}{where}, where the "
        f"smallest distance is {float(smallest[first])}. Rounding on that scale, as torch.cdist has it from 26 points "
        "on, changes the bars: give the points to Rips.from_points(points), which computes exact distances. Zeros "
        f"on the diagonal would hide the fault and leave it in the others; if it is acceptable, {_MENDED}"
    )


def _check_squares(name: str, distances: Tensor, scale: Tensor) -> None:
    """The square root amplifies rounding in squared distances, such as that of torch.cdist, near 0. So squares are
    compared, relative to the scale of the matrix, so that none overflows.
    """
    relative = distances / scale.where(scale > 0, 1)
    asymmetric = (relative - relative.mT).abs() * (relative + relative.mT) > 1e-5
    if bool(asymmetric.any()):
        first = tuple(asymmetric.nonzero()[0].tolist())
        raise ValueError(
            f"{name}: expected a symmetric matrix, got {float(distances[first])} at index {first} and "
            f"{float(distances.mT[first])} across the diagonal; use (d + d.mT) / 2 if both are meant, and where "
            f"rounding alone makes the difference, {_MENDED}"
        )
