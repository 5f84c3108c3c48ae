"""The scores of Section 5.6, and the error by depth range.

Every score is computed per image over the pixels whose depth is known, as the paper defines it, and averaged over
images. Errors by depth range are means over all pixels of the set whose true depth lies in the range.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from experiments.shared.files import Row


def scores(prediction: Tensor, depth: Tensor, valid: Tensor) -> dict[str, Tensor]:
    """The scores of each image, ``(B,)`` each; all arguments are ``(B, 1, H, W)``. NaN where no depth is known.

    ``abs_rel`` divides by the *prediction*, as the paper has it; ``abs_rel_usual`` by the truth, as others do.

    >>> depth, known = torch.full((1, 1, 2, 2), 2.0), torch.ones(1, 1, 2, 2, dtype=torch.bool)
    >>> {name: round(float(value), 3) for name, value in scores(depth + 2, depth, known).items() if "abs" in name}
    {'abs_rel': 0.5, 'abs_rel_usual': 1.0}
    """
    count = valid.flatten(1).sum(1)

    def mean(values: Tensor) -> Tensor:
        return torch.where(valid, values, 0.0).flatten(1).sum(1) / count

    errors = (depth - prediction).abs()
    logs = (depth.log10() - prediction.log10()).abs()
    ratios = torch.maximum(depth / prediction, prediction / depth)
    return {
        "mae": mean(errors),
        "rmse": mean(errors.square()).sqrt(),
        "abs_rel": mean(errors / prediction),
        "abs_rel_usual": mean(errors / depth),
        "mae_log10": mean(logs),
        "rmse_log10": mean(logs.square()).sqrt(),
        **{f"delta{k}": mean((ratios < 1.25**k).float()) for k in (1, 2, 3)},
    }


class DepthScore:
    """Adds up scores over any number of batches, and over processes; `limits` are those of the depth ranges."""

    def __init__(self, limits: Sequence[float], device: torch.device) -> None:
        self.limits = tuple(limits)
        self._images = 0
        self._names: list[str] = []
        self._sums = torch.zeros(0, dtype=torch.float64, device=device)
        self._ranges = torch.zeros(3, len(limits) - 1, dtype=torch.float64, device=device)

    def update(self, prediction: Tensor, depth: Tensor, valid: Tensor) -> None:
        found = scores(prediction, depth, valid)
        if not self._names:
            self._names, self._sums = list(found), self._sums.new_zeros(len(found))
        self._images += len(depth)
        self._sums += torch.stack([value.double().sum() for value in found.values()])
        inner = torch.tensor(self.limits[1:-1], device=depth.device)
        truth, errors = depth[valid], (depth - prediction).abs()[valid]
        place = torch.bucketize(truth, inner, right=True)
        for total, values in zip(self._ranges, (torch.ones_like(truth), errors, errors / truth), strict=True):
            total.index_add_(0, place, values.double())

    def compute(self, fabric: Any = None) -> Row:
        """All scores; ranges in which no depth of the set lies are left out."""
        sums = torch.cat([self._sums, self._sums.new_tensor([self._images]), self._ranges.flatten()])
        if fabric is not None and fabric.world_size > 1:
            sums = torch.as_tensor(fabric.all_reduce(sums, reduce_op="sum"))
        means = sums[: len(self._names)] / sums[len(self._names)]
        row = dict(zip(self._names, means.tolist(), strict=True))
        counts, errors, relative = sums[len(self._names) + 1 :].view(3, -1).tolist()
        for place, count in enumerate(counts):
            if count:
                name = f"from_{self.limits[place]:g}_to_{self.limits[place + 1]:g}"
                row |= {f"mae_{name}": errors[place] / count, f"abs_rel_usual_{name}": relative[place] / count}
        return row
