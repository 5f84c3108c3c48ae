"""What is measured on: images of seven kinds, volumes, distances, batches of them, of clouds and of graphs.

All values are float32, and the same in every run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import pdist, squareform
from torch import Tensor

from experiments.shared.console import UserError
from experiments.shared.images import photograph
from experiments.speed.config import Kind, VolumeKind

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
Job = Literal[
    "image",
    "volume",
    "distances",
    "matrices",
    "clouds",
    "graphs",
    "alpha",
    "penalty",
    "matching",
    "batch",
    "hashing",
    "bars",
    "representations",
    "cloud",
]

SMALLEST = 8  # pixels on a side: below it a spiral has no turns, and packages have code of their own


@dataclass(frozen=True)
class Graphs:
    """Functions on the vertices of graphs: all of them together, and each graph alone as (values, edges)."""

    values: Tensor
    edges: Tensor  # (edges, 2)
    batch: Tensor
    each: list[tuple[Tensor, Tensor]]

    def numel(self) -> int:
        return self.values.numel()


@dataclass(frozen=True)
class Input:
    """What contenders are given: the values, and how tables call them."""

    job: Job
    size: str
    kind: str
    values: Tensor | Graphs


def parse(size: str, axes: int, *, leading: int = 0) -> Shape:
    """The shape that an option means; the `leading` axes are samples and channels, of which there may be few.

    >>> parse("384x512", 2)
    (384, 512)
    """
    sides = [int(side) if side.isdecimal() else 0 for side in size.split("x")]
    least = [1] * leading + [SMALLEST] * (axes - leading)
    if len(sides) != axes or any(side < low for side, low in zip(sides, least, strict=True)):
        example = "x".join(["16"] * leading + ["128"] * (axes - leading))
        raise UserError(f"{size!r} is no size: expected {axes} numbers such as {example}, sides from {SMALLEST} pixels")
    return tuple(sides)


_NEEDS = {"photograph": ("skimage", "scikit-image"), "head": ("nilearn", "nilearn")}


def missing(kind: Kind | VolumeKind) -> str | None:
    """Why inputs of this kind cannot be had here."""
    module, package = _NEEDS.get(kind, ("numpy", "NumPy"))
    return f"{package} is not installed" if find_spec(module) is None else None


def make(kind: Kind | VolumeKind, shape: Shape, *, ndim: int = 2) -> Tensor:
    """An image (`ndim` 2) or a volume (3) of this kind, with batch axes in front where `shape` has more axes.

    The samples of a batch of noise are independent of one another; those of other kinds are all the same.
    """
    if kind in ("noise", *_SIGMAS):
        values: Array = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        if kind in _SIGMAS:
            values = gaussian_filter(values, _SIGMAS[kind], axes=tuple(range(-ndim, 0)))
    else:
        values = np.broadcast_to(_PATTERNS[kind](shape[-ndim:]), shape)
    return torch.from_numpy(np.array(values, dtype=np.float32, order="C"))


_SIGMAS = {"smooth": 3, "smooth 2": 2, "smooth 4": 4}


def prediction_and_target(kind: Literal["mask", "noise"], size: str) -> Tensor:
    """(2, samples, channels, *grid): smoothed noise, from 0 to 1, and a mask of large blobs; or two images of noise."""
    axes = size.count("x") + 1
    grid = parse(size, axes, leading=2 if axes == 4 else 0)
    shape, ndim = (grid, 2) if axes == 4 else ((1, 1, *grid), axes)
    one, other = (np.random.default_rng(seed).random(shape, dtype=np.float32) for seed in (0, 1))
    if kind == "mask":
        own = tuple(range(-ndim, 0))
        one, other = gaussian_filter(one, 2, axes=own), gaussian_filter(other, min(shape[-ndim:]) / 20, axes=own)
        one = (one - one.min()) / (one.max() - one.min())
        other = (other > np.quantile(other, 0.7)).astype(np.float32)
    return torch.from_numpy(np.stack([one, other]))


def distances(points: int, *, matrices: int | None = None) -> Tensor:
    """Euclidean distances of uniform points in the unit square; several matrices have a batch axis."""
    shape = (points, 2) if matrices is None else (matrices, points, 2)
    uniform = np.random.default_rng(0).random(shape).reshape(-1, points, 2)
    found = np.stack([squareform(pdist(cloud)) for cloud in uniform]).astype(np.float32)
    return torch.from_numpy(found if matrices is not None else found[0])


def gaussian(shape: Shape) -> Tensor:
    """Clouds of standard normal points: (clouds, points, coordinates)."""
    return torch.from_numpy(np.random.default_rng(0).standard_normal(shape, dtype=np.float32))


def graphs(count: int) -> Graphs:
    """Noise on random graphs with 10 to 60 vertices, and half as many edges again."""
    random = np.random.default_rng(0)
    each, sizes = [], random.integers(10, 61, count).tolist()
    for vertices in sizes:
        pairs = np.stack(np.triu_indices(vertices, 1), axis=1)
        edges = random.choice(pairs, 3 * vertices // 2, replace=False)
        values = random.standard_normal(vertices, dtype=np.float32)
        each.append((torch.from_numpy(values), torch.from_numpy(edges)))
    batch = torch.arange(count).repeat_interleave(torch.tensor(sizes))
    first = np.cumsum([0, *sizes]).tolist()
    edges = torch.cat([edges + start for (_, edges), start in zip(each, first, strict=False)])
    return Graphs(torch.cat([values for values, _ in each]), edges, batch, each)


def mask(shape: Shape) -> Array:
    """Independent pixels of 0 and 1: the bad case of algorithms that follow chains of ties."""
    return np.random.default_rng(0).integers(0, 2, shape)


def head(shape: Shape) -> Array:
    from skimage.transform import resize

    template = np.asarray(import_module("nilearn.datasets").load_mni152_template(resolution=1).dataobj)
    return np.asarray(resize(template, shape, anti_aliasing=True))  # type: ignore[no-untyped-call]


def spiral(shape: Shape) -> Array:
    """A corridor one pixel wide that winds inwards, a step higher at every pixel, between walls at -1.

    Every second ring of pixels is corridor, clockwise from its upper left corner to two pixels below it; there a gap
    in the wall leads on to the next one. From the first pixel to the only maximum half of all pixels are passed.
    """
    height, width = shape
    i, j = np.indices(shape, dtype=np.int32)
    ring = np.minimum(np.minimum(i, j), np.minimum(height - 1 - i, width - 1 - j))
    down, right = height - 1 - 2 * ring, width - 1 - 2 * ring  # the lengths of its sides
    along = np.select(
        [i == ring, j == width - 1 - ring, i == height - 1 - ring],
        [j - ring, right + i - ring, right + down + width - 1 - ring - j],
        2 * right + down + height - 1 - ring - i,
    )
    beside = (i == ring + 1) & (j == ring)  # the pixel below a ring's corner: wall in a corridor, gap in a wall
    corridor = (ring % 2 == 0) & ~beside
    gap = (ring % 2 == 1) & beside
    steps = _corridor_before(ring, shape) + along
    return np.where(corridor, steps, np.where(gap, _corridor_before(ring + 1, shape) - 1, -1))


def _corridor_before(ring: Array, shape: Shape) -> Array:
    """How many pixels of the corridor come before an even ring, each ring's gap included."""
    return np.asarray(ring * (sum(shape) - 2) - 2 * ring * (ring - 2))


_PATTERNS: dict[Kind | VolumeKind, Callable[[Shape], Array]] = {
    "mask": mask,
    "head": head,
    "photograph": photograph,
    "constant": np.zeros,
    "checkerboard": lambda shape: np.indices(shape, dtype=np.int32).sum(0) % 2,
    "ramp": lambda shape: np.arange(np.prod(shape)).reshape(shape),
    "spiral": spiral,
}
