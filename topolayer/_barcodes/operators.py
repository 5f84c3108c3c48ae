"""One function of a filtration, in all the ways in which torch runs code: eagerly, transformed, traced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from topolayer._backends import Backend, backends
from topolayer._filtrations import Filtration, grid_of, with_tensors
from topolayer._filtrations.cells import Grid
from topolayer._tracing import (
    below_transforms,
    is_proxied,
    refuse_whole_graph,
    transforms_are_active,
    untraced,
)

Indices = Any  # int64 tensors: one, or a tuple of several


def of_filtrations(
    name: str, *, options: str, returns: str, fake: Callable[..., Indices], empty: Callable[[Filtration], Indices]
) -> Callable[[Callable[..., Indices]], Callable[..., Indices]]:
    """Makes an operation of ``compute(filtration, *options, backend)``, which returns indices, off the autograd graph.

    Called eagerly it is `compute`; inside of torch.func it is that below the transforms. For torch.compile, make_fx and
    torch.export it is one operation in the graph where the cells are a grid's and the backend has a name, since an
    operation takes no objects; elsewhere it breaks the graph in two, or is refused where there may be only one.

    Args:
        name: of the operation, below `topolayer::`.
        options: their part of its schema.
        returns: that of what it returns.
        fake: what it returns for tensors without numbers, from the values and the options.
        empty: what it returns in a graph for an empty batch, from which the compiler has no gather.
    """

    def decorate(compute: Callable[..., Indices]) -> Callable[..., Indices]:
        def of_operands(
            values: Tensor, mask: Tensor | None, ndim: int, connectivity: Any, superlevel: bool, *rest: Any
        ) -> Indices:
            indices = compute(grid_of(values, mask, ndim, connectivity, superlevel), *rest)
            return _each(indices, lambda tensor: _copy(tensor, values.device))

        operands = "Tensor values, Tensor? mask, int ndim, str connectivity, bool superlevel"
        operation = torch.library.custom_op(
            f"topolayer::{name}",
            of_operands,
            mutates_args=(),
            schema=f"({operands}, {options}, str? backend) -> {returns}",
        )
        operation.register_fake(fake)
        outside = untraced(compute)

        def in_graph(filtration: Filtration, *rest: Any) -> Indices:
            *given, backend = rest
            cells = filtration.cells
            if not isinstance(cells, Grid) or not _has_name(backend):
                refuse_whole_graph()
                return outside(filtration, *rest)
            if filtration.samples == 0:
                return empty(filtration)
            tensors = filtration.values.detach(), filtration.mask
            grid = len(cells.shape), cells.connectivity, filtration.superlevel
            return operation(*tensors, *grid, *given, getattr(backend, "name", backend))

        def run(filtration: Filtration, *rest: Any) -> Indices:
            if torch.compiler.is_compiling():
                return in_graph(filtration, *rest)
            if transforms_are_active():

                def below(values: Tensor, mask: Tensor | None = None) -> Indices:
                    indices = run(with_tensors(filtration, values, mask), *rest)
                    return _each(indices, Tensor.long)  # since torch 2.4 cannot batch a gather by int32

                masks = () if filtration.mask is None else (filtration.mask,)
                return below_transforms(below, filtration.values, *masks)
            return in_graph(filtration, *rest) if is_proxied() else compute(filtration, *rest)

        return run

    return decorate


def _each(indices: Indices, change: Callable[[Tensor], Tensor]) -> Indices:
    return change(indices) if isinstance(indices, Tensor) else tuple(map(change, indices))


def _has_name(backend: str | Backend | None) -> bool:
    """Whether a backend can be found again by what an operation can take."""
    return backend is None or isinstance(backend, str) or backends().get(getattr(backend, "name", "")) is backend


def _copy(indices: Tensor, device: torch.device) -> Tensor:
    """No two of the tensors that an operation returns may be the same, nor one that it was given."""
    return indices.to(device, torch.int64, copy=True).contiguous()
