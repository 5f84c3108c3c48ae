"""The layers of a model by their names, through what is wrapped around it and them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from topolayer._tracing import children

# torch.compile, FSDP, checkpoint_wrapper and Lightning Fabric call the module that they wrap by these names. Their
# classes may not be loaded, so no isinstance can ask for them.
_WRAPPED = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module")


def check_module(model: object) -> nn.Module:
    if isinstance(model, nn.Module):
        return model
    got = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
    raise TypeError(
        f"model: expected a torch.nn.Module, got {got}; call a class to make a model, and take an exported "
        "program's model before torch.export"
    )


def unwrapped(module: nn.Module) -> nn.Module:
    """The module inside wrappers such as ``DistributedDataParallel``, however nested."""
    while (inner := _inside(module)) is not None:
        module = inner
    return module


def _inside(module: nn.Module) -> nn.Module | None:
    if isinstance(module, nn.parallel.DistributedDataParallel | nn.DataParallel):
        return module.get_submodule("module")
    return next((module.get_submodule(name) for name in _WRAPPED if name in children(module)), None)


def find_layer(model: nn.Module, name: str) -> nn.Module | None:
    """The layer of this name, which may be that in the wrapped model or in the bare one.

    Raises:
        ValueError: it is inside a scripted or traced module, whose layers do not run in Python.
    """
    module = unwrapped(model)
    for part in name.split(".") if name else ():
        if isinstance(module, torch.jit.ScriptModule):
            raise ValueError(
                f"layer {name!r} is inside a scripted or traced module ({module.original_name}), whose layers run "
                "without Python and without hooks: take the model before torch.jit, and script it after the training"
            )
        child = children(module).get(part)
        if child is not None:
            module = unwrapped(child)
        elif part != "module" and part not in _WRAPPED:
            return None
    return module


def layer_names(model: nn.Module, prefix: str = "") -> Iterator[str]:
    """The names of all layers below a model, without those of wrappers."""
    bare = unwrapped(model)
    for name, child in () if isinstance(bare, torch.jit.ScriptModule) else children(bare).items():
        if child is not None:
            yield prefix + name
            yield from layer_names(child, f"{prefix}{name}.")


def runs(module: nn.Module) -> bool:
    """Whether it can be called. Containers such as ``ModuleList`` have no forward of their own."""
    return getattr(module.forward, "__func__", None) is not nn.Module.forward
