"""A small model, penalties and helpers for the tests of the regularizer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Net(nn.Module):
    """Four numbers in, one out, with layers of dotted names, a Sequential and a parameter-free one."""

    def __init__(self) -> None:
        super().__init__()
        self.enc = nn.Linear(4, 6)
        self.dec = nn.Sequential(nn.Linear(6, 6), nn.Tanh())
        self.head = nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dec(self.enc(x)))


def energy(h: Tensor) -> Tensor:
    return h.square().flatten(1).sum(1)


def shapes(seen: list[tuple[int, ...]]) -> Callable[[Tensor], Tensor]:
    """A penalty that writes down what it is applied to."""

    def penalty(h: Tensor) -> Tensor:
        seen.append(tuple(h.shape))
        return energy(h)

    return penalty


def gradients(model: nn.Module, loss: Tensor) -> dict[str, Tensor]:
    names, parameters = zip(*model.named_parameters(), strict=True)
    grads = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
    return dict(zip(names, grads, strict=True))


def samples(n: int, *shape: int) -> Tensor:
    return torch.randn(n, *(shape or (4,)), generator=torch.Generator().manual_seed(n))
