"""Tools that the functions of `plot` share: barcodes and tensors as arrays that are checked, axes, ticks, colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.patheffects import withStroke
from matplotlib.ticker import AutoLocator
from torch import Tensor

from topolayer._barcodes.barcode import Barcode, check_barcode
from topolayer._checks import check_finite, check_integer, floating
from topolayer._layers.magnitude import channel_norm

Array = npt.NDArray[Any]

# Colours by dimension: Okabe and Ito's vermilion, blue, black and purple; the blue is darker, to differ in grey too.
COLOURS = ("#D55E00", "#004C7F", "#000000", "#CC79A7")
MARKERS = ("o", "^", "s", "D")
DASHES = ("-", "--", "-.", ":")
MOST_COUNTED = 8  # points of a diagram whose bars are counted beside them: more numbers would cover it


@dataclass(frozen=True)
class Group:
    """The bars of one dimension, the longest first: those that never die, whose death is infinite, then the others."""

    dim: int
    births: Array
    deaths: Array
    essential: Array  # which of the barcode's essential bars they are
    finite: Array  # and which of its finite ones
    kept: int  # how many of all of them are among the k longest

    def __len__(self) -> int:
        return len(self.births)

    def deaths_at(self, infinity: float) -> Array:
        """Deaths, those that never come at a place on paper."""
        return np.where(np.isinf(self.deaths), infinity, self.deaths)

    def places(self, infinity: float) -> tuple[Array, Array]:
        """The different points (birth, death) of a diagram, (n, 2), and how many bars each of them stands for."""
        found, counts = np.unique(np.stack([self.births, self.deaths_at(infinity)], 1), axis=0, return_counts=True)
        return found, counts

    @property
    def colour(self) -> str:
        return COLOURS[self.dim % len(COLOURS)]

    @property
    def marker(self) -> str:
        return MARKERS[self.dim % len(MARKERS)]


def read(barcode: Barcode, sample: int | None, k: int | None) -> tuple[Barcode, list[Group]]:
    """One sample's bars, and their groups: the dimensions that have bars, or else all that were computed."""
    check_barcode("barcode", barcode)
    if k is not None:
        k = check_integer("k", k, least=0, remedy="None draws all bars")
    samples = math.prod(barcode.batch_shape)
    if sample is None and samples != 1:
        raise ValueError(
            f"sample: expected the flat index of one sample, since the barcode has {samples} "
            f"(batch shape {barcode.batch_shape}), got None; sample=0 draws the first"
        )
    bars = barcode.select(sample=sample)
    births, deaths, ranks, dims = map(numpy, (bars.births, bars.deaths, bars.ranks, bars.dims))
    never, essential_dims = numpy(bars.essential.births), numpy(bars.essential.dims)
    found = sorted({*dims.tolist(), *essential_dims.tolist()}) or sorted(bars.computed_dims)
    groups = []
    for dim in found:
        finite = np.flatnonzero(dims == dim)
        finite = finite[np.argsort(ranks[finite], kind="stable")]
        essential = np.flatnonzero(essential_dims == dim)
        essential = essential[np.argsort(-never[essential] if bars.superlevel else never[essential], kind="stable")]
        kept = len(finite) + len(essential) if k is None else min(len(essential), k) + int((ranks[finite] < k).sum())
        born, dead = (
            np.append(never[essential], births[finite]),
            np.append(np.full(len(essential), np.inf), deaths[finite]),
        )
        groups.append(Group(dim, born, dead, essential, finite, kept))
    return bars, groups


def value_range(groups: list[Group]) -> tuple[float, float, float]:
    """Both ends of the axes, and the margin around all births and deaths that they include."""
    ends = np.concatenate(
        [part for group in groups for part in (group.births, group.deaths[np.isfinite(group.deaths)])]
    )
    low, high = (float(ends.min()), float(ends.max())) if len(ends) else (0.0, 1.0)
    if low == high:
        low, high = low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2
    margin = 0.06 * (high - low)
    return low - margin, high + margin, margin


def count_coincident(ax: Axes, groups: list[Group], infinity: float) -> None:
    """A number beside each point of a diagram that stands for several bars of a dimension, unless there are many."""
    places = [
        (number, x, y, count)
        for number, group in enumerate(groups)
        for (x, y), count in zip(*group.places(infinity), strict=True)
        if count > 1
    ]
    if len(places) > MOST_COUNTED:
        return
    middle = np.mean([x for group in groups for x in group.births]) if places else 0.0
    for number, x, y, count in places:
        side, align = (6, "left") if x < middle else (-6, "right")  # towards the middle of the picture
        text, offset, colour = f"\N{MULTIPLICATION SIGN}{count}", (side, 3 + 10 * number), groups[number].colour
        ax.annotate(text, (x, y), offset, textcoords="offset points", ha=align, fontsize="small", color=colour)


def size_of(count: int) -> float:
    """The size of a marker: the more there are, the smaller."""
    return float(np.clip(3000 / (count + 1), 8, 30))


def numpy(tensor: Tensor) -> Array:
    array: Array = tensor.detach().resolve_neg().cpu().numpy()
    return array.astype(np.float64) if array.dtype == np.float32 else array  # margins of large values do not overflow


def array(name: str, tensor: object, *ndims: int) -> Array:
    """A tensor that is drawn as it is: finite and real, with so many axes, of any device and type."""
    if not isinstance(tensor, Tensor):
        raise TypeError(
            f"{name}: expected a torch.Tensor, got {type(tensor).__name__}; convert it with torch.as_tensor"
        )
    if tensor.is_complex():
        raise TypeError(f"{name}: expected real numbers, got {tensor.dtype}; take .real or .abs()")
    if ndims and tensor.ndim not in ndims:
        raise ValueError(f"{name}: expected {' or '.join(map(str, ndims))} axes, got shape {tuple(tensor.shape)}")
    if tensor.numel() == 0:
        raise ValueError(f"{name}: expected at least one entry, got shape {tuple(tensor.shape)}")
    check_finite(name, tensor)
    return numpy(tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor)


def picture(name: str, image: object, barcode: Barcode, sample: int) -> Array:
    """The pixels of a sample of a 2D grid, from the batch or as they are."""
    shape = barcode.grid_shape
    assert shape is not None
    pixels = array(name, image)
    if pixels.shape == (*barcode.batch_shape, *shape):
        pixels = pixels.reshape(-1, *shape)[sample]
    if pixels.shape not in (shape, (*shape, 3), (*shape, 4)):
        raise ValueError(f"{name}: expected shape {shape} or {(*shape, 3)}, as the barcode has, got {pixels.shape}")
    return pixels


def halo(width: float) -> list[withStroke]:
    """White around lines and numbers, so that they are seen on any image."""
    return [withStroke(linewidth=width, foreground="white")]


def curves(values: Tensor, name: str, grid: Tensor) -> tuple[Array, Array]:
    """Rows of numbers, and where on the line they belong."""
    rows, places = np.atleast_2d(array("values", values, 1, 2)), array(name, grid, 1)
    if rows.shape[1] != len(places):
        raise ValueError(
            f"{name}: expected one number for each of the {rows.shape[1]} columns of values, got {len(places)}"
        )
    return rows, places


def magnitude(name: str, h: Tensor, sample: int | None) -> Tensor:
    """(H, W) of one sample, off the graph."""
    h = floating(name, h)
    check_finite(name, h)
    if h.ndim not in (2, 3, 4) or h.numel() == 0:
        raise ValueError(f"{name}: expected shape (B, C, H, W), (C, H, W) or (H, W), got {tuple(h.shape)}")
    batch = h if h.ndim == 4 else h[None]
    if sample is None and len(batch) != 1:
        raise ValueError(f"sample: expected an entry of the batch, since {name} has {len(batch)}, got None")
    if sample is not None:
        sample = check_integer("sample", sample, what=f"an entry of {name}, an int >= 0 and < {len(batch)}")
        if not 0 <= sample < len(batch):
            raise ValueError(
                f"sample: expected an entry of {name}, >= 0 and < {len(batch)}, got {sample}; 0 is the first"
            )
    chosen = batch[sample or 0].detach().cpu()
    return chosen if h.ndim == 2 else channel_norm(chosen, 0)


def current(ax: Axes | None) -> Axes:
    if ax is None:
        return plt.gca()
    if not isinstance(ax, Axes):
        raise TypeError(f"ax: expected matplotlib's Axes or None, got {type(ax).__name__}")
    return ax


def grid_of_axes(axes: Array | None, rows: int, columns: int, size: tuple[float, float]) -> Array:
    """The given axes, of that shape, or those of a new figure with so many inches for each."""
    if axes is None:
        inches = (size[0] * columns, size[1] * rows)
        _, made = plt.subplots(rows, columns, figsize=inches, squeeze=False, layout="constrained")
        return made
    given = np.asarray(axes, dtype=object)
    if given.size != rows * columns or not all(isinstance(ax, Axes) for ax in given.flat):
        raise ValueError(
            f"axes: expected an array of {rows * columns} Axes, {rows} x {columns}, got {type(axes).__name__} of shape "
            f"{given.shape}; None makes a new figure"
        )
    return given.reshape(rows, columns)


def levels_between(levels: int | Sequence[float], low: float, high: float, superlevel: bool) -> list[float]:
    if isinstance(levels, int) and not isinstance(levels, bool) and levels > 0:
        first, last = (high, low) if superlevel else (low, high)
        return [float(level) for level in np.linspace(first, last, levels + 2)[1:-1]]
    found = [] if isinstance(levels, (int, float, str)) else [float(level) for level in levels]
    if not found or not all(map(math.isfinite, found)):
        raise ValueError(f"levels: expected finite numbers, or how many of them to draw, got {levels!r}")
    return found


def legend(ax: Axes, **where: Any) -> None:
    """A legend with markers of one size, however small those of the picture are."""
    made = ax.legend(frameon=False, handletextpad=0.2, **where)
    for handle in made.legend_handles:
        if isinstance(handle, PathCollection):
            handle.set_sizes([30])


class Between(AutoLocator):
    """Ticks of values; beyond them is where the bars lie that never die."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        return [tick for tick in super().tick_values(vmin, vmax) if self.low <= tick <= self.high]


def freudenthal(ax: Axes, inside: Array) -> None:
    """The vertices, edges and triangles of the Freudenthal triangulation between pixels that are inside."""
    vertices = np.argwhere(inside)
    steps = {"down": (1, 0), "right": (0, 1), "diagonal": (1, 1)}

    def simplices(*names: str) -> list[Array]:
        offsets = [(0, 0), *(steps[name] for name in names)]
        padded = np.pad(inside, ((0, 1), (0, 1)))
        all_in = np.all([padded[i : i + len(inside), j : j + inside.shape[1]] for i, j in offsets], axis=0)
        return list((np.argwhere(all_in)[:, None] + np.array(offsets))[:, :, ::-1])

    triangles = simplices("right", "diagonal") + simplices("down", "diagonal")
    edges = [edge for step in steps for edge in simplices(step)]
    ax.add_collection(PolyCollection(triangles, facecolors=COLOURS[1], alpha=0.3, linewidths=0))
    ax.add_collection(LineCollection(edges, colors=COLOURS[1], linewidths=0.8))
    ax.scatter(vertices[:, 1], vertices[:, 0], 10, color=COLOURS[1], zorder=3)
    ax.set(xlim=(-0.5, inside.shape[1] - 0.5), ylim=(len(inside) - 0.5, -0.5), aspect="equal")
