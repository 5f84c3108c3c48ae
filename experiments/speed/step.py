"""The share of a training step that the penalty takes: the U-Net and settings of Section 4.

It is too small to be told from the difference of two steps. So the step is an ordinary one, with the regularizer, and
what belongs to the penalty is timed inside it: its hook, between two hooks around it; the call of the regularizer; and
its gradient at the layer, which is computed once more by itself, together with the addition of two gradients that meet
there. That extra computation is not counted as part of the step.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import topolayer as tl
from experiments.console import UserError
from experiments.scenes import scenes
from experiments.segmentation import Config
from experiments.task import initial_model, squared_error

PAPER = "Section 4"


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


def share(name: str, config: Config, *, steps: int, advance: Callable[[], None]) -> Share:
    """Train for `steps` steps, after one that is not counted, from the experiment's initial weights on its scenes."""
    regularization = config.regularization("topology")
    if regularization is None:
        raise UserError("this arm has no regularizer")
    data = scenes(config.batch_size, config.size, seed=1)
    images, masks = data.batch(torch.arange(len(data)), torch.device("cpu"))
    model = initial_model(config, 0, prior=float(data.masks.float().mean())).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=config.lr, momentum=config.momentum)
    layer = model.get_submodule(regularization.layer)
    activations: list[Tensor] = []
    clock: list[float] = []

    def note(module: object, inputs: Any, output: Tensor) -> None:
        activations.append(output)
        clock.append(time.perf_counter())

    layer.register_forward_hook(note)  # hooks run in the order in which they were placed
    regularizer = tl.Regularizer(model, {regularization.layer: regularization.penalty})
    layer.register_forward_hook(note)
    found: list[tuple[float, float, float, float]] = []
    for _ in range(steps + 1):
        activations.clear()
        clock.clear()
        began = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        error = squared_error(model(images), masks, config.reduction)
        before = time.perf_counter()
        weighted = regularization.weight * regularizer()
        after = time.perf_counter()
        (gradient,) = torch.autograd.grad(weighted, activations[0], retain_graph=True)
        gradient.add(gradient)
        extra = time.perf_counter() - after
        (error + weighted).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        whole = time.perf_counter() - began - extra
        found.append((clock[1] - clock[0], after - before, extra, whole))
        advance()
    counted = found[1:]
    hook, penalty, backward, step = (statistics.median(column) for column in zip(*counted, strict=True))
    part = statistics.median((hook + penalty + backward) / whole for hook, penalty, backward, whole in counted)
    what = f"{config.size}x{config.size}, width {config.width}, batch {config.batch_size}, {regularization.layer}"
    return Share(name, what, hook, penalty, backward, step, part)
