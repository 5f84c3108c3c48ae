"""Penalties on the activation of a layer: project channels to one number per pixel, then penalize the barcode."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any, Literal

import torch
from torch import Tensor

from topolayer._checks import NonFiniteError, check_integer, check_number, floating
from topolayer._filtrations import Freudenthal
from topolayer._penalties import total_persistence
from topolayer._persistence import persistence
from topolayer._simplify import simplify

_USUAL_CLASS_TOKENS = (0, 1, 2, 4, 5, 8, 9, 16, 17)  # with or without a class, a distillation and register tokens


def channel_norm(h: Tensor, dim: int = 1) -> Tensor:
    """The 2-norm of the channels at every pixel: equation (3) of the paper.

    Args:
        h: floating-point tensor with channels on axis `dim`. Half precision is raised to float32 first:
            squares would overflow.
        dim: the axis of the channels.

    Returns:
        `h.shape` without axis `dim`, float32 or float64. At the zero vector, common after a ReLU, the first
        and second derivative are 0, not NaN. Of several channels, a norm whose square is no normal number
        (below 2.2e-19 in float32) counts as zero.

    Raises:
        TypeError: `h` is no floating-point tensor.
        ValueError: `h` has no axis `dim`.

    Example:
        >>> import torch, topolayer as tl
        >>> tl.channel_norm(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([5., 0.])
    """
    h = floating("h", h)
    if isinstance(dim, bool) or not isinstance(dim, (int, Integral)):
        raise TypeError(
            f"dim: expected an int, the axis of the channels, got {dim!r}; in (B, C, H, W) it is 1, in (B, H, W, C) -1"
        )
    if not -h.ndim <= dim < h.ndim:
        raise ValueError(
            f"dim: expected an axis of h, got {dim} for shape {tuple(h.shape)}; without channels take h.abs()"
        )
    dim = int(dim)
    if h.shape[dim] == 1:
        return h.abs().squeeze(dim)
    if torch.compiler.is_compiling():  # it makes one pass of this by itself
        squares = h.square().sum(dim)
        zero = squares == 0
        return torch.where(zero, 0, torch.where(zero, 1, squares).sqrt())
    norm: Tensor = _Norm.apply(h, dim)  # type: ignore[no-untyped-call]
    return norm


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


def few_maxima(h: Tensor, *, k: int = 8, p: float = 2, gradient: Literal["critical", "region"] = "critical") -> Tensor:
    """Penalizes all but the k most prominent maxima of an activation's magnitude: equations (3) and (1) of the paper.

    The superlevel barcode, in dimension 0, of the channel norms on the Freudenthal triangulation; the sum of
    `length ** p` over all but the k longest bars. The maximum that never dies is one of the k.

    Its gradient is a subgradient of the bars: two pixels for each, the maximum and the saddle where it dies.
    `gradient="region"` is *another penalty*, with other values: the distance to the `simplify`-ed magnitude, held fast,
    the sum of `(f - simplify(f, k)) ** p` over all pixels f. It is 0 for the same activations, and pulls down all
    pixels of a superfluous region at once, as the "big steps" of Nigmetov and Morozov (2022) move more than the
    critical ones.
    Take it where the maxima are to go in few steps, as in noise removal; take "critical" for equation (1) itself, and
    where few pixels are to change.

    Args:
        h: (B, C, H, W) activation of a layer; (B, C, D, H, W) for volumes.
        k: how many maxima to spare.
        p: power of the lengths, or of the distances.
        gradient: whether to penalize bars, which pulls on "critical" pixels, or pixels, which pulls on a "region".

    Returns:
        (B,) one number per sample, float32 or float64. A sample in which anything is NaN or infinite, or too
        large for the norm, gets NaN, and so does its gradient, so that a gradient scaler can skip the step.

    Raises:
        TypeError, ValueError: `h` is no floating-point tensor of four or five axes; `k` or `p` is out of
            range; an unknown `gradient`.

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
    if gradient not in ("critical", "region"):
        raise ValueError(
            f'gradient: expected "critical" or "region", got {gradient!r}; "critical" is equation (1) of the paper'
        )
    k = check_integer("k", k, least=0, remedy="k=0 spares none")
    p = check_number("p", p, least=0, remedy="p=2 squares the lengths")
    superfluous = _superfluous_bars if gradient == "critical" else _superfluous_regions
    magnitude = channel_norm(h)
    if not torch.compiler.is_compiling():
        try:
            return superfluous(magnitude, k=k, p=p)
        except NonFiniteError:  # found on the way: looking for it in every step would cost as much as the topology
            pass
    finite = torch.isfinite(magnitude.detach()).flatten(1).all(dim=1).reshape(-1, *(1,) * (magnitude.ndim - 1))
    penalty = superfluous(torch.where(finite, magnitude, 0), k=k, p=p)
    poison = magnitude.new_zeros(finite.shape).masked_fill(~finite, torch.nan)
    return penalty + (magnitude * poison).flatten(1).sum(dim=1)


def tokens_to_grid(h: Tensor, *, grid: tuple[int, ...] | None = None, class_tokens: int = 0) -> Tensor:
    """Puts the tokens of a vision transformer back to where their patches are in the image.

    Args:
        h: (B, N, C) tokens, batch first, in C order of their patches, after those that belong to no patch.
        grid: (H, W) how many patches there are along each axis, (D, H, W) for volumes; None for a square.
        class_tokens: how many tokens at the beginning belong to no patch: class, distillation and register tokens.
            They are left out.

    Returns:
        (B, C, H, W) or (B, C, D, H, W), a view of `h`, so gradients flow back to it.

    Raises:
        TypeError, ValueError: an argument of the wrong kind or shape; as many tokens do not fill the grid.

    Example:
        >>> import torch, topolayer as tl
        >>> tokens = torch.rand(2, 1 + 6 * 8, 32)
        >>> tl.tokens_to_grid(tokens, grid=(6, 8), class_tokens=1).shape
        torch.Size([2, 32, 6, 8])
        >>> penalty = lambda h: tl.few_maxima(tl.tokens_to_grid(h, grid=(6, 8), class_tokens=1))  # for tl.Regularizer
    """
    if not isinstance(h, Tensor):
        raise TypeError(f"h: expected a torch.Tensor, got {type(h).__name__}; convert it with torch.as_tensor")
    if h.ndim != 3:
        remedy = "a grid with channels last becomes (B, C, H, W) by h.movedim(-1, 1)"
        if h.ndim == 2:
            remedy = "a single sample (N, C) gets its batch axis by h[None]"
        raise ValueError(f"h: expected tokens of shape (B, N, C), got {tuple(h.shape)}; {remedy}")
    if isinstance(class_tokens, bool) or not isinstance(class_tokens, (int, Integral)):
        raise TypeError(f"class_tokens: expected an int, got {type(class_tokens).__name__}; int(...) makes one")
    if not 0 <= class_tokens < h.shape[1]:
        raise ValueError(
            f"class_tokens: expected a number >= 0 and less than the {h.shape[1]} tokens, got {class_tokens}; "
            "count those that belong to no patch, 0 or 1 in most transformers"
        )
    patches = h.shape[1] - class_tokens
    square = grid is None
    if grid is None:
        grid = (math.isqrt(patches),) * 2
    elif not isinstance(grid, tuple) or not all(
        isinstance(n, (int, Integral)) and not isinstance(n, bool) for n in grid
    ):
        raise TypeError(f"grid: expected ints (H, W), (D, H, W) or None, got {grid!r}; a tuple, no list, and no number")
    elif len(grid) not in (2, 3) or min(grid) < 1:
        raise ValueError(
            f"grid: expected (H, W) or (D, H, W), all >= 1, got {grid!r}; divide the image's size by the patches'"
        )
    if math.prod(grid) != patches:
        remedy = _other_grids(h.shape[1], grid, class_tokens=int(class_tokens), square=square)
        raise ValueError(
            f"grid: expected one place for each of {patches} tokens ({class_tokens} of {h.shape[1]} left out), got "
            f"{' x '.join(map(str, grid))}; {remedy}"
        )
    channels = h[:, class_tokens:].transpose(1, 2)
    return channels.reshape(*channels.shape[:2], *grid)


def _other_grids(tokens: int, grid: tuple[int, ...], *, class_tokens: int, square: bool) -> str:
    """What may have been meant where as many tokens do not fill the grid."""
    remedy = "give grid=(H, W) or, for a volume, (D, H, W)"
    patches = tokens - class_tokens
    side = round(patches ** (1 / 3))
    if square and side**3 == patches > 1:
        remedy += f", such as {(side,) * 3}, as {patches} tokens make a cube"
    for n in _USUAL_CLASS_TOKENS:
        root = math.isqrt(max(tokens - n, 0))
        if n != class_tokens and tokens - n == (root**2 if square else math.prod(grid)) > 1:
            registers = " (a class and register tokens)" if n > 1 else ""
            shape = "a square" if square else " x ".join(map(str, grid))
            return f"{remedy}, or class_tokens={n}{registers}: the other {tokens - n} tokens make {shape}"
    return remedy


def _superfluous_bars(magnitude: Tensor, *, k: int, p: float) -> Tensor:
    return total_persistence(persistence(_filtration(magnitude)), p=p, k=k)


def _superfluous_regions(magnitude: Tensor, *, k: int, p: float) -> Tensor:
    excess = magnitude - simplify(_filtration(magnitude.detach()), k=max(k, 1))
    if p < 2:  # at 0, where there is nothing to penalize, the power or a derivative of it is not 0
        above = excess.detach() > 0
        return torch.where(above, torch.where(above, excess, 1) ** p, 0).flatten(1).sum(dim=1)
    return (excess**p).flatten(1).sum(dim=1)


def _filtration(magnitude: Tensor) -> Freudenthal:
    return Freudenthal(magnitude, ndim=magnitude.ndim - 1, superlevel=True)
