"""Depth data sets in their public layouts.

DIODE (https://diode-dataset.org), indoors and outdoor, as its archives unpack::

    ROOT/train/indoors/scene_00000/scan_00000/00000_00000_indoors_000_010.png
                                              00000_00000_indoors_000_010_depth.npy        metres, (768, 1024, 1)
                                              00000_00000_indoors_000_010_depth_mask.npy   1 where it was measured
    ROOT/val/outdoor/scene_00022/scan_00193/...

NYU Depth v2 as a folder of pictures::

    ROOT/rgb/0000.jpg   ROOT/depth_mm/0000.png   16 bit, millimetres, 0 where there is none
    ROOT/train.txt      ROOT/val.txt             one name per line

Images are resized with antialiasing, depths and masks by taking the pixel at the centre.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from experiments.depth.depthset import DepthSet, Sensor, keep_known, nearest, read_all, read_image
from experiments.shared.cache import Array
from experiments.shared.console import UserError, log

DIODE = Sensor(0.6, 350.0, (0.6, 2.0, 5.0, 10.0, 20.0, 50.0, 350.0))
NYU = Sensor(0.7, 10.0, (0.7, 1.5, 2.5, 4.0, 6.0, 10.0))

Item = TypeVar("Item")

SETTINGS = ("indoors", "outdoor")


def load_diode(
    root: Path,
    split: str,
    size: tuple[int, int] = (384, 512),
    *,
    settings: tuple[str, ...] = SETTINGS,
    limit: int = 0,
    threads: int = 2,
    cache: Path | None = None,
) -> DepthSet:
    """A split ("train" or "val") of DIODE at `size`, (height, width); with a `limit`, images at even distances."""
    found = [root / split / name for name in settings if (root / split / name).is_dir()]
    if found and len(found) < len(settings):
        log.warning("%s has only the folder %s of DIODE", root / split, found[0].name)
    if not found:
        raise UserError(
            f"{root} is not in DIODE's layout: neither of {', '.join(f'{split}/{name}' for name in settings)} "
            "is a folder in it; pass the folder that holds train/ and val/ as --root"
        )
    pictures = sorted(path for folder in found for path in folder.glob("*/*/*.png"))
    chosen = _evenly(pictures, limit)

    def read(i: int) -> tuple[Array, Array]:
        stem = chosen[i].with_suffix("")
        depth, mask = (_plane(stem.with_name(f"{stem.name}_{kind}.npy")) for kind in ("depth", "depth_mask"))
        if depth.shape != mask.shape:
            raise ValueError(f"the depth has {depth.shape} pixels, its mask {mask.shape}")
        return read_image(chosen[i], size), keep_known(nearest(depth, size), nearest(mask, size) > 0, DIODE)

    names = [str(path.relative_to(root)) for path in chosen]
    return read_all(names, read, DIODE, size, what=f"{root / split}", threads=threads, cache=cache)


def load_nyu(
    root: Path,
    split: str,
    size: tuple[int, int] = (192, 256),
    *,
    limit: int = 0,
    threads: int = 2,
    cache: Path | None = None,
) -> DepthSet:
    """A split ("train" or "val") of NYU Depth v2 at `size`; with a `limit`, images at even distances."""
    listed = root / f"{split}.txt"
    if not listed.is_file():
        raise UserError(f"there is no {listed}: pass the folder that holds rgb/, depth_mm/ and {split}.txt as --root")
    names = _evenly(listed.read_text().split(), limit)

    def read(i: int) -> tuple[Array, Array]:
        with Image.open(root / "depth_mm" / f"{names[i]}.png") as file:
            if file.mode not in ("I;16", "I;16B", "I"):
                raise ValueError(f"its depth is of mode {file.mode}, not 16 bit")
            depth = np.asarray(file).astype(np.float32) / 1000
        image = read_image(root / "rgb" / f"{names[i]}.jpg", size)
        return image, keep_known(nearest(depth, size), np.ones(size, dtype=bool), NYU)

    return read_all(names, read, NYU, size, what=f"{listed}", threads=threads, cache=cache)


def _evenly(items: Sequence[Item], limit: int) -> list[Item]:
    """`limit` of the items (0: all) from the whole length of the list: its neighbours look alike."""
    if not 0 < limit < len(items):
        return list(items)
    return [items[i * len(items) // limit] for i in range(limit)]


def _plane(path: Path) -> Array:
    array = np.load(path, allow_pickle=False)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim != 2:
        raise ValueError(f"{path.name} has shape {array.shape}, not (height, width)")
    return np.asarray(array)
