"""The arguments of `probe`: batches of images, and their masks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeGuard

import torch
from torch import Tensor

from topolayer._layers.outputs import batch_size

_PAIRS = "if batches are pairs (x, y), pass images and masks apart: images, masks = zip(*loader)"
_NO_BATCH_AXIS = "a single image (C, H, W) gets its batch axis by image[None]"


def check_several(name: str, argument: object, *, axes: int) -> None:
    """Refuses anything but a collection of batches. `axes` is how many axes a single image has."""
    if isinstance(argument, Tensor) or not isinstance(argument, Iterable):
        alone = isinstance(argument, Tensor) and argument.ndim == axes
        raise TypeError(
            f"{name}: expected several batches, such as a list of tensors, got {type(argument).__name__}; "
            f"a single batch is [{name}]{f', a single image [{name}[None]]' if alone else ''}"
        )
    if name == "batches" and _is_pair(argument):
        x, y = (f"{_described(part)} and {part.dtype}" for part in argument)
        raise ValueError(
            f"{name}: expected batches that are alike, got {x}, then {y}; for a pair (x, y), pass [x], and "
            "masks=[y] if y are masks"
        )


def _is_pair(batches: object) -> TypeGuard[Sequence[Tensor]]:
    """Whether these are images and their targets: two tensors, the second of which cannot be images."""
    if not (isinstance(batches, (tuple, list)) and len(batches) == 2 and all(isinstance(b, Tensor) for b in batches)):
        return False
    x, y = batches
    return bool(x.dtype != y.dtype or x.ndim != y.ndim or x.shape[1:2] != y.shape[1:2])


def paired(batches: Iterable[object], masks: Iterable[Tensor] | None) -> Iterator[tuple[object, Tensor | None]]:
    if masks is None:
        for batch in batches:
            yield batch, None
        return
    try:
        yield from zip(batches, masks, strict=True)
    except ValueError as error:
        if "zip()" not in str(error):
            raise
        raise ValueError(
            "masks: expected as many as batches, got more or fewer; give a tensor (B, 1, H, W) for each batch"
        ) from error


def images_of(batch: object, mask: Tensor | None) -> int:
    """How many images a batch has."""
    size = batch_size(batch)
    if mask is not None and size not in (None, len(mask)):
        remedy = hint(batch) or "give a tensor (B, 1, H, W) for each batch"
        raise ValueError(f"masks: expected one for each of {size} images of a batch, got {len(mask)}; {remedy}")
    if mask is None and size is None:
        raise TypeError(
            f"batches: expected tensors, tuples, mappings or lists of them, got {_described(batch)}; convert it with "
            "torch.as_tensor, or pass masks, which say how many images there are"
        )
    return len(mask) if mask is not None else size or 0


def hint(batch: object) -> str:
    """The likely meaning of a batch that the model cannot take, as a remedy; empty if nothing is likely."""
    if isinstance(batch, (tuple, list)) and len(batch) > 1:
        kind = "a list is one argument" if isinstance(batch, list) else "a tuple holds positional arguments"
        return f"{kind}; {_PAIRS}"
    if isinstance(batch, Mapping):
        return 'a mapping holds keyword arguments; pass the images alone, such as batch["image"]'
    if isinstance(batch, (tuple, list)) and batch:
        return hint(batch[0])
    if hasattr(batch, "__array__") and not isinstance(batch, Tensor):
        return "convert it with torch.as_tensor"
    return _NO_BATCH_AXIS if isinstance(batch, Tensor) and batch.ndim in (2, 3) else ""


def explain(batch: object, error: Exception) -> None:
    """Raises the model's error on this batch again, with a remedy if one is likely."""
    likely = hint(batch)
    if likely and not isinstance(error, torch.cuda.OutOfMemoryError):
        (reason, *_) = str(error).splitlines() or [type(error).__name__]
        raise ValueError(
            f"batches: expected what the model takes, got {_described(batch)}, on which it fails ({reason}); {likely}"
        ) from error


def _described(batch: object) -> str:
    if isinstance(batch, Tensor):
        return f"a tensor of shape {tuple(batch.shape)}"
    if isinstance(batch, (tuple, list)) and 0 < len(batch) <= 4:
        return f"a {type(batch).__name__} of {', '.join(map(_described, batch))}"
    if isinstance(batch, Mapping) and len(batch) <= 8:
        return f"a {type(batch).__name__} with {', '.join(map(repr, batch))}"
    return type(batch).__name__
