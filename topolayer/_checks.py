"""What the library refuses, and in which words: the argument, what was expected, what came, what to do."""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, SupportsFloat

import torch
from torch import Tensor
from torch.nn import Parameter

from topolayer._tracing import without_functions, writes_a_graph

_SMALL = (torch.bool, torch.uint8, torch.int8, torch.uint16, torch.int16)  # float32 has all of their numbers
_LARGEST = sys.float_info.max  # torch 2.4 cannot trace the way to it


class NonFiniteError(ValueError):
    """A filtration value is NaN or infinite."""


def dense(name: str, tensor: object) -> Tensor:
    """A plain tensor with its numbers in memory, one after another. Anything else is an error."""
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
    if tensor.is_quantized:
        raise TypeError(
            f"{name}: expected a tensor that is not quantized, got {tensor.dtype}; convert it with {name}.dequantize()"
        )
    return tensor


def floating(name: str, tensor: object) -> Tensor:
    """A plain tensor in float32 or float64. Half precision is raised to float32; anything else is an error."""
    tensor = dense(name, tensor)
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor
    if tensor.dtype in (torch.float16, torch.bfloat16):
        return tensor.float()
    remedy = "take .real or .abs()" if tensor.is_complex() else f"convert it with {name}.float()"
    raise TypeError(f"{name}: expected a floating-point tensor, got {tensor.dtype}; {remedy}")


def real(name: str, tensor: object) -> Tensor:
    """As `floating`, of bool and integers of up to 16 bits too, which are raised to float32."""
    tensor = dense(name, tensor)
    return tensor.float() if are_small(tensor) else floating(name, tensor)


def are_small(numbers: Tensor) -> bool:
    """Whether they are bool or integers of up to 16 bits."""
    return numbers.dtype in _SMALL


def dtype_as_compared(given: Tensor) -> torch.dtype:
    """The dtype in which what `real` takes is compared with a number."""
    return given.dtype if given.is_floating_point() else torch.float32


def alike(name: str, tensors: Sequence[object], check: Callable[[str, object], Tensor] = floating) -> list[Tensor]:
    """The tensors of a list as `check` returns each. They must have one dtype and one device."""
    checked = [dense(f"{name}[{i}]", tensor) for i, tensor in enumerate(tensors)]
    for i, tensor in enumerate(checked):
        for what in ("dtype", "device"):
            expected, got = getattr(checked[0], what), getattr(tensor, what)
            if got != expected:
                raise ValueError(
                    f"{name}[{i}]: expected {what} {expected}, as {name}[0] has, got {got}; {name}[{i}].to({name}[0]) "
                    "has both"
                )
    return [check(f"{name}[{i}]", tensor) for i, tensor in enumerate(checked)]


def joined(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors of one dtype and device, one after another; none are float32 on the CPU, whatever the default is."""
    return torch.cat([t.flatten() for t in tensors]) if tensors else torch.empty(0, dtype=torch.float32, device="cpu")


def _as_tensor(thing: object) -> str:
    """How to make a tensor of it."""
    if type(thing).__name__ == "Proxy":
        return "torch.fx.symbolic_trace has no numbers: hide the function that calls this one from it by torch.fx.wrap"
    if isinstance(thing, Iterator):
        return "it can be read only once: make a list of it"
    if isinstance(thing, (list, tuple)) and thing and all(hasattr(part, "__array__") for part in thing):
        tensors = all(isinstance(part, Tensor) for part in thing)
        make = "torch.stack makes" if tensors else "torch.stack of torch.as_tensor(part) for each part makes"
        return f"{make} a batch of tensors of one shape; call it for each one where shapes differ"
    return "convert it with torch.as_tensor"


_NOT_PLAIN = {  # classes, by name so that none need be imported, whose numbers are not where a tensor has them
    "NestedTensor": "compute the tensors of {name}.unbind() one by one, or pad them",
    "DTensor": "gather it with {name}.full_tensor()",
    "MaskedTensor": "fill in what is masked with {name}.to_tensor(number)",
    "FakeTensor": "make it outside the FakeTensorMode",
}


def plain(name: str, tensor: Tensor) -> Tensor:
    """The tensor without a subclass that only changes functions of torch, as MONAI's does; still on the graph."""
    if tensor.is_nested:
        remedy = _NOT_PLAIN["NestedTensor"].format(name=name)
        raise TypeError(f"{name}: expected samples of one shape, got a nested tensor; {remedy}")
    tensor = without_functions(tensor)
    kind = type(tensor)
    if kind is Tensor or kind is Parameter:
        return tensor
    if writes_a_graph() or kind.__name__ == "AsyncCollectiveTensor":  # which waits when it is looked at
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
    """A real number of Python or NumPy as a float, if it is in the range; otherwise an error."""
    kind = "a number" if infinite else "a finite number"
    if type(number) not in (int, float) and (isinstance(number, bool) or not isinstance(number, numbers.Real)):
        raise TypeError(f"{name}: expected {kind}, got {came(number)}; {_made_by(float, number) or remedy}")
    value, most = to_float(number), math.inf if infinite else _LARGEST  # type: ignore[arg-type]
    if not max(least, -most) <= value <= most:
        bound = "" if least == -math.inf else f" >= {least:g}"
        got = number if math.isfinite(value) else value
        raise ValueError(f"{name}: expected {kind}{bound}, got {got}; {remedy}")
    return value


def check_width(name: str, number: object, *, remedy: str) -> float:
    """A number > 0 by whose square float32 can be divided; otherwise an error."""
    width, kind = check_number(name, number, least=0, remedy=remedy), torch.finfo(torch.float32)
    if not kind.tiny <= width * width <= kind.max:
        raise ValueError(f"{name}: expected a number > 0 whose square float32 can hold, got {width}; {remedy}")
    return width


def check_integer(
    name: str,
    number: object,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    what: str = "an int",
    remedy: str = "choose another one",
) -> int:
    """An integer of Python or NumPy as an int, if it is in the range; otherwise an error."""
    if type(number) is not int and (isinstance(number, bool) or not isinstance(number, numbers.Integral)):
        raise TypeError(f"{name}: expected {what}, got {came(number)}; {_made_by(int, number) or remedy}")
    integer = int(number)
    if not least <= integer <= most:
        bounds = [f" >= {least}"] * (least > -math.inf) + [f" <= {most}"] * (most < math.inf)
        raise ValueError(f"{name}: expected {what}{' and'.join(bounds)}, got {_digits(integer)}; {remedy}")
    return integer


def check_integers(name: str, given: Any, *, what: str, remedy: str = "choose others") -> tuple[int, ...]:
    """One integer or several, from a tuple, a list, a range, or an array or tensor of integers."""
    if isinstance(given, (set, frozenset)):
        raise TypeError(f"{name}: expected {what}, got {came(given)}, which has no order; sorted({name}) has one")
    if isinstance(given, Tensor):
        given = dense(name, given)
    several = given.tolist() if getattr(given, "ndim", 0) else given
    several = several if isinstance(several, (tuple, list, range)) else (several,)
    return tuple(check_integer(name, number, what=what, remedy=remedy) for number in several)


def check_bool(name: str, flag: object) -> None:
    if not isinstance(flag, bool):
        remedy = _made_by(bool, flag) if hasattr(flag, "__float__") else "choose one of the two"
        raise TypeError(f"{name}: expected a bool, True or False, got {came(flag)}; {remedy}")


def check_word(name: str, word: object, words: Mapping[str, str], *, remedy: str) -> None:
    """One of several words, each with its meaning where that needs an explanation."""
    if not (isinstance(word, str) and word in words):
        known = " or ".join(f'"{known}"' + f" ({meaning})" * bool(meaning) for known, meaning in words.items())
        raise ValueError(f"{name}: expected {known}, got {word!r:.60}; {remedy}")


def _made_by(kind: type, thing: Any) -> str:
    """The remedy for an object that holds one number; empty for anything else."""
    try:
        kind(thing.item() if hasattr(thing, "item") else thing)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return ""
    return f"convert it with {kind.__name__}(...)"


def came(thing: object) -> str:
    """What came, in a message: the type, and the value itself if it is a number or a word."""
    kind = type(thing).__name__
    if isinstance(thing, str):
        return f"{kind} {thing!r:.60}"
    if isinstance(thing, int):
        return f"{kind} {_digits(thing)}"
    return f"{kind} {thing}" if isinstance(thing, numbers.Number) else kind


def _digits(integer: int) -> str:
    """The integer, or its size where it has very many digits."""
    return str(integer) if abs(integer) < 10**40 else f"about 2**{integer.bit_length()}"


def check_threshold(threshold: object, dtype: torch.dtype, *, remedy: str) -> float:
    """The threshold as `as_compared` with values of this dtype."""
    return as_compared(check_number("threshold", threshold, least=0, infinite=True, remedy=remedy), dtype)


def as_compared(number: float, dtype: torch.dtype) -> float:
    """The number that torch takes in its place when a tensor of this dtype is compared with it.

    Half precision is raised to float32 here, where 0.1 of the tensor and 0.1 of Python would be different numbers. No
    tensor is used for this, as its number would break a graph that is compiled.
    """
    if dtype not in (torch.float16, torch.bfloat16):
        return number
    for kind in torch.finfo(torch.float32), torch.finfo(dtype):  # torch rounds twice
        if number == 0 or math.isinf(number):
            return number
        last_place = max(math.ldexp(0.5, math.frexp(number)[1]), kind.tiny) * kind.eps
        number = round(number / last_place) * last_place
        if abs(number) > kind.max:
            number = math.copysign(math.inf, number)
    return number


def raise_memory_error(error: RuntimeError, what: str) -> NoReturn:
    """MemoryError if torch found no memory on the CPU: torch has a class only for the memory of an accelerator."""
    if "DefaultCPUAllocator" not in str(error):
        raise error
    raise MemoryError(f"not enough memory for {what}") from error


def check_ndim(ndim: object) -> int:
    axes = check_integer("ndim", ndim, what="1, 2 or 3, the number of grid axes", remedy="2 is for images")
    if axes not in (1, 2, 3):
        raise ValueError(f"ndim: expected 1, 2 or 3 grid axes, got {axes}; all axes before them are the batch's")
    return axes


def check_finite(name: str, tensor: Tensor, remedy: str = "replace them, for instance with torch.where") -> None:
    tensor = tensor.detach()
    bad = ~torch.isfinite(tensor)
    if not bool(bad.any()):
        return
    first = tuple(int(i) for i in bad.nonzero()[0])
    raise NonFiniteError(
        f"{name}: expected finite numbers, got {int(bad.sum())} that are NaN or infinite, the first at index {first} "
        f"({float(tensor[first])}); {remedy}"
    )


def check_region(name: str, region: object, values: Tensor, ndim: int) -> Tensor:
    """The bool tensor, True inside, in the shape of the values, of whose axes the last `ndim` are the grid's."""
    if isinstance(region, Tensor) and region.device != values.device:
        raise ValueError(
            f"{name}: expected a tensor on {values.device}, where the values are, got one on {region.device}; "
            f"move it with {name}.to({str(values.device)!r})"
        )
    region = dense(name, region)
    if region.dtype != torch.bool:
        raise TypeError(
            f"{name}: expected a bool tensor, True inside, got {region.dtype}; {name} > 0, for instance, is one"
        )
    shape, wanted = tuple(region.shape), tuple(values.shape)
    batch, grid = wanted[: len(wanted) - ndim], wanted[len(wanted) - ndim :]
    if not _is_broadcast(shape, batch, grid):
        raise ValueError(
            f"{name}: expected shape {wanted}, or that of the grid, {grid}, for all samples, got {shape}; "
            f"{_remedy_of_region(name, shape, batch, grid)}"
        )
    axes = len(shape) - ndim
    if axes < len(batch) and shape[:axes] == batch[:axes] and max(shape[:axes], default=0) > 1:
        first = (*shape[:axes], *[1] * (len(batch) - axes), *grid)
        raise ValueError(
            f"{name}: expected shape {wanted}, or one that fits it in one way, got {shape}, which fits with its first "
            f"axes as those of {wanted}, or as the last ones before the grid's; {name}.view{first} means the former, "
            f"and {name}[None] the latter"
        )
    return region.expand(wanted)


def _is_broadcast(shape: tuple[int, ...], batch: tuple[int, ...], grid: tuple[int, ...]) -> bool:
    """Whether a tensor of this shape can be expanded to (*batch, *grid), of whose grid it has all pixels."""
    axes = len(shape) - len(grid)
    if not 0 <= axes <= len(batch) or shape[axes:] != grid:
        return False
    return all(own in (1, other) for own, other in zip(shape[:axes], batch[len(batch) - axes :], strict=True))


def _remedy_of_region(name: str, shape: tuple[int, ...], batch: tuple[int, ...], grid: tuple[int, ...]) -> str:
    for i in range(max(len(shape) - len(grid), 0)):
        before, after, is_whole = shape[:i], shape[i + 1 :], len(shape) == len(batch) + len(grid)
        if _is_broadcast((*before, shape[i], 1, *after), batch, grid):
            return f"{name}.unsqueeze({i + 1}) has it for the axes before"
        if shape[i] == 1 and _is_broadcast((*before, *after), batch, grid):
            return f"{name}.squeeze({i}) has an axis less"
        if is_whole and batch[i] == 1 and _is_broadcast((*before, 1, *after), batch, grid):
            return f"{name}.any({i}, keepdim=True) is one for all {shape[i]} along the axis {i}"
    return f"axes before the grid's are broadcast, and {name}.unsqueeze(...) adds one"


def check_inside(name: str, region: Tensor, ndim: int) -> None:
    """Refuses a checked region without any pixel in some sample."""
    some = region.flatten(region.ndim - ndim).any(dim=-1)
    if bool(some.all()):
        return
    sample = tuple((~some).nonzero()[0].tolist())
    where = f" in sample {sample}" if sample else ""
    raise ValueError(
        f"{name}: expected at least one pixel inside in every sample, got none{where}; True is inside, so take ~{name} "
        "if it says what is outside, and leave samples without any out of the batch"
    )
