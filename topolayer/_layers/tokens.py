"""Tokens of a vision transformer as a grid."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from topolayer._checks import check_integer, check_integers, dense

_USUAL_CLASS_TOKENS = (0, 1, 2, 4, 5, 8, 9, 16, 17)  # with or without a class, a distillation and register tokens


def tokens_to_grid(h: Tensor, *, grid: Sequence[int] | None = None, class_tokens: int = 0) -> Tensor:
    """Puts the tokens of a vision transformer back to where their patches are in the image.

    Args:
        h: (B, N, C) tokens, batch first, in C order of their patches, after those that belong to no patch.
        grid: (H, W) the number of patches along each axis, (D, H, W) for volumes; None for a square.
        class_tokens: how many tokens at the beginning belong to no patch: class, distillation and register tokens.
            They are left out.

    Returns:
        (B, C, H, W) or (B, C, D, H, W), a view of `h`, so gradients flow back to it.

    Raises:
        TypeError, ValueError: an argument of the wrong kind or shape; the number of tokens does not fill the grid.

    Example:
        >>> import torch, topolayer as tl
        >>> tokens = torch.rand(2, 1 + 6 * 8, 32)
        >>> tl.tokens_to_grid(tokens, grid=(6, 8), class_tokens=1).shape
        torch.Size([2, 32, 6, 8])
        >>> penalty = lambda h: tl.few_maxima(tl.tokens_to_grid(h, grid=(6, 8), class_tokens=1))  # for tl.Regularizer
    """
    h = dense("h", h)
    if h.ndim != 3:
        remedy = "a grid with channels last becomes (B, C, H, W) by h.movedim(-1, 1)"
        if h.ndim == 2:
            remedy = "a single sample (N, C) gets its batch axis by h[None]"
        raise ValueError(f"h: expected tokens of shape (B, N, C), got {tuple(h.shape)}; {remedy}")
    remedy = f"of the {h.shape[1]} tokens count those that belong to no patch, 0 or 1 in most transformers"
    class_tokens = check_integer("class_tokens", class_tokens, least=0, most=h.shape[1] - 1, remedy=remedy)
    patches = h.shape[1] - class_tokens
    square = grid is None
    sizes = "divide the image's size by the patches'"
    what = "ints (H, W), (D, H, W) or None"
    grid = (math.isqrt(patches),) * 2 if grid is None else check_integers("grid", grid, what=what, remedy=sizes)
    if not square and (len(grid) not in (2, 3) or min(grid) < 1):
        raise ValueError(f"grid: expected (H, W) or (D, H, W), all >= 1, got {grid!r}; {sizes}")
    if math.prod(grid) != patches:
        remedy = _other_grids(h.shape[1], grid, class_tokens=class_tokens, square=square)
        raise ValueError(
            f"grid: expected one place for each of {patches} tokens ({class_tokens} of {h.shape[1]} left out), got "
            f"{' x '.join(map(str, grid))}; {remedy}"
        )
    channels = h[:, class_tokens:].transpose(1, 2)
    return channels.reshape(*channels.shape[:2], *grid)


def _other_grids(tokens: int, grid: tuple[int, ...], *, class_tokens: int, square: bool) -> str:
    """The remedy if the tokens do not fill the grid. It names what may have been meant."""
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
