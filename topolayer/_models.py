"""The layers of a model by their names, through the wrappers that torch puts around it."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn


def version_of(activation: Tensor) -> int:
    """A number that grows when the tensor is changed in place. Inference tensors have none."""
    return 0 if activation.is_inference() else activation._version


def unwrapped(module: nn.Module) -> nn.Module:
    """The module inside ``DistributedDataParallel`` and ``torch.compile``, however nested."""
    while True:
        if isinstance(module, nn.parallel.DistributedDataParallel | nn.DataParallel):
            module = module.get_submodule("module")
        elif "_orig_mod" in module._modules:  # torch.compile's OptimizedModule; its class is the compiler's own
            module = module.get_submodule("_orig_mod")
        else:
            return module


def find_layer(model: nn.Module, name: str) -> nn.Module | None:
    """The layer of this name, be it written for the wrapped model or for the bare one."""
    module = unwrapped(model)
    for part in name.split(".") if name else ():
        child = module._modules.get(part)
        if child is not None:
            module = unwrapped(child)
        elif part not in ("module", "_orig_mod"):
            return None
    return module


def layer_names(model: nn.Module, prefix: str = "") -> Iterator[str]:
    """The names of all layers below a model, without those of wrappers."""
    for name, child in unwrapped(model)._modules.items():
        if child is not None:
            yield prefix + name
            yield from layer_names(child, f"{prefix}{name}.")
