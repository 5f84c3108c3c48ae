"""The topological loss of Hu et al.: bars of a prediction and of its mask are matched by their lengths and places."""

from __future__ import annotations

from functools import partial
from typing import Literal

from torch import Tensor

from topolayer._barcodes.assignment import optimal_matching
from topolayer._barcodes.distances import costs_of_matching, side_by_side
from topolayer._barcodes.persistence import persistence
from topolayer._filtrations import Cubical
from topolayer.losses.segmentations import Prediction, check_mask, check_prediction, check_probabilities


def wasserstein_matching_loss(
    prediction: Tensor,
    mask: Tensor,
    *,
    dims: int | tuple[int, ...] | None = None,
    construction: Literal["V", "T"] = "T",
    ndim: int | None = None,
    region: Tensor | None = None,
) -> Tensor:
    """The topological loss of Hu, Li, Samaras and Chen (2019): a segmentation should have the barcode of its mask.

    The superlevel barcodes of both are matched as by `wasserstein` with order 2 and norm 2. The loss is the sum of the
    squared distances, that is (b - b')² + (d - d')² for two bars and (b - d)² / 2 for one that is matched with the
    diagonal. Bars that never die, a component and the loops around gaps of a `region`, count by their births. Bars that
    the mask has too are made longer, all others shorter. The authors add the loss to a loss on pixels, with a small
    weight, and use patches of the image, which are a batch here.

    Args:
        prediction: `(*batch, *grid)` floating-point probabilities from 0 to 1: after the sigmoid or the softmax, not
            logits.
        mask: the same shape, the truth: 0 and 1 as bool, of an integer or a floating-point type. One between 0 and 1
            is a probability too, and has the barcode of its values. Labels of classes have to be one-hot.
        dims: 0 for components, 1 for holes (in volumes tunnels, and 2 for cavities). None means all of them: 0 in
            signals, 0 and 1 in images, 0, 1 and 2 in volumes.
        construction: "T": the foreground is 8-connected and its holes 4-connected (26 and 6 in volumes). "V": 4 and 8.
        ndim: how many of the last axes are the grid's: 1, 2 or 3. None is 2 for a prediction of up to four axes; from
            five axes on it is required.
        region: bool tensor, True inside, if only a part of the image counts: of the shape of `prediction`, or of the
            grid for all samples; axes before the grid's, such as the channels', are broadcast. Values outside it may be
            anything: they are ignored in both.

    Returns:
        `(*batch,)` one number per sample. The gradient goes to the prediction alone.

    Raises:
        TypeError, ValueError: an argument is out of its range; shapes or devices differ; prediction or mask is not
            finite, or outside [0, 1] by more than 8 eps of its dtype.

    Example:
        >>> import torch, topolayer as tl
        >>> mask = torch.tensor([[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0]])
        >>> prediction = torch.tensor([[0.9, 0.8, 0.9, 0.1], [0.7, 0.2, 0.6, 0.1], [0.8, 0.7, 0.9, 0.2]])
        >>> tl.wasserstein_matching_loss(prediction, mask)  # 0.2: the ring, (0.6, 0.2) to (1, 0); 0.04: components
        tensor(0.2400)
    """
    found = check_prediction(prediction, region, ndim, dims)
    check_probabilities(found.values, given=prediction.dtype)
    return matching_costs(found, check_mask("mask", mask, found), construction)


def matching_costs(found: Prediction, truth: Tensor, construction: Literal["V", "T"]) -> Tensor:
    """`wasserstein_matching_loss` of what has been checked."""
    grid = partial(Cubical, ndim=found.ndim, construction=construction, superlevel=True, mask=found.region)
    of_prediction, of_mask = (persistence(grid(image), found.dims) for image in (found.values, truth))
    loss = found.values.new_zeros(of_prediction.batch_shape)
    for dim in of_prediction.computed_dims:
        two = side_by_side(of_prediction, of_mask, dim)
        costs, sample = costs_of_matching(two, partial(optimal_matching, order=2, norm=2), 2)
        loss = loss + two.sum(costs**2, sample).reshape(two.batch_shape)
    return loss
