"""Models and images for the tests of the table of layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import topolayer as tl


class Net(nn.Module):
    """Two blocks, a dropout and a batch norm; ReLU in place at the end of a block."""

    def __init__(self) -> None:
        super().__init__()
        self.enc = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(inplace=True))
        self.drop = nn.Dropout(0.5)
        self.dec = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.ReLU())
        self.flat = nn.Flatten()

    def forward(self, x: Tensor) -> Tensor:
        h = self.dec(self.drop(self.enc(x)))
        self.flat(h)
        return h.sum(1, keepdim=True)


class Shows(nn.Module):
    """Layers that return what they are told, whatever comes in."""

    def __init__(self, **shown: Callable[[Tensor], Any]) -> None:
        super().__init__()
        for name, function in shown.items():
            self.add_module(name, Function(function))

    def forward(self, x: Tensor) -> None:
        for layer in self.children():
            layer(x)


class Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


def row(table: tl.LayerTable, name: str) -> dict[str, Any]:
    return next(row for row in table.rows if row["layer"] == name)


def peaks(*heights: float) -> Tensor:
    """(1, 1, 3, n) an image of lonely pixels on a background of zero."""
    image = torch.zeros(1, 1, 3, 2 * len(heights) + 1)
    image[0, 0, 1, 1::2] = torch.tensor(heights)
    return image


def blobs(*counts: int, side: int = 16) -> Tensor:
    """(B, side, side) masks with so many lonely squares."""
    masks = torch.zeros(len(counts), side, side)
    for mask, count in zip(masks, counts, strict=True):
        for i in range(count):
            mask[4 * (i // 4) : 4 * (i // 4) + 2, 4 * (i % 4) : 4 * (i % 4) + 2] = 1
    return masks
