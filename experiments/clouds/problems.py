"""The clouds, and what is asked of their bars."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Lengths = Mapping[int, tuple[Tensor, Tensor]]  # births and deaths of each dimension, as radii


@dataclass(frozen=True)
class Problem:
    """A cloud in space of dimension `dimension` and a loss of its bars; it is solved when the loss is at most `goal`.

    `bound` is a term of the points, of which every gradient is the plain one.
    """

    name: str
    dimension: int
    dims: tuple[int, ...]
    start: Callable[[int, torch.Generator], Tensor]
    loss: Callable[[Lengths], Tensor]
    bound: Callable[[Tensor], Tensor]
    goal: float


def longest(bars: Lengths, dim: int, count: int = 1) -> Tensor:
    """The sum of the longest lengths."""
    births, deaths = bars[dim]
    lengths = deaths - births
    total: Tensor = lengths.topk(min(count, len(lengths))).values.sum()
    return total


def outside(points: Tensor, radius: float) -> Tensor:
    beyond: Tensor = (points.norm(dim=1) - radius).relu()
    return 10 * beyond.square().sum()


def in_the_cube(count: int, dimension: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, dimension, generator=generator, dtype=torch.float64) - 0.5


def two_clusters(count: int, generator: torch.Generator) -> Tensor:
    noise = torch.randn(count, 2, generator=generator, dtype=torch.float64)
    return 0.1 * noise + torch.tensor([0.15, 0.0]) * (1 - 2 * (torch.arange(count) % 2))[:, None]


def apart_and_dense(bars: Lengths) -> Tensor:
    """Two clusters 0.5 apart, in which no point is more than 0.06 from a neighbour."""
    gaps = (2 * bars[0][1]).sort(descending=True).values
    return (0.5 - gaps[0]).relu() ** 2 + (gaps[1:] - 0.06).relu().square().sum()


def noisy_torus(count: int, generator: torch.Generator) -> Tensor:
    around, across = 2 * math.pi * torch.rand(2, count, generator=generator, dtype=torch.float64)
    ring = 0.6 + 0.25 * across.cos()
    points = torch.stack([ring * around.cos(), ring * around.sin(), 0.25 * across.sin()], dim=1)
    return points + 0.1 * torch.randn(count, 3, generator=generator, dtype=torch.float64)


def in_a_flat_cylinder(points: Tensor) -> Tensor:
    return outside(points[:, :2], 0.95) + 10 * (points[:, 2].abs() - 0.35).relu().square().sum()


PROBLEMS = (
    Problem(
        "circle from noise", 2, (1,),
        lambda count, generator: in_the_cube(count, 2, generator),
        lambda bars: -longest(bars, 1),
        lambda points: outside(points, 0.5),
        -0.4,
    ),
    Problem(
        "void from noise", 3, (2,),
        lambda count, generator: in_the_cube(2 * count, 3, generator),
        lambda bars: -longest(bars, 2),
        lambda points: outside(points, 0.5),
        -0.25,
    ),
    Problem(
        "two clusters apart", 2, (0,),
        two_clusters,
        apart_and_dense,
        lambda points: points.new_zeros(()),
        1e-5,
    ),
    Problem(
        "torus", 3, (1, 2),
        lambda count, generator: noisy_torus(2 * count, generator),
        lambda bars: -longest(bars, 1, 2) - longest(bars, 2),
        in_a_flat_cylinder,
        -0.9,
    ),
)  # fmt: skip
