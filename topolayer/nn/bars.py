"""Transformations of single bars, with parameters: from births and deaths (bars,) to features (bars, channels)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from topolayer._checks import check_finite, check_integer, check_number, check_width, floating

_CHUNK = 2**19  # features that are computed at once: few calls, and temporary memory of some megabytes
_TWOS = (0.5 / math.log(2)) ** 0.5  # e**(-x**2 / 2) is 2**(-(this * x)**2), which takes torch half the time or less
_WIDTH = "a start is the distance of neighbouring channels"


class _OfBars(nn.Module):
    """What the transformations share."""

    def forward(self, births: Tensor, deaths: Tensor) -> Tensor:
        """The features of each bar.

        Args:
            births: (bars,), in the input's units.
            deaths: (bars,), likewise; below the births in a superlevel barcode.

        Returns:
            (bars, channels), differentiable in the bars and the parameters.
        """
        raise NotImplementedError

    def extra_repr(self) -> str:
        """The shapes of the parameters."""
        return ", ".join(f"{name}={tuple(parameter.shape)}" for name, parameter in self.named_parameters())


class Gaussian(_OfBars):
    r"""A Gaussian around each of several centers in the plane of births and lengths.

    The feature of a bar (b, d) at the center (x, y) is
    :math:`e^{-(b - x)^2 / 2\sigma_b^2 - (|d - b| - y)^2 / 2\sigma_\ell^2}`, 1 at the center. With centers on a grid,
    weights and a sum this is a persistence image without its constant factor. It is the Gaussian point transformation
    of Carrière et al. (2020).

    Args:
        centers: (channels, 2) a birth and a length for each channel, in the input's units, to start from.
        sigma: standard deviation, > 0; a pair has one for births and one for lengths. Its logarithm is learned.

    Raises:
        TypeError, ValueError: `centers` has another shape or is not finite; `sigma` is not > 0.

    Example:
        >>> import torch
        >>> from topolayer import nn
        >>> gaussian = nn.Gaussian(torch.tensor([[0.0, 1.0], [2.0, 1.0]]), sigma=1.0)
        >>> gaussian(torch.tensor([0.0]), torch.tensor([1.0]))  # a bar from 0 to 1
        tensor([[1.0000, 0.1353]], grad_fn=<_GaussiansBackward>)
    """

    def __init__(self, centers: Tensor, *, sigma: float | tuple[float, float]) -> None:
        super().__init__()
        start = floating("centers", centers).detach()
        if start.ndim != 2 or start.shape[1] != 2 or len(start) == 0:
            raise ValueError(
                f"centers: expected shape (channels, 2), a birth and a length for each, got {tuple(start.shape)}; "
                "torch.cartesian_prod(births, lengths) makes a grid"
            )
        check_finite("centers", start)
        pair = sigma if isinstance(sigma, (tuple, list)) else (sigma, sigma)
        if len(pair) != 2:
            raise ValueError(
                f"sigma: expected a number, or two, for births and for lengths, got {len(pair)}; all centers share them"
            )
        widths = torch.tensor(
            [check_width("sigma", number, remedy=_WIDTH) for number in pair], dtype=start.dtype, device=start.device
        )
        self.centers = nn.Parameter(start.clone())
        self.log_sigma = nn.Parameter(widths.log())

    def forward(self, births: Tensor, deaths: Tensor) -> Tensor:
        points = torch.stack([births, (deaths - births).abs()])
        units = (-self.log_sigma).exp()[:, None]
        features: Tensor = _Gaussians.apply(points * units, self.centers.mT * units)  # type: ignore[no-untyped-call]
        return features


class _Gaussians(torch.autograd.Function):
    """(bars, channels) Gaussians of width 1 of points (2, bars) around centers (2, channels).

    The sums of its derivative are products of a matrix and a vector. One product with the three columns together, for
    which BLAS has no kernel on every processor, can take five times as long.
    """

    @staticmethod
    def forward(points: Tensor, centers: Tensor) -> Tensor:
        features = points.new_empty(points.shape[1], centers.shape[1])
        step = max(1, _CHUNK // centers.shape[1])
        points, centers = points * _TWOS, centers * _TWOS
        zero = points.new_zeros(())
        for rows, part in zip(torch.split(features, step), torch.split(points, step, dim=1), strict=True):
            x, y = part[:, :, None] - centers[:, None]
            torch.addcmul(zero, x, x, value=-1, out=rows).addcmul_(y, y, value=-1).exp2_()
        return features

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs, output)
        ctx.save_for_forward(*inputs, output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        points, centers, features = ctx.saved_tensors
        middle = centers.detach().mean(1, keepdim=True)  # differences are not lost to rounding far from the origin
        points, centers = points - middle, centers - middle
        pulls = gradient * features
        with torch.autocast(pulls.device.type, enabled=False):
            return _towards(pulls, centers, points), _towards(pulls.mT, points, centers)

    @staticmethod
    def jvp(ctx: Any, of_points: Tensor, of_centers: Tensor) -> Tensor:
        points, centers, features = ctx.saved_tensors
        along = (points[:, :, None] - centers[:, None]) * (of_points[:, :, None] - of_centers[:, None])
        tangent: Tensor = -features * along.sum(0)
        return tangent


def _towards(pulls: Tensor, there: Tensor, here: Tensor) -> Tensor:
    """(2, m) the sums of pulls (m, n) from points here (2, m) to points there (2, n)."""
    return torch.stack([pulls @ axis for axis in there]) - here * (pulls @ torch.ones_like(there[0]))


class Tent(_OfBars):
    r"""The tent of a bar at each of several levels: :math:`\max(0, \min(t - b, d - t))`, as in `landscape`.

    With `pooling=k` this is the persistence landscape; with weights of the length and a sum it is an unnormalized
    silhouette. It is the triangle point transformation of Carrière et al. (2020), in the coordinates in which it makes
    landscapes, and GUDHI's `TentPerslayPhi`. In a superlevel barcode the tent stands over the bar as well, from d to b.

    Args:
        levels: (channels,) in the input's units, to start from.

    Raises:
        TypeError, ValueError: `levels` has another shape or is not finite.

    Example:
        >>> import torch
        >>> from topolayer import nn
        >>> nn.Tent(torch.tensor([1.0, 2.0, 5.0]))(torch.tensor([0.0]), torch.tensor([4.0]))
        tensor([[1., 2., 0.]], grad_fn=<ReluBackward0>)
    """

    def __init__(self, levels: Tensor) -> None:
        super().__init__()
        self.levels = nn.Parameter(_checked_levels(levels))

    def forward(self, births: Tensor, deaths: Tensor) -> Tensor:
        return _inside(births, deaths, self.levels).relu()


class Flat(_OfBars):
    r"""Whether a bar is alive at each of several levels, softly: :math:`1 / (1 + e^{-\min(t - b, d - t) / s})`.

    With a sum this is a smooth Betti curve. It is GUDHI's `FlatPerslayPhi`, whose theta is 1 / s.

    Args:
        levels: (channels,) in the input's units, to start from.
        softness: s > 0, in the same units. Its logarithm is learned.

    Raises:
        TypeError, ValueError: `levels` has another shape or is not finite; `softness` is not > 0.

    Example:
        >>> import torch
        >>> from topolayer import nn
        >>> nn.Flat(torch.tensor([2.0, 4.0, 5.0]), softness=0.1)(torch.tensor([0.0]), torch.tensor([4.0]))
        tensor([[1.0000e+00, 5.0000e-01, 4.5398e-05]], grad_fn=<SigmoidBackward0>)
    """

    def __init__(self, levels: Tensor, *, softness: float) -> None:
        super().__init__()
        start = _checked_levels(levels)
        self.levels = nn.Parameter(start)
        self.log_softness = nn.Parameter(start.new_tensor(check_width("softness", softness, remedy=_WIDTH)).log())

    def forward(self, births: Tensor, deaths: Tensor) -> Tensor:
        return (_inside(births, deaths, self.levels) * (-self.log_softness).exp()).sigmoid()


class Line(_OfBars):
    r"""Linear functions of a bar, :math:`u b + v |d - b| + c`: the line point transformation of Carrière et al. (2020).

    The weights (u, v) and the biases c start from random numbers, as those of `torch.nn.Linear` do.

    Args:
        channels: the number of functions.

    Raises:
        TypeError, ValueError: `channels` is no int >= 1.

    Example:
        >>> import torch
        >>> from topolayer import nn
        >>> nn.Line(3)(torch.tensor([0.0, 1.0]), torch.tensor([4.0, 2.0])).shape
        torch.Size([2, 3])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        channels = check_integer("channels", channels, least=1, most=2**31 - 1, remedy="how many features a bar gets")
        linear = nn.Linear(2, channels)
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, births: Tensor, deaths: Tensor) -> Tensor:
        lengths = (deaths - births).abs()
        # Not nn.functional.linear, which autocast computes in half precision.
        return births[:, None] * self.weight[:, 0] + lengths[:, None] * self.weight[:, 1] + self.bias


class Power(_OfBars):
    r"""One channel, :math:`c\,|d - b|^p` with a constant c that is learned: a weight that grows with the length.

    Args:
        p: power of the length, >= 0. Below 1 the gradient grows without bound as a length goes to zero.
        scale: the value of c to start from.

    Raises:
        TypeError, ValueError: `p` or `scale` is no finite number, or `p` negative.

    Example:
        >>> import torch
        >>> from topolayer import nn
        >>> nn.Power(2)(torch.tensor([0.0, 1.0]), torch.tensor([4.0, 2.0]))
        tensor([[16.],
                [ 1.]], grad_fn=<MulBackward0>)
    """

    def __init__(self, p: float = 1.0, *, scale: float = 1.0) -> None:
        super().__init__()
        self.p = check_number("p", p, least=0, remedy="p=0 is a constant weight, p=1 the length")
        scale = check_number("scale", scale, remedy="1 leaves the powers as they are")
        self.scale = nn.Parameter(torch.tensor([scale], dtype=torch.get_default_dtype()))

    def forward(self, births: Tensor, deaths: Tensor) -> Tensor:
        return self.scale * (deaths - births).abs()[:, None] ** self.p

    def extra_repr(self) -> str:
        """The power."""
        return f"p={self.p:g}"


class Grid(_OfBars):
    """One channel, with a learned number for each cell of a grid in the plane of births and lengths: a weight of any
    form.

    A bar beyond the grid gets the number of the nearest cell. The gradient goes to the numbers and not to the bars,
    because the weight is constant around a bar.

    Args:
        weights: (m, n) the numbers to start from, of m intervals of births and n of lengths.
        births: the least and the greatest birth of the grid.
        lengths: the least and the greatest length.

    Raises:
        TypeError, ValueError: `weights` has another shape or is not finite; `births` or `lengths` are no two finite
            numbers, the second one greater.

    Example:
        >>> import torch
        >>> from topolayer import nn
        >>> grid = nn.Grid(torch.tensor([[0.0, 1.0], [0.0, 2.0]]), births=(0, 1), lengths=(0, 1))
        >>> grid(torch.tensor([0.2, 0.6, 7.0]), torch.tensor([0.4, 1.2, 7.9]))
        tensor([[0.],
                [2.],
                [2.]], grad_fn=<UnsqueezeBackward0>)
    """

    def __init__(self, weights: Tensor, *, births: tuple[float, float], lengths: tuple[float, float]) -> None:
        super().__init__()
        start = floating("weights", weights).detach()
        if start.ndim != 2 or start.numel() == 0:
            raise ValueError(
                f"weights: expected shape (m, n), births by lengths, got {tuple(start.shape)}; "
                "torch.ones(10, 10), for instance, is a start"
            )
        check_finite("weights", start)
        self.births, self.lengths = _interval("births", births), _interval("lengths", lengths)
        self.weights = nn.Parameter(start.clone())

    def forward(self, births: Tensor, deaths: Tensor) -> Tensor:
        row = _cells(births, self.births, self.weights.shape[0])
        column = _cells((deaths - births).abs(), self.lengths, self.weights.shape[1])
        return self.weights[row, column][:, None]

    def extra_repr(self) -> str:
        """The shape of the grid and its limits."""
        return f"{super().extra_repr()}, births={self.births}, lengths={self.lengths}"


def _inside(births: Tensor, deaths: Tensor, levels: Tensor) -> Tensor:
    """(bars, levels) how far inside the bar a level is, from its nearer end; negative outside."""
    middle, half = (births + deaths) / 2, (deaths - births).abs() / 2
    return half[:, None] - (levels - middle[:, None]).abs()


def _cells(numbers: Tensor, interval: tuple[float, float], cells: int) -> Tensor:
    low, high = interval
    place = ((numbers.detach() - low) * (cells / (high - low))).clamp(0, cells - 1)
    return place.long()


def _checked_levels(levels: Tensor) -> Tensor:
    start = floating("levels", levels).detach()
    if start.ndim != 1 or len(start) == 0:
        raise ValueError(
            f"levels: expected shape (channels,), got {tuple(start.shape)}; torch.linspace(0, 1, 20), for instance, "
            "has it"
        )
    check_finite("levels", start)
    return start.clone()


def _interval(name: str, given: object) -> tuple[float, float]:
    remedy = "(0, 1), for instance, are the limits of an image's"
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        got = f"{len(given)} numbers" if isinstance(given, (tuple, list)) else type(given).__name__
        raise TypeError(f"{name}: expected two numbers, the least and the greatest, got {got}; {remedy}")
    low, high = (check_number(name, number, remedy=remedy) for number in given)
    if low >= high:
        raise ValueError(f"{name}: expected the greater number second, got {low:g} and {high:g}; {remedy}")
    return low, high
