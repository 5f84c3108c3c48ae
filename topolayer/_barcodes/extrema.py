"""The penalty on superfluous extrema of any scalar function: by its bars, or by its regions."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from topolayer._backends import Backend
from topolayer._barcodes.persistence import persistence
from topolayer._barcodes.simplify import simplify
from topolayer._barcodes.sums import total_persistence
from topolayer._checks import came, check_integer, check_number, check_word
from topolayer._filtrations import Filtration
from topolayer._tracing import refuse_lost_detach


def few_extrema(
    filtration: Filtration,
    *,
    k: int = 8,
    p: float = 2,
    gradient: Literal["critical", "region"] = "critical",
    backend: str | Backend | None = None,
) -> Tensor:
    """Penalizes all but the k most prominent extrema: maxima of a superlevel filtration, minima of a sublevel one.

    This is the sum of `length ** p` over all but the k longest bars of dimension 0: equation (1) of the paper. An
    extremum that never dies is one of the k.

    Its gradient is a subgradient of the bars: two entries for each, the extremum and the saddle where it dies.
    `gradient="region"` is *another penalty*, with other values: the distance to the `simplify`-ed function, held
    constant, which is the sum of `|f - simplify(f, k)| ** p` over all entries f. It is 0 for the same functions, and
    moves all entries of a superfluous region at once, like the "big steps" of Nigmetov and Morozov (2022), which move
    more than the critical entries. Take "region" if extrema should vanish in few steps, as in noise removal. Take
    "critical" for equation (1), and if few entries should change.

    Args:
        filtration: any filtration; for "region" `Freudenthal`, `Cubical` or `LowerStar`, as for `simplify`.
        k: how many extrema to spare.
        p: power of the lengths, or of the distances.
        gradient: "critical" penalizes bars, which pulls on two entries of each. "region" penalizes entries, which pulls
            on whole regions.
        backend: as in `persistence`.

    Returns:
        `(*batch,)` one number per sample; 0 with gradient 0 if there are no more than k extrema.

    Raises:
        TypeError, ValueError: `filtration` is not a filtration, or has values that are not finite; `k` or `p` is out of
            range; `gradient` or `backend` is unknown.

    Example:
        >>> import torch, topolayer as tl
        >>> signal = torch.tensor([0.0, 3.0, 1.0, 2.0])
        >>> tl.few_extrema(tl.Freudenthal(signal, ndim=1, superlevel=True), k=1)  # the maximum at 2 dies at 1
        tensor(1.)
        >>> tl.few_extrema(tl.Freudenthal(signal, ndim=1), k=1)  # the minimum at 1 dies at 3
        tensor(4.)
    """
    k, p = check_options(k, p, gradient)
    if not isinstance(filtration, Filtration):
        raise TypeError(
            f"filtration: expected a filtration, got {came(filtration)}; wrap a tensor in one, such as tl.Freudenthal"
        )
    return superfluous(filtration, k=k, p=p, gradient=gradient, backend=backend)


def check_options(k: object, p: object, gradient: object) -> tuple[int, float]:
    equation = '"critical" is equation (1) of the paper'
    check_word("gradient", gradient, {"critical": "", "region": ""}, remedy=equation)
    remedy = "p=2 squares the lengths"
    return check_integer("k", k, least=0, remedy="k=0 spares none"), check_number("p", p, least=0, remedy=remedy)


def superfluous(
    filtration: Filtration, *, k: int, p: float, gradient: str, backend: str | Backend | None = None
) -> Tensor:
    """`few_extrema` of checked arguments."""
    if gradient == "critical":
        return total_persistence(persistence(filtration, backend=backend), p=p, k=k)
    refuse_lost_detach('gradient="region"')
    excess = filtration.values - simplify(filtration.detach(), k=max(k, 1), backend=backend)
    excess = excess if filtration.superlevel else -excess
    if p >= 2:
        return filtration.sums(excess**p)
    above = excess.detach() > 0  # at 0, where there is nothing to penalize, the power or a derivative of it is not 0
    return filtration.sums(torch.where(above, torch.where(above, excess, 1) ** p, 0))
