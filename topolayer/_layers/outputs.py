"""The tensors that the layers of a model return, in a forward pass that leaves no trace on the model."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from topolayer._layers.names import check_module, find_layer, layer_names, unwrapped
from topolayer._tracing import uncompiled, version_of


def named_layers(model: nn.Module, names: Iterable[str] | None) -> dict[str, nn.Module]:
    """The layers of these names, or all, with the model itself under ``""``. A layer with two names gets the first."""
    if isinstance(names, str):
        raise TypeError(f"layers: expected several names, got one string; use [{names!r}]")
    if names is not None and (not isinstance(names, Iterable) or isinstance(names, (Tensor, nn.Module))):
        raise TypeError(
            f"layers: expected names of layers, got {type(names).__name__}; None means all of them, a list names some"
        )
    known = ["", *layer_names(model)]
    layers: dict[str, nn.Module] = {}
    for name in known if names is None else names:
        layer = find_layer(model, name) if isinstance(name, str) else None
        if layer is None:
            nearest = ", ".join(map(repr, difflib.get_close_matches(str(name), known, n=5, cutoff=0.0)))
            raise ValueError(f"layers: the model has no layer {name!r}; the nearest names are {nearest}")
        if not any(layer is other for other in layers.values()):
            layers[name] = layer
    if not layers:
        raise ValueError("layers: expected at least one name, got none; None means all of them")
    return layers


def outputs(
    model: nn.Module, batch: object, layers: Mapping[str, nn.Module]
) -> tuple[dict[str, list[Tensor]], dict[str, str]]:
    """The tensors that each layer returns in one forward pass, in that order, and why other layers have none."""
    returned: list[tuple[str, Tensor, int]] = []
    problems: dict[str, str] = {}

    def keep(name: str, layer: nn.Module, args: object, output: object) -> None:
        if isinstance(output, Tensor):
            returned.append((name, output, version_of(output)))
        else:
            problems[name] = f"it returns {type(output).__name__}, not one tensor: see the layers inside it"

    with watched(layers, keep):
        run(model, batch)
    outermost: dict[int, str] = {}  # by tensor, the layer that returned it in the end
    for name, output, version in returned:
        if version != version_of(output):
            problems[name] = "its activation is changed in place after it returned: see the layer that does so"
        elif _depth(name) < _depth(outermost.get(id(output), "")) or id(output) not in outermost:
            outermost[id(output)] = name
    of_layer: dict[str, list[Tensor]] = {}
    for name, output, _ in returned:
        if name not in problems:
            of_layer.setdefault(name, []).append(output)
    for name, tensors in list(of_layer.items()):
        others = {outermost[id(tensor)] for tensor in tensors}
        if name not in others:
            problems[name] = f"its activation is that of {', '.join(map(repr, sorted(others)))}"
            del of_layer[name]
    return of_layer, problems


@contextmanager
def watched(layers: Mapping[str, nn.Module], look: Callable[[str, nn.Module, object, object], None]) -> Iterator[None]:
    """Calls look(name, layer, arguments, output) each time one of the layers has run."""
    handles = [layer.register_forward_hook(partial(look, name)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def run(model: nn.Module, batch: object) -> None:
    """Runs one forward pass. A tuple holds positional arguments, a mapping keyword arguments, all else is one."""
    if isinstance(batch, tuple):
        model(*batch)
    elif isinstance(batch, Mapping):
        model(**batch)
    else:
        model(batch)


def _depth(name: str) -> float:
    """How far inside a layer is. The model itself comes last: a layer has a better name."""
    return name.count(".") if name else sys.maxsize


@contextmanager
def as_found(model: nn.Module) -> Iterator[None]:
    """Puts the model into eval(), uncompiled. In the end everything is as before, including the random state."""
    modes = [(layer, layer.training) for layer in model.modules()]
    tensors = (*model.parameters(), *model.buffers())
    gpus = sorted({tensor.device.index for tensor in tensors if tensor.is_cuda})
    with ExitStack() as stack:
        stack.enter_context(uncompiled())
        stack.enter_context(torch.random.fork_rng(devices=gpus))
        try:
            model.eval()
            yield
        finally:
            for layer, training in modes:
                layer.training = training


def bare_model(model: object) -> nn.Module:
    """Without the wrappers of ``DistributedDataParallel`` and ``torch.compile``."""
    bare = unwrapped(check_module(model))
    if isinstance(bare, torch.jit.RecursiveScriptModule):  # type: ignore[attr-defined]
        raise ValueError(
            "model: expected layers that run in Python, with hooks, got a scripted module; take the model before "
            "torch.jit.script"
        )
    return bare


def batch_size(batch: object) -> int | None:
    """How many images it holds, as far as can be told: the first axis of its first tensor, the length of a list."""
    if isinstance(batch, Mapping):
        return batch_size(tuple(batch.values()))
    if isinstance(batch, tuple):
        return next((size for size in map(batch_size, batch) if size is not None), None)
    if isinstance(batch, list):
        return len(batch)
    return len(batch) if isinstance(batch, Tensor) and batch.ndim else None
