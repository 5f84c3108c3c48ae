"""A procedural stand-in for photographs with people: it needs no data, and a seed says all about it.

Each scene has one to four textured figures that overlap one another, before a background of clutter in the same colours
and textures, under uneven light and noise; some clutter stands in front of the figures. The target is what is seen of
the figures. The colour of faces and hands gives a figure away; how far it reaches only its shape tells.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.random import Generator

from experiments.shared.images import ImageSet

Array = np.ndarray


def scenes(count: int, size: int, *, seed: int, figures: bool = True) -> ImageSet:
    """`count` scenes of `size` x `size` pixels; scene i depends on `seed`, i, `size` and `figures` only.

    Without figures there is clutter alone, and the masks are empty.
    """
    drawn = [_scene(np.random.default_rng([seed, index]), size, figures) for index in range(count)]
    return ImageSet(
        images=torch.from_numpy(np.stack([image for image, _, _ in drawn])),
        masks=torch.from_numpy(np.stack([mask for _, mask, _ in drawn])),
        names=tuple(f"scene {index} of seed {seed}" for index in range(count)),
        credits=("drawn by experiments/shared/scenes.py",) * count,
        people=tuple(people for _, _, people in drawn),
    )


def _scene(rng: Generator, size: int, figures: bool) -> tuple[Array, Array, int]:
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    image = _texture(rng, x, y)
    mask = np.zeros((size, size), dtype=bool)
    for _ in range(rng.integers(6, 14)):
        _paint(image, _clutter(rng, x, y), _texture(rng, x, y))
    people = int(rng.integers(1, 5)) if figures else 0
    for _ in range(people):
        mask |= _paint_figure(rng, image, x, y)
    for _ in range(rng.integers(0, 3)):
        front = _clutter(rng, x, y)
        _paint(image, front, _texture(rng, x, y))
        mask &= ~front
    angle, contrast = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.5)
    light = 1 + contrast * (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5))
    image = image * light[..., None] + rng.normal(0, rng.uniform(0.01, 0.08), image.shape)
    return (image.clip(0, 1) * 255).astype(np.uint8), mask, people


def _paint(image: Array, where: Array, texture: Array) -> None:
    image[where] = texture[where]


def _texture(rng: Generator, x: Array, y: Array) -> Array:
    """Two colours, mixed by stripes or by a smooth random pattern."""
    colours = rng.uniform(0.1, 0.9, (2, 3))
    colours[1] = colours[0] + rng.uniform(0.1, 0.6) * (colours[1] - colours[0])
    waves = np.zeros_like(x)
    for _ in range(rng.choice([1, 3])):
        angle, frequency, phase = rng.uniform(0, np.pi), rng.uniform(3, 25), rng.uniform(0, 2 * np.pi)
        waves += np.sin(2 * np.pi * frequency * (np.cos(angle) * x + np.sin(angle) * y) + phase)
    share = 1 / (1 + np.exp(-3 * waves))[..., None]
    return np.asarray(colours[0] * share + colours[1] * (1 - share))


def _ellipse(x: Array, y: Array, cx: float, cy: float, rx: float, ry: float) -> Array:
    return np.asarray(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1)


def _limb(x: Array, y: Array, start: Array, end: Array, radius: float) -> Array:
    """All points within `radius` of a segment."""
    dx, dy = end - start
    along = ((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy)
    along = along.clip(0, 1)
    return np.asarray((x - start[0] - along * dx) ** 2 + (y - start[1] - along * dy) ** 2 <= radius**2)


def _clutter(rng: Generator, x: Array, y: Array) -> Array:
    cx, cy = rng.uniform(0, 1, 2)
    kind = rng.integers(3)
    if kind == 0:
        return _ellipse(x, y, cx, cy, *rng.uniform(0.02, 0.12, 2))
    angle = rng.uniform(0, np.pi)
    if kind == 1:
        reach = rng.uniform(0.05, 0.3) * np.array([np.cos(angle), np.sin(angle)])
        return _limb(x, y, np.array([cx, cy]), np.array([cx, cy]) + reach, rng.uniform(0.01, 0.03))
    u = np.cos(angle) * (x - cx) + np.sin(angle) * (y - cy)
    v = np.cos(angle) * (y - cy) - np.sin(angle) * (x - cx)
    half = rng.uniform(0.03, 0.15, 2)
    return np.asarray((abs(u) <= half[0]) & (abs(v) <= half[1]))


def _paint_figure(rng: Generator, image: Array, x: Array, y: Array) -> Array:
    """A figure at random place, size, lean and posture: trousers, shirt, and a face and hands of one skin colour."""
    height = rng.uniform(0.3, 0.8)
    foot = np.array([rng.uniform(0.1, 0.9), rng.uniform(0.6, 1.1)])
    lean = rng.normal(0, 0.1)
    up = np.array([np.sin(lean), -np.cos(lean)]) * height
    side = np.array([np.cos(lean), np.sin(lean)]) * height
    hip, neck, head = foot + 0.45 * up, foot + 0.8 * up, foot + 0.91 * up
    shirt = _limb(x, y, hip + 0.06 * up, neck - 0.06 * up, 0.1 * height)
    skin = _ellipse(x, y, head[0], head[1], 0.07 * height, 0.09 * height)
    trousers = np.zeros_like(shirt)
    for sign in (-1, 1):
        knee = hip + sign * rng.uniform(0.03, 0.12) * side - 0.22 * up
        trousers |= _limb(x, y, hip + sign * 0.05 * side, knee, 0.055 * height)
        trousers |= _limb(x, y, knee, foot + sign * rng.uniform(0.04, 0.16) * side, 0.045 * height)
        angle = rng.uniform(-0.4, 2.6)
        shoulder = neck + sign * 0.09 * side
        elbow = shoulder + 0.18 * (sign * np.sin(angle) * side - np.cos(angle) * up)
        angle += rng.uniform(0, 1)
        reach = sign * np.sin(angle) * side - np.cos(angle) * up
        shirt |= _limb(x, y, shoulder, elbow, 0.035 * height) | _limb(x, y, elbow, elbow + 0.12 * reach, 0.03 * height)
        skin |= _limb(x, y, elbow + 0.12 * reach, elbow + 0.2 * reach, 0.03 * height)
    tan = rng.uniform()
    for part in (trousers, shirt):
        _paint(image, part, _texture(rng, x, y))
    image[skin] = tan * np.array([0.35, 0.22, 0.15]) + (1 - tan) * np.array([0.95, 0.78, 0.65])
    return np.asarray(trousers | shirt | skin)
