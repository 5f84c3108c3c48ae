"""Real images, and barcodes as other libraries take them: one array of births and deaths per sample."""

from __future__ import annotations

import functools
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage import data
from skimage.transform import resize
from torch import Tensor

import topolayer as tl

from .families import grid_family

PICTURES = ("camera", "coins", "moon", "page")


@functools.cache
def pictures(size: tuple[int, int] = (40, 56)) -> Tensor:
    """Photographs that come with scikit-image, (4, *size), float64 in [0, 1]."""
    return torch.from_numpy(
        np.stack([resize(getattr(data, name)(), size, anti_aliasing=True) for name in PICTURES])
    ).double()


def noise() -> Tensor:
    return torch.rand(4, 20, 28, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@functools.cache
def masks(size: int = 64, number: int = 24) -> Tensor:
    """People in photographs of COCO, (number, size, size) of 0 and 1, float64."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    root = Path(os.environ.get("TOPOLAYER_DATA", beside)) / "coco-persons"
    if not root.is_dir():
        pytest.skip("set TOPOLAYER_DATA to the folder that holds coco-persons")
    from experiments.segmentation.coco import load_persons

    with warnings.catch_warnings():
        # pycocotools' compiled part hands NumPy 2 an object with the old __array__ signature.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        return load_persons(root, "val", size, limit=number).masks.reshape(number, size, size).double()


def barcode(
    batch: tuple[int, ...] = (3,),
    superlevel: bool = True,
    dims: int | tuple[int, ...] = 0,
    *,
    levels: int | None = 4,
    dtype: torch.dtype = torch.float64,
) -> tl.Barcode:
    """The barcode of random images, with ties; without `levels` with none."""
    family = grid_family("V", 7, 8)
    values = family.random(batch, dtype, levels=levels)
    return tl.persistence(family.make(values, superlevel), dims)


def diagrams(bars: tl.Barcode, dim: int = 0) -> list[NDArray[np.float64]]:
    """(bars, 2) of every sample: the finite bars from low to high, in a superlevel filtration from death to birth."""
    ends = torch.stack([bars.births, bars.deaths], dim=1).detach().double().sort(dim=1).values
    samples = torch.Size(bars.batch_shape).numel()
    return [ends[(bars.sample == number) & (bars.dims == dim)].numpy() for number in range(samples)]


def no_bars(case: str) -> tuple[tl.Barcode, Tensor]:
    """A barcode of dimension 0 without finite bars, and the values that it hangs on."""
    shapes = {"constant": (4, 5), "constant batch": (2, 3, 4, 5), "ramp": (4, 5), "empty batch": (0, 4, 5)}
    values = torch.ones(shapes[case], dtype=torch.float64)
    if case == "ramp":  # only the essential bar, though nothing is equal
        values = torch.arange(20.0, dtype=torch.float64).reshape(4, 5)
    values.requires_grad_()
    bars = tl.persistence(tl.Freudenthal(values, superlevel=True))
    assert len(bars) == 0
    return bars, values


NO_BARS = ("constant", "constant batch", "ramp", "empty batch")


def apart(*shape: int) -> Tensor:
    """Values whose differences differ by more than gradcheck's step, so that pairs and the order of lengths stay."""
    n = torch.Size(shape).numel()
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0)).double()
    return (order / n + (order / n) ** 1.7).reshape(shape).requires_grad_()
