"""Rendered rooms and landscapes with exact depth: they need no data, and a seed says all about them.

Every other scene is a room with boxes and spheres under a lamp; the others are a plain with boxes and spheres in the
sun, fading into haze, below a sky that has no depth. All is textured, seen by a camera of random place, height, view
and opening. What gives depth away is what does so in photographs: where things meet the ground, perspective, how fine
a texture looks, shading, haze.

Depth is the distance along the optical axis, in metres, exact up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.random import Generator

from experiments.depth.depthset import DepthSet, Sensor, keep_known
from experiments.shared.cache import Array

SCENES = Sensor(0.6, 80.0, (0.6, 2.0, 5.0, 10.0, 20.0, 80.0))

# Where rays (n, 3) from `origin` meet a surface: distances (n,), infinite where they miss, and the normals there.
Surface = Callable[[Array, Array], tuple[Array, Array]]
Texture = Callable[[Array, Array], Array]


def scenes(count: int, size: tuple[int, int], *, seed: int) -> DepthSet:
    """`count` scenes of `size`, (height, width); scene i depends on `seed`, i and `size` only."""
    drawn = [render(np.random.default_rng([seed, index]), size, room=index % 2 == 0) for index in range(count)]
    return DepthSet(
        images=torch.from_numpy(np.stack([image for image, _ in drawn])),
        depths=torch.from_numpy(np.stack([depth for _, depth in drawn])),
        rows=torch.arange(count),
        names=tuple(f"scene {index} of seed {seed}" for index in range(count)),
        sensor=SCENES,
    )


def render(rng: Generator, size: tuple[int, int], *, room: bool) -> tuple[Array, Array]:
    """An image, uint8 (h, w, 3), and its depth, float32 (h, w), NaN where there is none."""
    rays, pixel = _rays(rng, size)
    surfaces, origin, turn = (_room if room else _plain)(rng)
    world = rays @ turn
    depth = np.full(len(world), np.inf)
    normals = np.zeros_like(world)
    colours = np.zeros_like(world)
    for surface in surfaces:
        texture = _texture(rng, finest=4.0 if room else 1.5)
        distance, normal = surface(origin, world)
        front = distance < depth
        depth[front] = distance[front]  # rays are 1 long along the optical axis: their parameter is the depth
        normals[front] = normal[front]
        points = origin + distance[front, None] * world[front]
        colours[front] = texture(points, distance[front] * pixel)
    points = origin + np.where(np.isfinite(depth), depth, 0.0)[:, None] * world
    image = (_lamp if room else _sun)(rng, origin, world, points, normals, colours, depth)
    image = image + rng.normal(0, rng.uniform(0.005, 0.03), image.shape)
    picture = (image.clip(0, 1) * 255).astype(np.uint8).reshape(*size, 3)
    return picture, keep_known(depth.reshape(size), np.ones(size, dtype=bool), SCENES)


def _rays(rng: Generator, size: tuple[int, int]) -> tuple[Array, float]:
    """Rays (n, 3) through the pixels' centres, right, up and ahead, and how wide a pixel is at depth 1."""
    height, width = size
    half = np.tan(np.radians(rng.uniform(50, 75)) / 2)
    pixel = 2 * half / width
    y, x = np.mgrid[:height, :width] + 0.5
    return np.stack([(x - width / 2) * pixel, (height / 2 - y) * pixel, np.ones_like(x)], -1).reshape(-1, 3), pixel


def _turn(yaw: float, pitch: float) -> Array:
    """Row vectors of the camera into the world: first up or down by `pitch`, then about the vertical by `yaw`."""
    up = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    around = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    return np.asarray(up @ around)


# --- what there is ----------------------------------------------------------------------------------------------


def _room(rng: Generator) -> tuple[list[Surface], Array, Array]:
    """Six walls and what stands before the camera, which is near one of them."""
    high, low = np.array([rng.uniform(3, 8), rng.uniform(2.4, 3.5), rng.uniform(4, 10)]), np.zeros(3)
    origin = np.array([high[0] * rng.uniform(0.3, 0.7), rng.uniform(1.1, 1.7), rng.uniform(0.3, 0.8)])
    turn = _turn(rng.uniform(-0.35, 0.35), rng.uniform(-0.3, 0.05))
    surfaces: list[Surface] = [_inside(low, high, axis) for axis in range(3)]
    for _ in range(rng.integers(3, 8)):
        place = np.array([rng.uniform(0.2, high[0] - 0.2), 0.0, rng.uniform(origin[2] + 1.3, high[2] - 0.2)])
        surfaces.append(_thing(rng, place, rng.uniform(0.15, 0.5), tallest=1.8))
    return surfaces, origin, turn


def _plain(rng: Generator) -> tuple[list[Surface], Array, Array]:
    """The ground, and things from near to far: as many between 4 and 8 m as between 32 and 64 m."""
    origin = np.array([0.0, rng.uniform(1.2, 2.5), 0.0])
    surfaces: list[Surface] = [_ground]
    for _ in range(rng.integers(6, 14)):
        ahead = 4 * 2 ** rng.uniform(0, 4)
        place = np.array([rng.uniform(-0.7, 0.7) * ahead, 0.0, ahead])
        surfaces.append(_thing(rng, place, rng.uniform(0.3, 0.8) * ahead**0.5, tallest=6.0))
    return surfaces, origin, _turn(0.0, rng.uniform(-0.2, 0.08))


def _thing(rng: Generator, place: Array, radius: float, *, tallest: float) -> Surface:
    """A box or a sphere that stands on the ground at `place`."""
    if rng.uniform() < 0.4:
        return _sphere(place + np.array([0, radius, 0]), radius)
    half = np.array([radius * rng.uniform(0.6, 1.2), rng.uniform(0.15, 0.5) * tallest, radius * rng.uniform(0.6, 1.2)])
    return _box(place + np.array([0, half[1], 0]), half, rng.uniform(0, np.pi))


def _ground(origin: Array, rays: Array) -> tuple[Array, Array]:
    with np.errstate(divide="ignore"):
        distance = -origin[1] / rays[:, 1]
    return np.where(distance > 0, distance, np.inf), np.broadcast_to([0.0, 1.0, 0.0], rays.shape)


def _inside(low: Array, high: Array, axis: int) -> Surface:
    """The two walls across an axis of the box that the camera is in."""

    def meet(origin: Array, rays: Array) -> tuple[Array, Array]:
        ahead = rays[:, axis] > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = (np.where(ahead, high[axis], low[axis]) - origin[axis]) / rays[:, axis]
        normals = np.zeros_like(rays)
        normals[:, axis] = np.where(ahead, -1, 1)
        return np.where(rays[:, axis] == 0, np.inf, distance), normals

    return meet


def _box(centre: Array, half: Array, yaw: float) -> Surface:
    """A box seen from outside, turned about the vertical."""
    turn = _turn(yaw, 0.0)

    def meet(origin: Array, rays: Array) -> tuple[Array, Array]:
        start, along = (origin - centre) @ turn.T, rays @ turn.T
        along = np.where(np.abs(along) < 1e-12, 1e-12, along)
        enter, leave = (-np.sign(along) * half - start) / along, (np.sign(along) * half - start) / along
        axis, distance = enter.argmax(1), enter.max(1)
        hit = (distance < leave.min(1)) & (distance > 0)
        normals = np.zeros_like(rays)
        normals[np.arange(len(rays)), axis] = -np.sign(along[np.arange(len(rays)), axis])
        return np.where(hit, distance, np.inf), normals @ turn

    return meet


def _sphere(centre: Array, radius: float) -> Surface:
    """A sphere seen from outside."""

    def meet(origin: Array, rays: Array) -> tuple[Array, Array]:
        start = origin - centre
        a, b, c = (rays * rays).sum(1), rays @ start, start @ start - radius**2
        inner = b * b - a * c
        distance = (-b - np.sqrt(inner.clip(0))) / a
        distance = np.where((inner > 0) & (distance > 0), distance, np.inf)
        points = start + np.where(np.isfinite(distance), distance, 0.0)[:, None] * rays
        return distance, points / radius

    return meet


# --- what it looks like -----------------------------------------------------------------------------------------


def _texture(rng: Generator, *, finest: float) -> Texture:
    """Two colours mixed by waves through space; those finer than a pixel fade."""
    colours = rng.uniform(0.2, 0.9, (2, 3))
    waves = rng.normal(0, 1, (rng.integers(1, 4), 3))
    waves *= (rng.uniform(0.4, finest, len(waves)) / np.linalg.norm(waves, axis=1))[:, None]
    phases, edge = rng.uniform(0, 2 * np.pi, len(waves)), rng.uniform(1, 4)

    def colour(points: Array, footprint: Array) -> Array:
        fading = np.exp(-4 * (footprint[:, None] * np.linalg.norm(waves, axis=1)) ** 2)
        pattern = (np.sin(2 * np.pi * points @ waves.T + phases) * fading).sum(1)
        share = 1 / (1 + np.exp(-edge * pattern))[:, None]
        return np.asarray(colours[0] * share + colours[1] * (1 - share))

    return colour


def _lamp(
    rng: Generator, origin: Array, rays: Array, points: Array, normals: Array, colours: Array, depth: Array
) -> Array:
    """A lamp at the ceiling, somewhere before the camera."""
    lamp = origin + np.array([rng.uniform(-1, 1), rng.uniform(0.5, 0.9), rng.uniform(1, 4)])
    towards = lamp - points
    distance = np.linalg.norm(towards, axis=1)
    lit = ((towards * normals).sum(1) / distance).clip(0) / (1 + (distance / 3) ** 2)
    return np.asarray(colours * (rng.uniform(0.25, 0.45) + rng.uniform(0.8, 1.3) * lit)[:, None])


def _sun(
    rng: Generator, origin: Array, rays: Array, points: Array, normals: Array, colours: Array, depth: Array
) -> Array:
    """The sun, haze that grows with distance, and a sky that is lighter near the horizon."""
    sun = np.array([rng.uniform(-1, 1), rng.uniform(0.4, 1), rng.uniform(-1, 0.3)])
    lit = (normals @ sun / np.linalg.norm(sun)).clip(0)
    image = colours * (rng.uniform(0.3, 0.5) + rng.uniform(0.5, 0.8) * lit)[:, None]
    horizon, zenith = np.array([0.85, 0.87, 0.9]), np.array([0.25, 0.45, 0.8])
    height = (rays[:, 1] / np.linalg.norm(rays, axis=1)).clip(0, 0.5)[:, None] * 2
    sky = horizon * (1 - height) + zenith * height
    clear = np.exp(-depth / rng.uniform(60, 200))[:, None]
    return np.asarray(image * clear + sky * (1 - clear))
