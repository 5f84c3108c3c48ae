"""Penalties on the activation of a layer, and how strongly they pull."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

import topolayer as tl

Penalty = Callable[[Tensor], Tensor]


def total_variation(h: Tensor) -> Tensor:
    """Eq. (8): squared differences of neighbouring pixels, summed over pixels and channels. One number per sample."""
    h = h.float()
    return h.diff(dim=-2).square().sum((1, 2, 3)) + h.diff(dim=-1).square().sum((1, 2, 3))


def speckle(h: Tensor, *, k: int) -> Tensor:
    """The topological penalty of each sample relative to its mean squared magnitude: comparable between networks."""
    return tl.few_maxima(h, k=k) / tl.channel_norm(h.float()).square().mean((-1, -2))


def squared_norm(h: Tensor) -> Tensor:
    """The squared norm of each sample: what a penalty amounts to that shrinks an activation and does nothing else."""
    return h.float().square().flatten(1).sum(1)


def shuffled(penalty: Penalty, *, seed: int = 0) -> Penalty:
    """`penalty` of an activation whose pixels are shuffled, always in the same way: the same values, no topology."""
    orders: dict[int, Tensor] = {}

    def of_shuffled(h: Tensor) -> Tensor:
        pixels = h.flatten(2)
        count = pixels.shape[2]
        if count not in orders:
            orders[count] = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
        return penalty(pixels[:, :, orders[count].to(h.device)].reshape(h.shape))

    return of_shuffled


def gradient_ratio(fabric: Fabric, penalty: Tensor, loss: Tensor, activation: Tensor) -> Tensor:
    """`topolayer.gradient_ratio` by way of ``fabric.backward``, beside which nothing may differentiate the network.

    It scales gradients so that they do not vanish in half precision. Given `inputs`, it leaves the gradients of the
    parameters alone.
    """
    gradients: list[Tensor] = []
    hook = activation.register_hook(gradients.append)  # type: ignore[no-untyped-call]
    for value in (penalty, loss):
        fabric.backward(value, inputs=[activation], retain_graph=True)
    hook.remove()
    activation.grad = None
    norms = torch.stack([gradient.float().norm() for gradient in gradients])
    return norms[0] / norms[1]


@dataclass(frozen=True)
class Regularization:
    """A penalty on the activation of a named layer, and its weight."""

    layer: str
    penalty: Penalty
    weight: float


def keep(kept: dict[str, Tensor], layer: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
    """A forward hook that puts the layer's activation into `kept`."""
    kept[layer] = output


@contextmanager
def activations(model: nn.Module, layers: Iterable[str]) -> Iterator[dict[str, Tensor]]:
    """The activations of these layers in the last call of `model` so far, by name."""
    kept: dict[str, Tensor] = {}
    hooks = [model.get_submodule(layer).register_forward_hook(partial(keep, kept, layer)) for layer in layers]
    try:
        yield kept
    finally:
        for hook in hooks:
            hook.remove()
