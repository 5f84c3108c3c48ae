"""Contract 15: a default device or dtype of torch changes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import topolayer as tl
from topolayer import losses, plot

from ..helpers.comparing import found, pairings, persistence
from ..helpers.families import FAMILIES, MASKED, Family
from ..helpers.probed import Net as Probed
from ..helpers.regularized import energy


@contextmanager
def default_device() -> Iterator[None]:
    """The meta device stands in for an accelerator: what is made there has no numbers, and fits nothing."""
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def default_dtype() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


Default = Callable[[], AbstractContextManager[None]]
defaults = pytest.mark.parametrize("default", [default_device, default_dtype])


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


IMAGES, OTHER, POINTS = random(2, 6, 7), random(2, 6, 7, seed=1), random(9, 2, seed=2)
RING = torch.stack([torch.arange(7), (torch.arange(7) + 1) % 7], dim=1)
GRID, MASK, ODD = torch.linspace(0, 1, 5), IMAGES > 0.4, torch.arange(2) == 1
LEVEL, APART = torch.tensor(0.5), 1 - torch.eye(6)


def bars(values: Tensor, dims: int | tuple[int, ...] = 0, backend: str | None = None) -> tl.Barcode:
    return tl.persistence(tl.Freudenthal(values, superlevel=True), dims, backend=backend)


def total(barcode: tl.Barcode) -> Tensor:
    return tl.total_persistence(barcode, p=2, k=1)


def of_points(p: float) -> Callable[[Tensor], Tensor]:
    return lambda x: total(tl.persistence(tl.Rips.from_points(x, p=p, threshold=0.6), (0, 1)))


def landmarks(barcode: tl.Barcode) -> Tensor:
    """Most of what a barcode offers, in one number."""
    some = barcode.select(barcode.lengths > 0.1, dim=0, sample=0)
    padded, there = barcode.padded(barcode.lengths, fill=-1)
    ranks = (1 + barcode.ranks + barcode.essential_per_bar) * barcode.lengths
    return some.sum(some.lengths) + barcode.sum(ranks) + (padded * there).sum(1) + barcode.coordinates.sum()


def cells(filtration: tl.Filtration, dims: int | tuple[int, ...] = (0, 1)) -> Tensor:
    barcode = tl.persistence(filtration, dims)
    every = tl.representatives(filtration, barcode, barcode.lengths > 0)
    return filtration.values.flatten()[torch.cat(every)].sum()


def extended_cells(filtration: tl.LowerStar) -> Tensor:
    barcode = tl.extended_persistence(filtration)
    every = tl.representatives(filtration, barcode, barcode.kind != 1)
    return filtration.values.flatten()[torch.cat(every)].sum()


def matched(matching: tl.InducedMatching) -> Tensor:
    i, j = matching.pairs
    apart = (matching.first.births[i] - matching.second.births[j]).square()
    return apart.sum() + matching.first.lengths[matching.unmatched_first].sum()


FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], Tensor]] = {
    "Rips": (lambda x: total(tl.persistence(tl.Rips((x[:, :6, :6] + x[:, :6, :6].mT) * APART), (0, 1))), IMAGES),
    "from_points": (of_points(2), POINTS),
    "from_points, p=1": (of_points(1), POINTS),
    "from_points, p=3": (of_points(3), POINTS),
    "from_points, p=inf": (of_points(math.inf), POINTS),
    "Alpha": (lambda x: total(tl.persistence(tl.Alpha(x), (0, 1))), POINTS),
    "LowerStar": (lambda x: total(tl.persistence(tl.LowerStar(x, RING), (0, 1))), IMAGES),
    "no samples": (lambda x: total(bars(x[:0])).sum() + x.sum(), IMAGES),
    "Barcode": (lambda x: landmarks(bars(x, (0, 1))), IMAGES),
    "simplify, native": (lambda x: tl.simplify(tl.Freudenthal(x), k=2, backend="native"), IMAGES),
    "simplify, torch": (lambda x: tl.simplify(tl.Cubical(x), threshold=0.3, backend="torch"), IMAGES),
    "simplify, half": (lambda x: tl.simplify(tl.Cubical(x.bfloat16()), threshold=0.3), IMAGES),
    "simplify, LowerStar": (lambda x: tl.simplify(tl.LowerStar(x, RING), k=1), IMAGES),
    "few_maxima": (lambda x: tl.few_maxima(x[:, None], k=1), IMAGES),
    "few_maxima, region": (lambda x: tl.few_maxima(x[:, None], k=1, gradient="region"), IMAGES),
    "few_maxima, p=1": (lambda x: tl.few_maxima(x[:, None], k=1, p=1, gradient="region"), IMAGES),
    "few_maxima, not finite": (lambda x: tl.few_maxima(x[:, None] / ODD[:, None, None, None], k=1)[1:], IMAGES),
    "channel_norm": (tl.channel_norm, IMAGES),
    "tokens_to_grid": (lambda x: tl.tokens_to_grid(x, grid=(2, 3)), IMAGES),
    "algebraic": (lambda x: tl.algebraic(bars(x), p=1, q=1, k=2), IMAGES),
    "persistent_entropy": (lambda x: tl.persistent_entropy(bars(x), normalized=True), IMAGES),
    "length_weights": (lambda x: bars(x).sum(tl.length_weights(bars(x), 0.2, softness=0.1)), IMAGES),
    "longest_lengths": (lambda x: tl.longest_lengths(bars(x), 3), IMAGES),
    "landscape": (lambda x: tl.landscape(bars(x), GRID, k=2), IMAGES),
    "silhouette": (lambda x: tl.silhouette(bars(x), GRID), IMAGES),
    "betti_numbers": (lambda x: tl.betti_numbers(bars(x), 0.5) + x.sum() * tl.betti_numbers(bars(x), LEVEL), IMAGES),
    "betti_numbers, soft": (lambda x: tl.betti_numbers(bars(x), GRID, softness=0.1), IMAGES),
    "persistence_image": (lambda x: tl.persistence_image(bars(x), GRID, GRID, sigma=0.2), IMAGES),
    "betti_error": (lambda x: tl.betti_error(x, MASK) * x.sum(), IMAGES),
    "wasserstein": (lambda x: tl.wasserstein(bars(x), bars(OTHER), norm=2), IMAGES),
    "bottleneck": (lambda x: tl.bottleneck(bars(x), bars(OTHER[0])), IMAGES),
    "sliced_wasserstein": (lambda x: tl.sliced_wasserstein(bars(x), bars(OTHER[0])), IMAGES),
    "betti_matching_error": (lambda x: tl.betti_matching_error(x, MASK) * x.sum(), IMAGES),
    "betti_matching_loss": (lambda x: tl.betti_matching_loss(x, MASK), IMAGES),
    "representatives": (lambda x: cells(tl.Cubical(x)), IMAGES),
    "representatives, Freudenthal": (lambda x: cells(tl.Freudenthal(x)), IMAGES),
    "representatives, LowerStar": (lambda x: cells(tl.LowerStar(x, RING), dims=0), IMAGES),
    "representatives, Rips": (lambda x: (1 + cells(tl.Rips.from_points([x, x[:5]]))) * x.sum(), POINTS),
    "extended_persistence": (lambda x: total(tl.extended_persistence(tl.LowerStar(x, RING))), IMAGES),
    "representatives, extended": (lambda x: extended_cells(tl.LowerStar(x, RING)), IMAGES),
    "induced_matching": (lambda x: matched(tl.induced_matching(tl.Cubical(x), tl.Cubical(OTHER), (0, 1))), IMAGES),
    "few_extrema": (lambda x: tl.few_extrema(tl.LowerStar(x, RING), k=1), IMAGES),
    "smooth_gradient": (lambda x: of_points(2)(tl.smooth_gradient(x, bandwidth=0.2)), POINTS),
    "lists of clouds": (lambda x: total(tl.persistence(tl.Alpha([x[:5], x]), (0, 1))), POINTS),
    "rtd_lite": (lambda x: losses.rtd_lite(x, POINTS.flip(0)), POINTS),
    "signature_loss": (lambda x: losses.signature_loss(x, POINTS.flip(0)), POINTS),
    "wasserstein_matching_loss": (lambda x: tl.wasserstein_matching_loss(x, MASK), IMAGES),
}  # fmt: skip


@defaults
@pytest.mark.parametrize(("backend", "family", "dims"), pairings((*FAMILIES, *MASKED)))
def test_every_backend(backend: str, family: Family, dims: tuple[int, ...], default: Default) -> None:
    values = family.random((2,), torch.float32)
    filtration = family.make(values, family.signs[-1])
    expected = persistence(filtration, dims, backend)
    with default():
        barcode = persistence(family.make(values, family.signs[-1]), dims, backend)
    assert found(barcode) == found(expected)
    assert barcode.births.dtype == torch.float32


def value_and_gradient(function: Callable[[Tensor], Tensor], values: Tensor) -> tuple[Tensor, Tensor]:
    leaf = values.clone().requires_grad_()
    result = function(leaf)
    result.sum().backward()
    return result.detach(), leaf.grad


@defaults
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function(name: str, default: Default) -> None:
    function, values = FUNCTIONS[name]
    expected = value_and_gradient(function, values)
    assert expected[1].any()
    with default():
        got = value_and_gradient(function, values)
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


@defaults
def test_regularizer(default: Default) -> None:
    torch.manual_seed(0)
    model, batch = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 1, 1)), IMAGES[:, None]
    penalties = {"1": tl.few_maxima, "2": energy}

    def loss() -> tuple[Tensor, Tensor]:
        with tl.Regularizer(model, penalties, every=2) as regularizer:
            regularizer_off = [model(batch).sum() * 0 + regularizer() for _ in range(2)]
            error = model(batch).square().mean() + regularizer()
        (gradient,) = torch.autograd.grad(error, model[0].weight)
        return torch.stack([*regularizer_off, error]).detach(), gradient

    expected = loss()
    with default():
        got = loss()
    for one, other in zip(got, expected, strict=True):
        assert torch.equal(one, other)


@defaults
def test_probe(default: Default) -> None:
    torch.manual_seed(0)
    model, batch, masks = Probed(), random(4, 1, 8, 8), (random(4, 8, 8, seed=1) > 0.5).float()

    def table() -> list[Any]:
        result = tl.probe(model, [batch], [masks], repeats=1)
        return [(row["layer"], row["maxima"], row["prominent"], row["correlation"]) for row in result.rows]

    expected = table()
    with default():
        assert repr(table()) == repr(expected)  # a correlation may be NaN


@defaults
def test_plot(default: Default, closed_figures: None) -> None:
    barcode = bars(IMAGES[0], (0, 1))
    curve, image = tl.betti_numbers(barcode, GRID, dim=0), tl.persistence_image(barcode, GRID, GRID, sigma=0.2, dim=0)
    tents = tl.landscape(barcode, GRID, k=2, dim=0)

    def drawn() -> list[tuple[Any, ...]]:
        axes = [
            plot.diagram(barcode),
            plot.barcode(barcode),
            plot.pairs(IMAGES[0], barcode),
            plot.betti_curve(curve, GRID),
            plot.landscape(tents, GRID),
            plot.persistence_image(image, GRID, GRID),
            *plot.superlevel_sets(IMAGES[0]),
            *plot.activations({"a": IMAGES[:, None]}, k=2, sample=0).flat,
        ]
        return [(ax.get_title(), ax.get_xlim(), ax.get_ylim()) for ax in axes]

    expected = drawn()
    with default():
        assert drawn() == expected
