"""Signs that an activation with four or five axes is not a grid of channels, (B, C, H, W) or (B, C, D, H, W)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from topolayer._layers.outputs import watched

LAYOUT_REMEDY = "let grids turn it into (B, C, H, W), or return h[:] if it already is"

_STRIDES = (1, 2, 4, 8, 16, 32)


class Layouts:
    """The shapes of the images of one batch, and of what the layers of a model return for it.

    A shape alone does not say what its axes are. These cheap signs do: proportions that differ from the
    images', the shape that a layer returns which works on the last axis, and heads and weights of attention.
    """

    def __init__(self, batch: object, mask: Tensor | None) -> None:
        self._images = {*_image_shapes(batch)}
        if mask is not None:
            self._images.add(tuple(mask.shape[2 if mask.ndim > 3 else 1 :]))
        self._channels_last: dict[tuple[int, ...], str] = {}
        self._tokens: set[tuple[int, int]] = set()

    def watching(self, model: nn.Module) -> AbstractContextManager[None]:
        """Notes the shapes of a forward pass."""

        def look(name: str, layer: nn.Module, args: object, output: object) -> None:
            if not isinstance(output, Tensor):
                return
            if output.ndim == 3:
                self._tokens.add((output.shape[1], output.shape[2]))
            elif output.ndim in (4, 5) and _works_on_the_last_axis(layer):
                self._channels_last[tuple(output.shape)] = type(layer).__name__

        return watched(dict(model.named_modules()), look)

    def problem(self, h: Tensor) -> str | None:
        """Why an activation with four or five axes is not a grid, as far as can be told."""
        shape = tuple(h.shape)
        if shape in self._channels_last:
            return f"{self._channels_last[shape]} returns this shape, {shape}, with channels on the last axis"
        *_, channels, height, width = shape
        if h.ndim == 4 and channels > 1 and (height, channels * width) in self._tokens:
            return f"{shape} is {channels} heads of attention to {height} tokens of {channels * width} channels"
        if height == width > 1 and _sum_to_one(h):
            return f"shape {shape} has rows that sum to 1: weights of attention"
        if self._images and not any(_in_proportion(shape[2:], image) for image in self._images):
            images = " or ".join(sorted("x".join(map(str, image)) for image in self._images))
            return (
                f"{'x'.join(map(str, shape[2:]))} does not have the proportions of the images, {images}: "
                "are these channels last, or heads of attention?"
            )
        return None


def _works_on_the_last_axis(layer: nn.Module) -> bool:
    """Subclasses of a normalization, such as LayerNorm2d, may move the axes."""
    if isinstance(layer, (nn.Linear, nn.Embedding)):
        return True
    return type(layer) in (nn.LayerNorm, nn.RMSNorm) and len(layer.normalized_shape) == 1  # type: ignore[arg-type]


def _sum_to_one(h: Tensor) -> bool:
    if not h.is_floating_point() or not bool((h >= 0).all()):
        return False
    sums = h.sum(dim=-1, dtype=torch.promote_types(h.dtype, torch.float32))
    return bool(((sums - 1).abs() < 1e-2).all())


def _in_proportion(grid: Sequence[int], image: Sequence[int]) -> bool:
    """Whether a grid is an image of another resolution, up to rounding, or one cut by a border of convolutions.

    The last two axes count: volumes are often coarser along their first one.
    """
    if len(grid) > len(image):
        return False
    (h, w), (height, width) = grid[-2:], image[-2:]
    if abs(h * width - w * height) <= max(height, width):
        return True
    return any(
        h * stride <= height and w * stride <= width and abs((height - width) / stride - (h - w)) <= 1
        for stride in _STRIDES
    )


def _image_shapes(batch: object) -> Iterator[tuple[int, ...]]:
    if isinstance(batch, Tensor) and batch.ndim in (4, 5):
        yield tuple(batch.shape[2:])
        if batch.shape[-1] <= 4 < batch.shape[1]:  # the images themselves have channels last
            yield tuple(batch.shape[1:-1])
    elif isinstance(batch, (tuple, Mapping)):
        for part in batch.values() if isinstance(batch, Mapping) else batch:
            yield from _image_shapes(part)
    elif isinstance(batch, list) and all(isinstance(image, Tensor) and image.ndim in (3, 4) for image in batch):
        yield from {tuple(image.shape[1:]) for image in batch}
