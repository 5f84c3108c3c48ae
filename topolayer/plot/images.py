"""Pictures of images, and of what happens in them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, to_rgba
from torch import Tensor

from topolayer._barcodes.barcode import Barcode
from topolayer._barcodes.persistence import persistence
from topolayer._barcodes.representatives import representatives as _representatives
from topolayer._checks import came, check_bool
from topolayer._filtrations import Filtration, Freudenthal
from topolayer.plot import axes as _axes
from topolayer.plot.axes import Array
from topolayer.plot.barcodes import diagram

_LARGEST_COMPLEX = 1024  # pixels: among more of them single triangles cannot be made out


def pairs(
    image: Tensor,
    barcode: Barcode,
    *,
    sample: int | None = None,
    k: int | None = None,
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """The pixels where the bars of an image are born and where they die, with a line between the two for each bar.

    Args:
        image: `(*batch, H, W)` the image that the barcode was computed from, or a picture of the sample, `(H, W)` or
            `(H, W, 3)`.
        barcode: from `persistence` of a 2D grid, any dimensions.
        sample: flat batch index of the sample to draw; needed if there are several.
        k: draw only the k longest bars of each dimension, including those that never die.
        legend: whether to draw one, below the picture.
        ax: where to draw, the current axes if None; returned.

    Raises:
        TypeError, ValueError: an argument is of another type or out of its range; several samples, and none chosen;
            the barcode is not one of images of this size.

    Example:
        >>> import torch, topolayer as tl
        >>> from topolayer import plot
        >>> image = torch.rand(32, 48)
        >>> ax = plot.pairs(image, tl.persistence(tl.Freudenthal(image, superlevel=True)), k=8)
    """
    bars, groups = _axes.read(barcode, sample, k)
    shape = bars.grid_shape
    if shape is None or len(shape) != 2:
        got = f"grid {shape}" if shape else "no grid"
        raise ValueError(
            f"barcode: expected one of a 2D grid, got one of {got}; plot.diagram and plot.barcode draw any"
        )
    pixels = _axes.picture("image", image, bars, sample or 0)
    ax = _axes.current(ax)
    ax.imshow(pixels, cmap="gray", interpolation="nearest")
    ends, births = _axes.numpy(bars.coordinates), _axes.numpy(bars.essential.coordinates)
    size = _axes.size_of(sum(group.kept for group in groups))
    width = 1.2 * (size / 30) ** 0.5
    halo = _axes.halo(2 * width)
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
        _axes.legend(ax, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=4, columnspacing=1.2)
    return ax


def representatives(
    filtration: Filtration,
    barcode: Barcode,
    *,
    sample: int | None = None,
    k: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """What the bars of an image stand for, over the image: the pixels of components, and the loops around holes.

    They are those of `topolayer.representatives`, coloured by dimension; small ones lie above large ones. Bars that
    never die have none.

    Args:
        filtration: of 2D images.
        barcode: of `persistence(filtration)`, any dimensions, all of it or a part.
        sample: flat batch index of the sample to draw; needed where there are several.
        k: draw no more than the k longest bars of each dimension, those that never die counted.
        ax: where to draw, the current axes if None; returned.

    Raises:
        TypeError, ValueError: an argument is of another type or out of its range; several samples and none chosen; the
            filtration is not one of images, or the barcode of another one.

    Example:
        >>> import torch, topolayer as tl
        >>> from topolayer import plot
        >>> filtration = tl.Cubical(torch.rand(32, 48), superlevel=True)
        >>> ax = plot.representatives(filtration, tl.persistence(filtration, dims=(0, 1)), k=4)
    """
    bars, groups = _axes.read(barcode, sample, k)
    shape = filtration.sample_shape if isinstance(filtration, Filtration) else ()
    if len(shape) != 2 or bars.grid_shape != shape:
        raise ValueError(
            f"filtration: expected one of 2D images, and the barcode of it, got {came(filtration)} and a barcode of "
            f"grid {bars.grid_shape}; tl.representatives takes others"
        )
    drawn = [
        (group, number) for group in groups for number in group.finite[: max(group.kept - len(group.essential), 0)]
    ]
    found = _representatives(filtration, bars, torch.tensor([number for _, number in drawn], dtype=torch.int64))
    ax = _axes.current(ax)
    pixels = _axes.array("values", filtration.values).reshape(-1, *shape)[sample or 0]
    ax.imshow(pixels, cmap="gray", interpolation="nearest")
    colours = np.zeros((math.prod(shape), 4))
    for (group, _), cells in sorted(zip(drawn, found, strict=True), key=lambda one: -len(one[1])):
        colours[_axes.numpy(cells) % math.prod(shape)] = to_rgba(group.colour, 0.6)
    ax.imshow(colours.reshape(*shape, 4), interpolation="nearest")
    ax.set_axis_off()
    return ax


def superlevel_sets(
    image: Tensor, levels: int | Sequence[float] = 4, *, superlevel: bool = True, axes: Array | None = None
) -> Array:
    """An image and, beside it, its superlevel sets, as in Figure 1 of the paper.

    For images of up to 32 x 32 pixels, the simplices of the Freudenthal triangulation are drawn; for larger ones the
    pixels.

    Args:
        image: (H, W).
        levels: the levels, from left to right; or their number, and they are spread over the values in the order of the
            filtration.
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
    pixels = _axes.array("image", image, 2)
    check_bool("superlevel", superlevel)
    levels = _axes.levels_between(levels, float(pixels.min()), float(pixels.max()), superlevel)
    aspect = np.clip(pixels.shape[0] / pixels.shape[1], 0.25, 4)
    row: Array = _axes.grid_of_axes(axes, 1, 1 + len(levels), (2.2, 2.2 * aspect + 0.3))[0]
    row[0].imshow(pixels, cmap="gray", interpolation="nearest")
    row[0].set_title("$f$")
    for ax, level in zip(row[1:], levels, strict=True):
        inside = _axes.numpy(image >= level if superlevel else image <= level)
        if pixels.size <= _LARGEST_COMPLEX:
            _axes.freudenthal(ax, inside)
        else:
            ax.imshow(inside, cmap=ListedColormap(["white", _axes.COLOURS[1]]), vmin=0, vmax=1, interpolation="nearest")
        ax.set_title(rf"$f \{'geq' if superlevel else 'leq'} {level:.3g}$")
    for ax in row:
        ax.set(xticks=[], yticks=[])
    return row


def activations(
    activations: Mapping[str, Tensor], *, sample: int | None = None, k: int | None = None, axes: Array | None = None
) -> Array:
    """The magnitude of every activation and, below it, its superlevel diagram in dimension 0, as in Figure 3.

    Args:
        activations: by name (of a layer, or an image): (H, W), or (B, C, H, W) or (C, H, W), whose channel norm is
            shown.
        sample: which entry of the batch to show; needed if there are several.
        k: fill the k longest bars in the diagrams, and leave the others hollow.
        axes: (2 * rows, columns), magnitudes above diagrams; a new figure, of at most 7 columns, if None.

    Returns:
        The axes, (2 * rows, columns). Unused axes are not drawn.

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
    magnitudes = {name: _axes.magnitude(f"activations[{name!r}]", h, sample) for name, h in activations.items()}
    barcodes = {name: persistence(Freudenthal(h, superlevel=True)) for name, h in magnitudes.items()}
    grid = _axes.grid_of_axes(axes, 2 * rows, columns, (2.1, 2.1))
    pictures, diagrams = grid[::2].ravel(), grid[1::2].ravel()
    for number, (name, magnitude) in enumerate(magnitudes.items()):
        pictures[number].imshow(_axes.numpy(magnitude), cmap="viridis", interpolation="nearest")
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
