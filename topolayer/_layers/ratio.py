"""How strongly a penalty pulls on a layer, compared with the loss."""

from __future__ import annotations

import torch
from torch import Tensor

from topolayer._checks import floating


def gradient_ratio(penalty: Tensor, loss: Tensor, h: Tensor) -> Tensor:
    """The norm of the penalty's gradient at a layer, relative to that of the loss.

    The weights below a layer see only the gradient that arrives there. The ratio has no unit, so it can be compared
    between weights, layers and networks. It is proportional to the weight of the penalty, so one batch gives it for all
    weights. Neither graph is freed, and gradients of parameters stay as they are.

    Args:
        penalty: one number, weighted as in training, computed from `h`.
        loss: one number, computed from `h`; scaled like `penalty` where a gradient scaler is used.
        h: activation of the layer.

    Returns:
        One number, float32 or float64; infinite or NaN if the loss has no gradient.

    Raises:
        TypeError, ValueError: an argument is not a floating-point tensor; `penalty` or `loss` is not one number, or
            does not depend on `h`.

    Example:
        >>> import torch, topolayer as tl
        >>> h = torch.ones(3, requires_grad=True)
        >>> tl.gradient_ratio(0.1 * h.sum(), 2 * h.sum(), h)
        tensor(0.0500)
    """
    floating("h", h)
    norms: list[Tensor] = []
    for name, value in (("penalty", penalty), ("loss", loss)):
        floating(name, value)
        if value.numel() != 1:
            raise ValueError(
                f"{name}: expected one number, got shape {tuple(value.shape)}; take the mean over the samples"
            )
        gradient = None
        if value.requires_grad and h.requires_grad:
            try:
                (gradient,) = torch.autograd.grad(value.sum(), h, retain_graph=True, allow_unused=True)
            except RuntimeError as error:
                error.add_note("gradient_ratio needs the graph, which backward() frees: call it before backward()")
                raise
        if gradient is None:
            raise ValueError(
                f"{name}: expected a number that was computed from h with gradients enabled, got one that does not "
                "depend on h; keep the activation itself in the forward pass, without detach() or a copy"
            )
        norms.append(torch.linalg.vector_norm(floating("h", gradient)))
    return norms[0] / norms[1]
