"""The Betti error of a segmentation: by how much its numbers of components and holes are wrong."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from topolayer._barcodes.persistence import persistence
from topolayer._barcodes.vectors import betti_numbers
from topolayer._checks import check_number
from topolayer._filtrations import Cubical
from topolayer.losses.segmentations import check_binary, check_mask, check_prediction


def betti_error(
    prediction: Tensor,
    mask: Tensor,
    *,
    threshold: float = 0.5,
    construction: Literal["V", "T"] = "T",
    dims: int | tuple[int, ...] | None = None,
    ndim: int | None = None,
    region: Tensor | None = None,
) -> Tensor:
    """The Betti error of a segmentation: by how much the numbers of its components and of its holes are wrong.

    This is the metric of Hu, Li, Samaras and Chen (2019) and later work on segmentation. They average it over patches
    of the image, which are a batch here.

    Args:
        prediction: `(*batch, *grid)` probabilities, logits, or whatever finite floating-point numbers `threshold` is
            meant for. A set of bool is one of 0 and 1.
        mask: the same shape, the truth: 0 and 1 of any dtype. Labels of classes have to be one-hot.
        threshold: the foreground of the prediction is where it is at least this, compared in its own dtype.
        construction: "T": the foreground is 8-connected and its holes 4-connected (26 and 6 in volumes), as GUDHI's
            cubical complexes have it for top-dimensional cells and `skimage.measure.label` by default. "V": 4 and 8, as
            `scipy.ndimage.label` by default.
        dims: 0 for components, 1 for holes (in volumes tunnels, and 2 for cavities). None means all of them: 0 in
            signals, 0 and 1 in images, 0, 1 and 2 in volumes.
        ndim: how many of the last axes are the grid's: 1, 2 or 3. None is 2 for a prediction of up to four axes; from
            five axes on it is required.
        region: bool tensor, True inside, if only a part of the image counts: of the shape of `prediction`, or of the
            grid for all samples; axes before the grid's, such as the channels', are broadcast. Values outside it may be
            anything: they are ignored in both.

    Returns:
        `(*batch, len(dims))` absolute differences of Betti numbers, off the graph. Background that touches the border
        of the image is no hole; a gap of the region is one if the foreground surrounds it.

    Raises:
        TypeError, ValueError: an argument is out of its range, shapes or devices differ, `mask` has other values than 0
            and 1, or `prediction` is not finite.

    Example:
        >>> import torch, topolayer as tl
        >>> mask = torch.tensor([[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0]])
        >>> prediction = torch.tensor([[0.9, 0.8, 0.9, 0.1], [0.7, 0.2, 0.3, 0.1], [0.8, 0.4, 0.9, 0.2]])
        >>> tl.betti_error(prediction, mask)  # the ring is broken, and a part of it lies apart
        tensor([1., 1.])
    """
    found = check_prediction(prediction, region, ndim, dims, sets=True)
    threshold = check_number("threshold", threshold)
    truth = check_mask("mask", mask, found)
    check_binary("mask", truth)
    foreground = found.values.detach().to(prediction.dtype) >= threshold
    if found.region is not None:
        foreground = foreground & found.region
    return differences(foreground, truth, ndim=found.ndim, dims=found.dims, construction=construction)


def differences(
    foreground: Tensor, truth: Tensor, *, ndim: int, dims: int | tuple[int, ...], construction: Literal["V", "T"]
) -> Tensor:
    """`betti_error` of two sets that have been checked, in the dtype of the truth."""
    both = torch.stack([foreground.to(truth.dtype), truth])
    barcode = persistence(Cubical(both, ndim=ndim, construction=construction, superlevel=True), dims)
    counts = torch.stack([betti_numbers(barcode, 1, dim=dim) for dim in barcode.computed_dims], dim=-1)
    return (counts[0] - counts[1]).abs()
