"""Clouds of points, and distances between them from differences of coordinates, with derivatives of every order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from topolayer._checks import alike, joined, real
from topolayer._tracing import requires_grad_tells, to_numpy

_CHUNK = 2**20  # coordinate differences that are looked at at once

Runs: TypeAlias = tuple[tuple[int, int], ...]  # of clouds of one size that follow each other: how many, of what size


def check_points(points: object) -> Tensor:
    """The clouds (*batch, n, d), half precision and small integers raised to float32."""
    clouds = real("points", points)
    if clouds.ndim < 2 or 0 in clouds.shape[-2:]:
        raise ValueError(
            f"points: expected shape (*batch, n, d), n and d >= 1, got {tuple(clouds.shape)}; numbers on a line are "
            "points[:, None]"
        )
    return clouds


def check_clouds(points: Sequence[object]) -> list[Tensor]:
    """Clouds of any sizes, each (n, d), half precision and small integers raised to float32."""
    clouds = alike("points", points, real)
    for i, cloud in enumerate(clouds):
        shape = tuple(cloud.shape)
        if len(shape) != 2 or 0 in shape:
            remedy = "leave empty clouds out" if 0 in shape else "numbers on a line are points[:, None]"
            remedy = f"list(points[{i}]) has the clouds of a batch" if len(shape) > 2 else remedy
            raise ValueError(f"points[{i}]: expected one cloud of shape (n, d), n and d >= 1, got {shape}; {remedy}")
        if shape[1] != clouds[0].shape[1]:
            raise ValueError(
                f"points[{i}]: expected points in R^{clouds[0].shape[1]}, as in points[0], got shape {shape}; give "
                "clouds of each dimension a filtration of their own"
            )
    return clouds


def point_distances(points: Tensor, p: float) -> Tensor:
    """(*batch, n, n) p-norms of the differences of points (*batch, n, d): symmetric, 0 on the diagonal.

    The derivative is 0 between equal points. Where a norm has a kink it is a subgradient: with p = 1 it is 0 for equal
    coordinates, with p = inf spread evenly over the coordinates that differ most.
    """
    *batch, count, dimension = points.shape
    flat: Tensor = _Distances.apply(points.reshape(-1, dimension), ((math.prod(batch), count),), p)  # type: ignore[no-untyped-call]
    return flat.view(*batch, count, count)


def distances_of_each(clouds: Sequence[Tensor], p: float) -> Tensor:
    """The same for clouds (n, d) of any sizes, with all entries one after another."""
    if not clouds:
        return joined(clouds)
    runs = tuple((len(list(run)), count) for count, run in itertools.groupby(map(len, clouds)))
    flat: Tensor = _Distances.apply(torch.cat([*clouds]), runs, p)  # type: ignore[no-untyped-call]
    return flat


class _Distances(torch.autograd.Function):
    """The distances, with second derivatives and a forward mode, which torch.cdist does not have.

    The points (points of all clouds, d) have the clouds one after another.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(points: Tensor, runs: Runs, p: float) -> Tensor:
        return _flat([_norms(clouds, p) for clouds in _clouds(points, runs)])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Runs, float], output: Tensor) -> None:
        points, ctx.runs, ctx.p = inputs
        ctx.save_for_backward(points, output)
        ctx.save_for_forward(points, output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        points, distances = ctx.saved_tensors
        if requires_grad_tells() and not torch.is_grad_enabled():
            return _pulled(points, distances, gradient, ctx.runs, ctx.p), None, None
        pulled = []
        for clouds, lengths, slopes in _by_run(ctx.runs, points, distances, gradient):
            directions = _directions(_differences(clouds), lengths, ctx.p)
            both_ways = torch.diagonal_scatter(slopes + slopes.mT, slopes.new_zeros(slopes.shape[:2]), dim1=1, dim2=2)
            pulled.append((both_ways[..., None, :] @ directions)[..., 0, :].flatten(0, 1))
        return torch.cat(pulled), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None, __: None) -> Tensor:
        points, distances = ctx.saved_tensors
        moves = _clouds(tangent, ctx.runs)
        return _flat(
            [
                (_differences(move) * _directions(_differences(clouds), lengths, ctx.p)).sum(-1)
                for move, (clouds, lengths) in zip(moves, _by_run(ctx.runs, points, distances), strict=True)
            ]
        )


def _clouds(points: Tensor, runs: Runs) -> list[Tensor]:
    """(clouds, n, d) of each run."""
    parts = torch.split(points, [clouds * count for clouds, count in runs])
    return [part.view(*run, points.shape[1]) for part, run in zip(parts, runs, strict=True)]


def _by_run(runs: Runs, points: Tensor, *of_pairs: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The clouds of each run, and (clouds, n, n) the entries for its pairs."""
    sizes = [clouds * count**2 for clouds, count in runs]
    parts = [torch.split(entries, sizes) for entries in of_pairs]
    for (clouds, count), part, *others in zip(runs, _clouds(points, runs), *parts, strict=True):
        yield part, *(entries.view(clouds, count, count) for entries in others)


def _flat(matrices: list[Tensor]) -> Tensor:
    return matrices[0].flatten() if len(matrices) == 1 else torch.cat([matrix.flatten() for matrix in matrices])


def _norms(clouds: Tensor, p: float) -> Tensor:
    if p == 2:
        unit = _power_of_two(clouds)  # squares of huge and of tiny numbers leave the range
        return _cdist(clouds / unit, p) * unit
    return _cdist(clouds, p) if p in (1, math.inf) else _by_pairs(clouds, p)


def _cdist(points: Tensor, p: float) -> Tensor:
    return torch.cdist(points, points, p=p, compute_mode="donot_use_mm_for_euclid_dist")


def _power_of_two(points: Tensor) -> Tensor:
    """(*batch, 1, 1) about as large as the largest coordinate. Dividing by it rounds nothing."""
    largest = points.abs().amax(dim=(-2, -1), keepdim=True)
    return torch.where(largest > 0, largest / (2 * torch.frexp(largest).mantissa), 1)


def _by_pairs(points: Tensor, p: float) -> Tensor:
    """The differences in units of the largest one of two points, so that no power leaves the range."""
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


def _pulled(points: Tensor, distances: Tensor, gradient: Tensor, runs: Runs, p: float) -> Tensor:
    """The gradient, computed only from the entries that have one: a barcode has few of them."""
    clouds, counts = torch.tensor(runs, device=points.device).unbind(1)
    counts = counts.repeat_interleave(clouds)
    first_entry, first_point = (sizes.cumsum(0) - sizes for sizes in (counts**2, counts))
    pulled = torch.zeros_like(points)
    for entry in torch.split(_nonzero(gradient), max(1, _CHUNK // points.shape[1])):
        cloud = torch.searchsorted(first_entry, entry, right=True) - 1
        count, place = counts[cloud], entry - first_entry[cloud]
        i, j = place // count, place % count
        apart = (i != j).nonzero()[:, 0]
        entry, i, j = entry[apart], (first_point[cloud] + i)[apart], (first_point[cloud] + j)[apart]
        directions = gradient[entry, None] * _directions(points[i] - points[j], distances[entry], p)
        pulled.index_add_(0, i, directions).index_add_(0, j, directions, alpha=-1)
    return pulled


def _nonzero(gradient: Tensor) -> Tensor:
    """Where it is not 0. On the CPU NumPy takes half of torch's time."""
    if gradient.device.type != "cpu":
        return gradient.nonzero()[:, 0]
    return torch.from_numpy(np.flatnonzero(to_numpy(gradient) != 0))


def _differences(points: Tensor) -> Tensor:
    """(*batch, n, n, d)"""
    return points[..., :, None, :] - points[..., None, :, :]


def _directions(differences: Tensor, distances: Tensor, p: float) -> Tensor:
    """The derivatives of norms (...,) with respect to the differences (..., d)."""
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
