"""Betti matching: the loss and the score that compare features at their places, by an induced matching."""

from __future__ import annotations

from functools import partial
from typing import Literal

from torch import Tensor

from topolayer._barcodes.matching import InducedMatching, induced_matching
from topolayer._checks import as_compared, check_number
from topolayer._filtrations import Cubical
from topolayer.losses.segmentations import Prediction, check_binary, check_mask, check_prediction, check_probabilities


def betti_matching_loss(
    prediction: Tensor,
    target: Tensor,
    *,
    dims: int | tuple[int, ...] | None = None,
    construction: Literal["V", "T"] = "T",
    ndim: int | None = None,
    comparison: Literal["union", "intersection"] = "union",
    min_length: float = 0.0,
    region: Tensor | None = None,
) -> Tensor:
    """The Betti matching loss of Stucki, Paetzold, Shit, Menze and Bauer (2023): features are matched at their places.

    The superlevel barcodes of both are matched by `induced_matching`. Two bars that are matched cost 2 ((b - b')² + (d
    - d')²), and a bar of either that is not matched costs (b - d)². Bars that never die, a component and the loops
    around gaps of a `region`, cost 2 (b - b')². So a feature that the target has at the same place is made as
    persistent as it is there, and all others vanish. The authors add the loss to a loss on pixels, with a small weight.

    `wasserstein_matching_loss` matches bars by their lengths and places in the diagram, wherever they are in the image.

    Args:
        prediction: `(*batch, *grid)` floating-point probabilities from 0 to 1: after the sigmoid or the softmax, not
            logits.
        target: the same shape, the truth: 0 and 1 as bool, of an integer or a floating-point type. One between 0 and 1
            is a probability too, and has the barcode of its values. Labels of classes have to be one-hot.
        dims: 0 for components, 1 for holes (in volumes tunnels, and 2 for cavities). None means all of them: 0 in
            signals, 0 and 1 in images, 0, 1 and 2 in volumes.
        construction: "T": the foreground is 8-connected and its holes 4-connected (26 and 6 in volumes). "V", that of
            the published programs: 4 and 8.
        ndim: how many of the last axes are the grid's: 1, 2 or 3. None is 2 for a prediction of up to four axes; from
            five axes on it is required.
        comparison: "union", that of the authors, or "intersection", as in `induced_matching`.
        min_length: bars of the prediction that are not matched and not longer than this cost nothing.
        region: bool tensor, True inside, if only a part of the image counts: of the shape of `prediction`, or of the
            grid for all samples; axes before the grid's, such as the channels', are broadcast. Values outside it may be
            anything: they are ignored in both.

    Returns:
        `(*batch,)` one number per sample. The gradient goes to the prediction alone.

    Raises:
        TypeError, ValueError: an argument is out of its range; shapes or devices differ; prediction or target is not
            finite, or outside [0, 1] by more than 8 eps of its dtype.

    Example:
        >>> import torch, topolayer as tl
        >>> target = torch.tensor([[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0]])
        >>> prediction = torch.tensor([[0.9, 0.8, 0.9, 0.1], [0.7, 0.2, 0.6, 0.1], [0.8, 0.7, 0.9, 0.2]])
        >>> tl.betti_matching_loss(prediction, target)  # 0.4: the ring, (0.6, 0.2) to (1, 0); components 0.02 and 0.06
        tensor(0.4800)
    """
    found = check_prediction(prediction, region, ndim, dims)
    check_probabilities(found.values, given=prediction.dtype)
    truth = check_mask("target", target, found)
    least = as_compared(check_min_length(min_length), prediction.dtype)
    return betti_matching_costs(found, truth, construction, comparison, least)


def check_min_length(min_length: float) -> float:
    return check_number("min_length", min_length, least=0, infinite=True, remedy="0 lets all bars count")


def betti_matching_costs(
    found: Prediction,
    truth: Tensor,
    construction: Literal["V", "T"],
    comparison: Literal["union", "intersection"],
    min_length: float,
) -> Tensor:
    """`betti_matching_loss` of what has been checked."""
    matching = _matching(found, truth, construction, comparison)
    first, second, (i, j), (m, n) = matching.first, matching.second, matching.pairs, matching.essential
    counts = matching.unmatched_first & (first.lengths > min_length)
    matched = (first.births[i] - second.births[j]) ** 2 + (first.deaths[i] - second.deaths[j]) ** 2
    costs = (first.lengths**2).where(counts, 0).index_add(0, i, 2 * matched)
    never = 2 * (first.essential.births[m] - second.essential.births[n]) ** 2
    alone = (second.lengths**2).where(matching.unmatched_second, 0)
    return first.sum(costs) + second.sum(alone) + first.essential.sum(never)


def betti_matching_error(
    prediction: Tensor,
    target: Tensor,
    *,
    threshold: float = 0.5,
    dims: int | tuple[int, ...] | None = None,
    construction: Literal["V", "T"] = "T",
    ndim: int | None = None,
    region: Tensor | None = None,
) -> Tensor:
    """The Betti matching error of a segmentation: how many of its components and holes are not where the target's are.

    The score of Stucki, Paetzold, Shit, Menze and Bauer (2023) is the number of bars of both binary images that
    `induced_matching` does not match. `betti_error` compares numbers only: a superfluous hole in one place and a
    missing hole in another cancel out there, but count twice here.

    Args:
        prediction: `(*batch, *grid)` probabilities, logits, or whatever finite floating-point numbers `threshold` is
            meant for. A set of bool is one of 0 and 1.
        target: the same shape, the truth: 0 and 1 of any dtype. Labels of classes have to be one-hot.
        threshold: the foreground of the prediction is where it is at least this, compared in its own dtype.
        dims: 0 for components, 1 for holes (in volumes tunnels, and 2 for cavities). None means all of them: 0 in
            signals, 0 and 1 in images, 0, 1 and 2 in volumes.
        construction: "T": the foreground is 8-connected and its holes 4-connected (26 and 6 in volumes). "V", that of
            the published programs: 4 and 8.
        ndim: how many of the last axes are the grid's: 1, 2 or 3. None is 2 for a prediction of up to four axes; from
            five axes on it is required.
        region: bool tensor, True inside, if only a part of the image counts: of the shape of `prediction`, or of the
            grid for all samples; axes before the grid's, such as the channels', are broadcast. Values outside it may be
            anything: they are ignored in both.

    Returns:
        `(*batch,)` int64. One of the components never dies, and neither do holes around gaps of a region. Such a bar
        counts 1 if only one of the images has it. For the component this means that only one has any foreground.

    Raises:
        TypeError, ValueError: an argument is out of its range, shapes or devices differ, `target` has other values than
            0 and 1, or `prediction` is not finite.

    Example:
        >>> import torch, topolayer as tl
        >>> target = torch.tensor([[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0]])
        >>> prediction = torch.tensor([[0.9, 0.8, 0.9, 0.1], [0.7, 0.2, 0.3, 0.1], [0.8, 0.4, 0.9, 0.2]])
        >>> tl.betti_matching_error(prediction, target)  # the ring is broken, and a part of it lies apart
        tensor(2)
    """
    found = check_prediction(prediction, region, ndim, dims, sets=True)
    threshold = check_number("threshold", threshold)
    truth = check_mask("target", target, found)
    check_binary("target", truth)
    foreground = (found.values.detach().to(prediction.dtype) >= threshold).to(truth.dtype)
    return mismatches(found._replace(values=foreground), truth, construction)


def mismatches(found: Prediction, truth: Tensor, construction: Literal["V", "T"]) -> Tensor:
    """`betti_matching_error` of two sets that have been checked."""
    matching = _matching(found, truth, construction, "union")
    first, second, (m, n) = matching.first, matching.second, matching.essential
    never = first.essential.births[m] != second.essential.births[n]
    alone = first.sum(matching.unmatched_first) + second.sum(matching.unmatched_second)
    return alone + first.essential.sum(never)


def _matching(
    found: Prediction, truth: Tensor, construction: Literal["V", "T"], comparison: Literal["union", "intersection"]
) -> InducedMatching:
    grid = partial(Cubical, ndim=found.ndim, construction=construction, superlevel=True, mask=found.region)
    return induced_matching(grid(found.values), grid(truth), found.dims, comparison=comparison)
