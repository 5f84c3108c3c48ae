"""Penalties: plain functions from a barcode to one number per sample."""

from __future__ import annotations

import sys
from typing import Literal

from torch import Tensor

from topolayer._barcode import Barcode


def algebraic(
    barcode: Barcode, *, p: float, q: float = 0, k: int = 0, essential: Literal["count", "exclude"] = "count"
) -> Tensor:
    r"""Sum of :math:`|d - b|^p ((b + d)/2)^q` over all but the k longest bars of each sample and dimension.

    The algebraic functions of barcodes of Adcock, Carlsson and Carlsson (2016), the paper's reference [1].

    Args:
        barcode: from `persistence`, any number of samples and dimensions.
        p: power of the length, >= 0. Below 1 the gradient grows without bound as a length goes to zero.
        q: power of the midpoint, >= 0; a whole number where midpoints may be negative. Between 0 and 1
            the gradient grows without bound as a midpoint goes to zero.
        k: how many bars to spare.
        essential: "count": bars that never die are the longest and count towards k, so that k=8 leaves at
            most 8 components. "exclude": k finite bars are spared. Essential bars add nothing to the sum in
            either case.

    Returns:
        `(*batch,)` one number per sample; 0 with gradient 0 where there are no more than k bars.

    Raises:
        TypeError, ValueError: an argument is out of its range, or `q` is fractional and a midpoint negative.

    Example:
        >>> import torch, topolayer as tl
        >>> barcode = tl.persistence(tl.Freudenthal(torch.tensor([1.0, 5.0, 2.0, 4.0]), ndim=1, superlevel=True))
        >>> tl.algebraic(barcode, p=2, q=1)  # one bar, from 4 to 2
        tensor(12.)
    """
    _check_barcode(barcode)
    _check_power("p", p)
    _check_power("q", q)
    if isinstance(k, bool) or not isinstance(k, int):
        raise TypeError(f"k: expected an int, got {type(k).__name__}")
    if k < 0:
        raise ValueError(f"k: expected an int >= 0, got {k}")
    if essential not in ("count", "exclude"):
        raise ValueError(f'essential: expected "count" or "exclude", got {essential!r}')
    spared = barcode._longest(min(k, sys.maxsize), count_essential=essential == "count") if k > 0 else None
    # What is spared is replaced before the powers, for they might overflow, and left out after them.
    lengths = _without(spared, barcode.lengths, 1)
    terms = lengths**p
    if q != 0:
        midpoints = _without(spared, (barcode.births + barcode.deaths) / 2, 1)
        if q != int(q) and bool((midpoints < 0).any()):
            raise ValueError(f"q: expected a whole number, since there are negative midpoints, got {q}")
        terms = terms * midpoints**q
    return barcode.sum(_without(spared, terms, 0))


def total_persistence(
    barcode: Barcode, *, p: float = 1, k: int = 0, essential: Literal["count", "exclude"] = "count"
) -> Tensor:
    r"""Sum of :math:`|d - b|^p` over all but the k longest bars of each sample and dimension: `algebraic`
    with q = 0.

    p=2 and k=8 is equation (1) of the paper. Arguments, result and errors are those of `algebraic`.

    Example:
        >>> import torch, topolayer as tl
        >>> barcode = tl.persistence(tl.Freudenthal(torch.tensor([1.0, 5.0, 2.0, 4.0]), ndim=1, superlevel=True))
        >>> tl.total_persistence(barcode, p=2), tl.total_persistence(barcode, p=2, k=2)
        (tensor(4.), tensor(0.))
    """
    return algebraic(barcode, p=p, k=k, essential=essential)


def _check_barcode(barcode: object) -> None:
    if not isinstance(barcode, Barcode):
        raise TypeError(f"barcode: expected a Barcode, got {type(barcode).__name__}; make one with persistence(...)")


def _check_power(name: str, power: object) -> None:
    if isinstance(power, bool) or not isinstance(power, (int, float)):
        raise TypeError(f"{name}: expected a number, got {type(power).__name__}")
    if not 0 <= power <= sys.float_info.max:
        raise ValueError(f"{name}: expected a finite number >= 0, got {power}")


def _without(spared: Tensor | None, terms: Tensor, replacement: float) -> Tensor:
    return terms if spared is None else terms.masked_fill(spared, replacement)
