"""The table that `probe` returns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

Cell = str | int | float | None

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
}


@dataclass(frozen=True, eq=False, repr=False)
class LayerTable:
    """What `probe` found: one row per layer, in the order in which the layers return, and a recommendation.

    Printed it is a table; `rows` is the same as plain data.

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
        skipped: layers without a row, and why.
        images: how many were seen.
        batch_size: that of the first batch, to which the times belong.
        prominence: from which length on a bar is prominent, as a share of the range of its image.
        layer: the recommended layer; None without masks, and where no layer is eligible.
        k: the recommended number of maxima to spare, likewise.
        counts: of each layer with a row, (images,) how many prominent bars each image has.
        components: (images,) how many components each mask has; None without masks.

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

    def __str__(self) -> str:
        left_out = {"runs"} if all(row["runs"] == 1 for row in self.rows) else set()
        left_out |= {"correlation", "off_by", "rank"} if self.components is None else set()
        columns = {key: shown for key, shown in _COLUMNS.items() if key not in left_out}
        lines = [[heading for heading, _ in columns.values()]]
        for row in self.rows:
            lines.append(["" if row[key] is None else form.format(row[key]) for key, (_, form) in columns.items()])
            lines[-1][0] = row["layer"] or "(the model)"  # type: ignore[assignment]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = [
            "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in lines
        ]
        table.append(
            f"{self.images} images. Prominent: longer than {self.prominence:g} of the range of the image. "
            f"ms: few_maxima and its gradient, batch of {self.batch_size}."
        )
        if self.layer is not None:
            best = max(float(row["correlation"] or 0) for row in self.rows if row["rank"])
            chance = math.sqrt(2 * math.log(max(len(self.rows), 2)) / max(self.images - 1, 1))
            table.append(
                f"Recommended: layer {self.layer!r} with k = {self.k}. Best correlation: {best:.2f}; "
                f"of {len(self.rows)} unrelated layers the best would reach {min(chance, 1):.2f} by chance."
            )
        elif self.components is not None:
            table.append("Nothing is recommended: no layer with enough maxima follows the masks.")
        return "\n".join(table)

    __repr__ = __str__
