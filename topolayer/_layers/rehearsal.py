"""The rehearsal of a training step: one forward of a copy in train() shows what a regularizer would find in layers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from topolayer._layers.outputs import named_layers, run, watched
from topolayer._tracing import version_of


@dataclass(frozen=True)
class Rehearsal:
    """What a forward pass showed about the layers of a model.

    Attributes:
        ran: the names of those that ran; None if the forward failed.
        refused: those that return no tensor, or one that is changed later, and how.
        frozen: those whose activation does not require grad. A model without parameters has none, because only its
            input can be optimized.
    """

    ran: set[str] | None = None
    refused: dict[str, str] = field(default_factory=dict)
    frozen: set[str] = field(default_factory=set)


def rehearse(model: nn.Module, batch: object, layers: Iterable[str]) -> Rehearsal:
    """Finds out how these layers behave on one batch. The model does not change, and its hooks are not called.

    If the model cannot be copied, or the copy cannot run in train() on this batch, the model itself runs in eval().
    That still shows what requires grad.
    """
    ways: tuple[Callable[[], Rehearsal], ...] = (
        lambda: _in_train(*copy.deepcopy((model, batch)), layers),
        lambda: Rehearsal(frozen=_forward(model, batch, layers).frozen),
    )
    for way in ways:
        try:
            return way()
        except Exception:  # whatever a model may raise, such as batch normalization of a single number
            continue
    return Rehearsal()


def _in_train(model: nn.Module, batch: object, layers: Iterable[str]) -> Rehearsal:
    for layer in model.modules():
        layer._forward_hooks.clear()  # they would record a pass that is no training step
    return _forward(model.train(), batch, layers)


def _forward(model: nn.Module, batch: object, layers: Iterable[str]) -> Rehearsal:
    found = Rehearsal(ran=set())
    returned: list[tuple[str, Tensor, int]] = []

    def look(name: str, layer: nn.Module, args: object, output: object) -> None:
        assert found.ran is not None
        found.ran.add(name)
        if isinstance(output, Tensor):
            returned.append((name, output.detach(), version_of(output)))
            if not output.requires_grad:
                found.frozen.add(name)
        else:
            found.refused[name] = (
                f"in train() it returns {type(output).__name__}, not one tensor: see the layers inside it"
            )

    # Nothing is kept for a backward pass, so the graph takes no memory.
    forgetting = torch.autograd.graph.saved_tensors_hooks(lambda tensor: None, lambda kept: kept)
    with watched(named_layers(model, layers), look), torch.enable_grad(), forgetting:
        run(model, batch)
    for name, output, version in returned:
        if version != version_of(output):
            found.refused[name] = "in train() its activation is changed in place: see the layer that does so"
    if next(model.parameters(), None) is None:
        found.frozen.clear()
    return found
