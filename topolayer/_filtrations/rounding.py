"""Rounding errors in a matrix of distances: what is harmless passes, the rest is refused."""

from __future__ import annotations

import math
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from topolayer import _core
from topolayer._checks import check_finite
from topolayer._tracing import is_traced, to_numpy


def check_distances(distances: Tensor, dtype: torch.dtype) -> bool:
    """Refuse (*batch, n, n) matrices, off the graph, whose entries are no distances up to the rounding of `dtype`.

    The diagonal is still there, and `dtype` is the one they came in, before raising. Returns whether rounding has made
    an entry negative.
    """
    count = distances.shape[-1]
    if count == 1:
        check_finite("distances", distances, remedy="the distance of a point to itself is 0")
    if count == 1 or distances.numel() == 0:
        return False
    smallest, largest, diagonal, asymmetry = _extremes(distances)
    eps = torch.finfo(dtype).eps

    def within(scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """How large rounding may be, whether the diagonal shows more of it, and whether all is well."""
        rounding = 64 * eps * scale
        # What rounding did to the diagonal it did to the others, too: in squares, as much as the diagonal squared.
        exact = diagonal <= torch.maximum(rounding, math.sqrt(0.02) * smallest)
        # float64 gets float32's tolerance: it may come from there.
        symmetric = asymmetry <= max(1e-6, 64 * eps) * scale
        return rounding, exact, (smallest >= -rounding) & (largest < math.inf) & exact & symmetric

    if bool(within(largest.clamp(min=0))[2].all()):
        return bool((smallest < 0).any())
    scale = torch.where(_differ_from_one(distances, eps), largest.clamp(min=1), largest.clamp(min=0))
    rounding, exact, good = within(scale)
    if bool(good.all()):
        return bool((smallest < 0).any())
    missing = "an edge that is missing gets a large finite distance, with a threshold below it"
    check_finite("distances", _without_diagonal(distances), remedy=missing)
    if bool((smallest < -rounding).any()):
        _refuse_negative(distances, rounding)
    if not bool(exact.all()):
        _refuse_diagonal(diagonal, smallest, exact)
    _check_squares(distances, scale[..., None, None])
    return bool((smallest < 0).any())


def _extremes(distances: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For each matrix of two points or more, the smallest and the largest entry off the diagonal, the largest absolute
    value on it, and the largest difference of two entries across it. On the CPU that is one pass of the core.
    """
    *batch, count, _ = distances.shape
    if distances.device.type == "cpu" and not is_traced():
        matrices = to_numpy(distances.resolve_neg().contiguous()).reshape(-1, count, count)
        found = np.empty((len(matrices), 4), matrices.dtype)
        _core.rips_extremes(matrices, found.ravel(), torch.get_num_threads())
        smallest, largest, diagonal, asymmetry = torch.from_numpy(found).view(*batch, 4).unbind(-1)
        return smallest, largest, diagonal, asymmetry
    # Without every (n + 1)-th entry, and without a copy.
    others = distances.flatten(-2)[..., 1:].view(*batch, count - 1, count + 1)[..., :-1]
    diagonal = distances.diagonal(dim1=-2, dim2=-1).abs().amax(dim=-1)
    asymmetry = (distances - distances.mT).amax(dim=(-2, -1))
    return others.amin(dim=(-2, -1)), others.amax(dim=(-2, -1)), diagonal, asymmetry


def _differ_from_one(distances: Tensor, eps: float) -> Tensor:
    """Whether each matrix may be 1 minus cosines, or half of that: differences of numbers near 1 are multiples of
    eps / 2. All entries may be small then, as of equal vectors, and yet have been rounded on the scale of 1.
    """
    steps = distances * (4 / eps)
    return (steps == steps.round()).all(dim=-1).all(dim=-1)


_MENDED = "d = distances.clamp(min=0).triu(1) and d + d.mT in its place mend that"


def _without_diagonal(distances: Tensor) -> Tensor:
    diagonal = torch.eye(distances.shape[-1], dtype=torch.bool, device=distances.device)
    return distances.masked_fill(diagonal, 0)


def _refuse_negative(distances: Tensor, rounding: Tensor) -> NoReturn:
    distances = _without_diagonal(distances)
    first = tuple((distances < -rounding[..., None, None]).nonzero()[0].tolist())
    raise ValueError(
        f"distances: expected numbers >= 0, up to rounding, got {float(distances[first])} at index {first}; "
        f"where rounding alone makes them negative, {_MENDED}"
    )


def _refuse_diagonal(diagonal: Tensor, smallest: Tensor, exact: Tensor) -> NoReturn:
    first = tuple((~exact).nonzero()[0].tolist())
    where = f" in matrix {first}" if first else ""
    raise ValueError(
        f"distances: expected a diagonal of zeros, up to rounding, got {float(diagonal[first])}{where}, where the "
        f"smallest distance is {float(smallest[first])}. Rounding on that scale, as torch.cdist has it from 26 points "
        "on, changes the bars: give the points to Rips.from_points(points), which computes exact distances. Zeros "
        f"on the diagonal would hide the fault and leave it in the others; where it does no harm, {_MENDED}"
    )


def _check_squares(distances: Tensor, scale: Tensor) -> None:
    """Rounding in squared distances, as torch.cdist makes it, is amplified by the square root near 0: compares squares,
    relative to the scale of the matrix, so that none overflows.
    """
    relative = distances / scale.where(scale > 0, 1)
    asymmetric = (relative - relative.mT).abs() * (relative + relative.mT) > 1e-5
    if bool(asymmetric.any()):
        first = tuple(asymmetric.nonzero()[0].tolist())
        raise ValueError(
            f"distances: expected a symmetric matrix, got {float(distances[first])} at index {first} and "
            f"{float(distances.mT[first])} across the diagonal; use (d + d.mT) / 2 if both are meant, and where "
            f"rounding alone makes the difference, {_MENDED}"
        )
