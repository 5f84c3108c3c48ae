"""Degenerate clouds of points against exact alpha complexes; `make verify`, a few of them in `make test`.

    python -m tests.commands.degenerate_clouds --clouds 300 --seed 0

A cloud is drawn from one of the families below, turned, moved and scaled, and rounded to float32 or float64. All bars
of `tl.Alpha` must be those of GUDHI's exact alpha complex of the same points, up to 1e-6 of the squared extent, and
none may outlive the squared radius of a ball around all points. What disagrees is printed with its number: `--only`
draws it again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import gudhi
import numpy as np
import torch
import tyro
from rich.progress import track
from torch import Tensor

import topolayer as tl

log = logging.getLogger(__name__)

TOLERANCE = 1e-6  # of the squared extent
Rng = np.random.Generator
Points = np.ndarray


@dataclass(frozen=True)
class Config:
    clouds: int = 300
    """How many; the families take turns."""
    seed: int = 0
    """Cloud r of a seed is the same whatever the number of clouds."""
    only: int | None = None
    """A single cloud, by its number: one that failed."""


class Disagreement(AssertionError):
    """`tl.Alpha` and the exact complex differ. The message says on what, and how to see it again."""


# ---------------------------------------------------------------------------------------------------------------
# What is drawn


def _lattice(*shape: int) -> Points:
    return np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, len(shape)).astype(float)


def _angles(count: int) -> Points:
    return np.arange(count) * (2 * np.pi / count)


def _lattice_2d(rng: Rng) -> Points:
    return _lattice(*rng.integers(2, 16, 2)) * rng.choice([[1, 1], [1, 2], [1, 0.37]])


def _lattice_3d(rng: Rng) -> Points:
    return _lattice(*rng.integers(2, 7, 3)) * rng.choice([[1, 1, 1], [1, 1, 2], [1, 0.6, 0.3]])


def _body_centered(rng: Rng) -> Points:
    corners = _lattice(*rng.integers(2, 5, 3))
    return np.concatenate([corners, corners + 0.5])


def _hexagonal(rng: Rng) -> Points:
    return _lattice(*rng.integers(2, 12, 2)) @ np.array([[1, 0], [0.5, np.sqrt(0.75)]])


def _torus(rng: Rng) -> Points:
    around, across = map(_angles, rng.integers(5, 20, 2))
    u, v = (a.ravel() for a in np.meshgrid(around, across, indexing="ij"))
    radius = 1 + rng.uniform(0.2, 0.6) * np.cos(v)
    return np.stack([radius * np.cos(u), radius * np.sin(u), 0.4 * np.sin(v)], axis=1)


def _cylinder(rng: Rng) -> Points:
    u, height = (a.ravel() for a in np.meshgrid(_angles(rng.integers(3, 24)), np.arange(rng.integers(2, 10))))
    return np.stack([np.cos(u), np.sin(u), 0.3 * height], axis=1)


def _cone(rng: Rng) -> Points:
    u, height = (a.ravel() for a in np.meshgrid(_angles(rng.integers(3, 24)), np.arange(1, rng.integers(3, 10))))
    return np.concatenate([np.zeros((1, 3)), np.stack([height * np.cos(u), height * np.sin(u), height], axis=1)])


def _nearly_flat(rng: Rng) -> Points:
    """A plane or a line with little noise, on a lattice or not."""
    d = int(rng.choice([2, 3]))
    flat = _lattice(*rng.integers(3, 10, d - 1)) if rng.random() < 0.5 else rng.random((80, d - 1)) * 5
    noise = 10.0 ** rng.integers(-10, -1)
    return np.concatenate([flat, noise * rng.standard_normal((len(flat), 1))], axis=1)


def _lines_and_points(rng: Rng) -> Points:
    """Points on a line, and as many off it as make no hyperplane."""
    d = int(rng.choice([2, 3]))
    line = np.zeros((rng.integers(5, 60), d))
    line[:, 0] = np.arange(len(line)) if rng.random() < 0.5 else np.sort(rng.random(len(line))) * 20
    return np.concatenate([line, rng.standard_normal((d - 1, d)) * 5])


def _planes_and_points(rng: Rng) -> Points:
    plane = np.pad(_lattice(*rng.integers(3, 10, 2)), ((0, 0), (0, 1)))
    return np.concatenate([plane, [[*rng.random(2) * 5, rng.uniform(0.1, 9)]]])


def _cospherical(rng: Rng) -> Points:
    """A polygon, a sphere by circles of latitude, or any points of a sphere, with the center or without."""
    kind = rng.integers(3)
    if kind == 0:
        angles = _angles(rng.integers(4, 80))
        points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    elif kind == 1:
        u, v = (
            a.ravel() for a in np.meshgrid(_angles(rng.integers(4, 16)), np.linspace(-1.2, 1.2, rng.integers(3, 9)))
        )
        points = np.stack([np.cos(u) * np.cos(v), np.sin(u) * np.cos(v), np.sin(v)], axis=1)
    else:
        points = rng.standard_normal((rng.integers(6, 120), 3))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    return np.concatenate([points, np.zeros((rng.integers(2), points.shape[1]))])


def _segments(rng: Rng) -> Points:
    """Several pieces of lines, with equal steps."""
    d = int(rng.choice([2, 3]))
    steps = np.linspace(0, 1, rng.integers(4, 25))[:, None]
    ends = rng.integers(0, 5, (4, 2, d)).astype(float)
    ends[:, 1] += rng.random((4, d))
    return np.concatenate([a + steps * (b - a) for a, b in ends])


def _clusters(rng: Rng) -> Points:
    """Clusters of very different density, on lattices or not."""
    d = int(rng.choice([2, 3]))
    parts = []
    for power in rng.integers(-9, 1, 4):
        cluster = _lattice(*(3,) * d) if rng.random() < 0.3 else rng.standard_normal((25, d))
        parts.append(rng.random(d) * 3 + 10.0**power * cluster)
    return np.concatenate(parts)


def _duplicates(rng: Rng) -> Points:
    points = _lattice_2d(rng) if rng.random() < 0.5 else rng.random((40, 3))
    return np.concatenate([points, points[rng.integers(0, len(points), rng.integers(1, 30))]])


def _near_duplicates(rng: Rng) -> Points:
    points = rng.random((40, int(rng.choice([2, 3]))))
    return np.concatenate([points, points + 10.0 ** rng.integers(-16, -6) * rng.standard_normal(points.shape)])


def _integers(rng: Rng) -> Points:
    d = int(rng.choice([2, 3]))
    return rng.integers(0, 5, (60, d)).astype(float)


def _hypercubes(rng: Rng) -> Points:
    return _lattice(*(int(rng.integers(2, 4)) for _ in range(4)))


FAMILIES: tuple[Callable[[Rng], Points], ...] = (
    _lattice_2d,
    _lattice_3d,
    _body_centered,
    _hexagonal,
    _torus,
    _cylinder,
    _cone,
    _nearly_flat,
    _lines_and_points,
    _planes_and_points,
    _cospherical,
    _segments,
    _clusters,
    _duplicates,
    _near_duplicates,
    _integers,
    _hypercubes,
)


def draw(seed: int, number: int) -> tuple[str, Tensor]:
    """The family, and the points, which do not lie in a hyperplane."""
    rng = np.random.default_rng((seed, number))
    family = FAMILIES[number % len(FAMILIES)]
    while True:
        points = family(rng)
        if rng.random() < 0.7:
            turn, _ = np.linalg.qr(rng.standard_normal((points.shape[1],) * 2))
            points = points @ turn
        if rng.random() < 0.3:
            points = points + rng.standard_normal(points.shape[1]) * 10
        points = points * rng.choice([1, 1e-3, 1e3])
        dtype = np.float32 if rng.random() < 0.5 else np.float64
        points = rng.permutation(points.astype(dtype))
        centered = points.astype(np.float64) - points[0]
        if np.linalg.svd(centered, compute_uv=False)[-1] > 1e-12 * np.abs(points).max():
            return family.__name__.strip("_"), torch.from_numpy(points)


# ---------------------------------------------------------------------------------------------------------------
# What must hold


def expected(points: Tensor) -> list[np.ndarray]:
    """Births and deaths of the exact complex in each dimension; equal points count once."""
    distinct = np.unique(points.double().numpy(), axis=0)
    tree = gudhi.AlphaComplex(points=distinct, precision="exact").create_simplex_tree()
    tree.compute_persistence(homology_coeff_field=2, persistence_dim_max=True)
    diagrams = (tree.persistence_intervals_in_dimension(dim).reshape(-1, 2) for dim in range(points.shape[1]))
    return [diagram[np.isfinite(diagram[:, 1])] for diagram in diagrams]


def check(family: str, points: Tensor, *, again: str) -> None:
    """Raises Disagreement if the bars are not those of the exact complex."""
    barcode = tl.persistence(tl.Alpha(points), tuple(range(points.shape[1])))
    doubles = points.double()
    extent2 = float((doubles.amax(0) - doubles.amin(0)).max()) ** 2
    middle = (doubles.amax(0) + doubles.amin(0)) / 2
    ball2 = float((doubles - middle).square().sum(dim=1).max())
    latest = float(barcode.deaths.max()) if len(barcode) else 0.0
    what = f"{family}, {len(points)} points in {points.shape[1]}D, {points.dtype}"
    if latest > ball2 * (1 + TOLERANCE):
        raise Disagreement(f"{what}: a bar dies at {latest}, beyond a ball around all points, {ball2}\nagain: {again}")
    for dim, theirs in enumerate(expected(points)):
        bars = barcode.select(dim=dim)
        mine = torch.stack([bars.births, bars.deaths], dim=1).double().numpy()
        apart = gudhi.bottleneck_distance(mine / extent2, theirs / extent2)
        if not apart <= TOLERANCE:
            raise Disagreement(f"{what}: bars of dimension {dim} are {apart} of the squared extent off\nagain: {again}")


def verify(config: Config) -> int:
    """Checks all clouds, or the one that is asked for; how many."""
    numbers = range(config.clouds) if config.only is None else [config.only]
    for number in track(numbers, description="degenerate clouds"):
        again = f"python -m tests.commands.degenerate_clouds --seed {config.seed} --only {number}"
        check(*draw(config.seed, number), again=again)
    return len(numbers)


def main(config: Config) -> None:
    try:
        clouds = verify(config)
    except Disagreement as disagreement:
        raise SystemExit(str(disagreement)) from None
    log.info("%d clouds: all bars are those of the exact alpha complex", clouds)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(tyro.cli(Config, description=__doc__))
