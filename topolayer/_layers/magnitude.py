"""Penalties on the activation of a layer: project channels to one number per pixel, then penalize the barcode."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from topolayer._barcodes.extrema import check_options, superfluous
from topolayer._checks import NonFiniteError, check_inside, check_integer, check_region, check_word, floating
from topolayer._filtrations import Freudenthal
from topolayer._tracing import refuse_lost_detach, refuse_without_numbers, writes_a_graph


def channel_norm(h: Tensor, dim: int = 1) -> Tensor:
    """The 2-norm of the channels at every pixel: equation (3) of the paper.

    Args:
        h: floating-point tensor with channels on axis `dim`. Half precision is raised to float32 first, because squares
            would overflow.
        dim: the axis of the channels.

    Returns:
        `h.shape` without axis `dim`, float32 or float64. At the zero vector, common after a ReLU, the first and second
        derivatives are 0, not NaN. With several channels, a norm whose square is not a normal number (below 2.2e-19 in
        float32) counts as zero.

    Raises:
        TypeError: `h` is not a floating-point tensor.
        ValueError: `h` has no axis `dim`.

    Example:
        >>> import torch, topolayer as tl
        >>> tl.channel_norm(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([5., 0.])
    """
    h = floating("h", h)
    remedy = "in (B, C, H, W) it is 1, in (B, H, W, C) -1, and without channels take h.abs()"
    what = "an int, the axis of the channels"
    dim = check_integer("dim", dim, what=what, least=-h.ndim, most=h.ndim - 1, remedy=remedy)
    if h.shape[dim] == 1:
        return h.abs().squeeze(dim)
    if torch.compiler.is_compiling():  # the compiler makes one pass of this
        squares = h.square().sum(dim)
        zero = squares == 0
        return torch.where(zero, 0, torch.where(zero, 1, squares).sqrt())
    norm: Tensor = _Norm.apply(h, dim)  # type: ignore[no-untyped-call]
    return norm


def _root_mean_square(magnitude: Tensor, channels: int, mask: Tensor | None) -> Tensor:
    """For each sample over all entries, as a constant; 1 if all are zero. `magnitude` is zero outside the mask."""
    squares = magnitude.detach().flatten(1)
    largest = squares.amax(dim=1, keepdim=True)  # what is divided by it has squares that neither overflow nor vanish
    largest = torch.where(largest == 0, 1, largest)
    squares = (squares / largest).square()
    pixels = squares.shape[1] if mask is None else mask.flatten(1).sum(dim=1, keepdim=True)
    root = largest * (squares.sum(dim=1, keepdim=True) / (pixels * max(channels, 1))).sqrt()
    return torch.where(root == 0, 1, root).reshape(-1, *(1,) * (magnitude.ndim - 1))


class _Norm(torch.autograd.Function):
    """One pass over h backward: autograd would make three, and as many copies."""

    generate_vmap_rule = True

    @staticmethod
    def forward(h: Tensor, dim: int) -> Tensor:
        # The root of zero is slow on some processors: take that of the smallest number instead, and drop it again.
        tiny = torch.finfo(h.dtype).tiny
        return torch.threshold(h.square().sum(dim).clamp_min(tiny).sqrt(), 2 * math.sqrt(tiny), 0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
        h, ctx.dim = inputs
        ctx.save_for_backward(h, output)
        ctx.save_for_forward(h, output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        h, norm = ctx.saved_tensors
        return h * (gradient * _inverse(norm)).unsqueeze(ctx.dim), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        h, norm = ctx.saved_tensors
        along: Tensor = (h * tangent).sum(ctx.dim)
        return along * _inverse(norm)


def _inverse(norm: Tensor) -> Tensor:
    """1 / norm, but 0 at 0."""
    return norm / norm.square().clamp_min(torch.finfo(norm.dtype).tiny)


def few_maxima(
    h: Tensor,
    *,
    k: int = 8,
    p: float = 2,
    gradient: Literal["critical", "region"] = "critical",
    scale: Literal["rms"] | None = None,
    region: Tensor | None = None,
) -> Tensor:
    """Penalizes all but the k most prominent maxima of an activation's magnitude: equations (3) and (1) of the paper.

    This is `few_extrema` of the channel norms on the Freudenthal triangulation, by superlevel sets: the sum of
    `length ** p` over all but the k longest bars. The maximum that never dies is one of the k. `few_extrema` explains
    "region", and when to take it.

    Args:
        h: (B, C, H, W) activation of a layer; (B, C, D, H, W) for volumes.
        k: how many maxima to spare.
        p: power of the lengths, or of the distances.
        gradient: "critical" penalizes bars, which pulls on two pixels of each. "region" penalizes pixels, which pulls
            on whole regions.
        scale: "rms" first divides each sample of `h` by the root mean square of its entries, held constant (detached).
            The penalty then does not depend on the scale of the activation, so shrinking the activation does not lower
            it.
        region: bool tensor, True inside, if only a part of the pixels counts: (B, 1, H, W), or (H, W) for all samples.
            Entries outside may be anything. Each piece of the region has a maximum that never dies and counts towards
            k. The root mean square is that of the entries inside.

    Returns:
        (B,) one number per sample, float32 or float64. If any entry of a sample is NaN, infinite or too large for the
        norm, its penalty and its gradient are NaN, so that a gradient scaler can skip the step.

    Raises:
        TypeError, ValueError: `h` is not a floating-point tensor of four or five axes; `k` or `p` is out of range;
            `gradient` or `scale` is unknown; `region` does not fit `h`, or comes with `gradient="region"`.

    Example:
        >>> import torch, topolayer as tl
        >>> h = torch.rand(4, 16, 24, 32, requires_grad=True)
        >>> tl.few_maxima(h, k=8).mean().backward()
    """
    h = floating("h", h)
    if h.ndim not in (4, 5) or 0 in h.shape[2:]:
        raise ValueError(
            f"h: expected shape (B, C, H, W) or (B, C, D, H, W) with at least one pixel, got {tuple(h.shape)}; "
            "a single sample (C, H, W) gets its batch axis by h[None], tokens (B, N, C) become a grid by tokens_to_grid"
        )
    k, p = check_options(k, p, gradient)
    if scale is not None:
        check_word("scale", scale, {"rms": "root mean square"}, remedy="None takes h as it is")
    mask = None
    if region is not None:
        if gradient == "region":
            raise ValueError(
                'gradient: expected "critical" with region=..., got "region", which compares all pixels with their '
                "simplification; leave out one of the two"
            )
        mask = check_region("region", region, h.new_empty(h.shape[0], 1, *h.shape[2:]), h.ndim - 2)
        if not writes_a_graph():
            refuse_without_numbers(h)
            check_inside("region", mask, h.ndim - 2)
        h, mask = h.masked_fill(~mask, 0), mask[:, 0]
    magnitude = channel_norm(h)
    if scale is not None:
        refuse_lost_detach('scale="rms"')
        magnitude = magnitude / _root_mean_square(magnitude, h.shape[1], mask)
    maxima = partial(Freudenthal, ndim=magnitude.ndim - 1, superlevel=True, mask=mask)
    if not torch.compiler.is_compiling():
        try:
            return superfluous(maxima(magnitude), k=k, p=p, gradient=gradient)
        except NonFiniteError:  # found on the way: looking for it in every step would cost as much as the topology
            pass
    finite = torch.isfinite(magnitude.detach()).flatten(1).all(dim=1).reshape(-1, *(1,) * (magnitude.ndim - 1))
    penalty = superfluous(maxima(torch.where(finite, magnitude, 0)), k=k, p=p, gradient=gradient)
    poison = magnitude.new_zeros(finite.shape).masked_fill(~finite, torch.nan)
    return penalty + (magnitude * poison).flatten(1).sum(dim=1)
