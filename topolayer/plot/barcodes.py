"""Pictures of barcodes."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from topolayer._barcodes.barcode import Barcode
from topolayer.plot import axes as _axes

_FAINT: dict[str, Any] = {"color": "0.6", "linewidth": 0.8, "zorder": 1}


def diagram(
    barcode: Barcode, *, sample: int | None = None, k: int | None = None, legend: bool = True, ax: Axes | None = None
) -> Axes:
    """The persistence diagram: a point (birth, death) for every bar, as in Figures 2 and 3 of the paper.

    Bars that never die lie beyond a dashed line: below it in a superlevel diagram, above it in a sublevel one. Equal
    bars lie on top of one another. If there are few such places, each says how many bars it holds, as in "×9". The
    legend counts all bars.

    Args:
        barcode: from `persistence`, any dimensions.
        sample: flat batch index of the sample to draw; needed if there are several.
        k: fill the k longest bars of each dimension, including those that never die, and leave the others hollow.
        legend: whether to draw one.
        ax: where to draw, the current axes if None; returned.

    Raises:
        TypeError, ValueError: an argument is of another type or out of its range; several samples, and none chosen.

    Example:
        >>> import torch, topolayer as tl
        >>> from topolayer import plot
        >>> barcode = tl.persistence(tl.Freudenthal(torch.rand(4, 32, 32), superlevel=True), dims=(0, 1))
        >>> ax = plot.diagram(barcode, sample=0, k=8)
    """
    bars, groups = _axes.read(barcode, sample, k)
    ax = _axes.current(ax)
    low, high, margin = _axes.value_range(groups)
    ends = low, high
    ax.plot(ends, ends, **_FAINT)
    line, infinity = (low, low - 1.5 * margin) if bars.superlevel else (high, high + 1.5 * margin)
    if any(len(group.essential) for group in groups):
        ax.axhline(line, linestyle="--", **_FAINT)
        ax.yaxis.set_major_locator(_axes.Between(low, high))
        ax.set_yticks([infinity], [r"$-\infty$" if bars.superlevel else r"$\infty$"], minor=True)
        low, high = min(low, infinity - 1.5 * margin), max(high, infinity + 1.5 * margin)
    small = _axes.size_of(sum(map(len, groups)))
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
    _axes.count_coincident(ax, groups, infinity)
    ax.set(xlabel="birth", ylabel="death", xlim=ends, ylim=(low, high), aspect="equal")
    if legend:
        _axes.legend(ax, loc="upper left" if bars.superlevel else "lower right")
    return ax


def barcode(barcode: Barcode, *, sample: int | None = None, k: int | None = None, ax: Axes | None = None) -> Axes:
    """The bars as horizontal lines, by dimension and length; those that never die end in an arrow.

    Values run in the order of the filtration: in a superlevel barcode they fall from left to right.

    Args:
        barcode: from `persistence`, any dimensions.
        sample: flat batch index of the sample to draw; needed if there are several.
        k: draw only the k longest bars of each dimension, including those that never die.
        ax: where to draw, the current axes if None; returned.

    Raises:
        TypeError, ValueError: an argument is of another type or out of its range; several samples, and none chosen.

    Example:
        >>> import torch, topolayer as tl
        >>> from topolayer import plot
        >>> ax = plot.barcode(tl.persistence(tl.Freudenthal(torch.rand(32, 32)), dims=(0, 1)), k=10)
    """
    bars, groups = _axes.read(barcode, sample, k)
    ax = _axes.current(ax)
    low, high, _ = _axes.value_range(groups)
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
