"""Networks of curves that need no data: cells with walls around them, and a seed says all about it.

Points are scattered, and the walls are where two of them are equally near, bent by a smooth field. In the image, walls
are dark and fade here and there, so that a gap of the prediction merges two cells. Short dark strokes and blobs that
belong to no wall, and noise, mislead it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.random import Generator
from scipy.ndimage import gaussian_filter
from scipy.spatial import KDTree

from experiments.boundaries.boundaryset import Array, BoundarySet

WALL = 3.0  # pixels that a wall is thick


def networks(count: int, size: int, *, seed: int) -> BoundarySet:
    """`count` networks of `size` x `size` pixels; network i depends on `seed`, i and `size` only."""
    drawn = [_network(np.random.default_rng([seed, index]), size) for index in range(count)]
    return BoundarySet(
        torch.from_numpy(np.stack([image for image, _ in drawn])),
        torch.from_numpy(np.stack([mask for _, mask in drawn])),
        tuple(f"network {index} of seed {seed}" for index in range(count)),
    )


def _network(rng: Generator, size: int) -> tuple[Array, Array]:
    y, x = np.mgrid[:size, :size].astype(float)
    bent = [axis + 0.06 * size * _smooth(rng, size, size / 8) for axis in (y, x)]
    points = rng.uniform(-0.2 * size, 1.2 * size, (int(2 * rng.integers(8, 17)), 2))
    near, which = KDTree(points).query(np.stack(bent, axis=-1), k=2)
    apart = np.linalg.norm(points[which[..., 1]] - points[which[..., 0]], axis=-1)
    mask = (near[..., 1] ** 2 - near[..., 0] ** 2) / (
        2 * apart
    ) < WALL / 2  # the distance to where both are equally near
    faint = (0.75 + 0.6 * _smooth(rng, size, size / 16)).clip(0.05, 1)  # how dark a wall is
    image = (
        rng.uniform(0.6, 0.75) + 0.08 * _smooth(rng, size, size / 12) - 0.4 * faint * gaussian_filter(mask * 1.0, 0.8)
    )
    for _ in range(rng.integers(4, 12)):
        image -= rng.uniform(0.1, 0.35) * _stroke(rng, x, y, size)
    image += rng.normal(0, rng.uniform(0.04, 0.1), image.shape)
    return (image.clip(0, 1) * 255).astype(np.uint8), mask


def _smooth(rng: Generator, size: int, sigma: float) -> Array:
    """A random field of deviation 1 that changes within about `sigma` pixels."""
    field = gaussian_filter(rng.normal(size=(size, size)), sigma, mode="wrap")
    return np.asarray(field / field.std())


def _stroke(rng: Generator, x: Array, y: Array, size: int) -> Array:
    """A short line, or a blob where it is very short."""
    (cx, cy), angle, reach = rng.uniform(0, size, 2), rng.uniform(0, np.pi), rng.uniform(0, size / 10)
    along = (np.cos(angle) * (x - cx) + np.sin(angle) * (y - cy)).clip(-reach, reach)
    away = np.hypot(x - cx - along * np.cos(angle), y - cy - along * np.sin(angle))
    return np.asarray(np.exp(-np.square(away / rng.uniform(1, 2.5))))
