"""PersLay: a feature vector of fixed size for each sample of a barcode, with everything in it learned."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from itertools import chain
from typing import Literal

import torch
from torch import Tensor, nn

from topolayer._barcodes.barcode import Barcode
from topolayer._barcodes.sums import of_one_dim
from topolayer._checks import came, check_integer, check_word
from topolayer._per_sample import counts, sums
from topolayer._tracing import refuse_without_numbers

_BLOCK = 2**13  # bars that are transformed at once: intermediate results then stay in the cache
_POOLINGS = {"sum": "", "mean": "", "max": ""}
_REMEDY = "an int k keeps the k largest of each channel"


class PersLay(nn.Module):
    r"""A vector for each sample of a barcode: every bar is transformed, and the results are pooled. This is the layer
    of Carrière, Chazal, Ike, Lacombe, Royer and Umeda (2020).

    A bar has features :math:`\varphi(b, d)`, one for each channel, which are multiplied by its weight w(b, d). They are
    pooled over the finite bars of each sample, however many it has; nothing is padded. Bars that never die have no
    features; `extended_persistence` gives those of graphs a death. The vectors go to the next layer of a network, such
    as `torch.nn.Linear`.

    The numbers agree with those of torchperslay 0.1.5 and of the PersLay of GUDHI 3.13.0 with the same parameters.

    Args:
        transform: the features, from births and deaths (bars,) to (bars, channels): `Gaussian`, `Tent`, `Flat`, `Line`,
            or any module or function of your own.
        weight: the weights, likewise. Several channels are added up, so that a `Gaussian` is a mixture. `Power` grows
            with the length, `Grid` has any form. None is 1 for all bars.
        pooling: "sum", "mean" or "max" of each channel over the bars, or an int k for its k largest features. A sample
            without bars, or with fewer than k, gets 0 for the missing ones.
        dim: the homology dimension; None if only one was computed. For several dimensions, use a layer for each.

    Raises:
        TypeError, ValueError: an argument is of another type or out of its range.

    Example:
        >>> import torch, topolayer as tl
        >>> from topolayer import nn
        >>> centers = torch.cartesian_prod(torch.linspace(0, 1, 4), torch.linspace(0, 1, 5))
        >>> layer = nn.PersLay(nn.Gaussian(centers, sigma=0.2), weight=nn.Power(1))
        >>> images = torch.rand(8, 16, 16)
        >>> features = layer(tl.persistence(tl.Freudenthal(images)))
        >>> features.shape
        torch.Size([8, 20])
        >>> torch.nn.Linear(20, 2)(features).shape
        torch.Size([8, 2])
    """

    def __init__(
        self,
        transform: Callable[[Tensor, Tensor], Tensor],
        *,
        weight: Callable[[Tensor, Tensor], Tensor] | None = None,
        pooling: Literal["sum", "mean", "max"] | int = "sum",
        dim: int | None = None,
    ) -> None:
        super().__init__()
        for name, function in (("transform", transform), ("weight", weight)):
            if isinstance(function, type):
                raise TypeError(
                    f"{name}: expected a module or function of births and deaths, got the class {function.__name__}; "
                    f"{function.__name__}(...) makes a module"
                )
            if not callable(function) and not (name == "weight" and function is None):
                raise TypeError(
                    f"{name}: expected a module or function of births and deaths, got {came(function)}; "
                    "topolayer.nn.Power(), for instance, is one"
                )
        if isinstance(pooling, str):
            check_word("pooling", pooling, _POOLINGS, remedy=_REMEDY)
        else:
            pooling = check_integer("pooling", pooling, least=1, most=2**31 - 1, remedy=_REMEDY)
        if dim is not None:
            dim = check_integer("dim", dim, least=0, remedy="0 is for components, 1 for loops")
        self.transform, self.weight, self.pooling, self.dim = transform, weight, pooling, dim

    def forward(self, barcode: Barcode) -> Tensor:
        """The vectors of a barcode.

        Args:
            barcode: from `persistence`, any number of samples.

        Returns:
            `(*batch, channels)`, or `(*batch, channels * k)`, the k of the first channel first, in descending order.
            Differentiable in the barcode and the parameters. Memory is that of all bars in all channels.

        Raises:
            TypeError, ValueError: `barcode` is no barcode, does not have the dimension, or is on another device;
                `transform` or `weight` returns another shape.
        """
        bars = of_one_dim(barcode, self.dim)
        refuse_without_numbers(bars.births)
        for parameter in chain(self.parameters(), self.buffers()):
            if parameter.device != bars.births.device:
                raise ValueError(
                    f"barcode: expected one on {parameter.device}, where the layer is, got one on "
                    f"{bars.births.device}; move the layer with to({str(bars.births.device)!r})"
                )
        number = counts(bars.sample, math.prod(bars.batch_shape))
        if isinstance(self.pooling, int) or self.pooling == "max":
            features = self._features(bars.births, bars.deaths)
            pooled = _largest(features, number, 1 if self.pooling == "max" else self.pooling)
        else:
            parts = zip(*(torch.split(ends, _BLOCK) for ends in (bars.births, bars.deaths, bars.sample)), strict=True)
            of_parts = (sums(self._features(births, deaths), at, len(number)) for births, deaths, at in parts)
            pooled = reduce(torch.add, of_parts)
            if self.pooling == "mean":
                pooled = pooled / number.clamp(min=1)[:, None].to(pooled.dtype)
        return pooled.reshape(*bars.batch_shape, pooled.shape[1])

    def _features(self, births: Tensor, deaths: Tensor) -> Tensor:
        """(bars, channels), with their weights."""
        features = _of_bars("transform", self.transform, births, deaths)
        if self.weight is None:
            return features
        return features * _of_bars("weight", self.weight, births, deaths).sum(dim=1, keepdim=True)

    def extra_repr(self) -> str:
        """The options that are not the default ones."""
        given = {"pooling": (self.pooling, "sum"), "dim": (self.dim, None)}
        return ", ".join(f"{name}={value!r}" for name, (value, default) in given.items() if value != default)


def _of_bars(name: str, function: Callable[[Tensor, Tensor], Tensor], births: Tensor, deaths: Tensor) -> Tensor:
    """(bars, channels) what a transformation says of bars."""
    found = function(births, deaths)
    shape = tuple(found.shape) if isinstance(found, Tensor) else came(found)
    if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != len(births):
        raise ValueError(
            f"{name}: expected it to return a tensor ({len(births)}, channels), a row for each bar, got {shape}; one "
            "channel is found[:, None]"
        )
    return found


def _largest(features: Tensor, number: Tensor, k: int) -> Tensor:
    """(samples, channels * k) the k largest features of each channel. The bars of a sample are side by side."""
    rows = []
    for part in torch.split(features, number.tolist()):
        top = part.topk(min(k, len(part)), dim=0).values
        rows.append(nn.functional.pad(top, (0, 0, 0, k - len(top))))
    return torch.stack(rows).mT.flatten(1) if rows else features.repeat(1, k)
