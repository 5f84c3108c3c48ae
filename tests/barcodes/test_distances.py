"""wasserstein, bottleneck and sliced_wasserstein: against all matchings, and against other libraries."""

from __future__ import annotations

import functools
import math

import gudhi
import gudhi.hera
import gudhi.wasserstein
import numpy as np
import persim
import pytest
import torch
from gudhi.representations import SlicedWassersteinDistance
from scipy.optimize import linear_sum_assignment

import topolayer as tl
from topolayer._barcodes import assignment as _matching

from ..helpers.diagrams import diagrams, pictures
from ..helpers.two_barcodes import brute_force, points, star

ORDERS_AND_NORMS = ((1, math.inf), (2, math.inf), (1, 1), (2, 2), (3, 1.5), (1.5, 3))


def with_infinite(barcode: tl.Barcode, dim: int = 0) -> list[np.ndarray]:
    """As GUDHI takes them: bars that never die have an infinite death."""
    sign = -1 if barcode.superlevel else 1
    finite = [sign * each for each in diagrams(barcode, dim)]
    found = []
    for number, rows in enumerate(finite):
        rows = rows[:, ::sign]
        chosen = (barcode.essential.sample == number) & (barcode.essential.dims == dim)
        births = sign * barcode.essential.births[chosen].detach().double().numpy()
        found.append(np.concatenate([rows, np.stack([births, np.full_like(births, np.inf)], axis=1)]))
    return found


# -- all matchings

TINY = [(n, m, levels) for n in range(5) for m in range(5) for levels in (None, 3, 6)]


@pytest.mark.parametrize("many", [-1, 60_000], ids=["from a start", "at once"])
@pytest.mark.parametrize(("n", "m", "levels"), TINY)
def test_all_matchings(n: int, m: int, levels: int | None, many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to the assignment: the one for many bars too."""
    monkeypatch.setattr(_matching, "_MANY", many)
    x, y = points(n, 10 * n + m, levels=levels), points(m, 100 + n, levels=levels)
    first, second = star(x), star(y)
    for order, norm in (*ORDERS_AND_NORMS, (40, 2), (1000, 50)):
        expected = brute_force(x.tolist(), y.tolist(), order, norm)
        found = tl.wasserstein(first, second, order=order, norm=norm).item()
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-14)
    expected = brute_force(x.tolist(), y.tolist(), math.inf, math.inf)
    assert tl.bottleneck(first, second).item() == pytest.approx(expected, rel=1e-15, abs=1e-15)


@pytest.mark.parametrize("many", [-1, 60_000], ids=["from a start", "at once"])
@pytest.mark.parametrize("order", [2, 3, 7])
def test_distances_far_below_the_lengths(order: float, many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Powers of these distances are lost beside those of the lengths; so it must not be left to their sums."""
    monkeypatch.setattr(_matching, "_MANY", many)
    for unit in (1e-3, 1e-6, 1e-9):
        x, y = (torch.tensor([0.25, 1.0]) + unit * (points(4, seed) - 0.5) for seed in (0, 1))
        expected = brute_force(x.tolist(), y.tolist(), order, 2)
        assert expected < 3 * unit
        assert tl.wasserstein(star(x), star(y), order=order, norm=2).item() == pytest.approx(expected, rel=1e-5)


def test_by_hand() -> None:
    first, second = star([[0.0, 4.0], [1.0, 2.0]]), star([[1.0, 7.0]], [-98.0])
    # (0, 4) to (1, 7), by 1 and 3; (1, 2) to the diagonal, by 0.5 and 0.5; the lowest vertices by 2
    assert tl.wasserstein(first, second, order=1).item() == 3 + 0.5 + 2
    assert tl.wasserstein(first, second, order=1, norm=1).item() == 4 + 1 + 2
    assert tl.wasserstein(first, second, norm=2).item() == pytest.approx(math.sqrt(10 + 0.5 + 4))
    assert tl.bottleneck(first, second).item() == 3
    assert tl.bottleneck(first, star([[1.0, 7.0]], [-94.0])).item() == 6


# -- other libraries


@functools.cache
def real(dim: int, superlevel: bool) -> tuple[tl.Barcode, tl.Barcode]:
    """Barcodes of photographs, and of the same in another order."""
    images = pictures()
    return tuple(  # type: ignore[return-value]
        tl.persistence(tl.Freudenthal(values, superlevel=superlevel), (0, 1)).select(dim=dim)
        for values in (images, images.roll(1, dims=0).flip(-1))
    )


@pytest.mark.parametrize("superlevel", [False, True], ids=["sublevel", "superlevel"])
@pytest.mark.parametrize("dim", [0, 1])
def test_gudhi_on_photographs(dim: int, superlevel: bool) -> None:
    first, second = real(dim, superlevel)
    theirs = list(zip(with_infinite(first, dim), with_infinite(second, dim), strict=True))
    for order, norm in ORDERS_AND_NORMS:
        found = tl.wasserstein(first, second, order=order, norm=norm)
        exact = [
            gudhi.wasserstein.wasserstein_distance(x, y, order=order, internal_p=norm, keep_essential_parts=True)
            for x, y in theirs
        ]
        assert found.tolist() == pytest.approx(exact, rel=1e-7)
        hera = [
            gudhi.hera.wasserstein_distance(x, y, order=order, internal_p=norm, delta=0.001 / order) for x, y in theirs
        ]
        assert found.tolist() == pytest.approx(hera, rel=2e-3)
    expected = [gudhi.bottleneck_distance(x, y, 0) for x, y in theirs]
    assert tl.bottleneck(first, second).tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shapes", [((60, 70), (60, 70)), ((60, 70), (84, 80))], ids=str)
@pytest.mark.parametrize("levels", [None, 40])
def test_gudhi_on_many_bars(
    shapes: tuple[tuple[int, int], ...], levels: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More bars than are assigned at once; whole numbers give many bars twice and more."""
    started: list[_matching._Gains] = []
    find = _matching._Gains._prices
    monkeypatch.setattr(_matching._Gains, "_prices", lambda gains: started.append(gains) or find(gains))
    both = []
    for seed, shape in enumerate(shapes):
        values = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        values = values if levels is None else (levels * values).floor()
        both.append(tl.persistence(tl.Cubical(values)))
    x, y = (diagrams(barcode)[0] for barcode in both)
    first, second = (barcode.select(sample=0) for barcode in both)
    essential = (first.essential.births - second.essential.births).abs().item()
    for order, norm in ((1, math.inf), (2, 2)):
        theirs = gudhi.wasserstein.wasserstein_distance(x, y, order=order, internal_p=norm)
        expected = (theirs**order + essential**order) ** (1 / order)
        assert tl.wasserstein(first, second, order=order, norm=norm).item() == pytest.approx(expected, rel=1e-9)
    assert bool(started) == (shapes[0] == shapes[1])
    expected = max(gudhi.bottleneck_distance(x, y, 0), essential)
    assert tl.bottleneck(first, second).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("n", "m"), [(4, 1), (4, 3), (4, 6), (40, 12), (12, 40), (300, 60)])
def test_bars_of_a_mask_are_equal(n: int, m: int) -> None:
    """Then nothing is left to assign, in either direction; scipy assigns all the same."""
    x, y = points(n, n, levels=6 if n < 10 else None), torch.tensor([[0.25, 0.75]], dtype=torch.float64).expand(m, 2)
    for order, norm in ORDERS_AND_NORMS:
        spare = [2 ** (1 / norm - 1) * (bars[:, 1] - bars[:, 0]).numpy() for bars in (x, y)]
        apart = np.linalg.norm((x[:, None] - y).numpy(), norm, axis=-1)
        gains = np.maximum(spare[0][:, None] ** order + spare[1] ** order - apart**order, 0)
        gained = gains[linear_sum_assignment(-gains)].sum()
        expected = ((spare[0] ** order).sum() + (spare[1] ** order).sum() - gained) ** (1 / order)
        for first, second in ((x, y), (y, x)):
            found = tl.wasserstein(star(first), star(second), order=order, norm=norm).item()
            assert found == pytest.approx(expected, rel=1e-9)
    if max(n, m) < 10:
        assert tl.wasserstein(star(x), star(y)).item() == pytest.approx(
            brute_force(x.tolist(), y.tolist(), 2, math.inf)
        )


@pytest.mark.parametrize("n", [600, 3000])
def test_few_against_many(n: int) -> None:
    x, y = points(n, 0), points(3, 1)
    for order, norm in ((1, math.inf), (2, 2)):
        theirs = gudhi.hera.wasserstein_distance(x.numpy(), y.numpy(), order=order, internal_p=norm, delta=1e-4)
        assert tl.wasserstein(star(x), star(y), order=order, norm=norm).item() == pytest.approx(theirs, rel=2e-4)
    theirs = gudhi.bottleneck_distance(x.numpy(), y.numpy(), 0)
    assert tl.bottleneck(star(x), star(y)).item() == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize("superlevel", [False, True], ids=["sublevel", "superlevel"])
def test_persim(superlevel: bool) -> None:
    first, second = real(0, superlevel)
    for number in range(4):
        one, other = first.select(sample=number), second.select(sample=number)
        x, y = diagrams(one)[number], diagrams(other)[number]
        essential = (one.essential.births - other.essential.births).abs().item()
        found = tl.wasserstein(one, other, order=1, norm=2)[number].item()
        assert found - essential == pytest.approx(persim.wasserstein(x, y), rel=1e-9)
        found = tl.bottleneck(one, other)[number].item()
        assert found == pytest.approx(max(persim.bottleneck(x, y), essential), rel=1e-9)
        x, y = (torch.stack([b.births, b.deaths], dim=1).numpy() for b in (one, other))
        for directions in (1, 7, 50):  # it takes the same directions, in float32
            found = tl.sliced_wasserstein(one, other, directions=directions)[number].item()
            assert found == pytest.approx(persim.sliced_wasserstein(x, y, M=directions), rel=1e-5)


def test_sliced_wasserstein_of_gudhi() -> None:
    """It averages over all directions but the last."""
    first, second = real(1, True)
    found = tl.sliced_wasserstein(first, second, directions=4000)
    theirs = SlicedWassersteinDistance(num_directions=4000)
    expected = [theirs(x, y) for x, y in zip(diagrams(first, 1), diagrams(second, 1), strict=True)]
    assert found.tolist() == pytest.approx(expected, rel=1e-3)


def test_sliced_wasserstein_by_hand() -> None:
    """One bar (b, d) against none: its projections are those of ((b + d)/2, (b + d)/2) and l/2 times (-1, 1) more."""
    for directions in (1, 2, 9):
        angles = [math.pi * k / directions - math.pi / 2 for k in range(directions)]
        expected = sum(1.5 * abs(math.sin(angle) - math.cos(angle)) for angle in angles) / directions
        found = tl.sliced_wasserstein(star([[1.0, 4.0]]), star([]), directions=directions)
        assert found.item() == pytest.approx(expected, rel=1e-12)
