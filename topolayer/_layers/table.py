"""The table that `probe` returns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from topolayer._layers.layouts import LAYOUT_REMEDY

Cell = str | int | float | None

_USUAL_K = 8  # the default of few_maxima

_COLUMNS = {  # of `rows`: the heading, and how a number is written
    "layer": ("layer", "{}"),
    "runs": ("runs", "{}"),
    "resolution": ("resolution", "{}"),
    "channels": ("channels", "{}"),
    "maxima": ("maxima", "{:.1f}"),
    "prominent": ("prominent", "{:.2f}"),
    "persistence": ("persistence", "{:.4g}"),
    "milliseconds": ("ms", "{:.2f}"),
    "correlation": ("correlation", "{:.2f}"),
    "off_by": ("off by", "{:.2f}"),
    "rank": ("rank", "{}"),
    "why_not": ("why not", "{}"),
}

_WHY_NOT = {
    "frozen": "nothing that the activation depends on requires grad, so a penalty would train nothing",
    "few maxima": "at most k maxima in more than half of the images, so the penalty would be zero there",
    "constant": "the number of prominent maxima, or that of components, is the same for all images",
    "chance": "a correlation that does not beat chance",
}


@dataclass(frozen=True, eq=False, repr=False)
class LayerTable:
    """What `probe` found: one row per layer, and a recommendation.

    When printed, it shows the ten best layers, by rank and correlation or, without masks, by the number of maxima;
    `to_string` shows more. `rows` has everything as plain data, in the order in which the layers return.

    Attributes:
        rows: one dict per layer. Means are over all images, and over all runs of a layer that runs several times.

            * `layer`: its name, as in ``model.named_modules()`` and for `Regularizer`; ``""`` is the model itself.
            * `runs`: how often it runs in one forward pass of the model.
            * `resolution`: such as ``"48x64"``; the largest, if its runs differ. `channels`: those of that run.
            * `maxima`: mean number of maxima of the magnitude, which is that of superlevel bars in dimension 0.
            * `prominent`: mean number of prominent bars.
            * `persistence`: mean total persistence, the sum of the lengths of all finite bars.
            * `milliseconds`: median time of `few_maxima` and its gradient on the first batch.
            * `correlation`: Spearman's rank correlation, over the images, of the number of prominent bars and the
              number of components of the mask (ties get their mean rank); NaN if either number is the same for all
              images. None without masks.
            * `off_by`: mean absolute difference of the two numbers. None without masks.
            * `rank`: 1 for the recommended layer; None without masks or where the layer is not eligible.
            * `why_not`: why the layer is not eligible, else None: ``"frozen"`` if its activation does not require
              grad, ``"few maxima"`` if at least half of the images have no more than k, ``"constant"`` if there is
              no correlation, ``"chance"`` if it does not beat chance. Without masks only the first can be told.
        skipped: layers without a row, and why.
        images: how many were seen.
        batch_size: that of the first batch, to which the times belong.
        prominence: the length beyond which a bar is prominent, as a share of the range of its image.
        layer: the recommended layer; None without masks, and where no layer is eligible.
        k: the recommended number of maxima to spare, likewise.
        counts: for each layer with a row, (images,) the number of prominent bars of each image.
        components: (images,) how many components each mask has; None without masks.
        chance: the correlation that the best of that many unrelated layers would reach by chance, about √(2 ln layers /
            (images - 1)); None without masks. Layers that are frozen or have few maxima do not count.

    Example:
        >>> import torch, topolayer as tl
        >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten())
        >>> table = tl.probe(model, [torch.rand(8, 1, 24, 32)])
        >>> table.rows[0]["layer"], table.counts["0"].shape, sorted(table.skipped)
        ('0', torch.Size([8]), ['', '1'])
    """

    rows: tuple[dict[str, Cell], ...]
    skipped: Mapping[str, str]
    images: int
    batch_size: int
    prominence: float
    counts: Mapping[str, Tensor]
    layer: str | None = None
    k: int | None = None
    components: Tensor | None = None
    chance: float | None = None

    def to_string(self, most: int | None = 10) -> str:
        """The table as text.

        Args:
            most: the largest number of layers to show. None shows all, even those with so few pixels that they cannot
                have more than k maxima, or more than 8 without masks.

        Returns:
            One line for the headings, one for each layer, and notes on them.

        Raises:
            TypeError, ValueError: `most` is no int, or less than 1.

        Example:
            >>> import torch, topolayer as tl
            >>> table = tl.probe(torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3)), [torch.rand(8, 1, 24, 32)])
            >>> table.to_string(None).split()[:3]
            ['layer', 'resolution', 'channels']
        """
        if most is not None and (isinstance(most, bool) or not isinstance(most, int)):
            raise TypeError(f"most: expected an int or None, got {most!r}; None shows all layers")
        if most is not None and most < 1:
            raise ValueError(f"most: expected an int >= 1 or None, got {most}; None shows all layers")
        rows = sorted(self.rows, key=self._place)
        large = rows if most is None else [row for row in rows if _most_maxima(row) > (self.k or _USUAL_K)]
        shown = large[:most]
        return "\n".join([*self._lines(shown), *self._notes(shown, len(large), len(rows) - len(large))])

    def __str__(self) -> str:
        return self.to_string()

    __repr__ = __str__

    def _place(self, row: Mapping[str, Cell]) -> tuple[float, ...]:
        if self.components is None:
            return row["why_not"] is not None, -float(row["maxima"] or 0)
        correlation = float(row["correlation"] or 0)
        return (
            float(row["rank"] or math.inf),
            row["why_not"] == "frozen",
            0 if math.isnan(correlation) else -correlation,
        )

    def _lines(self, rows: list[dict[str, Cell]]) -> list[str]:
        left_out = {"runs"} if all(row["runs"] == 1 for row in rows) else set()
        left_out |= {"correlation", "off_by", "rank"} if self.components is None else set()
        left_out |= {"why_not"} if all(row["why_not"] is None for row in rows) else set()
        columns = {key: shown for key, shown in _COLUMNS.items() if key not in left_out}
        cells = [[heading for heading, _ in columns.values()]]
        for row in rows:
            cells.append(["" if row[key] is None else form.format(row[key]) for key, (_, form) in columns.items()])
            cells[-1][0] = str(row["layer"]) or "(the model)"
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in cells]

    def _notes(self, shown: list[dict[str, Cell]], large: int, small: int) -> list[str]:
        """The lines below the rows say what the columns mean, what is not shown, what is recommended."""
        notes = [
            f"{self.images} images. Prominent: longer than {self.prominence:g} of the range of the image. "
            f"ms: few_maxima and its gradient, batch of {self.batch_size}."
        ]
        notes += [f"{reason}: {_WHY_NOT[str(reason)]}." for reason in {row["why_not"]: 0 for row in shown} if reason]
        if small:
            have = "has so few pixels that it" if small == 1 else "have so few pixels that they"
            notes.append(f"{small} more {have} cannot have more than {self.k or _USUAL_K} maxima.")
        if large > len(shown):
            are = "is" if large == len(shown) + 1 else "are"
            notes.append(f"{large - len(shown)} more {are} not shown: print(table.to_string(None)) has all.")
        unclear = sum(LAYOUT_REMEDY in reason for reason in self.skipped.values())
        if unclear:
            have = "has no row because it does not look like a grid"
            have = have if unclear == 1 else "have no row because they do not look like grids"
            notes.append(f"{unclear} {have}: see table.skipped, and grids=.")
        return notes if self.components is None else [*notes, self._recommendation()]

    def _recommendation(self) -> str:
        compared = [float(row["correlation"] or 0) for row in self.rows if row["why_not"] in (None, "chance")]
        if not compared:
            return (
                "Nothing is recommended: no layer with enough maxima, of those that can be trained, follows the masks."
            )
        reached = f"the best of {len(compared)} unrelated layers would reach {self.chance:.2f} by chance"
        if self.layer is None:
            return (
                f"Nothing is recommended. Best correlation: {max(compared):.2f}; {reached}. Take more images, with "
                "different numbers of components."
            )
        return f"Recommended: layer {self.layer!r} with k = {self.k}. Best correlation: {max(compared):.2f}; {reached}."


def _most_maxima(row: Mapping[str, Cell]) -> int:
    """A path through all pixels, one next to the other, has a maximum at no more than every second one."""
    pixels = math.prod(int(side) for side in str(row["resolution"]).split("x"))
    return (pixels + 1) // 2
