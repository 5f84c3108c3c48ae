"""What the tests of pictures share: an image whose bars are known, and what was drawn, read off the artists."""

from __future__ import annotations

from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection

import topolayer as tl

# Maxima in three corners, and a loop around the minimum in the middle; upside down for sublevel. And their bars.
IMAGE = torch.tensor([[9.0, 4.0, 6.0], [4.0, 1.0, 3.0], [4.0, 3.0, 5.0]])
IMAGES = {True: IMAGE, False: 10 - IMAGE}
FINITE = {
    True: {0: [(6.0, 4.0), (5.0, 3.0)], 1: [(3.0, 1.0)]},
    False: {0: [(4.0, 6.0), (5.0, 7.0)], 1: [(7.0, 9.0)]},
}
ESSENTIAL = {True: 9.0, False: 1.0}


def bars_of(image: torch.Tensor = IMAGE, superlevel: bool = True, dims: Any = (0, 1)) -> tl.Barcode:
    return tl.persistence(tl.Cubical(image, superlevel=superlevel), dims)


def points(ax: Axes) -> list[list[tuple[float, float]]]:
    """The points of every scatter plot that is on the axes, in the order in which they were drawn."""
    return [[tuple(p) for p in c.get_offsets().tolist()] for c in ax.collections if isinstance(c, PathCollection)]


def segments(ax: Axes) -> list[list[Any]]:
    return [[s.tolist() for s in c.get_segments()] for c in ax.collections if isinstance(c, LineCollection)]


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def draw(ax: Axes) -> None:
    """Render, so that what fails or warns only then is seen."""
    ax.figure.canvas.draw()


EMPTY: dict[str, tuple[tl.Barcode, int]] = {  # and how many points there are
    "constant": (bars_of(torch.full((4, 4), 3.0)), 1),
    "zero": (bars_of(torch.zeros(4, 4)), 1),
    "huge": (bars_of(torch.full((4, 4), 3e38)), 1),
    "no loops": (bars_of(torch.zeros(4, 4), dims=1), 0),
    "only essential": (tl.persistence(tl.LowerStar(torch.tensor([3.0, 1.0, 2.0]), torch.tensor([[0], [2]]))), 3),
    "equal bars": (bars_of(torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 1.0]])), 4),
    "nothing selected": (bars_of(torch.zeros(4, 4), dims=(0, 1)).select(dim=1), 0),
}
