"""Patches of images and their masks: tiles, or random ones that depend on the masks and a seed."""

from __future__ import annotations

from itertools import product
from zlib import crc32

import numpy as np
import torch
from torch import Tensor


def crops(found: Tensor, truth: Tensor, patch: tuple[int, ...], patches: int | None, seed: int) -> Tensor:
    """(2, B, n, C, *patch) patches of two tensors (B, C, *grid) of bools, at the same places in both."""
    ndim, both = len(patch), torch.stack([found, truth])
    grid = tuple(both.shape[-ndim:])
    if patches is None:
        every = [_tiles(grid, patch)] * len(truth)
    else:
        every = [_random(mask, grid, patch, patches, seed) for mask in truth]
    if not every:
        return both.new_empty((2, 0, 1, both.shape[2], *patch))
    result = both.new_empty((*both.shape[:2], len(every[0]), both.shape[2], *patch))
    for image in range(both.shape[1]):
        for number, corner in enumerate(every[image].tolist()):
            part = both[:, image]
            for axis, (start, side) in enumerate(zip(corner, patch, strict=True)):
                part = part.narrow(axis - ndim, start, side)
            result[:, image, number] = part
    return result


def _tiles(grid: tuple[int, ...], patch: tuple[int, ...]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """(n, ndim) corners. The last tile of a row that does not fit is moved back into the image."""
    rows = [
        [*range(0, size - side, side), size - side] for size, side in zip(grid, patch, strict=True)
    ]  # size - side is the last corner, whether it is a multiple of the side or not
    return np.array(list(product(*rows)), dtype=np.int64)


def _random(
    mask: Tensor, grid: tuple[int, ...], patch: tuple[int, ...], patches: int, seed: int
) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """(patches, ndim) corners, all equally likely, which depend on the seed and the mask alone."""
    generator = np.random.default_rng([seed, crc32(mask.cpu().contiguous().numpy().tobytes())])
    last = np.array(grid) - np.array(patch)
    corners: np.ndarray[tuple[int, int], np.dtype[np.int64]] = generator.integers(
        last, endpoint=True, size=(patches, len(grid))
    )
    return corners
