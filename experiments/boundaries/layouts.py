"""Membranes and cracks in their public layouts.

Sections of a stack with the membranes of cells, as in the challenge of ISBI 2012::

    ROOT/image/N.png   ROOT/label/N.png   8 bit; in labels 0 is membrane; or the same in ROOT/train and ROOT/val

CrackForest::

    ROOT/image/NNN.jpg   ROOT/groundTruth/NNN.mat   MATLAB, groundTruth.Segmentation: 1 road, 2 crack

Tiny pieces of the labels are left out, as `boundaryset.cleaned` says.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from scipy.io import loadmat

from experiments.boundaries.boundaryset import Array, BoundarySet, cleaned
from experiments.shared.console import UserError

LEAST = 16  # pixels of a piece of a label


def load_membranes(root: Path, *, least: int = LEAST) -> BoundarySet:
    """All sections in the order of the stack: who cross-validates needs them together."""
    folders = [folder for folder in (root, root / "train", root / "val") if (folder / "image").is_dir()]
    pictures = [path for folder in folders for path in (folder / "image").glob("*.png") if path.stem.isdigit()]
    if not pictures:
        raise UserError(f"{root} holds no membranes: there is no image/N.png in it, in its train/ or in its val/")

    def outline(path: Path) -> Array:
        with Image.open(path.parents[1] / "label" / path.name) as file:
            return np.asarray(np.asarray(file.convert("L")) == 0)

    return _loaded(sorted(pictures, key=lambda path: int(path.stem)), outline, least)


def load_cracks(root: Path, *, least: int = LEAST) -> BoundarySet:
    """All photographs that have a mask."""
    pictures = sorted(path for path in (root / "image").glob("*.jpg") if _matlab(path).exists())
    if not pictures:
        raise UserError(f"{root} holds no cracks: there is no image/NNN.jpg with a groundTruth/NNN.mat in it")

    def outline(path: Path) -> Array:
        try:
            return np.asarray(loadmat(_matlab(path))["groundTruth"]["Segmentation"][0, 0] == 2)
        except (KeyError, IndexError, ValueError, TypeError, NotImplementedError) as error:
            raise UserError(f"{_matlab(path)} holds no groundTruth.Segmentation ({error})") from error

    return _loaded(pictures, outline, least)


def _matlab(picture: Path) -> Path:
    return picture.parents[1] / "groundTruth" / f"{picture.stem}.mat"


def _loaded(pictures: list[Path], outline: Callable[[Path], Array], least: int) -> BoundarySet:
    images, masks = [], []
    for path in pictures:
        try:
            with Image.open(path) as file:
                images.append(np.asarray(file.convert("L")))
            masks.append(cleaned(outline(path), least))
        except (OSError, UnidentifiedImageError) as error:
            raise UserError(f"{path} cannot be read with its label: {error}") from error
        if {images[-1].shape, masks[-1].shape} != {images[0].shape}:
            raise UserError(
                f"{path} has {images[-1].shape} pixels and a label of {masks[-1].shape}: all have to be of one size, "
                f"that of the first, {images[0].shape}"
            )
    names = tuple(path.stem for path in pictures)
    return BoundarySet(torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(masks)), names)
