"""Pictures of barcodes and of what they come from, with matplotlib (the extra `plot`).

A function draws on `ax`, or on the current axes if it gets none (those of `matplotlib.pyplot.gca()`), and returns the
axes. A row or grid of pictures makes a figure of its own unless it gets `axes`. Tensors may be on any device and on
the autograd graph. No setting of matplotlib is changed.

Colours are those of Okabe and Ito, and none tells what a marker, a place or a label does not tell too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from topolayer._barcode import Barcode
from topolayer._checks import check_superlevel
from topolayer._filtrations import Freudenthal
from topolayer._persistence import persistence

try:
    from matplotlib import colormaps
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection
    from matplotlib.colors import ListedColormap
    from matplotlib.patheffects import withStroke

    from topolayer import _drawing
    from topolayer._drawing import Array
except ModuleNotFoundError as error:
    raise ImportError('topolayer.plot needs matplotlib: pip install "topolayer[plot]"') from error

__all__ = [
    "activations",
    "barcode",
    "betti_curve",
    "diagram",
    "landscape",
    "pairs",
    "persistence_image",
    "superlevel_sets",
]

_FAINT: dict[str, Any] = {"color": "0.6", "linewidth": 0.8, "zorder": 1}
_LARGEST_COMPLEX = 1024  # pixels: of more than that, single triangles are not made out


def diagram(
    barcode: Barcode, *, sample: int | None = None, k: int | None = None, legend: bool = True, ax: Axes | None = None
) -> Axes:
    """The persistence diagram: a point (birth, death) for every bar, as in Figures 2 and 3 of the paper.

    Bars that never die lie beyond a dashed line: below it in a superlevel diagram, above it in a sublevel one. Equal
    bars lie on top of one another: where there are few such places, each says how many bars it holds, as in "×9". The
    legend counts all of them.

    Args:
        barcode: from `persistence`, any dimensions.
        sample: flat batch index of the sample to draw; needed where there are several.
        k: fill the k longest bars of each dimension, those that never die counted, and leave the others hollow.
        legend: whether to draw one.
        ax: where to draw, the current axes if None; returned.

    Raises:
        TypeError, ValueError: an argument is of another type or out of its range; several samples and none chosen.

    Example:
        >>> import torch, topolayer as tl
        >>> from topolayer import plot
        >>> barcode = tl.persistence(tl.Freudenthal(torch.rand(4, 32, 32), superlevel=True), dims=(0, 1))
        >>> ax = plot.diagram(barcode, sample=0, k=8)
    """
    bars, groups = _drawing.read(barcode, sample, k)
    ax = _drawing.current(ax)
    low, high, margin = _drawing.value_range(groups)
    ends = low, high
    ax.plot(ends, ends, **_FAINT)
    line, infinity = (low, low - 1.5 * margin) if bars.superlevel else (high, high + 1.5 * margin)
    if any(len(group.essential) for group in groups):
        ax.axhline(line, linestyle="--", **_FAINT)
        ax.yaxis.set_major_locator(_drawing.Between(low, high))
        ax.set_yticks([infinity], [r"$-\infty$" if bars.superlevel else r"$\infty$"], minor=True)
        low, high = min(low, infinity - 1.5 * margin), max(high, infinity + 1.5 * margin)
    small = _drawing.size_of(sum(map(len, groups)))
    for group in groups:
        name, kept, colour, marker = f"$H_{{{group.dim}}}$", group.kept, group.colour, group.marker
        x, y = group.births, group.deaths_at(infinity)
        if k is None:
            sizes = np.where(np.isinf(group.deaths), 30, small)
            ax.scatter(x, y, sizes, color=colour, marker=marker, alpha=0.8, linewidths=0, label=f"{name} ({len(x)})")
        else:
            style: dict[str, Any] = {"marker": marker, "facecolors": colour, "edgecolors": "black", "linewidths": 0.5}
            ax.scatter(x[:kept], y[:kept], 30, zorder=2, label=f"{name}, longest ({kept})", **style)
            style |= {"facecolors": "none", "edgecolors": colour}
            ax.scatter(x[kept:], y[kept:], small, label=f"{name}, others ({len(x) - kept})", **style)
    _drawing.count_coincident(ax, groups, infinity)
    ax.set(xlabel="birth", ylabel="death", xlim=ends, ylim=(low, high), aspect="equal")
    if legend:
        _drawing.legend(ax, loc="upper left" if bars.superlevel else "lower right")
    return ax


def barcode(barcode: Barcode, *, sample: int | None = None, k: int | None = None, ax: Axes | None = None) -> Axes:
    """The bars as horizontal lines, by dimension and length; those that never die end in an arrow.

    Values run in the order of the filtration: from left to right they fall in a superlevel barcode.

    Args:
        barcode: from `persistence`, any dimensions.
        sample: flat batch index of the sample to draw; needed where there are several.
        k: draw no more than the k longest bars of each dimension, those that never die counted.
        ax: where to draw, the current axes if None; returned.

    Raises:
        TypeError, ValueError: an argument is of another type or out of its range; several samples and none chosen.

    Example:
        >>> import torch, topolayer as tl
        >>> from topolayer import plot
        >>> ax = plot.barcode(tl.persistence(tl.Freudenthal(torch.rand(32, 32)), dims=(0, 1)), k=10)
    """
    bars, groups = _drawing.read(barcode, sample, k)
    ax = _drawing.current(ax)
    low, high, _ = _drawing.value_range(groups)
    first, last = (high, low) if bars.superlevel else (low, high)
    count = sum(group.kept for group in groups)
    gap = 1 + count / 20
    width = float(np.clip(150 / (count + gap * len(groups)), 0.5, 4))
    top, ticks = 0.0, {}
    for group in groups:
        births, deaths, heights = (
            group.births[: group.kept],
            group.deaths_at(last)[: group.kept],
            top + np.arange(group.kept),
        )
        lines = np.stack([births, heights, deaths, heights], axis=1).reshape(-1, 2, 2)
        ax.add_collection(LineCollection(list(lines), colors=group.colour, linewidths=width))
        never = np.isinf(group.deaths[: group.kept])
        ax.scatter(deaths[never], heights[never], 12 * width, color=group.colour, marker=">", clip_on=False)
        whole = f"{len(group)}" if group.kept == len(group) else f"{group.kept} of {len(group)}"
        ticks[top + (group.kept - 1) / 2] = f"$H_{{{group.dim}}}$\n{whole}"
        top += group.kept + gap
    ax.set_yticks(list(ticks), list(ticks.values()))
    ax.tick_params(axis="y", length=0)
    ax.spines[["left", "right", "top"]].set_visible(False)
    ax.set(xlabel="value", xlim=(first, last), ylim=(top - gap / 2, -gap / 2 - 0.5))
    return ax


def landscape(values: Tensor, grid: Tensor, *, ax: Axes | None = None) -> Axes:
    """The functions of a persistence landscape, or a single function such as a silhouette.

    Args:
        values: (k, points) one function per row, or (points,).
        grid: (points,) where they were evaluated.
        ax: where to draw, the current axes if None; returned.

    Raises:
        TypeError, ValueError: an argument is of another type or shape, or not finite.

    Example:
        >>> import torch
        >>> from topolayer import plot
        >>> grid = torch.linspace(0, 4, 101)
        >>> tents = torch.stack([2 - (grid - 2).abs(), 1 - (grid - 1).abs()]).clamp(min=0)
        >>> ax = plot.landscape(tents, grid)
    """
    rows, places = _drawing.curves(values, "grid", grid)
    ax = _drawing.current(ax)
    for number, row in enumerate(rows):
        colour = colormaps["viridis"](0.85 * number / len(rows))
        dashes = _drawing.DASHES[number % 4]
        ax.plot(places, row, color=colour, linestyle=dashes, label=rf"$\lambda_{{{number + 1}}}$")
    if 1 < len(rows) <= 8:
        ax.legend(frameon=False)
    ax.set_xlabel("value")
    return ax


def betti_curve(values: Tensor, levels: Tensor, *, dims: int | Sequence[int] = 0, ax: Axes | None = None) -> Axes:
    """Betti numbers at every level: how many components, loops, voids there are. Whole numbers are drawn as steps.

    Args:
        values: (points,), or (dimensions, points).
        levels: (points,) where they were counted.
        dims: the homology dimension of each row of `values`.
        ax: where to draw, the current axes if None; returned.

    Raises:
        TypeError, ValueError: an argument is of another type or shape, or not finite.

    Example:
        >>> import torch
        >>> from topolayer import plot
        >>> ax = plot.betti_curve(torch.tensor([[1, 3, 1], [0, 0, 2]]), torch.tensor([0.2, 0.5, 0.8]), dims=(0, 1))
    """
    rows, places = _drawing.curves(values, "levels", levels)
    of_row = (dims,) if isinstance(dims, int) else tuple(dims)
    if len(of_row) != len(rows) or not all(isinstance(dim, int) and dim >= 0 for dim in of_row):
        raise ValueError(f"dims: expected one homology dimension for each of {len(rows)} rows of values, got {dims!r}")
    ax = _drawing.current(ax)
    steps = "steps-mid" if (rows == rows.round()).all() else "default"
    for dim, row in zip(of_row, rows, strict=True):
        colour, dashes = _drawing.COLOURS[dim % 4], _drawing.DASHES[dim % 4]
        ax.plot(places, row, color=colour, linestyle=dashes, drawstyle=steps, label=rf"$\beta_{{{dim}}}$")
    ax.legend(frameon=False)
    ax.set(xlabel="level", ylabel="Betti number")
    return ax


def persistence_image(image: Tensor, births: Tensor, lengths: Tensor, *, ax: Axes | None = None) -> Axes:
    """A persistence image over births and lengths. `ax.figure.colorbar(ax.collections[0])` adds a colour bar.

    Args:
        image: (rows, columns).
        births: (columns,) in ascending or descending order, at least two.
        lengths: (rows,) likewise.
        ax: where to draw, the current axes if None; returned.

    Raises:
        TypeError, ValueError: an argument is of another type or shape, not finite, or not in order.

    Example:
        >>> import torch
        >>> from topolayer import plot
        >>> births, lengths = torch.linspace(0, 1, 30), torch.linspace(0, 0.5, 20)
        >>> image = torch.exp(-((births - 0.7) ** 2 + (lengths[:, None] - 0.3) ** 2) / 0.01)
        >>> ax = plot.persistence_image(image, births, lengths)
    """
    pixels = _drawing.array("image", image, 2)
    grids = {"lengths": _drawing.array("lengths", lengths, 1), "births": _drawing.array("births", births, 1)}
    for (name, grid), count in zip(grids.items(), pixels.shape, strict=True):
        steps = np.diff(grid)
        if len(grid) != count or count < 2 or not ((steps > 0).all() or (steps < 0).all()):
            raise ValueError(
                f"{name}: expected ascending or descending numbers, at least 2 and as many as image {pixels.shape} has "
                f"{'rows' if name == 'lengths' else 'columns'}, got shape {grid.shape}"
            )
    ax = _drawing.current(ax)
    ax.pcolormesh(grids["births"], grids["lengths"], pixels, shading="nearest", rasterized=True)
    ax.set(xlabel="birth", ylabel="length")
    return ax


def pairs(
    image: Tensor,
    barcode: Barcode,
    *,
    sample: int | None = None,
    k: int | None = None,
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Where the bars of an image are born and where they die: two pixels, and a line between them, for each bar.

    Args:
        image: `(*batch, H, W)` what the barcode was computed from, or a picture of the sample, `(H, W)` or `(H, W, 3)`.
        barcode: from `persistence` of a 2D grid, any dimensions.
        sample: flat batch index of the sample to draw; needed where there are several.
        k: draw no more than the k longest bars of each dimension, those that never die counted.
        legend: whether to draw one, below the picture.
        ax: where to draw, the current axes if None; returned.

    Raises:
        TypeError, ValueError: an argument is of another type or out of its range; several samples and none chosen;
            the barcode is not one of images of this size.

    Example:
        >>> import torch, topolayer as tl
        >>> from topolayer import plot
        >>> image = torch.rand(32, 48)
        >>> ax = plot.pairs(image, tl.persistence(tl.Freudenthal(image, superlevel=True)), k=8)
    """
    bars, groups = _drawing.read(barcode, sample, k)
    shape = bars.grid_shape
    if shape is None or len(shape) != 2:
        raise ValueError(f"barcode: expected one of a 2D grid, got one of {f'grid {shape}' if shape else 'no grid'}")
    pixels = _drawing.array("image", image)
    if pixels.shape == (*bars.batch_shape, *shape):
        pixels = pixels.reshape(-1, *shape)[sample or 0]
    if pixels.shape not in (shape, (*shape, 3), (*shape, 4)):
        raise ValueError(f"image: expected shape {shape} or {(*shape, 3)}, as the barcode has, got {pixels.shape}")
    ax = _drawing.current(ax)
    ax.imshow(pixels, cmap="gray", interpolation="nearest")
    ends, births = _drawing.numpy(bars.coordinates), _drawing.numpy(bars.essential.coordinates)
    size = _drawing.size_of(sum(group.kept for group in groups))
    width = 1.2 * (size / 30) ** 0.5
    halo = [withStroke(linewidth=2 * width, foreground="white")]
    for group in groups:
        lines = ends[group.finite[: max(group.kept - len(group.essential), 0)]][:, :, ::-1]  # x is the column
        never = births[group.essential[: group.kept]][:, ::-1]
        style: dict[str, Any] = {"color": group.colour, "edgecolors": "white", "linewidths": width / 2}
        ax.add_collection(LineCollection(list(lines), colors=group.colour, linewidths=width, path_effects=halo))
        ax.scatter(lines[:, 1, 0], lines[:, 1, 1], s=size, marker="X", zorder=3, **style)
        label = f"$H_{{{group.dim}}}$ is born"
        ax.scatter(lines[:, 0, 0], lines[:, 0, 1], s=size, marker=group.marker, zorder=4, label=label, **style)
        ax.scatter(never[:, 0], never[:, 1], s=110, marker="*", zorder=5, **style)
    ax.scatter([], [], color="0.4", marker="X", label="dies")
    ax.scatter([], [], color="0.4", marker="*", label="is born, never dies")
    ax.set_axis_off()
    if legend:
        _drawing.legend(ax, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=4, columnspacing=1.2)
    return ax


def superlevel_sets(
    image: Tensor, levels: int | Sequence[float] = 4, *, superlevel: bool = True, axes: Array | None = None
) -> Array:
    """An image and, beside it, its superlevel sets, as in Figure 1 of the paper.

    Of a small image, up to 32 x 32, the simplices of the Freudenthal triangulation are drawn, of a larger one pixels.

    Args:
        image: (H, W).
        levels: the levels, from left to right; or how many, spread over the values in the order of the filtration.
        superlevel: False draws sublevel sets.
        axes: as many as levels, and one for the image; a new figure if None.

    Returns:
        The axes, (1 + levels,).

    Raises:
        TypeError, ValueError: an argument is of another type or shape, or not finite.

    Example:
        >>> import torch
        >>> from topolayer import plot
        >>> axes = plot.superlevel_sets(torch.rand(12, 12), levels=[0.9, 0.5, 0.0])
    """
    pixels = _drawing.array("image", image, 2)
    check_superlevel(superlevel)
    levels = _drawing.levels_between(levels, float(pixels.min()), float(pixels.max()), superlevel)
    aspect = np.clip(pixels.shape[0] / pixels.shape[1], 0.25, 4)
    row: Array = _drawing.grid_of_axes(axes, 1, 1 + len(levels), (2.2, 2.2 * aspect + 0.3))[0]
    row[0].imshow(pixels, cmap="gray", interpolation="nearest")
    row[0].set_title("$f$")
    for ax, level in zip(row[1:], levels, strict=True):
        inside = _drawing.numpy(image >= level if superlevel else image <= level)
        if pixels.size <= _LARGEST_COMPLEX:
            _drawing.freudenthal(ax, inside)
        else:
            ax.imshow(
                inside, cmap=ListedColormap(["white", _drawing.COLOURS[1]]), vmin=0, vmax=1, interpolation="nearest"
            )
        ax.set_title(rf"$f \{'geq' if superlevel else 'leq'} {level:.3g}$")
    for ax in row:
        ax.set(xticks=[], yticks=[])
    return row


def activations(
    activations: Mapping[str, Tensor], *, sample: int | None = None, k: int | None = None, axes: Array | None = None
) -> Array:
    """The magnitude of every activation and, below it, its superlevel diagram in dimension 0, as in Figure 3.

    Args:
        activations: by name (of a layer, or an image): (B, C, H, W) or (C, H, W), of which the channel norm is shown,
            or (H, W).
        sample: which entry of the batch to show; needed where there are several.
        k: fill the k longest bars in the diagrams, and leave the others hollow.
        axes: (2 * rows, columns), magnitudes above diagrams; a new figure, of at most 7 columns, if None.

    Returns:
        The axes, (2 * rows, columns); those that are left over are not drawn.

    Raises:
        TypeError, ValueError: an argument is of another type or shape, or not finite.

    Example:
        >>> import torch
        >>> from topolayer import plot
        >>> axes = plot.activations({"encoder": torch.rand(8, 24, 32), "decoder": torch.rand(8, 48, 64)}, k=8)
    """
    if not isinstance(activations, Mapping):
        raise TypeError(f"activations: expected a mapping from names to tensors, got {type(activations).__name__}")
    if not activations:
        raise ValueError("activations: expected at least one, got none")
    columns = min(len(activations), 7) if axes is None else np.shape(axes)[1] if np.ndim(axes) == 2 else 1
    rows = -(-len(activations) // columns)
    magnitudes = {name: _drawing.magnitude(f"activations[{name!r}]", h, sample) for name, h in activations.items()}
    barcodes = {name: persistence(Freudenthal(h, superlevel=True)) for name, h in magnitudes.items()}
    grid = _drawing.grid_of_axes(axes, 2 * rows, columns, (2.1, 2.1))
    pictures, diagrams = grid[::2].ravel(), grid[1::2].ravel()
    for number, (name, magnitude) in enumerate(magnitudes.items()):
        pictures[number].imshow(_drawing.numpy(magnitude), cmap="viridis", interpolation="nearest")
        pictures[number].set(title=name, xticks=[], yticks=[])
        below = diagram(barcodes[name], k=k, legend=False, ax=diagrams[number])
        below.tick_params(which="both", labelsize="small")
        if number + columns < len(magnitudes):
            below.set_xlabel("")
        if number % columns:
            below.set_ylabel("")
    for ax in (*pictures[len(magnitudes) :], *diagrams[len(magnitudes) :]):
        ax.set_visible(False)
    return grid
