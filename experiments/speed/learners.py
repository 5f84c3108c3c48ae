"""What learns from barcodes: PersLay, RTD-Lite, and the smoothed gradient of a cloud, with their peers."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import torch
from torch import Tensor

import topolayer as tl
from experiments.speed.contender import Contender
from experiments.speed.inputs import Input, Job
from topolayer import nn
from topolayer.losses import rtd_lite

SIDE = 10  # PersLay has a channel for each place of a grid


def inputs() -> list[Input]:
    """64 barcodes of 1,000 bars; 256 points in two representations; a cloud of 2,000 points."""
    return [
        Input("bars", "64x1000", "random", bars(64, 1000)),
        Input("representations", "256", "random", representations(256)),
        Input("cloud", "2000", "random", cloud(2000)),
    ]


def tiny_inputs() -> dict[Job, Tensor]:
    """The same, small."""
    return {"bars": bars(2, 3), "representations": representations(5), "cloud": cloud(6)}


def bars(samples: int, count: int) -> Tensor:
    """(samples, count, 2) births and deaths."""
    return torch.rand(samples, count, 2, generator=torch.Generator().manual_seed(0)).sort(dim=2).values


def representations(points: int) -> Tensor:
    """(2, points, 8), of which the first has 2 coordinates that are not 0."""
    both = torch.rand(2, points, 8, generator=torch.Generator().manual_seed(0))
    both[0, :, 2:] = 0
    return both


def cloud(points: int) -> Tensor:
    return torch.rand(points, 2, generator=torch.Generator().manual_seed(0))


def learners() -> list[Contender]:
    """All three, and the plain gradient of the cloud."""
    places = torch.linspace(0, 1, SIDE)
    layer = nn.PersLay(nn.Gaussian(torch.cartesian_prod(places, places), sigma=0.1), weight=nn.Power(1))

    def features(diagrams: Tensor) -> Tensor:
        total: Tensor = layer(tl.Barcode.from_diagram(list(diagrams))).sum()
        return total

    def clusters(both: Tensor) -> Tensor:
        return rtd_lite(both[0], both[1].detach(), quantile=None)

    def tree(points: Tensor) -> Tensor:
        return tl.total_persistence(tl.persistence(tl.Rips.from_points(points)))

    def smoothed(points: Tensor) -> Tensor:
        return tree(tl.smooth_gradient(points, bandwidth=0.1))

    return [
        _contender("PersLay", "bars", features, "PersLay of 100 Gaussians and its gradient, the barcode included"),
        _contender("rtd_lite", "representations", clusters, "RTD-Lite and its gradient"),
        _contender("plain", "cloud", tree, "the length of the shortest tree and its gradient"),
        _contender("smooth_gradient", "cloud", smoothed, "the same with the gradient smoothed"),
    ]


def torchperslay_() -> list[Contender]:
    perslay = import_module("perslay")
    half = 0.5 / (SIDE - 1)
    grid = perslay.GaussianPerslayPhi((SIDE, SIDE), ((-half, 1 + half),) * 2, 0.1)
    places = torch.linspace(0, 1, SIDE)
    grid.mu.data = torch.stack(torch.meshgrid(places, places, indexing="xy")).reshape(grid.mu.shape)
    layer = perslay.Perslay(perslay.PowerPerslayWeight(1.0, 1), grid, torch.sum, perslay.FlattenRho())

    def features(diagrams: Tensor) -> Tensor:
        total: Tensor = layer(diagrams).sum()
        return total

    return [
        _contender("torchperslay", "bars", features, "the same of padded diagrams, of which none needs padding here")
    ]


def scipy_() -> list[Contender]:
    shortest = import_module("scipy.sparse.csgraph").minimum_spanning_tree

    def length(distances: Tensor) -> Tensor:
        tree = shortest(distances.detach().numpy()).tocoo()
        return distances[tree.row, tree.col].sum()

    def clusters(both: Tensor) -> Tensor:
        one, other = (
            torch.cdist(p, p, compute_mode="donot_use_mm_for_euclid_dist") for p in (both[0], both[1].detach())
        )
        return (length(one) + length(other)) / 2 - length(torch.minimum(one, other))

    return [_contender("SciPy", "representations", clusters, "the same by minimum_spanning_tree")]


def _contender(name: str, job: Job, loss: Callable[[Tensor], Tensor], returns: str) -> Contender:
    def run(values: Tensor) -> float:
        leaf = values.clone().requires_grad_()
        value = loss(leaf)
        torch.autograd.grad(value, leaf)
        return value.item()

    return Contender(name, job, run, float, "none", returns)
