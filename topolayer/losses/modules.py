"""Losses as modules, with the options that are usual for segmentation. To add one for a prediction and its mask, write
a class like `WassersteinMatchingLoss`, whose `_costs` is its function on what has been checked.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from topolayer._barcodes.matching import check_comparison
from topolayer._barcodes.persistence import persistence
from topolayer._barcodes.sums import longest_lengths, total_persistence
from topolayer._checks import as_compared, check_bool, check_finite, check_integer, check_number, floating
from topolayer._filtrations import Cubical
from topolayer._filtrations.grids import check_construction
from topolayer._tracing import untraced
from topolayer.losses.betti_matching import betti_matching_costs, check_min_length
from topolayer.losses.reductions import Reduction, check_reduction, reduced
from topolayer.losses.segmentations import (
    Prediction,
    check_mask,
    check_prediction,
    check_probabilities,
    one_hot,
    refuse_labels,
)
from topolayer.losses.wasserstein import matching_costs

_ACTIVATE = "for logits choose sigmoid=True, or softmax=True where classes exclude each other"

_LABELS = "instead of labels, such as those of argmax, pass the logits or probabilities that they come from"


class _OfChannels(nn.Module):
    """What loss modules share: from the input to probabilities, and from (B, C) costs to the loss."""

    def __init__(self, *, sigmoid: bool, softmax: bool, reduction: Reduction) -> None:
        super().__init__()
        check_bool("sigmoid", sigmoid)
        check_bool("softmax", softmax)
        if sigmoid and softmax:
            raise ValueError(
                "softmax: expected at most one of sigmoid and softmax, got both; softmax is for classes that exclude "
                "each other, sigmoid for a single channel and for classes that may overlap"
            )
        check_reduction(reduction, "(B, C)", "images and channels")
        self.sigmoid, self.softmax = sigmoid, softmax
        self.reduction: Reduction = reduction

    def _probabilities(self, input: Tensor, dims: int | tuple[int, ...] | None = None) -> Prediction:
        """The input as (B, C, *grid) probabilities."""
        refuse_labels("input", input, _LABELS)
        values = floating("input", input)
        ndim = values.ndim - 2
        if ndim not in (2, 3):
            raise ValueError(
                f"input: expected images (B, C, H, W) or volumes (B, C, D, H, W), got shape {tuple(values.shape)}; "
                "for a batch without channels pass input.unsqueeze(1), for a single sample with channels input[None]"
            )
        if self.softmax and values.shape[1] == 1:
            raise ValueError(
                "softmax: expected an input with a channel for each class, got one channel, whose softmax is always 1; "
                "choose sigmoid=True"
            )
        found = check_prediction(values, None, ndim, dims, name="input")
        if self.sigmoid:
            return found._replace(values=values.sigmoid())
        if self.softmax:
            return found._replace(values=values.softmax(1))
        check_probabilities(values, given=input.dtype, name="input", activate=_ACTIVATE)
        return found

    def extra_repr(self) -> str:
        """The options that are not the default ones."""
        options = inspect.signature(type(self)).parameters
        given = {name: getattr(self, name) for name in options}
        plain = {name: value.tolist() if isinstance(value, Tensor) else value for name, value in given.items()}
        return ", ".join(f"{name}={value!r}" for name, value in plain.items() if value != options[name].default)


class _OfMasks(_OfChannels):
    """What the losses of a prediction and its mask share: classes, their background and their weights."""

    weight: Tensor | None

    def __init__(
        self,
        *,
        include_background: bool = True,
        to_onehot_y: bool = False,
        sigmoid: bool = False,
        softmax: bool = False,
        reduction: Reduction = "mean",
        weight: float | Sequence[float] | Tensor | None = None,
        dims: int | tuple[int, ...] | None = None,
        construction: Literal["V", "T"] = "T",
    ) -> None:
        super().__init__(sigmoid=sigmoid, softmax=softmax, reduction=reduction)
        check_bool("include_background", include_background)
        check_bool("to_onehot_y", to_onehot_y)
        check_construction(construction)
        self.include_background, self.to_onehot_y = include_background, to_onehot_y
        self.dims, self.construction = dims, construction
        self.register_buffer("weight", None if weight is None else _weights(weight))

    @untraced  # numbers are looked at from the first line on
    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of a prediction.

        Args:
            input: `(B, C, *grid)`, a channel for each class: probabilities, or logits with `sigmoid` or `softmax`.
            target: the same shape, 0 and 1 of any dtype, or probabilities; with `to_onehot_y` labels `(B, 1, *grid)`
                or `(B, *grid)`. No gradient goes to it.

        Returns:
            One number, or `(B, C)` of them with `reduction="none"`, C without the background if it is not included.

        Raises:
            TypeError, ValueError: shapes or devices differ; a number is not finite, or none of those that are expected.
        """
        found = self._probabilities(input, self.dims)
        channels = found.values.shape[1]
        for option, asked in (("to_onehot_y", self.to_onehot_y), ("include_background", not self.include_background)):
            if asked and channels == 1:
                raise ValueError(
                    f"{option}: expected an input with a channel for each class, the background's first, got one "
                    f"channel; leave {option}={getattr(self, option)} out"
                )
        if self.to_onehot_y:
            target = one_hot("target", target, channels, found.values, found.ndim, beside="input")
        truth = check_mask("target", target, found)
        if not self.include_background:
            found, truth = found._replace(values=found.values[:, 1:]), truth[:, 1:]
        weight = self._weight_of(truth.shape[1])
        activated = self.sigmoid or self.softmax
        costs = self._costs(found, truth, found.values.dtype if activated else input.dtype)
        return reduced(costs if weight is None else costs * weight.to(costs), self.reduction)

    def _costs(self, found: Prediction, truth: Tensor, given: torch.dtype) -> Tensor:
        """(B, C) costs of probabilities (B, C, *grid), which came in the dtype `given`, and their mask."""
        raise NotImplementedError

    def _weight_of(self, classes: int) -> Tensor | None:
        if self.weight is not None and self.weight.ndim == 1 and len(self.weight) != classes:
            without = "" if self.include_background else " without the background"
            raise ValueError(
                f"weight: expected one number, or {classes} numbers, one for each class{without}, got "
                f"{len(self.weight)}; the input has a channel for each class"
            )
        return self.weight


def _weights(weight: float | Sequence[float] | Tensor) -> Tensor:
    """The weights as a tensor () or (classes,)."""
    remedy = "give a number for each class, or one for all"
    if isinstance(weight, Tensor):
        weights = weight if weight.is_floating_point() else weight.float()
        weights = floating("weight", weights).detach().clone()
    elif isinstance(weight, (list, tuple)):
        weights = torch.tensor([check_number("weight", number, least=0, remedy=remedy) for number in weight]).float()
    else:
        weights = torch.tensor(check_number("weight", weight, least=0, remedy=remedy)).float()
    if weights.ndim > 1:
        raise ValueError(f"weight: expected a number for each class, got shape {tuple(weights.shape)}; {remedy}")
    check_finite("weight", weights, remedy)
    if bool((weights < 0).any()):
        raise ValueError(f"weight: expected numbers >= 0, got {float(weights.min()):.7g}; {remedy}")
    return weights


class WassersteinMatchingLoss(_OfMasks):
    """The topological loss of Hu, Li, Samaras and Chen (2019), `wasserstein_matching_loss`, as a module.

    It is called as `(input, target)` like the losses of torch and MONAI. The options that MONAI's `DiceLoss` has too
    are named as there and mean the same.

    Args:
        include_background: whether the first channel counts, which is the background's.
        to_onehot_y: the target has labels of classes, which are made one-hot.
        sigmoid: the input has logits; their sigmoid is taken.
        softmax: the input has logits; their softmax over the channels is taken.
        reduction: "mean" over images and channels, "sum", or "none" for `(B, C)` numbers. The mean of an empty batch
            is 0.
        weight: a factor for each class, >= 0, or one for all; no factor for the background if it is not included.
            The mean is divided by the number of images and channels, not by the weights.
        dims: 0 for components, 1 for holes (in volumes tunnels, and 2 for cavities). None means all of them.
        construction: "T": the foreground is 8-connected and its holes 4-connected (26 and 6 in volumes). "V": 4 and 8.

    Raises:
        TypeError, ValueError: an option is out of its range, or two exclude each other.

    Example:
        >>> import torch
        >>> from topolayer.losses import WassersteinMatchingLoss
        >>> loss = WassersteinMatchingLoss(to_onehot_y=True, softmax=True, include_background=False)
        >>> logits, labels = torch.zeros(2, 3, 8, 8, requires_grad=True), torch.ones(2, 1, 8, 8)
        >>> loss(logits, labels)  # of the first class 1/3 is found instead of 1, of the second one instead of 0
        tensor(0.2778, grad_fn=<MeanBackward0>)
    """

    def _costs(self, found: Prediction, truth: Tensor, given: torch.dtype) -> Tensor:
        return matching_costs(found, truth, self.construction)


class BettiMatchingLoss(_OfMasks):
    """The Betti matching loss of Stucki, Paetzold, Shit, Menze and Bauer (2023), `betti_matching_loss`, as a module.

    It takes places into account: a loop of the prediction is compared with the loop of the target around the same hole.
    It is called as `(input, target)` like the losses of torch and MONAI. The options that MONAI's `DiceLoss` has too
    are named as there and mean the same.

    Args:
        include_background: whether the first channel counts, which is the background's.
        to_onehot_y: the target has labels of classes, which are made one-hot.
        sigmoid: the input has logits; their sigmoid is taken.
        softmax: the input has logits; their softmax over the channels is taken.
        reduction: "mean" over images and channels, "sum", or "none" for `(B, C)` numbers. The mean of an empty batch
            is 0.
        weight: a factor for each class, >= 0, or one for all; no factor for the background if it is not included.
            The mean is divided by the number of images and channels, not by the weights.
        dims: 0 for components, 1 for holes (in volumes tunnels, and 2 for cavities). None means all of them.
        construction: "T": the foreground is 8-connected and its holes 4-connected (26 and 6 in volumes). "V", that of
            the published programs: 4 and 8.
        comparison: "union", that of the authors, or "intersection", as in `induced_matching`.
        min_length: bars of the prediction that are not matched and not longer than this cost nothing.

    Raises:
        TypeError, ValueError: an option is out of its range, or two exclude each other.

    Example:
        >>> import torch
        >>> from topolayer.losses import BettiMatchingLoss
        >>> loss = BettiMatchingLoss(sigmoid=True)
        >>> logits, target = torch.zeros(2, 1, 8, 8, requires_grad=True), torch.ones(2, 1, 8, 8)
        >>> loss(logits, target)  # the component is there, at 1/2 instead of 1
        tensor(0.5000, grad_fn=<MeanBackward0>)
    """

    def __init__(
        self,
        *,
        include_background: bool = True,
        to_onehot_y: bool = False,
        sigmoid: bool = False,
        softmax: bool = False,
        reduction: Reduction = "mean",
        weight: float | Sequence[float] | Tensor | None = None,
        dims: int | tuple[int, ...] | None = None,
        construction: Literal["V", "T"] = "T",
        comparison: Literal["union", "intersection"] = "union",
        min_length: float = 0.0,
    ) -> None:
        super().__init__(
            include_background=include_background,
            to_onehot_y=to_onehot_y,
            sigmoid=sigmoid,
            softmax=softmax,
            reduction=reduction,
            weight=weight,
            dims=dims,
            construction=construction,
        )
        check_comparison(comparison)
        self.comparison, self.min_length = comparison, check_min_length(min_length)

    def _costs(self, found: Prediction, truth: Tensor, given: torch.dtype) -> Tensor:
        least = as_compared(self.min_length, given)
        return betti_matching_costs(found, truth, self.construction, self.comparison, least)


class BettiNumberLoss(_OfChannels):
    """A prior on the numbers of components, loops and cavities of each channel, which needs no target.

    In every dimension the requested number of longest bars cost `(1 - length)**2` each, and all others `length**2`
    each. The loss of Clough, Byrne, Oksuz, Zimmer, Schnabel and King (2022) has `1 - length**2` for the longest ones. A
    missing bar has length 0 and costs 1. The component that never dies is the first of the components, and as long as
    its birth. Pixels that share a corner are connected, as by `construction="T"`.

    Args:
        components: how many components each channel should have.
        loops: how many holes, or tunnels of a volume.
        cavities: how many cavities of a volume.
        sigmoid: the input has logits; their sigmoid is taken.
        softmax: the input has logits; their softmax over the channels is taken; the background counts too. To
            leave it out, call `loss(logits.softmax(1)[:, 1:])` without this option.
        reduction: "mean" over images and channels, "sum", or "none" for `(B, C)` numbers. The mean of an empty batch
            is 0.

    Raises:
        TypeError, ValueError: an option is out of its range, or two exclude each other.

    Example:
        >>> import torch
        >>> from topolayer.losses import BettiNumberLoss
        >>> prediction = torch.tensor([[[[1.0, 0.0, 0.5, 0.25]]]])
        >>> BettiNumberLoss(components=1)(prediction), BettiNumberLoss(components=3)(prediction)
        (tensor(0.2500), tensor(1.2500))
    """

    def __init__(
        self,
        components: int = 1,
        loops: int = 0,
        cavities: int = 0,
        *,
        sigmoid: bool = False,
        softmax: bool = False,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(sigmoid=sigmoid, softmax=softmax, reduction=reduction)
        what = "an int, the number that there should be"
        self.components = check_integer("components", components, least=0, most=2**31 - 1, what=what)
        self.loops = check_integer("loops", loops, least=0, most=2**31 - 1, what=what)
        self.cavities = check_integer("cavities", cavities, least=0, most=2**31 - 1, what=what)

    @untraced  # numbers are looked at from the first line on
    def forward(self, input: Tensor) -> Tensor:
        """The loss of a prediction.

        Args:
            input: `(B, C, *grid)` probabilities, or logits with `sigmoid` or `softmax`.

        Returns:
            One number, or `(B, C)` of them with `reduction="none"`.

        Raises:
            TypeError, ValueError: `input` has another shape, or numbers that are not finite or no probabilities;
                cavities were requested, and it has images.
        """
        found, _, ndim, dims, _ = self._probabilities(input)
        wanted = (self.components, self.loops, self.cavities)
        if self.cavities > 0 and ndim == 2:
            raise ValueError(
                f"cavities: expected 0 for images, as the input {tuple(input.shape)} is, got {self.cavities}; holes of "
                "an image are loops, and a volume has the shape (B, C, D, H, W)"
            )
        barcode = persistence(Cubical(found, ndim=ndim, construction="T", superlevel=True), dims)
        forever = barcode.essential  # one for each channel: a grid is connected
        costs = forever.sum((1 - forever.births) ** 2 if self.components > 0 else forever.births**2)
        for dim in range(ndim):
            finite = wanted[dim] - 1 if dim == 0 and wanted[dim] > 0 else wanted[dim]
            bars = barcode.select(dim=dim)
            longest = (1 - longest_lengths(bars, finite)) ** 2
            costs = costs + longest.sum(-1) + total_persistence(bars, p=2, k=finite, essential="exclude")
        return reduced(costs, self.reduction)
