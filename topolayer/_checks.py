"""What filtrations refuse, and in which words: the argument, what was expected, what came, what to do."""

from __future__ import annotations

import math
import numbers
import sys
from typing import NoReturn, SupportsFloat

import torch
from torch import Tensor
from torch.nn import Parameter

_LARGEST = sys.float_info.max  # torch 2.4 cannot trace the way to it


class NonFiniteError(ValueError):
    """A filtration value is NaN or infinite."""


def floating(name: str, tensor: object) -> Tensor:
    """A plain tensor: itself if it is float32 or float64, raised to float32 if it has half precision; else an error."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name}: expected a torch.Tensor, got {came(tensor)}; {_as_tensor(tensor)}")
    tensor = plain(name, tensor)
    if tensor.layout != torch.strided:
        raise TypeError(
            f"{name}: expected a dense tensor, got layout {tensor.layout}; convert it with {name}.to_dense()"
        )
    if tensor.is_meta:
        raise TypeError(
            f"{name}: expected a dense tensor with data, got a meta tensor, which has none; make it on the CPU or a GPU"
        )
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor
    if tensor.dtype in (torch.float16, torch.bfloat16):
        return tensor.float()
    remedy = f"convert it with {name}.{'dequantize' if tensor.is_quantized else 'float'}()"
    if tensor.is_complex():
        remedy = "take .real or .abs()"
    raise TypeError(f"{name}: expected a floating-point tensor, got {tensor.dtype}; {remedy}")


def _as_tensor(thing: object) -> str:
    """How a tensor is made of it."""
    if isinstance(thing, (list, tuple)) and thing and all(isinstance(part, Tensor) for part in thing):
        return "torch.stack makes a batch of tensors of one shape; call it for each one where shapes differ"
    return "convert it with torch.as_tensor"


_NOT_PLAIN = {  # classes, by name so that none need be imported, whose numbers are not where a tensor has them
    "NestedTensor": "compute the tensors of {name}.unbind() one by one, or pad them",
    "DTensor": "gather it with {name}.full_tensor()",
    "MaskedTensor": "fill in what is masked with {name}.to_tensor(number)",
    "FakeTensor": "make it outside of the FakeTensorMode",
}


def plain(name: str, tensor: Tensor) -> Tensor:
    """Without the subclass, on the graph still, if all that it changes are the functions of torch, as MONAI's does."""
    kind = type(tensor)
    if tensor.is_nested:
        remedy = _NOT_PLAIN["NestedTensor"].format(name=name)
        raise TypeError(f"{name}: expected samples of one shape, got a nested tensor; {remedy}")
    if kind is Tensor or kind is Parameter:
        return tensor
    if kind.__torch_dispatch__ is Tensor.__torch_dispatch__:
        return tensor.as_subclass(Tensor)
    if torch.compiler.is_compiling() or kind.__name__ == "AsyncCollectiveTensor":  # which waits when it is looked at
        return tensor
    known = (_NOT_PLAIN[base.__name__] for base in kind.__mro__ if base.__name__ in _NOT_PLAIN)
    remedy = next(known, "convert it to one").format(name=name)
    raise TypeError(f"{name}: expected a plain torch.Tensor with data, got {kind.__name__}; {remedy}")


def to_float(number: SupportsFloat) -> float:
    try:
        return float(number)
    except OverflowError:  # an integer or a fraction beyond the range of float
        return math.inf if number > 0 else -math.inf  # type: ignore[operator]


def check_number(
    name: str, number: object, *, least: float = -math.inf, infinite: bool = False, remedy: str = "choose another one"
) -> float:
    """As a float, what Python or NumPy calls a real number, if it is in the range; else an error."""
    kind = "a number" if infinite else "a finite number"
    if isinstance(number, bool) or not isinstance(number, numbers.Real):
        raise TypeError(f"{name}: expected {kind}, got {came(number)}; float(...) makes one of what holds one number")
    value, most = to_float(number), math.inf if infinite else _LARGEST
    if not max(least, -most) <= value <= most:
        bound = "" if least == -math.inf else f" >= {least:g}"
        got = number if math.isfinite(value) else value
        raise ValueError(f"{name}: expected {kind}{bound}, got {got}; {remedy}")
    return value


def check_integer(
    name: str,
    number: object,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    what: str = "an int",
    remedy: str = "choose another one",
) -> int:
    """As an int, what Python or NumPy calls an integer, if it is in the range; else an error."""
    if isinstance(number, bool) or not isinstance(number, numbers.Integral):
        raise TypeError(f"{name}: expected {what}, got {came(number)}; int(...) makes one of what holds a whole number")
    integer = int(number)
    if not least <= integer <= most:
        bounds = [f" >= {least}"] * (least > -math.inf) + [f" <= {most}"] * (most < math.inf)
        raise ValueError(f"{name}: expected {what}{' and'.join(bounds)}, got {integer}; {remedy}")
    return integer


def came(thing: object) -> str:
    """What came, in a message: the type, and a number or a word itself."""
    kind = type(thing).__name__
    if isinstance(thing, str):
        return f"{kind} {thing!r:.60}"
    return f"{kind} {thing}" if isinstance(thing, numbers.Number) else kind


def raise_memory_error(error: RuntimeError, what: str) -> NoReturn:
    """MemoryError if torch found no memory on the CPU: it has no class for that, as it has for an accelerator's."""
    if "DefaultCPUAllocator" not in str(error):
        raise error
    raise MemoryError(f"not enough memory for {what}") from error


def check_ndim(ndim: object) -> int:
    axes = check_integer("ndim", ndim, what="1, 2 or 3, the number of grid axes")
    if axes not in (1, 2, 3):
        raise ValueError(f"ndim: expected 1, 2 or 3 grid axes, got {axes}; all axes before them are the batch's")
    return axes


def check_superlevel(superlevel: object) -> None:
    if not isinstance(superlevel, bool):
        raise TypeError(f"superlevel: expected a bool, True or False, got {came(superlevel)}; bool(...) makes one")


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
