"""Vectorizations: from a barcode to a vector of fixed size per sample, on a grid that the caller gives."""

from __future__ import annotations

import math
import numbers

import torch
from torch import Tensor

from topolayer._barcodes.barcode import Barcode
from topolayer._barcodes.bars import EssentialBars
from topolayer._barcodes.extended import ExtendedBarcode
from topolayer._barcodes.sums import of_one_dim, shares
from topolayer._checks import came, check_finite, check_integer, check_number, dense, floating, raise_memory_error
from topolayer._per_sample import rows, sums
from topolayer._tracing import refuse_without_numbers

_CHUNK = 2**22  # numbers that a landscape looks at at once, of bars times grid points


def landscape(barcode: Barcode, grid: Tensor, *, k: int, dim: int | None = None) -> Tensor:
    r"""The k highest tents at each point of a grid, highest first: the persistence landscape of Bubenik (2015).

    The tent of a finite bar is :math:`\max(0, \min(t - b, d - t))`; in a superlevel barcode it stands over the bar as
    well, from d to b, in the input's units. Its height is half the length of the bar, so that a unit of the landscape
    is a unit of the input; GUDHI's is larger by a factor of :math:`\sqrt 2`.

    Args:
        barcode: from `persistence`, any number of samples.
        grid: (n,) where to evaluate, in any order; taken in the dtype of the barcode.
        k: the number of landscape functions.
        dim: the homology dimension; None if only one was computed.

    Returns:
        `(*batch, k, n)`, 0 where fewer than k bars are alive. It is differentiable in the barcode and the grid. The
        highest tents are found off the graph, in parts of the grid; the graph then has k of them per point.

    Raises:
        TypeError, ValueError: an argument is out of its range, `grid` is not finite or on another device, or `dim` is
            None and several were computed.
        MemoryError: there is not enough memory for so many.

    Example:
        >>> import torch, topolayer as tl
        >>> signal = torch.tensor([0.0, 6.0, 2.0, 4.0])  # bars (2, 4) and, never dying, (0,)
        >>> barcode = tl.persistence(tl.Freudenthal(signal, ndim=1))
        >>> tl.landscape(barcode, torch.tensor([2.0, 3.0, 4.0, 5.0, 6.0]), k=2)
        tensor([[0., 1., 2., 1., 0.],
                [0., 0., 0., 0., 0.]])
    """
    bars, grid = of_one_dim(barcode, dim), _points("grid", grid, barcode)
    k = check_integer("k", k, least=0, most=2**31 - 1, remedy="the result has k functions for each sample")
    try:
        return _landscape(bars, grid, k)
    except RuntimeError as error:
        raise_memory_error(error, f"k={k}")


def _landscape(bars: Barcode, grid: Tensor, k: int) -> Tensor:
    samples = math.prod(bars.batch_shape)
    lows, highs = (  # k bars of length zero at zero, whose tent has height zero, for the samples that have fewer
        torch.nn.functional.pad(rows(ends, bars.sample, samples, fill=0)[0], (0, k)) for ends in _spans(bars)
    )
    with torch.no_grad():
        step = max(1, _CHUNK // max(1, lows.numel()))
        parts = [
            _tents(lows[:, None], highs[:, None], t[:, None]).topk(k, dim=2).indices for t in torch.split(grid, step)
        ]
        places = torch.cat(parts, dim=1).flatten(1)
    heights = _tents(
        lows.gather(1, places).view(samples, len(grid), k),
        highs.gather(1, places).view(samples, len(grid), k),
        grid[:, None],
    )
    return heights.mT.reshape(*bars.batch_shape, k, len(grid))


def silhouette(barcode: Barcode, grid: Tensor, *, p: float = 1, dim: int | None = None) -> Tensor:
    r"""The mean of all tents at each point of a grid, weighted by :math:`|d - b|^p`: the power-weighted silhouette of
    Chazal, Fasy, Lecci, Rinaldo and Wasserman (2014).

    Tents are those of `landscape`. A large p emphasizes the long bars; with p = 0 all bars have the same weight.

    Args:
        barcode: from `persistence`, any number of samples.
        grid: (n,) where to evaluate, in any order; taken in the dtype of the barcode.
        p: power of the length, >= 0. Below 1 the gradient grows without bound as a length goes to zero.
        dim: the homology dimension; None if only one was computed.

    Returns:
        `(*batch, n)`, 0 for a sample without finite bars. It is differentiable in the barcode and the grid. All tents
        at all points are held in memory.

    Raises:
        TypeError, ValueError: as for `landscape`.

    Example:
        >>> import torch, topolayer as tl
        >>> signal = torch.tensor([0.0, 6.0, 2.0, 4.0, 3.0])  # bars (3, 4) and (2, 6)
        >>> barcode = tl.persistence(tl.Freudenthal(signal, ndim=1))
        >>> tl.silhouette(barcode, torch.tensor([2.0, 3.5, 4.0, 7.0]), p=0)
        tensor([0., 1., 1., 0.])
    """
    bars, grid = of_one_dim(barcode, dim), _points("grid", grid, barcode)
    p = check_number("p", p, least=0, remedy="p=0 weighs all bars alike")
    low, high = _spans(bars)
    return _sums(bars, shares(bars, p)[:, None] * _tents(low[:, None], high[:, None], grid))


def betti_numbers(barcode: Barcode, levels: float | Tensor, *, dim: int | None = None, softness: float = 0.0) -> Tensor:
    r"""How many bars are alive at a level, essential ones included; at many levels, the Betti curve.

    This is the Betti number of the set where the values are at most the level (at least the level in a superlevel
    filtration): the number of its components in dimension 0, and of its holes in dimension 1. A bar is alive from its
    birth on, and no longer at its death.

    Args:
        barcode: from `persistence`, any number of samples.
        levels: a number, or (n,) numbers in any order, in the input's units; taken in the dtype of the barcode.
        dim: the homology dimension; None if only one was computed.
        softness: s >= 0. Above 0 each bar counts by
            :math:`\sigma(\frac{t - b}{s})\,\sigma(\frac{d - t}{s})` with the logistic function
            :math:`\sigma`, a smooth function of the bar and the level; in a superlevel filtration the signs of both are
            flipped. Bars near the level count in part, and so do short bars, of which a noisy image has many. All bars
            at all levels are held in memory.

    Returns:
        `(*batch,)` for a number, `(*batch, n)` for n levels, of the dtype of the barcode. Without softness these are
        counts, whose derivative is 0, so they are off the graph.

    Raises:
        TypeError, ValueError: an argument is out of its range, `levels` are not finite or on another device, or `dim`
            is None and several were computed.

    Example:
        >>> import torch, topolayer as tl
        >>> image = torch.tensor([[9.0, 1.0, 6.0], [1.0, 1.0, 1.0], [4.0, 1.0, 2.0]])
        >>> barcode = tl.persistence(tl.Cubical(image, superlevel=True))
        >>> tl.betti_numbers(barcode, 3), tl.betti_numbers(barcode, torch.tensor([9.0, 5.0, 1.0]))
        (tensor(3.), tensor([1., 2., 1.]))
    """
    if isinstance(barcode, ExtendedBarcode):
        raise TypeError(
            "barcode: expected one of persistence, got one of extended_persistence, whose bars do not count what a "
            "level has; take tl.persistence(filtration, dims=(0, 1))"
        )
    bars = of_one_dim(barcode, dim)
    if isinstance(levels, numbers.Number):
        shape = torch.Size()
        levels = barcode.births.new_tensor([check_number("levels", levels, remedy="leave it out")])
        check_finite("levels", levels, remedy="leave it out")
    elif isinstance(levels, Tensor):
        levels = dense("levels", levels)
        shape = levels.shape
        levels = _points("levels", levels[None] if levels.ndim == 0 else levels, barcode)
    else:
        raise TypeError(
            f"levels: expected a number or a tensor (n,), got {came(levels)}; convert it with torch.as_tensor"
        )
    softness = check_number("softness", softness, least=0, remedy="0 counts whole bars")
    if not shape and softness == 0:
        levels = levels.to(barcode.input_dtype).to(levels.dtype)  # as torch compares a number with a tensor
    alive = _soft_counts(bars, levels, softness) if softness > 0 else _counts(bars, levels)
    return alive.reshape((*bars.batch_shape, *shape))


def persistence_image(
    barcode: Barcode,
    births: Tensor,
    lengths: Tensor,
    *,
    sigma: float,
    weight: Tensor | None = None,
    dim: int | None = None,
) -> Tensor:
    r"""A sum of Gaussians around the points (birth, length) of the finite bars, on a grid in that plane: the
    persistence image of Adams et al. (2017).

    At the point (x, y) it is :math:`\sum_i w_i \frac{1}{2\pi\sigma^2} e^{-((x - b_i)^2 + (y - \ell_i)^2) / 2\sigma^2}`,
    which is the value at that point. The article takes the integral over a small pixel, which is about the value times
    the area of the pixel.

    Args:
        barcode: from `persistence`, any number of samples.
        births: (m,) the columns, in the input's units, also in a superlevel filtration; taken in the dtype of the
            barcode.
        lengths: (n,) the rows, likewise.
        sigma: standard deviation of the Gaussians, > 0.
        weight: (bars,) one weight for each bar of `barcode`, for instance `length_weights(barcode, epsilon)`. None
            takes the length. For stability the weight has to go to zero with the length.
        dim: the homology dimension; None if only one was computed.

    Returns:
        `(*batch, n, m)`, 0 for a sample without finite bars. It is differentiable in the barcode, the weights and the
        grid.

    Raises:
        TypeError, ValueError: an argument is out of its range, a grid or `weight` has the wrong shape or is on another
            device, or `dim` is None and several were computed.

    Example:
        >>> import torch, topolayer as tl
        >>> barcode = tl.persistence(tl.Freudenthal(torch.rand(4, 16, 16), superlevel=True))
        >>> tl.persistence_image(barcode, torch.linspace(0, 1, 20), torch.linspace(0, 1, 10), sigma=0.1).shape
        torch.Size([4, 10, 20])
    """
    bars = of_one_dim(barcode, dim)
    births, lengths = _points("births", births, barcode), _points("lengths", lengths, barcode)
    sigma = check_number("sigma", sigma, least=0, remedy="take about the distance of the points of the grid")
    kind = torch.finfo(bars.births.dtype)
    if not kind.tiny <= sigma * sigma <= kind.max:
        raise ValueError(
            f"sigma: expected a number > 0 whose square {bars.births.dtype} can hold, got {sigma}; take about the "
            "distance of the points of the grid"
        )
    if weight is None:
        terms = bars.lengths
    else:
        weight = floating("weight", weight)
        if weight.shape != barcode.births.shape or weight.device != barcode.births.device:
            raise ValueError(
                f"weight: expected shape ({len(barcode)},) on {barcode.births.device}, one entry per bar, "
                f"got {tuple(weight.shape)} on {weight.device}; barcode.lengths, for instance, has it"
            )
        terms = weight.to(bars.births.dtype)
        terms = terms if bars is barcode else terms[(barcode.dims == bars.computed_dims[0]).nonzero()[:, 0]]
    samples = math.prod(bars.batch_shape)
    column, row, height = (
        rows(values, bars.sample, samples, fill=0)[0][:, :, None]
        for values in (bars.births, bars.lengths, terms / (2 * math.pi * sigma**2))
    )
    # A Gaussian in the plane is a product of two on the axes, so the sum over bars is a product of matrices.
    with torch.autocast(height.device.type, enabled=False):
        image = (height * _bell((lengths - row) / sigma)).mT @ _bell((births - column) / sigma)
    return image.reshape(*bars.batch_shape, len(lengths), len(births))


def _points(name: str, points: object, barcode: Barcode) -> Tensor:
    """A grid, checked and in the dtype of the barcode."""
    if isinstance(points, numbers.Number):
        remedy = f"torch.linspace(first, last, {points}) has so many" if isinstance(points, int) else "name several"
        raise TypeError(f"{name}: expected a torch.Tensor of shape (n,), got {came(points)}; {remedy}")
    grid, births = floating(name, points), barcode.births
    if grid.ndim != 1:
        raise ValueError(f"{name}: expected shape (n,), got {tuple(grid.shape)}; flatten it")
    if grid.device != births.device:
        raise ValueError(
            f"{name}: expected a tensor on {births.device}, where the barcode is, got one on {grid.device}; "
            f"move it with {name}.to(barcode.births.device)"
        )
    grid = grid.to(births.dtype)
    refuse_without_numbers(grid)
    check_finite(name, grid)
    return grid


def _spans(bars: Barcode) -> tuple[Tensor, Tensor]:
    """(bars,) the lower and the upper end of each bar."""
    return torch.minimum(bars.births, bars.deaths), torch.maximum(bars.births, bars.deaths)


def _tents(low: Tensor, high: Tensor, t: Tensor) -> Tensor:
    return torch.minimum(t - low, high - t).relu()


def _bell(x: Tensor) -> Tensor:
    # It is 0 further out as well, where the square may overflow and have no derivative.
    return x.clamp(-1e3, 1e3).square().div(-2).exp()


def _sums(bars: Barcode | EssentialBars, terms: Tensor) -> Tensor:
    """`(bars, n) -> (*batch, n)`: `Barcode.sum` with one more axis."""
    return sums(terms, bars.sample, math.prod(bars.batch_shape)).reshape(*bars.batch_shape, terms.shape[1])


def _counts(bars: Barcode, levels: Tensor) -> Tensor:
    """(samples, n) the bars alive at each level: a step up at the first level past a birth, down past a death."""
    samples, n, sign = math.prod(bars.batch_shape), len(levels), -1 if bars.superlevel else 1
    with torch.no_grad():
        ascending, order = (sign * levels).sort()
        steps = torch.zeros(samples * (n + 1), dtype=torch.int64, device=levels.device)
        for ends, sample, step in (
            (bars.births, bars.sample, 1),
            (bars.deaths, bars.sample, -1),
            (bars.essential.births, bars.essential.sample, 1),
        ):
            first = torch.searchsorted(ascending, (sign * ends).contiguous())
            steps.index_add_(0, sample * (n + 1) + first, torch.full_like(first, step))
        alive = steps.view(samples, n + 1)[:, :n].cumsum(dim=1)
        return torch.empty_like(alive).index_copy_(1, order, alive).to(levels.dtype)


def _soft_counts(bars: Barcode, levels: Tensor, softness: float) -> Tensor:
    width, essential = max(softness, torch.finfo(levels.dtype).tiny), bars.essential
    width = -width if bars.superlevel else width
    born = ((levels - bars.births[:, None]) / width).sigmoid()
    not_dead = ((bars.deaths[:, None] - levels) / width).sigmoid()
    forever = ((levels - essential.births[:, None]) / width).sigmoid()
    finite = _sums(bars, born * not_dead)
    return finite + _sums(essential, forever)
