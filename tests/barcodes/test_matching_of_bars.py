"""wasserstein_matching, and distances of finite bars alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import gudhi.wasserstein
import pytest
import torch
from torch import Tensor

import topolayer as tl

from ..helpers.two_barcodes import noise, points, star


def _distance(first: tl.Barcode, second: tl.Barcode, pairs: Tensor, order: float) -> Tensor:
    """(samples,) of the finite bars, from what is matched: in the maximum norm."""
    ends = [torch.stack([b.births, b.deaths], dim=1) for b in (first, second)]
    matched = (ends[0][pairs[0]] - ends[1][pairs[1]]).abs().amax(dim=1)
    total = first.sum(torch.zeros_like(first.lengths).index_copy(0, pairs[0], matched**order))
    for barcode, side in zip((first, second), pairs, strict=True):
        alone = torch.ones_like(barcode.lengths).index_fill(0, side, 0)
        total = total + barcode.sum(alone * (barcode.lengths / 2) ** order)
    return total ** (1 / order)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("superlevel", [False, True], ids=["sublevel", "superlevel"])
def test_the_matching_has_the_distance(order: float, dim: int, superlevel: bool) -> None:
    both = [noise(3, 9, 10, seed=seed, dims=(0, 1), superlevel=superlevel) for seed in range(2)]
    pairs = tl.wasserstein_matching(*both, order=order, dim=dim)
    assert pairs.shape[1] > 10
    for barcode, side in zip(both, pairs, strict=True):
        assert len(side.unique()) == len(side)
        assert (barcode.dims[side] == dim).all()
    assert (pairs[0].diff() > 0).all()
    assert torch.equal(both[0].sample[pairs[0]], both[1].sample[pairs[1]])
    # Bars of the other dimension are no part of it: as indices are of the whole barcode, they are moved.
    chosen = [barcode.select(dim=dim) for barcode in both]
    own = [(barcode.dims == dim).cumsum(0) - 1 for barcode in both]
    found = _distance(*chosen, torch.stack([own[0][pairs[0]], own[1][pairs[1]]]), order)
    torch.testing.assert_close(found, tl.wasserstein(*both, order=order, dim=dim, essential="exclude"))


def test_the_matching_of_gudhi() -> None:
    x, y = points(40, 0), points(25, 1)
    first, second = tl.Barcode.from_diagram(x), tl.Barcode.from_diagram(y)
    _, theirs = gudhi.wasserstein.wasserstein_distance(x.numpy(), y.numpy(), matching=True, order=2)
    pairs = tl.wasserstein_matching(first, second)
    rows = [b.pairs[side, 0] // 2 for b, side in zip((first, second), pairs, strict=True)]
    ours = sorted(zip(*(each.tolist() for each in rows), strict=True))
    assert ours == sorted((i, j) for i, j in theirs.tolist() if i >= 0 and j >= 0)


def test_one_against_each_of_a_batch() -> None:
    batch, one = noise(3, 9, 10), noise(9, 10, seed=5)
    pairs = tl.wasserstein_matching(batch, one)
    for number in range(3):
        of_sample = batch.sample[pairs[0]] == number
        rows = (batch.sample == number).nonzero()[:, 0]
        single = tl.Barcode.from_diagram(torch.stack([batch.births[rows], batch.deaths[rows]], dim=1))
        expected = tl.wasserstein_matching(single, one)
        assert torch.equal(pairs[:, of_sample], torch.stack([rows[expected[0]], expected[1]]))


@pytest.mark.parametrize("distance", [tl.wasserstein, tl.bottleneck], ids=lambda f: f.__name__)
def test_finite_bars_alone(distance: Callable[..., Tensor]) -> None:
    x, y = points(6, 0), points(4, 1)
    expected = distance(star(x), star(y))  # with equal essential bars
    for essential in ([-100.0, -50.0], [-7.0]):
        other = star(y, essential=essential)
        assert distance(star(x), other) != expected
        torch.testing.assert_close(distance(star(x), other, essential="exclude"), expected)
    assert distance(star(x), star(y, essential=[-9.0, -8.0])) == math.inf
