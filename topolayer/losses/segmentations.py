"""Predictions and masks: what losses and scores of segmentations assume by default, and what they refuse."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from topolayer._checks import check_finite, check_inside, check_ndim, check_region, dense, floating, real
from topolayer._tracing import refuse_without_numbers

INTEGERS = (torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16, torch.uint32, torch.uint64)
_ROUNDING = 8  # units of the given dtype by which a probability may leave [0, 1]
_OF_MODULES = "input"  # the name of a prediction in loss modules, which have the option to_onehot_y
_ACTIVATE = "logits take torch.sigmoid, or torch.softmax over the channels where classes exclude each other"

_LABELS = "instead of labels, such as those of argmax, pass the probabilities that they come from"


class Prediction(NamedTuple):
    values: Tensor  # float32 or float64, 0 outside the region
    region: Tensor | None  # of their shape
    ndim: int  # how many of the axes are the grid's
    dims: int | tuple[int, ...]  # to look at
    name: str  # of the argument


def check_prediction(
    prediction: Tensor,
    region: Tensor | None,
    ndim: int | None,
    dims: int | tuple[int, ...] | None,
    *,
    name: str = "prediction",
    sets: bool = False,
    labels: str = _LABELS,
) -> Prediction:
    """What a loss or a score makes of its prediction; a score also takes sets, of bool."""
    refuse_labels(name, prediction, labels)
    is_set = isinstance(prediction, Tensor) and prediction.dtype == torch.bool
    values = real(name, prediction) if sets and is_set else floating(name, prediction)
    refuse_without_numbers(values)
    if ndim is None and values.ndim >= 5:
        raise ValueError(
            f"ndim: expected 2 or 3, which five or more axes require, got None for a {name} of shape "
            f"{tuple(values.shape)}; 3 for volumes (B, C, D, H, W), 2 for images with more axes of the batch"
        )
    ndim = 2 if ndim is None else check_ndim(ndim)
    if values.ndim < ndim or 0 in values.shape[values.ndim - ndim :]:
        raise ValueError(
            f"{name}: expected shape (*batch, *grid) with {ndim} axes of the grid, none of them empty, "
            f"got {tuple(values.shape)}; ndim says how many of the axes are the grid's"
        )
    if region is not None:
        region = check_region("region", region, values, ndim)
        check_inside("region", region, ndim)
        values = values.masked_fill(~region, 0)
    check_finite(name, values)
    return Prediction(values, region, ndim, tuple(range(ndim)) if dims is None else dims, name)


def refuse_labels(name: str, prediction: object, labels: str = _LABELS) -> None:
    """Refuses a prediction of integers, and says what to do with the labels that they may be."""
    if isinstance(prediction, Tensor) and prediction.dtype in INTEGERS:
        raise TypeError(
            f"{name}: expected floating-point numbers, got {prediction.dtype}; {labels}; a mask of 0 and 1 becomes "
            f"{name}.float()"
        )


def check_probabilities(
    values: Tensor, given: torch.dtype, *, name: str = "prediction", activate: str = _ACTIVATE
) -> None:
    """Refuses a prediction outside [0, 1] by more than the rounding of the dtype in which it was given."""
    low, high = _span(values)
    if not _is_within(low, high, given):
        raise ValueError(
            f"{name}: expected probabilities from 0 to 1, got numbers from {low:.7g} to {high:.7g}; {activate}, "
            "logarithms take .exp(), and shades of grey are divided by 255; labels, such as those of argmax, have to "
            "be one-hot"
        )


def check_mask(name: str, mask: Tensor, found: Prediction) -> Tensor:
    """The mask in the prediction's dtype, off the graph: of the same shape, within [0, 1], 0 outside the region."""
    prediction, region, ndim, _, beside = found
    mask = _on_device(name, mask, prediction, beside)
    if mask.requires_grad and not prediction.requires_grad:
        raise ValueError(
            f"{name}: expected the truth, and the {beside} on the graph, got a {name} that requires grad and a "
            f"{beside} that does not; exchange the two, or take {name}.detach()"
        )
    may_be_labels = mask.dtype != torch.bool
    mask = mask if mask.is_floating_point() or mask.is_complex() else mask.to(prediction.dtype)
    values = floating(name, mask).detach()
    refuse_without_numbers(values)
    if region is not None and values.shape == region.shape:
        values = values.masked_fill(~region, 0)
    check_finite(name, values)
    shape, wanted = tuple(values.shape), tuple(prediction.shape)
    if may_be_labels:
        _refuse_missing_classes(name, values, wanted, ndim, beside)
    low, high = _span(values)
    if not _is_within(low, high, given=mask.dtype):
        raise ValueError(
            f"{name}: expected 0 in the background and 1 in the foreground, "
            f"got {_remedy_of_values(name, values, ndim, low, high, beside)}"
        )
    if shape != wanted:
        raise ValueError(
            f"{name}: expected shape {wanted}, as {beside} has, got {shape}; "
            f"{_remedy_of_shape(name, shape, wanted, ndim, beside)}"
        )
    return values.to(prediction.dtype)


def one_hot(
    name: str, labels: Tensor, classes: int, like: Tensor, ndim: int, *, beside: str, because: str | None = None
) -> Tensor:
    """(B, classes, *grid) bool of the labels (B, *grid) or (B, 1, *grid) that belong to a tensor (B, C, *grid).

    An error says by `because` where the number of classes comes from.
    """
    labels = _on_device(name, labels, like, beside).detach()
    refuse_without_numbers(labels)
    shape, (batch, grid) = tuple(labels.shape), (like.shape[0], like.shape[-ndim:])
    if shape not in ((batch, *grid), (batch, 1, *grid)):
        raise ValueError(
            f"{name}: expected labels of shape {(batch, *grid)} or {(batch, 1, *grid)}, as {beside} has the shape "
            f"{tuple(like.shape)}, got {shape}; a tensor that is one-hot already is not converted again"
        )
    if labels.is_complex():
        raise TypeError(f"{name}: expected labels, got {labels.dtype}; take .real or .abs()")
    if labels.is_floating_point():
        check_finite(name, labels)
    numbers = labels.long().reshape(batch, 1, *grid)
    whole = torch.equal(numbers.to(labels.dtype), labels.reshape(numbers.shape))
    low, high = _span(labels if labels.is_floating_point() else numbers)
    if not whole or low < 0 or high >= classes:
        ignored = _ignored(numbers)
        remedy = "round them" if not whole else because or f"{beside} has a channel for each class"
        if whole and ignored is not None:
            remedy = f"if {ignored} marks pixels to ignore, {name}.where({name} != {ignored}, 0) makes them background"
        raise ValueError(
            f"{name}: expected whole numbers from 0 to {classes - 1}, got numbers from {low:.7g} to {high:.7g}; "
            f"{remedy}"
        )
    every = torch.arange(classes, device=labels.device).reshape(classes, *[1] * ndim)
    return numbers == every


def _on_device(name: str, mask: Tensor, prediction: Tensor, beside: str) -> Tensor:
    if isinstance(mask, Tensor) and mask.device != prediction.device:
        raise ValueError(
            f"{name}: expected a tensor on {prediction.device}, where {beside} is, got one on {mask.device}; "
            f"move it with {name}.to({beside}.device)"
        )
    return dense(name, mask)


def check_binary(name: str, mask: Tensor) -> None:
    """Refuses a checked mask that has probabilities between 0 and 1."""
    soft = (mask != 0) & (mask != 1)
    if bool(soft.any()):
        raise ValueError(
            f"{name}: expected no numbers but 0 and 1, got {float(mask[soft][0])}; cut it, with {name} >= 0.5"
        )


def _span(values: Tensor) -> tuple[float, float]:
    if values.numel() == 0:
        return 0.0, 0.0
    low, high = values.detach().aminmax()
    return float(low), float(high)


def _is_within(low: float, high: float, given: torch.dtype) -> bool:
    excess = _ROUNDING * torch.finfo(given).eps
    return -excess <= low and high <= 1 + excess


def _refuse_missing_classes(name: str, mask: Tensor, wanted: tuple[int, ...], ndim: int, beside: str) -> None:
    """Labels of classes beside a {beside} with a channel for each."""
    shape, batch, grid = tuple(mask.shape), wanted[: -ndim - 1], wanted[-ndim:]
    classes = wanted[-ndim - 1] if len(wanted) > ndim else 1
    if classes < 2 or shape not in ((*batch, *grid), (*batch, 1, *grid)):
        return
    labels = name if shape == (*batch, *grid) else f"{name}.squeeze({-ndim - 1})"
    low, high = _span(mask)
    first, last = _span(mask[mask != _ignored(mask)])
    by_hand = f"have to be one-hot, {_one_hot(labels, mask, ndim, classes)}"
    one_hot_by = "need to_onehot_y=True" if beside == _OF_MODULES else by_hand
    outside = f", once those outside of 0 to {classes - 1} have a class" if first < 0 or last >= classes else ""
    raise ValueError(
        f"{name}: expected shape {wanted}, as {beside} has, got {shape} with numbers from {low:.7g} to {high:.7g}; "
        f"labels of classes {one_hot_by}{outside}"
    )


def _one_hot(labels: str, mask: Tensor, ndim: int, classes: object) -> str:
    """How labels become one-hot. torch refuses negative labels, and 255 would make 256 classes."""
    ignored = _ignored(mask)
    kept = labels if ignored is None else f"{labels}.where({labels} != {ignored}, 0)"
    note = "" if ignored is None else f" ({ignored} marks pixels to ignore, and becomes background)"
    return f"torch.nn.functional.one_hot({kept}.long(), {classes}).movedim(-1, {-ndim - 1}){note}"


def _ignored(mask: Tensor) -> int | None:
    """The label by which a mask has marked pixels to ignore, as far as can be told."""
    low, high = _span(mask)
    return int(low) if low < 0 else 255 if high == 255 else None


def _remedy_of_values(name: str, mask: Tensor, ndim: int, low: float, high: float, beside: str) -> str:
    """What came, and what to do with it."""
    if bool((mask != mask.round()).any()):
        return (
            f"numbers from {low:.7g} to {high:.7g}; logits take torch.sigmoid, and shades of grey are divided by 255, "
            f"or cut in the middle, with {name} > 127"
        )
    ignored, numbers = _ignored(mask), set(torch.unique(mask).tolist())
    if numbers <= {0, 255}:
        return f"0 and 255; divide it, {name} / 255, or cut it in the middle, {name} > 127"
    if numbers <= {-1, 1}:
        return f"-1 and 1; cut it in the middle, {name} > 0"
    if ignored is not None and 1 in numbers <= {0, 1, ignored}:
        return (
            f"{ignored} besides; if it marks pixels to ignore, take {name} == 1 and "
            f"{beside} * ({name} != {ignored}), which make them background in both"
        )
    has_channel = mask.ndim > ndim + 1 and mask.shape[-ndim - 1] == 1
    labels = f"{name}.squeeze({-ndim - 1})" if has_channel else name
    grey = f"; shades of grey are cut in the middle, with {name} > 127" if high == 255 and low >= 0 else ""
    return (
        f"whole numbers from {low:.7g} to {high:.7g}; labels of classes have to be one-hot, "
        f"{_one_hot(labels, mask, ndim, 'classes')}, beside a {beside} with a channel for each class, and one class "
        f"c alone is {name} == c{grey}"
    )


def _remedy_of_shape(name: str, shape: tuple[int, ...], wanted: tuple[int, ...], ndim: int, beside: str) -> str:
    batch, grid = wanted[:-ndim], wanted[-ndim:]
    if shape == (*batch, 1, *grid):
        return f"take the channel away, with {name}.squeeze({-ndim - 1})"
    if batch and batch[-1] == 1 and shape == (*batch[:-1], *grid):
        return f"add the channel, with {name}.unsqueeze({-ndim - 1})"
    if batch and shape == (*batch[:-1], *grid, batch[-1]):
        return f"put the channels before the grid, with {name}.movedim(-1, {-ndim - 1})"
    every, channels = ":, " * (len(batch) - 1), batch[-1] if batch else 0
    if shape == (*batch[:-1], *grid):
        return f"if it is the mask of one class c, compare it with that channel, {beside}[{every}c]"
    if shape == (*batch[:-1], 1, *grid):
        return f"if it is the mask of one class c, compare it with that channel, {beside}[{every}c : c + 1]"
    if shape in ((*batch[:-1], channels + 1, *grid), (*batch[:-1], channels - 1, *grid)):
        larger = name if shape[len(batch) - 1] > channels else beside
        return f"leave out the channel of the background, with {larger}[{every}1:] if it is the first"
    return f"the last {ndim} axes are the grid's, those before them the batch's and the channels'"
