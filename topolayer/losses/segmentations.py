"""Predictions and masks: what losses and scores of segmentations assume by default, and what they refuse."""

from __future__ import annotations

import torch
from torch import Tensor

from topolayer._checks import check_finite, check_ndim, floating, plain
from topolayer._tracing import refuse_vmap

_ROUNDING = 8  # units of the given dtype by which a probability may leave [0, 1]


def check_prediction(
    prediction: Tensor, ndim: int | None, dims: int | tuple[int, ...] | None
) -> tuple[Tensor, int, int | tuple[int, ...]]:
    """The prediction in float32 or float64, how many of its axes are the grid's, and the dimensions to look at."""
    values = floating("prediction", prediction)
    refuse_vmap(values)
    if ndim is None and values.ndim >= 5:
        raise ValueError(
            f"ndim: expected to be said from five axes on, got None with a prediction of shape {tuple(values.shape)}; "
            "3 for volumes (B, C, D, H, W), 2 for images with more axes of the batch"
        )
    ndim = 2 if ndim is None else check_ndim(ndim)
    if values.ndim < ndim or 0 in values.shape[values.ndim - ndim :]:
        raise ValueError(
            f"prediction: expected shape (*batch, *grid) with {ndim} axes of the grid, none of them empty, "
            f"got {tuple(values.shape)}; ndim says how many of the axes are the grid's"
        )
    check_finite("prediction", values)
    return values, ndim, tuple(range(ndim)) if dims is None else dims


def check_probabilities(values: Tensor, given: torch.dtype) -> None:
    """Refuses a prediction outside [0, 1] by more than the rounding of the dtype in which it was given."""
    low, high = _span(values)
    if not _is_within(low, high, given):
        raise ValueError(
            f"prediction: expected probabilities from 0 to 1, got numbers from {low:.7g} to {high:.7g}; logits take "
            "torch.sigmoid, or torch.softmax over the channels where classes exclude each other, logarithms take "
            ".exp(), and shades of grey are divided by 255; labels, such as those of argmax, have to be one-hot"
        )


def check_mask(name: str, mask: Tensor, prediction: Tensor, ndim: int) -> Tensor:
    """The mask in the prediction's dtype, off the graph: of the same shape, and within [0, 1]."""
    if isinstance(mask, Tensor):
        if mask.device != prediction.device:
            raise ValueError(
                f"{name}: expected a tensor on {prediction.device}, where prediction is, got one on {mask.device}; "
                f"move it with {name}.to(prediction.device)"
            )
        mask = plain(name, mask)
        if mask.requires_grad and not prediction.requires_grad:
            raise ValueError(
                f"{name}: expected the truth, and the prediction on the graph, got a {name} that requires grad and a "
                f"prediction that does not; exchange the two, or take {name}.detach()"
            )
        mask = mask if mask.is_floating_point() or mask.is_complex() else mask.to(prediction.dtype)
    values = floating(name, mask).detach()
    refuse_vmap(values)
    check_finite(name, values)
    shape, wanted = tuple(values.shape), tuple(prediction.shape)
    _refuse_missing_classes(name, values, wanted, ndim)
    low, high = _span(values)
    if not _is_within(low, high, given=mask.dtype):
        raise ValueError(
            f"{name}: expected 0 in the background and 1 in the foreground, "
            f"got {_remedy_of_values(name, values, ndim, low, high)}"
        )
    if shape != wanted:
        raise ValueError(
            f"{name}: expected shape {wanted}, as prediction has, got {shape}; "
            f"{_remedy_of_shape(name, shape, wanted, ndim)}"
        )
    return values.to(prediction.dtype)


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


def _one_hot(labels: str, classes: object, ndim: int) -> str:
    return f"torch.nn.functional.one_hot({labels}.long(), {classes}).movedim(-1, {-ndim - 1})"


def _refuse_missing_classes(name: str, mask: Tensor, wanted: tuple[int, ...], ndim: int) -> None:
    """Labels of classes beside a prediction with a channel for each."""
    shape, batch, grid = tuple(mask.shape), wanted[: -ndim - 1], wanted[-ndim:]
    classes = wanted[-ndim - 1] if len(wanted) > ndim else 1
    if classes < 2 or shape not in ((*batch, *grid), (*batch, 1, *grid)):
        return
    labels = name if shape == (*batch, *grid) else f"{name}.squeeze({-ndim - 1})"
    low, high = _span(mask)
    first = f" once those outside of 0 to {classes - 1} have a class" if low < 0 or high >= classes else ""
    raise ValueError(
        f"{name}: expected shape {wanted}, as prediction has, got {shape} with numbers from {low:.7g} to {high:.7g}; "
        f"labels of classes have to be one-hot, {_one_hot(labels, classes, ndim)}{first}"
    )


def _remedy_of_values(name: str, mask: Tensor, ndim: int, low: float, high: float) -> str:
    """What came, and what to do with it."""
    if bool((mask != mask.round()).any()):
        return (
            f"numbers from {low:.7g} to {high:.7g}; logits take torch.sigmoid, and shades of grey are divided by 255, "
            f"or cut in the middle, with {name} > 127"
        )
    if bool(((mask == 0) | (mask == 255)).all()):
        return f"0 and 255; divide it, {name} / 255, or cut it in the middle, {name} > 127"
    has_channel = mask.ndim > ndim + 1 and mask.shape[-ndim - 1] == 1
    labels = f"{name}.squeeze({-ndim - 1})" if has_channel else name
    grey = f"; shades of grey are cut in the middle, with {name} > 127" if high == 255 and low >= 0 else ""
    return (
        f"whole numbers from {low:.7g} to {high:.7g}; labels of classes have to be one-hot, "
        f"{_one_hot(labels, 'classes', ndim)}, beside a prediction with a channel for each class, and one class c "
        f"alone is {name} == c{grey}"
    )


def _remedy_of_shape(name: str, shape: tuple[int, ...], wanted: tuple[int, ...], ndim: int) -> str:
    batch, grid = wanted[:-ndim], wanted[-ndim:]
    if shape == (*batch, 1, *grid):
        return f"take the channel away, with {name}.squeeze({-ndim - 1})"
    if batch and batch[-1] == 1 and shape == (*batch[:-1], *grid):
        return f"add the channel, with {name}.unsqueeze({-ndim - 1})"
    if batch and shape == (*batch[:-1], *grid, batch[-1]):
        return f"put the channels before the grid, with {name}.movedim(-1, {-ndim - 1})"
    return f"the last {ndim} axes are the grid's, those before them the batch's and the channels'"
