"""Gradients of clouds that move the neighbours of a point along with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, overload

import torch
from torch import Tensor, nn

from topolayer._checks import check_finite, check_width
from topolayer._filtrations.point_distances import check_clouds, check_points
from topolayer._tracing import refuse_without_numbers, requires_grad_tells, untraced

_CHUNK = 2**18  # weights of pairs that are computed at once, in the cache
_LEAST = -80.0  # exponents below count as minus infinity: numbers below float32's range cost ten times the time


@overload
def smooth_gradient(points: Tensor, *, bandwidth: float) -> Tensor: ...
@overload
def smooth_gradient(points: Sequence[Tensor], *, bandwidth: float) -> list[Tensor]: ...
@untraced  # numbers are looked at from the first line on
def smooth_gradient(points: Tensor | Sequence[Tensor], *, bandwidth: float) -> Tensor | list[Tensor]:
    r"""The same points, whose gradient is smoothed on its way back: neighbours of a point move along with it.

    A bar of points depends on two or three of them, so few points have a gradient. Here the gradient g becomes
    :math:`\sum_j e^{-|x_i - x_j|^2 / 2\sigma^2} g_j` at the point i, the sum over the points of its cloud. This is
    still a direction of descent. In the norm of the kernel it is the steepest one of all smooth movements of space, of
    which Carrière, Theveneau and Lacombe (2024) take another one, which leaves the gradient at its own points as it is.
    Take a smaller learning rate where many points with a gradient are within the bandwidth.

    Any loss of `Rips.from_points` or `Alpha` can use it; terms that get the points themselves keep their gradient.

    Args:
        points: floating-point tensor `(*batch, n, d)`, clouds that do not see each other; half precision is raised to
            float32. Or a list of clouds (n, d) of any sizes in one R^d.
        bandwidth: σ > 0, in units of the coordinates: how far a gradient reaches.

    Returns:
        The points, a tensor or a list. In second derivatives the weights count as constant. The backward pass needs
        memory for the points, and time for n times as many pairs as there are points with a gradient.

    Raises:
        TypeError, ValueError: `points` is no floating-point tensor, has fewer than two axes, no point or no coordinate,
            or is not finite; clouds of a list are of several dtypes, devices or dimensions; `bandwidth` is not > 0.

    Example:
        >>> import torch, topolayer as tl
        >>> points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [5.0, 0.0], [6.0, 0.0]], requires_grad=True)
        >>> def longest(points):
        ...     return tl.persistence(tl.Rips.from_points(points)).deaths.max()
        >>> torch.autograd.grad(longest(points), points)[0][:, 0]
        tensor([ 0., -1.,  1.,  0.])
        >>> torch.autograd.grad(longest(tl.smooth_gradient(points, bandwidth=1.0)), points)[0][:, 0]
        tensor([-0.6065, -0.9997,  0.9997,  0.6065])
    """
    given: Any = points
    several = isinstance(given, (list, tuple))
    clouds = check_clouds(given) if several else [check_points(given)]
    bandwidth = check_width("bandwidth", bandwidth, remedy="without smooth_gradient each point moves alone")
    for i, cloud in enumerate(clouds):
        refuse_without_numbers(cloud)
        check_finite(f"points[{i}]" if several else "points", cloud)
    smoothed: list[Tensor] = [_Smoothed.apply(cloud, bandwidth) for cloud in clouds]  # type: ignore[no-untyped-call]
    return smoothed if several else smoothed[0]


class _Smoothed(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(points: Tensor, bandwidth: float) -> Tensor:
        return points.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        points, ctx.bandwidth = inputs
        ctx.save_for_backward(points)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (points,) = ctx.saved_tensors
        clouds, pulls = (tensor.reshape(-1, *points.shape[-2:]) for tensor in (points.detach(), gradient))
        with torch.autocast(points.device.type, enabled=False):
            moved = _spread(clouds, *_pulled(clouds, pulls), ctx.bandwidth)
        return moved.view(points.shape), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        return tangent.clone()


def _pulled(clouds: Tensor, pulls: Tensor) -> tuple[Tensor, Tensor]:
    """The points (clouds, m, d) that have a gradient, and that gradient.

    Clouds with fewer of them are filled up with points that have none.
    """
    if not requires_grad_tells() or torch.is_grad_enabled():
        return clouds, pulls
    pulls_at = (pulls != 0).any(-1)
    most = int(pulls_at.sum(1).max()) if pulls_at.numel() else 0  # the host waits
    places = pulls_at.byte().topk(most, dim=1).indices[..., None].expand(-1, -1, clouds.shape[2])
    return clouds.gather(1, places), pulls.gather(1, places)


def _spread(clouds: Tensor, centers: Tensor, pulls: Tensor, bandwidth: float) -> Tensor:
    """(clouds, n, d) the sums of the pulls at the centers, weighted by their distances from each point."""
    rows = max(1, _CHUNK // max(1, centers.shape[1]))
    several = max(1, rows // clouds.shape[1])  # clouds that are looked at at once
    parts = zip(*(torch.split(tensor, several) for tensor in (clouds, centers, pulls)), strict=True)
    moved = []
    for part, at, pulled in parts:
        blocks = [_weights(block, at, bandwidth) @ pulled for block in torch.split(part, rows, dim=1)]
        moved.append(torch.cat(blocks, dim=1))
    return torch.cat(moved)


def _weights(points: Tensor, centers: Tensor, bandwidth: float) -> Tensor:
    """(clouds, rows, m)"""
    factor = -1 / (2 * bandwidth**2)
    if points.shape[2] > 4:
        distances = torch.cdist(points, centers, compute_mode="donot_use_mm_for_euclid_dist")
        exponents = distances.square_().mul_(factor)
    else:  # the few dimensions of Alpha, in which torch.cdist takes twice as long
        exponents = points.new_zeros(*points.shape[:2], centers.shape[1])
        for ours, theirs in zip(points.unbind(2), centers.unbind(2), strict=True):
            differences = ours[:, :, None] - theirs[:, None]
            exponents.addcmul_(differences, differences, value=factor)
    return nn.functional.threshold(exponents, _LEAST, -math.inf, inplace=True).exp_()
