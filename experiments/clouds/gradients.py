"""The gradients that are compared: each gives the bars of a cloud, with another way back to the points."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

import torch
from torch import Tensor

import topolayer as tl
from experiments.clouds.problems import Lengths

Gradient = Literal["plain", "smooth", "interpolated", "averaged", "oineus"]
GRADIENTS: tuple[Gradient, ...] = ("plain", "smooth", "interpolated", "averaged", "oineus")
OF_KERNELS = ("smooth", "interpolated", "averaged")


def present() -> tuple[Gradient, ...]:
    """All that can be computed here."""
    return tuple(name for name in GRADIENTS if name != "oineus" or find_spec("oineus") is not None)


def bars(points: Tensor, dims: tuple[int, ...], gradient: Gradient, bandwidth: float) -> Lengths:
    """Births and deaths in these dimensions, as radii."""
    if gradient == "oineus":
        return _by_critical_sets(points, dims)
    if gradient == "smooth":
        points = tl.smooth_gradient(points, bandwidth=bandwidth)
    elif gradient != "plain":
        points = _Extended.apply(points, bandwidth, EXTENSIONS[gradient])  # type: ignore[no-untyped-call]
    barcode = tl.persistence(tl.Alpha(points), dims)
    parts = {dim: barcode.select(dim=dim) for dim in dims}
    return {dim: (_root(part.births), _root(part.deaths)) for dim, part in parts.items()}


def _root(squares: Tensor) -> Tensor:
    """The root, with gradient 0 at 0, where vertices are born."""
    positive = squares > 0
    return torch.where(positive, torch.where(positive, squares, 1).sqrt(), 0)


def interpolated(kernel: Tensor, at: Tensor, pulls: Tensor) -> Tensor:
    """The combination of kernels that has the given values `pulls` at the places `at`."""
    own = kernel[at] + 1e-6 * torch.eye(len(at), dtype=kernel.dtype)  # equal points, and points close by
    weights: Tensor = torch.linalg.solve(own, pulls)
    return kernel @ weights


def averaged(kernel: Tensor, at: Tensor, pulls: Tensor) -> Tensor:
    """The mean, weighted by the kernel; where all weights vanish, nothing."""
    return kernel @ pulls / kernel.sum(1, keepdim=True).clamp(min=torch.finfo(kernel.dtype).tiny)


EXTENSIONS = {"interpolated": interpolated, "averaged": averaged}


class _Extended(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, points: Tensor, bandwidth: float, extension: Callable[..., Tensor]) -> Tensor:
        ctx.save_for_backward(points)
        ctx.bandwidth, ctx.extension = bandwidth, extension
        return points.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (points,) = ctx.saved_tensors
        at = (gradient != 0).any(1).nonzero()[:, 0]
        kernel = torch.exp((torch.cdist(points, points[at]) / ctx.bandwidth) ** 2 / -2)
        return ctx.extension(kernel, at, gradient[at]), None, None


def _by_critical_sets(points: Tensor, dims: tuple[int, ...]) -> Lengths:
    """By oineus, from the simplices and values of `Alpha`."""
    oineus, differentiable = import_module("oineus"), import_module("oineus.diff")
    alpha = tl.Alpha(points)
    vertices = [row for simplices in alpha.simplices for row in simplices.tolist()]
    cells = zip(range(len(vertices)), vertices, alpha.values.tolist(), strict=True)
    filtration = oineus.list_to_filtration(list(cells))
    order = torch.tensor([cell.id for cell in filtration.cells()])
    diagrams = differentiable.persistence_diagram(
        differentiable.DiffFiltration(filtration, alpha.values[order]), gradient_method="crit-sets", n_threads=1
    )
    return {dim: (_root(diagrams[dim][:, 0]), _root(diagrams[dim][:, 1])) for dim in dims}
