"""Distances between the points of a cloud, from differences of coordinates, with derivatives of every order."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from topolayer._tracing import requires_grad_tells

_CHUNK = 2**20  # coordinate differences that are looked at at once


def point_distances(points: Tensor, p: float) -> Tensor:
    """(*batch, n, n) p-norms of the differences of points (*batch, n, d): symmetric, 0 on the diagonal.

    The derivative is 0 between equal points. Where a norm has a kink it is a subgradient: with p = 1 it is 0 for equal
    coordinates, with p = inf spread evenly over the coordinates that differ most.
    """
    distances: Tensor = _Distances.apply(points, p)  # type: ignore[no-untyped-call]
    return distances


class _Distances(torch.autograd.Function):
    """torch.cdist has no second derivatives and no forward mode."""

    generate_vmap_rule = True

    @staticmethod
    def forward(points: Tensor, p: float) -> Tensor:
        if p == 2:
            unit = _power_of_two(points)  # squares of huge and of tiny numbers leave the range
            return _cdist(points / unit, p) * unit
        return _cdist(points, p) if p in (1, math.inf) else _by_pairs(points, p)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        points, ctx.p = inputs
        ctx.save_for_backward(points, output)
        ctx.save_for_forward(points, output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        points, distances = ctx.saved_tensors
        both_ways = gradient + gradient.mT
        if requires_grad_tells() and not torch.is_grad_enabled():
            return _pulled(points, distances, both_ways, ctx.p), None
        directions = _directions(_differences(points), distances, ctx.p)
        return (both_ways[..., None, :] @ directions)[..., 0, :], None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        points, distances = ctx.saved_tensors
        along: Tensor = (_differences(tangent) * _directions(_differences(points), distances, ctx.p)).sum(-1)
        return along


def _cdist(points: Tensor, p: float) -> Tensor:
    return torch.cdist(points, points, p=p, compute_mode="donot_use_mm_for_euclid_dist")


def _power_of_two(points: Tensor) -> Tensor:
    """(*batch, 1, 1) about as large as the largest coordinate; to divide by it rounds nothing."""
    largest = points.abs().amax(dim=(-2, -1), keepdim=True)
    return torch.where(largest > 0, largest / (2 * torch.frexp(largest).mantissa), 1)


def _by_pairs(points: Tensor, p: float) -> Tensor:
    """In units of the largest difference of two points, so that no power of it leaves the range."""
    count = points.shape[-2]
    distances = points.new_zeros(*points.shape[:-1], count)
    step = max(1, _CHUNK * count // max(1, points.numel()))
    pairs = torch.triu_indices(count, count, offset=1, device=points.device)
    for i, j in (part.unbind(0) for part in torch.split(pairs, step, dim=1)):
        difference = points[..., i, :] - points[..., j, :]
        largest = difference.abs().amax(-1)
        unit = torch.where(largest > 0, largest, 1)
        norms = torch.linalg.vector_norm(difference / unit[..., None], p, dim=-1) * unit
        distances[..., i, j] = norms
        distances[..., j, i] = norms
    return distances


def _pulled(points: Tensor, distances: Tensor, both_ways: Tensor, p: float) -> Tensor:
    """The gradient, from the entries alone that have one: those of a barcode are few."""
    count, dimension = points.shape[-2:]
    flat, gradient = points.reshape(-1, dimension), both_ways.flatten()
    pulled = torch.zeros_like(flat)
    for entry in torch.split(gradient.nonzero()[:, 0], max(1, _CHUNK // dimension)):
        i = entry // count
        j = i - i % count + entry % count
        directions = _directions(flat[i] - flat[j], distances.flatten()[entry], p)
        pulled.index_add_(0, i, gradient[entry, None] * directions)
    return pulled.view(points.shape)


def _differences(points: Tensor) -> Tensor:
    """(*batch, n, n, d)"""
    return points[..., :, None, :] - points[..., None, :, :]


def _directions(differences: Tensor, distances: Tensor, p: float) -> Tensor:
    """The derivatives of norms (...,) by the differences (..., d) that they are of."""
    unit = torch.where(distances > 0, distances, 1)[..., None]
    if p == 1:
        return differences.sign()
    if p == 2:
        return differences / unit
    if p == math.inf:
        is_largest = differences.abs() >= unit
        return differences.sign() * is_largest / is_largest.sum(-1, keepdim=True).clamp(min=1)
    shares = torch.where(differences == 0, 1, differences.abs() / unit)  # a power need not have a derivative at 0
    return differences.sign() * shares ** (p - 1)
