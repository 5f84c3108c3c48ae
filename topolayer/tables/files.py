"""The files of a folder that hold images, volumes or signals, and the numbers in them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

Color = Literal["luminance", "red", "green", "blue"]

_LARGEST_WHOLE = 2**53  # up to here float64 has every integer


def find(folder: Path) -> tuple[list[str], list[str]]:
    """Relative paths, sorted: of files that can be read, and of all others. Hidden ones are left out of both.

    Links to folders, which may lead in circles, are among the others.
    """
    known: list[str] = []
    others: list[str] = []
    for place, folders, files in os.walk(folder):
        arrays = [name for name in folders if _kind(name) == ".zarr"]
        folders[:] = [name for name in folders if name not in arrays and not name.startswith(".")]
        links = [name for name in folders if Path(place, name).is_symlink()]
        others += [Path(place, name).relative_to(folder).as_posix() for name in links]
        for name in (*arrays, *files):
            path = Path(place, name).relative_to(folder).as_posix()
            if not name.startswith("."):
                (known if _kind(name) else others).append(path)
    return sorted(known), sorted(others)


def read(path: Path, color: Color | None) -> Tensor:
    """The numbers of a file as float32, or as float64 where float32 has not all of them; one to three axes."""
    array = np.asarray(READERS[_kind(path.name)](path, color))
    if not 1 <= array.ndim <= 3 or 0 in array.shape:
        raise ValueError(f"expected a signal, an image or a volume, got shape {array.shape}; split it into files")
    return torch.from_numpy(_floating(path, array))


def _floating(path: Path, array: np.ndarray) -> np.ndarray:
    kind = array.dtype
    if kind.kind not in "biuf":
        raise TypeError(f"expected real numbers, got {kind}; write them as floating-point numbers")
    if kind.kind in "iu" and kind.itemsize == 8 and max(int(array.max()), -int(array.min())) > _LARGEST_WHOLE:
        raise ValueError("expected integers up to 2**53, got larger ones; write them as float64")
    narrow = kind.itemsize <= (4 if kind.kind == "f" else 2)
    return np.ascontiguousarray(array, dtype=np.float32 if narrow else np.float64)


def _kind(name: str) -> str:
    return next((suffix for suffix in READERS if name.lower().endswith(suffix)), "")


def _image(path: Path, color: Color | None) -> Any:
    image = _imported("PIL.Image", "pillow").open(path)
    with image:
        pages = getattr(image, "n_frames", 1)
        if pages > 1:
            raise ValueError(f"expected one image, got {pages} pages; write them as .npy or .zarr")
        if image.mode[0] == "I" or image.mode in ("1", "L", "F"):  # one number for each pixel
            return np.array(image)
        if color is None:
            raise ValueError(
                f"expected one number for each pixel, got an image of mode {image.mode}; choose color, such as "
                "'luminance'"
            )
        if color == "luminance":
            return np.array(image.convert("L"))
        return np.array(image.convert("RGB"))[..., ("red", "green", "blue").index(color)]


def _nifti(path: Path, color: Color | None) -> Any:
    return _imported("nibabel", "nibabel").load(path).dataobj


def _zarr(path: Path, color: Color | None) -> Any:
    return _imported("zarr", "zarr").open_array(path, mode="r")[...]


def _numpy(path: Path, color: Color | None) -> Any:
    return np.load(path, allow_pickle=False)


def _imported(module: str, package: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(f'{package} is needed to read this file: pip install "topolayer[tables]"') from error


READERS: dict[str, Callable[[Path, Color | None], Any]] = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"), _image),
    **dict.fromkeys((".nii", ".nii.gz"), _nifti),
    ".zarr": _zarr,
    ".npy": _numpy,
}
