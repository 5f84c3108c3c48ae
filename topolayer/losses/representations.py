"""Losses of two representations of the same points, such as data and their codes, by the components of both."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from topolayer._barcodes.barcode import Barcode
from topolayer._barcodes.persistence import persistence
from topolayer._checks import came, check_number, floating
from topolayer._filtrations import Rips
from topolayer._filtrations.base import with_tensors
from topolayer._tracing import untraced
from topolayer.losses.reductions import Reduction, check_reduction, reduced


def signature_loss(first: Tensor | Rips, second: Tensor | Rips) -> Tensor:
    r"""By how much the distances at which components merge in one representation differ from those of the same points
    in the other: the loss of topological autoencoders, Moor, Horn, Rieck and Borgwardt (2020).

    The components of each merge along the edges of a minimum spanning tree. With E the edges of the first, F those of
    the second, and :math:`d, d'` their distances, the loss is
    :math:`\frac12 \sum_{E} (d - d')^2 + \frac12 \sum_{F} (d - d')^2`. The authors divide the distances of the data by
    the largest one, and those of codes by a number that is learned, as `losses.SignatureLoss` does. Their program
    returns twice this loss divided by the number of points, and the two agree (commit 203e94a).

    Args:
        first: `(*batch, n, d)` points, or `Rips(distances)`. A minibatch of n is one sample.
        second: `(*batch, n, e)` points in the same order, or `Rips(distances)`.

    Returns:
        `(*batch,)` one number per sample. The gradient goes to both.

    Raises:
        TypeError, ValueError: an argument is neither; numbers or batches of points, dtypes or devices differ; a
            filtration has a threshold.

    Example:
        >>> import torch, topolayer as tl
        >>> data = torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.0, 5.0]])
        >>> codes = torch.tensor([[0.0], [1.0], [3.0]])
        >>> tl.losses.signature_loss(codes, data)  # both merge along the same edges, 1 and 2 long or 1 and 4
        tensor(4.)
    """
    one, other = _both("first", first, "second", second)
    return _signature(one, other)


def rtd_lite(first: Tensor | Rips, second: Tensor | Rips, *, quantile: float | None = 0.9) -> Tensor:
    r"""By how much longer minimum spanning trees of both representations are than one where each edge has the shorter
    of its two lengths: RTD-Lite of Tulchinskii, Voronkova, Trofimov, Burnaev and Barannikov (2025).

    It is :math:`\frac12 (M(d) + M(d')) - M(\min(d, d'))`, where M is the length of a minimum spanning tree. This is the
    mean of the sums of the two barcodes in the article. It is 0 if and only if the clusters of both are the same at
    every scale. The authors' program agrees (commit 67e2fad).

    Args:
        first: `(*batch, n, d)` points, or `Rips(distances)`. A minibatch of n is one sample.
        second: `(*batch, n, e)` points in the same order, or `Rips(distances)`.
        quantile: the distances of each are divided by this quantile of all entries of their matrix, from 0 to 1, with
            gradients. None leaves them as they are.

    Returns:
        `(*batch,)` one number per sample. The gradient goes to both.

    Raises:
        TypeError, ValueError: as for `signature_loss`; `quantile` is no number from 0 to 1, or so many points are equal
            that the quantile of their distances is 0.

    Example:
        >>> import torch, topolayer as tl
        >>> data = torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.0, 5.0]])
        >>> codes = torch.tensor([[0.0], [1.0], [3.0]])
        >>> tl.losses.rtd_lite(codes, data, quantile=None)  # trees of length 3 and 5, and the shorter edges make 3
        tensor(1.)
    """
    one, other = _both("first", first, "second", second)
    if quantile is not None:
        quantile = _checked_quantile(quantile)
    return _rtd_lite(one, other, quantile, ("first", "second"))


class _OfRepresentations(nn.Module):
    """What both share."""

    def __init__(self, reduction: Reduction) -> None:
        super().__init__()
        check_reduction(reduction, "(*batch,)", "batches of points")
        self.reduction: Reduction = reduction

    @untraced  # numbers are looked at from the first line on
    def forward(self, input: Tensor | Rips, target: Tensor | Rips) -> Tensor:
        """The loss of codes.

        Args:
            input: `(*batch, n, d)` points, or `Rips(distances)`. A minibatch of n is one sample.
            target: `(*batch, n, e)` the same points in another representation, such as the data, or `Rips(distances)`.

        Returns:
            One number, or `(*batch,)` of them with `reduction="none"`.

        Raises:
            TypeError, ValueError: an argument is neither; numbers or batches of points, dtypes or devices differ; a
                filtration has a threshold.
        """
        return reduced(self._costs(*_both("input", input, "target", target)), self.reduction)

    def _costs(self, input: Rips, target: Rips) -> Tensor:
        """(*batch,) costs of filtrations of the same points."""
        raise NotImplementedError


class SignatureLoss(_OfRepresentations):
    """The loss of topological autoencoders, `signature_loss`, as a module that learns the scale of the codes.

    The distances of the target, the data, are divided by the largest one of the sample. Those of the input, the codes,
    are divided by a number that starts at 1. It is a parameter, so the optimizer has to get `loss.parameters()` too.

    Args:
        reduction: "mean" over the batches of points, "sum", or "none". The mean of no batch is 0.

    Raises:
        ValueError: `reduction` is none of these.

    Example:
        >>> import torch
        >>> from topolayer.losses import SignatureLoss
        >>> data, encoder, loss = torch.rand(64, 10), torch.nn.Linear(10, 2), SignatureLoss()
        >>> optimizer = torch.optim.Adam([*encoder.parameters(), *loss.parameters()])
        >>> loss(encoder(data), data).backward()
    """

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.log_scale = nn.Parameter(torch.tensor(0.0))

    def _costs(self, input: Rips, target: Rips) -> Tensor:
        largest = target.values.detach().flatten(-2).amax(-1)
        if self.log_scale.device != largest.device:
            raise ValueError(
                f"input: expected it on {self.log_scale.device}, where the scale of the loss is, got it on "
                f"{largest.device}; move the loss with to({str(largest.device)!r})"
            )
        scale = self.log_scale.exp().to(largest.dtype).expand(largest.shape)
        return _signature(_scaled(input, scale), _scaled(target, torch.where(largest > 0, largest, 1)))


class RTDLiteLoss(_OfRepresentations):
    """RTD-Lite, `rtd_lite`, as a module.

    Args:
        quantile: as in `rtd_lite`: what the distances of each are divided by, or None.
        reduction: "mean" over the batches of points, "sum", or "none". The mean of no batch is 0.

    Raises:
        TypeError, ValueError: an option is out of its range.

    Example:
        >>> import torch
        >>> from topolayer.losses import RTDLiteLoss
        >>> data = torch.rand(64, 10)
        >>> RTDLiteLoss()(2 * data, data)  # the scale is divided out
        tensor(0.)
    """

    def __init__(self, *, quantile: float | None = 0.9, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.quantile = None if quantile is None else _checked_quantile(quantile)

    def _costs(self, input: Rips, target: Rips) -> Tensor:
        return _rtd_lite(input, target, self.quantile, ("input", "target"))


_ONE_BY_ONE = "torch.stack makes a batch of clouds of one size; for others call it for each cloud"


def _both(name: str, first: Tensor | Rips, other_name: str, second: Tensor | Rips) -> tuple[Rips, Rips]:
    """Two filtrations of the same points."""
    one, other = _filtration(name, first), _filtration(other_name, second)
    for what in ("shape", "dtype", "device"):
        expected, got = (getattr(each.values, what) for each in (one, other))
        if got != expected:
            if what == "shape":
                what, expected, got = "distances of shape", tuple(expected), tuple(got)
                remedy = "both have the same points in the same order; images and the like take flatten(1)"
            else:
                remedy = f"{other_name}.to({name}) has both dtype and device"
            raise ValueError(f"{other_name}: expected {what} {expected}, as {name} has, got {got}; {remedy}")
    return one, other


def _filtration(name: str, given: Tensor | Rips) -> Rips:
    if isinstance(given, Rips):
        if given.threshold < math.inf:
            raise ValueError(
                f"{name}: expected a filtration that connects all points, got the threshold {given.threshold:g}; leave "
                "the threshold out"
            )
        if given.is_ragged:
            raise ValueError(f"{name}: expected samples with equally many points, got {given!r}; {_ONE_BY_ONE}")
        return given
    if not isinstance(given, Tensor):
        remedy = "tl.Rips(distances) makes one of distances"
        if isinstance(given, (list, tuple)):
            remedy = _ONE_BY_ONE
        elif hasattr(given, "__array__"):
            remedy = "convert it with torch.as_tensor"
        raise TypeError(
            f"{name}: expected a tensor of points (*batch, n, d) or a Rips filtration, got {came(given)}; {remedy}"
        )
    floating(name, given)
    try:
        return Rips.from_points(given)
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace("points: ", f"{name}: ", 1)) from error


def _scaled(rips: Rips, unit: Tensor) -> Rips:
    """The filtration with its distances divided by a number for each sample."""
    return with_tensors(rips, rips.values / unit[..., None, None], None)


def _signature(one: Rips, other: Rips) -> Tensor:
    return (_squares(one, other) + _squares(other, one)) / 2


def _squares(one: Rips, other: Rips) -> Tensor:
    """(*batch,) sums of squared differences over the edges of the trees of the first."""
    tree = _tree(one.detach())
    edges = tree.pairs[:, 1]
    differences = one.values.flatten()[edges] - other.values.flatten()[edges]
    return tree.sum(differences**2)


def _tree(rips: Rips) -> Barcode:
    """The bars of components, whose deaths are the edges of a minimum spanning tree, including those of length 0."""
    tree, count = persistence(rips), rips.sample_shape[0]
    if len(tree) == rips.samples * (count - 1):
        return tree
    # A barcode has no bars of length 0, so edges of length 0 get a length that is below all others.
    values = rips.values
    zero = (values == 0) & ~torch.eye(count, dtype=torch.bool, device=values.device)
    shortest = torch.where(values > 0, values, 1).amin() / 2
    return persistence(with_tensors(rips, torch.where(zero, shortest, values), None))


def _rtd_lite(one: Rips, other: Rips, quantile: float | None, names: tuple[str, str]) -> Tensor:
    if quantile is not None and one.sample_shape[0] > 1:
        one, other = (
            _scaled(rips, _quantile(rips.values, quantile, name))
            for rips, name in zip((one, other), names, strict=True)
        )
    shorter = with_tensors(one, torch.minimum(one.values, other.values), None)
    return (_tree_length(one) + _tree_length(other)) / 2 - _tree_length(shorter)


def _tree_length(rips: Rips) -> Tensor:
    components = persistence(rips)
    return components.sum(components.deaths)


def _quantile(values: Tensor, quantile: float, name: str) -> Tensor:
    """(*batch,) a quantile of all entries of matrices (*batch, n, n), which torch.quantile has up to n = 4096."""
    count = values.shape[-1]
    row, column = torch.triu_indices(count, count, offset=1, device=values.device)
    upper, place = values[..., row, column], quantile * (count**2 - 1)

    def smallest(number: int) -> Tensor:
        """One of all sorted entries: the zeros on the diagonal, then those above it twice each."""
        if number < count or upper.numel() == 0:
            return values.new_zeros(values.shape[:-2])
        return upper.kthvalue((number - count) // 2 + 1).values

    below, above = smallest(math.floor(place)), smallest(math.ceil(place))
    unit = torch.lerp(below, above, place % 1)
    if bool((unit <= 0).any()):
        sample = tuple((unit <= 0).nonzero()[0].tolist())
        where = f" in sample {sample}" if sample else ""
        raise ValueError(
            f"{name}: expected points of which fewer are equal, got distances with a quantile of 0{where}, by which "
            "they cannot be divided; quantile=None leaves them as they are"
        )
    return unit


def _checked_quantile(quantile: object) -> float:
    remedy = "None leaves distances as they are"
    checked = check_number("quantile", quantile, least=0, remedy=remedy)
    if checked > 1:
        raise ValueError(f"quantile: expected a number from 0 to 1, got {checked:g}; {remedy}")
    return checked
