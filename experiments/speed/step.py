"""The share of a training step that the penalty takes: the U-Net and settings of Section 4.

The share is too small to be told from the difference of two steps. So the step is an ordinary one, with the
regularizer, and what belongs to the penalty is timed inside it: its hook, between two hooks around it; the call of the
regularizer; and its gradient at the layer, which is computed once more on its own, together with the addition of two
gradients that meet there. That extra computation is not counted as part of the step.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

import topolayer as tl
from experiments.shared.scenes import scenes
from experiments.shared.unet import seeded


@dataclass(frozen=True)
class Training:
    """How Section 4's network is trained with the penalty on `layer`; `name` says whose settings these are."""

    name: str
    size: int
    width: int
    layer: str
    topology_lambda: float
    lr: float
    momentum: float
    batch_size: int = 16
    k: int = 8


PAPER = Training("Section 4", size=256, width=16, layer="dec4", topology_lambda=1e-5, lr=0.01, momentum=0.0)
DEMO = Training("the demo", size=64, width=8, layer="dec2", topology_lambda=3e-6, lr=1.0, momentum=0.9)


@dataclass(frozen=True)
class Share:
    """Medians over the steps, in seconds, and of the share. `name` is whose settings they are."""

    name: str
    what: str
    hook: float
    penalty: float
    backward: float
    step: float
    share: float


def share(config: Training, *, steps: int, advance: Callable[[], None]) -> Share:
    """Train for `steps` steps, after one that is not counted, from the experiment's initial weights on its scenes."""
    data = scenes(config.batch_size, config.size, seed=1)
    images, masks = data.batch(torch.arange(len(data)), torch.device("cpu"))
    model = seeded(config.width, 0, prior=float(data.foreground().mean())).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=config.lr, momentum=config.momentum)
    layer = model.get_submodule(config.layer)
    activations: list[Tensor] = []
    clock: list[float] = []

    def note(module: object, inputs: Any, output: Tensor) -> None:
        activations.append(output)
        clock.append(time.perf_counter())

    layer.register_forward_hook(note)  # hooks run in the order in which they were placed
    regularizer = tl.Regularizer(model, {config.layer: partial(tl.few_maxima, k=config.k)})
    layer.register_forward_hook(note)
    found: list[tuple[float, float, float, float]] = []
    for _ in range(steps + 1):
        activations.clear()
        clock.clear()
        began = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        error = (model(images) - masks).square().mean()
        before = time.perf_counter()
        weighted = config.topology_lambda * regularizer()
        after = time.perf_counter()
        (gradient,) = torch.autograd.grad(weighted, activations[0], retain_graph=True)
        gradient.add(gradient)
        extra = time.perf_counter() - after
        (error + weighted).backward()
        optimizer.step()
        whole = time.perf_counter() - began - extra
        found.append((clock[1] - clock[0], after - before, extra, whole))
        advance()
    counted = found[1:]
    hook, penalty, backward, step = (statistics.median(column) for column in zip(*counted, strict=True))
    part = statistics.median((hook + penalty + backward) / whole for hook, penalty, backward, whole in counted)
    what = f"{config.size}x{config.size}, width {config.width}, batch {config.batch_size}, {config.layer}"
    return Share(config.name, what, hook, penalty, backward, step, part)
