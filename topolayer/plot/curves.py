"""Pictures of vectorizations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from torch import Tensor

from topolayer.plot import axes as _axes


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
    rows, places = _axes.curves(values, "grid", grid)
    ax = _axes.current(ax)
    for number, row in enumerate(rows):
        colour = colormaps["viridis"](0.85 * number / len(rows))
        dashes = _axes.DASHES[number % 4]
        ax.plot(places, row, color=colour, linestyle=dashes, label=rf"$\lambda_{{{number + 1}}}$")
    if 1 < len(rows) <= 8:
        ax.legend(frameon=False)
    ax.set_xlabel("value")
    return ax


def betti_curve(values: Tensor, levels: Tensor, *, dims: int | Sequence[int] = 0, ax: Axes | None = None) -> Axes:
    """Betti numbers at every level: the numbers of components, loops and voids. Whole numbers are drawn as steps.

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
    rows, places = _axes.curves(values, "levels", levels)
    of_row = (dims,) if isinstance(dims, int) else tuple(dims)
    if len(of_row) != len(rows) or not all(isinstance(dim, int) and dim >= 0 for dim in of_row):
        raise ValueError(f"dims: expected one homology dimension for each of {len(rows)} rows of values, got {dims!r}")
    ax = _axes.current(ax)
    steps = "steps-mid" if (rows == rows.round()).all() else "default"
    for dim, row in zip(of_row, rows, strict=True):
        colour, dashes = _axes.COLOURS[dim % 4], _axes.DASHES[dim % 4]
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
    pixels = _axes.array("image", image, 2)
    grids = {"lengths": _axes.array("lengths", lengths, 1), "births": _axes.array("births", births, 1)}
    for (name, grid), count in zip(grids.items(), pixels.shape, strict=True):
        steps = np.diff(grid)
        if len(grid) != count or count < 2 or not ((steps > 0).all() or (steps < 0).all()):
            raise ValueError(
                f"{name}: expected ascending or descending numbers, at least 2 and as many as image {pixels.shape} has "
                f"{'rows' if name == 'lengths' else 'columns'}, got shape {grid.shape}"
            )
    ax = _axes.current(ax)
    ax.pcolormesh(grids["births"], grids["lengths"], pixels, shading="nearest", rasterized=True)
    ax.set(xlabel="birth", ylabel="length")
    return ax
