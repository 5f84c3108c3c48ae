"""What filtrations refuse, and in which words: the argument, what was expected, what came, what to do."""

from __future__ import annotations

import math
import sys
from typing import NoReturn

import torch
from torch import Tensor

_LARGEST = sys.float_info.max  # torch 2.4 cannot trace the way to it


class NonFiniteError(ValueError):
    """A filtration value is NaN or infinite."""


def floating(name: str, tensor: object) -> Tensor:
    """The tensor itself if it is float32 or float64, raised to float32 if it has half precision; else an error."""
    if not isinstance(tensor, Tensor):
        raise TypeError(
            f"{name}: expected a torch.Tensor, got {type(tensor).__name__}; convert it with torch.as_tensor"
        )
    if tensor.layout != torch.strided or tensor.is_meta:
        kind = "a meta tensor" if tensor.is_meta else f"layout {tensor.layout}"
        raise TypeError(f"{name}: expected a dense tensor with data, got {kind}; convert it with {name}.to_dense()")
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor
    if tensor.dtype in (torch.float16, torch.bfloat16):
        return tensor.float()
    remedy = "take .real or .abs()" if tensor.is_complex() else f"convert it with {name}.float()"
    raise TypeError(f"{name}: expected a floating-point tensor, got {tensor.dtype}; {remedy}")


def to_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # an integer beyond the range of float
        return math.inf


def check_number(name: str, number: object, *, least: float = -math.inf) -> None:
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise TypeError(f"{name}: expected a number, got {type(number).__name__}")
    if not max(least, -_LARGEST) <= number <= _LARGEST:
        bound = "" if least == -math.inf else f" >= {least:g}"
        raise ValueError(f"{name}: expected a finite number{bound}, got {number}")


def check_count(name: str, count: object, *, most: float = math.inf) -> None:
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"{name}: expected an int, got {count!r}; int(...) makes one")
    if not 0 <= count <= most:
        bound = "" if most == math.inf else f" and <= {most}, as there is a number for each in the result"
        raise ValueError(f"{name}: expected an int >= 0{bound}, got {count}")


def raise_memory_error(error: RuntimeError, what: str) -> NoReturn:
    """MemoryError if torch found no memory on the CPU: it has no class for that, as it has for an accelerator's."""
    if "DefaultCPUAllocator" not in str(error):
        raise error
    raise MemoryError(f"not enough memory for {what}") from error


def check_superlevel(superlevel: object) -> None:
    if not isinstance(superlevel, bool):
        raise TypeError(f"superlevel: expected a bool, True or False, got {superlevel!r}")


def check_finite(name: str, tensor: Tensor, remedy: str = "replace them, for instance with torch.where") -> None:
    bad = ~torch.isfinite(tensor.detach())
    if not bool(bad.any()):
        return
    first = tuple(int(i) for i in bad.nonzero()[0])
    raise NonFiniteError(
        f"{name}: expected finite numbers, got {int(bad.sum())} that are NaN or infinite, the first at index {first} "
        f"({float(tensor[first])}); {remedy}"
    )


def check_simplices(simplices: object, *, vertices: int) -> None:
    if not isinstance(simplices, Tensor):
        raise TypeError(
            f"simplices: expected integer tensors of shape (m, d + 1), got {type(simplices).__name__}; "
            "convert it with torch.as_tensor"
        )
    if simplices.is_floating_point() or simplices.is_complex() or simplices.dtype == torch.bool:
        raise TypeError(f"simplices: expected an integer tensor, got {simplices.dtype}; convert it with .long()")
    if simplices.ndim != 2 or simplices.shape[1] == 0:
        raise ValueError(f"simplices: expected shape (m, d + 1), got {tuple(simplices.shape)}")
    simplices = simplices.long()  # a small integer type could not be compared with the number of vertices
    missing = (simplices < 0) | (simplices >= vertices)
    if bool(missing.any()):
        row, column = missing.nonzero()[0].tolist()
        raise ValueError(
            f"simplices: expected vertices from 0 to {vertices - 1}, got {int(simplices[row, column])} in row {row}; "
            "values has one entry per vertex on its last axis"
        )
    ordered = simplices.sort(dim=1).values
    repeated = (ordered[:, 1:] == ordered[:, :-1]).any(dim=1)
    if bool(repeated.any()):
        row = int(repeated.nonzero()[0])
        raise ValueError(
            f"simplices: expected distinct vertices in each simplex, got {simplices[row].tolist()} in row {row}; "
            "drop the repetition, or the row"
        )


def check_distances(distances: Tensor) -> None:
    missing = "an edge that is missing gets a large finite distance, with a threshold below it"
    check_finite("distances", distances, remedy=missing)
    if bool((distances < 0).any()):
        first = tuple((distances < 0).nonzero()[0].tolist())
        raise ValueError(f"distances: expected numbers >= 0, got {float(distances[first])} at index {first}")
    if distances.numel() == 0:
        return
    # Rounding in squared distances, as torch.cdist makes it, is amplified by the square root near 0: compare squares,
    # relative to the largest entry, so that none overflows. float64 gets float32's tolerance: it may come from there.
    largest = distances.amax(dim=(-2, -1), keepdim=True)
    if bool(((distances - distances.mT).abs() <= 1e-6 * largest).all()):
        return
    relative = distances / largest.where(largest > 0, 1)
    asymmetric = (relative - relative.mT).abs() * (relative + relative.mT) > 1e-5
    if bool(asymmetric.any()):
        first = tuple(asymmetric.nonzero()[0].tolist())
        raise ValueError(
            f"distances: expected a symmetric matrix, got {float(distances[first])} at index {first} and "
            f"{float(distances.mT[first])} across the diagonal; use (d + d.mT) / 2 if both are meant"
        )
