"""Images with depths, kept as bytes and metres; read from files once, by several threads, what cannot be read left out.

Depth is NaN where it is not known or lies outside the sensor's range, so that no number can pass for one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from experiments.shared import cache as reading
from experiments.shared.cache import Array
from experiments.shared.console import UserError

Batch = tuple[Tensor, Tensor, Tensor]
BLOCKS = 15  # of neighbouring images, of which some are held out


@dataclass(frozen=True)
class Sensor:
    """Depths between `nearest` and `farthest` metres are measured; `limits` cut this range for the report."""

    nearest: float
    farthest: float
    limits: tuple[float, ...]


@dataclass(frozen=True)
class DepthSet:
    """`images`: uint8 ``(n, h, w, 3)``; `depths`: float32 ``(n, h, w)`` in metres or NaN; `rows`: which of these count.

    Both may be mapped from files that are larger than the memory.
    """

    images: Tensor
    depths: Tensor
    rows: Tensor
    names: tuple[str, ...]
    sensor: Sensor

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, indices: Tensor, device: torch.device) -> Batch:
        """Images in [0, 1] ``(b, 3, h, w)``, channels last in memory; depths ``(b, 1, h, w)``; where these are known.

        Depths that are not known are 1.
        """
        rows = self.rows[indices]
        images = self.images[rows].to(device, non_blocking=True).permute(0, 3, 1, 2).float() / 255
        depths = self.depths[rows].to(device, non_blocking=True).unsqueeze(1)
        known = depths.isfinite()
        return images, torch.where(known, depths, 1.0), known

    def subset(self, places: Tensor) -> DepthSet:
        names = tuple(self.names[place] for place in places.tolist())
        return dataclasses.replace(self, rows=self.rows[places], names=names)

    def share(self, share: float, *, seed: int) -> DepthSet:
        """A share of the images, drawn by `seed`: the larger share of a seed contains the smaller one."""
        if share == 1:
            return self
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        return self.subset(order[: round(share * len(self))].sort().values)

    def split(self, share: float) -> tuple[DepthSet, DepthSet]:
        """The images without a share of them, and that share: whole blocks, as neighbours look alike."""
        block = torch.arange(len(self)) * BLOCKS // max(len(self), 1)
        held = ((block + 1) * share).floor() > (block * share).floor()
        if not held.any() or held.all():
            raise UserError(
                f"--held-out {share}: of {len(self)} training images in {BLOCKS} blocks that is none or all"
            )
        return self.subset((~held).nonzero().flatten()), self.subset(held.nonzero().flatten())

    def mean_log(self) -> float:
        """The mean logarithm of the known depths of some hundred images: where a network should start."""
        depths = self.depths[self.rows[:: len(self) // 500 + 1]]
        return float(depths[depths.isfinite()].log().mean())


def keep_known(depth: Array, valid: Array, sensor: Sensor) -> Array:
    """Depth in metres, NaN where it is masked, not finite or outside the sensor's range."""
    with np.errstate(invalid="ignore"):
        known = valid & np.isfinite(depth) & (depth >= sensor.nearest) & (depth <= sensor.farthest)
    if not known.any():
        raise ValueError("no depth in it is valid")
    return np.where(known, depth, np.nan).astype(np.float32)


def nearest(array: Array, size: tuple[int, int]) -> Array:
    """Resize without mixing values: no depth between that of an object and that of what is behind it."""
    places = [((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(size, array.shape, strict=True)]
    return array[np.ix_(*places)]


def read_image(path: Path, size: tuple[int, int]) -> Array:
    with Image.open(path) as file:
        return np.asarray(file.convert("RGB").resize(size[::-1], Image.Resampling.BILINEAR))


def read_all(
    names: Sequence[str],
    read: Callable[[int], tuple[Array, ...]],
    sensor: Sensor,
    size: tuple[int, int],
    *,
    what: str,
    threads: int = 2,
    cache: Path | None = None,
) -> DepthSet:
    """Read ``read(i)``, an image (h, w, 3) and a depth (h, w), for all `names`, as `cache.read_all` does."""
    if not names:
        raise UserError(f"{what} is empty: there is no image with a depth in it")
    layout = {"images": ((*size, 3), np.uint8), "depths": (size, np.float32)}
    (images, depths), kept = reading.read_all(names, read, layout, what=what, threads=threads, cache=cache)
    rows = torch.tensor(kept, dtype=torch.int64)
    return DepthSet(torch.from_numpy(images), torch.from_numpy(depths), rows, tuple(names[i] for i in kept), sensor)
