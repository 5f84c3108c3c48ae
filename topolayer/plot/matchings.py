"""Pictures of induced matchings: which features of two images are the same, and which are alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from topolayer._barcodes.barcode import Barcode
from topolayer._barcodes.matching import InducedMatching
from topolayer._checks import came, check_integer
from topolayer.plot import axes as _axes
from topolayer.plot.axes import Array

# Okabe and Ito's colours, but black and yellow, which images hide; a number beside each feature says the same.
_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MOST_NUMBERED = 30  # more numbers would cover the image


@dataclass(frozen=True)
class _Feature:
    """A bar in one of the images, at (x, y)."""

    dim: int
    place: tuple[float, float]
    number: int | None  # of its pair, or None if it is alone
    never_dies: bool = False


def matching(
    first: Tensor,
    second: Tensor,
    matching: InducedMatching,
    *,
    sample: int | None = None,
    k: int | None = None,
    legend: bool = True,
    axes: Array | None = None,
) -> Array:
    """Two images side by side: features that are matched have one colour and number, others are crossed out.

    A component is drawn where it is born, at its extremum, and a loop where it dies, at the last pixel of its hole to
    be filled. Bars that never die are stars.

    Args:
        first: `(*batch, H, W)` what the first filtration was made of, or a picture of the sample, `(H, W)` or
            `(H, W, 3)`.
        second: the same of the second.
        matching: from `induced_matching` of two 2D grids.
        sample: flat batch index of the sample to draw; needed where there are several.
        k: draw no more than the k longest bars of each image and dimension, with their partners, those that never die
            counted.
        legend: whether to draw one, below the first picture.
        axes: two; a new figure if None.

    Returns:
        The two axes, (2,).

    Raises:
        TypeError, ValueError: an argument is of another type or out of its range; several samples and none chosen; the
            matching is not one of images of this size.

    Example:
        >>> import torch, topolayer as tl
        >>> from topolayer import plot
        >>> images = torch.rand(2, 24, 32)
        >>> m = tl.induced_matching(*(tl.Cubical(image, superlevel=True) for image in images), dims=(0, 1))
        >>> axes = plot.matching(*images, m, k=8)
    """
    if not isinstance(matching, InducedMatching):
        raise TypeError(
            f"matching: expected an InducedMatching, got {came(matching)}; induced_matching(...) returns one"
        )
    shape = matching.first.grid_shape
    if shape is None or len(shape) != 2:
        got = f"grid {shape}" if shape else "no grid"
        raise ValueError(
            f"matching: expected one of two 2D grids, got one of {got}; draw slices of a volume one by one"
        )
    if k is not None:
        k = check_integer("k", k, least=0, remedy="None draws all bars")
    _axes.read(matching.first, sample, None)  # whether there is this sample
    number = sample or 0
    pictures = [
        _axes.picture(name, image, matching.first, number) for name, image in (("first", first), ("second", second))
    ]
    row: Array = _axes.grid_of_axes(axes, 1, 2, (4.2, 4.2 * np.clip(shape[0] / shape[1], 0.25, 2) + 0.4))[0]
    for ax, pixels, features in zip(row, pictures, _features(matching, number, k), strict=True):
        ax.imshow(pixels, cmap="gray", interpolation="nearest")
        _draw(ax, features)
        ax.set_axis_off()
    if legend:
        dims = sorted(matching.first.computed_dims)
        for dim in dims:
            row[0].scatter([], [], color="0.4", marker=_axes.MARKERS[dim % 4], label=f"$H_{{{dim}}}$ matched")
        row[0].scatter([], [], color="0.4", marker="*", label="never dies")
        row[0].scatter([], [], color="0.4", marker="x", label="alone")
        _axes.legend(row[0], loc="upper center", bbox_to_anchor=(0.5, 0), ncols=4, columnspacing=1.2)
    return row


def _features(matching: InducedMatching, sample: int, k: int | None) -> tuple[list[_Feature], list[_Feature]]:
    """What is drawn in either image. Pairs are numbered from 1 on, essential ones first, the longest first."""
    sides = matching.first, matching.second
    kept = [_kept(side, sample, k) for side in sides]
    features: tuple[list[_Feature], list[_Feature]] = ([], [])
    number = 0
    for pair in matching.essential.mT.tolist():
        if sides[0].essential.sample[pair[0]] == sample and k != 0:
            number += 1
            for side, of_side, i in zip(sides, features, pair, strict=True):
                y, x = side.essential.coordinates[i].tolist()
                of_side.append(_Feature(int(side.essential.dims[i]), (x, y), number, never_dies=True))
    order = torch.argsort(sides[0].lengths[matching.pairs[0]], descending=True, stable=True)
    for pair in matching.pairs[:, order].mT.tolist():
        if sides[0].sample[pair[0]] == sample and any(of_side[i] for of_side, i in zip(kept, pair, strict=True)):
            number += 1
            for side, of_side, i in zip(sides, features, pair, strict=True):
                of_side.append(_feature(side, i, number))
    for side, of_side, keep, alone in zip(
        sides, features, kept, (matching.unmatched_first, matching.unmatched_second), strict=True
    ):
        of_side += [_feature(side, i, None) for i in (keep & alone).nonzero()[:, 0].tolist()]
    return features


def _kept(barcode: Barcode, sample: int, k: int | None) -> Tensor:
    of_sample = barcode.sample == sample
    return of_sample if k is None else of_sample & (barcode.ranks < k)


def _feature(barcode: Barcode, bar: int, number: int | None) -> _Feature:
    dim = int(barcode.dims[bar])
    y, x = barcode.coordinates[bar, min(dim, 1)].tolist()
    return _Feature(dim, (x, y), number)


def _draw(ax: Axes, features: list[_Feature]) -> None:
    size = _axes.size_of(len(features)) + 10
    numbered = sum(feature.number is not None for feature in features) <= _MOST_NUMBERED
    for feature in features:
        (x, y), number = feature.place, feature.number
        if number is None:
            ax.scatter(x, y, s=2 * size, marker="x", color="white", linewidths=3, zorder=3)
            ax.scatter(x, y, s=2 * size, marker="x", color="black", linewidths=1.2, zorder=4)
            continue
        colour = _COLOURS[(number - 1) % len(_COLOURS)]
        marker = "*" if feature.never_dies else _axes.MARKERS[feature.dim % 4]
        ax.scatter(
            x, y, s=110 if feature.never_dies else size, marker=marker, color=colour, edgecolors="white", zorder=5
        )
        if numbered:
            ax.annotate(
                str(number),
                (x, y),
                (5, 4),
                textcoords="offset points",
                fontsize="small",
                color=colour,
                path_effects=_axes.halo(2),
                zorder=6,
            )
