"""wasserstein, bottleneck and sliced_wasserstein: against all matchings, against other libraries, and at the edges."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gudhi
import gudhi.hera
import gudhi.wasserstein
import numpy as np
import persim
import pytest
import torch
from gudhi.representations import SlicedWassersteinDistance
from torch import Tensor

import topolayer as tl
from topolayer import _matching

from .diagrams import NO_BARS, apart, diagrams, no_bars, pictures

DISTANCES: dict[str, Callable[..., Tensor]] = {
    "wasserstein": tl.wasserstein,
    "bottleneck": tl.bottleneck,
    "sliced_wasserstein": tl.sliced_wasserstein,
}
each_distance = pytest.mark.parametrize("distance", DISTANCES.values(), ids=list(DISTANCES))
with_essential = pytest.mark.parametrize("distance", [tl.wasserstein, tl.bottleneck], ids=lambda f: f.__name__)
ORDERS_AND_NORMS = ((1, math.inf), (2, math.inf), (1, 1), (2, 2), (3, 1.5), (1.5, 3))


def star(points: Any, essential: Sequence[float] = (-100.0,), *, superlevel: bool = False) -> tl.Barcode:
    """A barcode with exactly these bars of dimension 0: each is a valley that a pass joins to the lowest vertex.

    In a superlevel filtration everything is negated.
    """
    points = torch.as_tensor(points, dtype=torch.float64).reshape(-1, 2)
    births = torch.as_tensor(essential, dtype=torch.float64)
    n, root = len(points), 2 * len(points)
    assert not n or births.min() < points.min()
    values = torch.cat([points.flatten(), births.sort().values])
    edges = [(2 * i, 2 * i + 1) for i in range(n)] + [(2 * i + 1, root) for i in range(n)]
    simplices = torch.tensor(edges, dtype=torch.int64).reshape(-1, 2)
    filtration = tl.LowerStar(-values if superlevel else values, simplices, superlevel=superlevel)
    barcode = tl.persistence(filtration)
    assert len(barcode) == int((points[:, 0] != points[:, 1]).sum()) and len(barcode.essential) == len(births)
    return barcode


def noise(*shape: int, seed: int = 0, dims: int | tuple[int, ...] = 0, superlevel: bool = False) -> tl.Barcode:
    values = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return tl.persistence(tl.Cubical(values, superlevel=superlevel), dims)


def points(n: int, seed: int, *, levels: int | None = None) -> Tensor:
    """(n, 2) births and deaths; with levels whole numbers, so that there are duplicates and many optimal matchings."""
    generator = torch.Generator().manual_seed(seed)
    if levels is not None:
        births = torch.randint(0, levels, (n,), generator=generator).double()
        return torch.stack([births, births + torch.randint(1, levels, (n,), generator=generator)], dim=1)
    births, lengths = torch.rand(2, n, generator=generator, dtype=torch.float64)
    return torch.stack([births, births + 0.001 + 0.5 * lengths], dim=1)


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


def _matchings(n: int, m: int) -> Iterator[list[tuple[int, int]]]:
    for size in range(min(n, m) + 1):
        for rows in itertools.combinations(range(n), size):
            for columns in itertools.permutations(range(m), size):
                yield list(zip(rows, columns, strict=True))


def _norm(x: float, y: float, norm: float) -> float:
    return max(abs(x), abs(y)) if norm == math.inf else (abs(x) ** norm + abs(y) ** norm) ** (1 / norm)


def brute_force(x: list[list[float]], y: list[list[float]], order: float, norm: float) -> float:
    """The distance by its definition: of order `order`, which may be infinite."""

    def to_diagonal(b: float, d: float) -> float:
        return _norm((d - b) / 2, (d - b) / 2, norm)

    best = math.inf
    for pairs in _matchings(len(x), len(y)):
        costs = [_norm(x[i][0] - y[j][0], x[i][1] - y[j][1], norm) for i, j in pairs]
        costs += [to_diagonal(*x[i]) for i in set(range(len(x))) - {i for i, _ in pairs}]
        costs += [to_diagonal(*y[j]) for j in set(range(len(y))) - {j for _, j in pairs}]
        largest = max(costs, default=0.0)
        if order == math.inf or largest == 0:
            best = min(best, largest)
        else:
            best = min(best, largest * sum((c / largest) ** order for c in costs) ** (1 / order))
    return best


TINY = [(n, m, levels) for n in range(5) for m in range(5) for levels in (None, 3, 6)]


@pytest.mark.parametrize("few", [0, 500], ids=["from a start", "at once"])
@pytest.mark.parametrize(("n", "m", "levels"), TINY)
def test_all_matchings(n: int, m: int, levels: int | None, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to the assignment: the one for many bars too."""
    monkeypatch.setattr(_matching, "_FEW", few)
    x, y = points(n, 10 * n + m, levels=levels), points(m, 100 + n, levels=levels)
    first, second = star(x), star(y)
    for order, norm in (*ORDERS_AND_NORMS, (40, 2), (1000, 50)):
        expected = brute_force(x.tolist(), y.tolist(), order, norm)
        found = tl.wasserstein(first, second, order=order, norm=norm).item()
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-14)
    expected = brute_force(x.tolist(), y.tolist(), math.inf, math.inf)
    assert tl.bottleneck(first, second).item() == pytest.approx(expected, rel=1e-15, abs=1e-15)


@pytest.mark.parametrize("few", [0, 500], ids=["from a start", "at once"])
@pytest.mark.parametrize("order", [2, 3, 7])
def test_distances_far_below_the_lengths(order: float, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Powers of these distances are lost beside those of the lengths; so it must not be left to their sums."""
    monkeypatch.setattr(_matching, "_FEW", few)
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
    """Of photographs, and of the same in another order."""
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
def test_gudhi_on_many_bars(shapes: tuple[tuple[int, int], ...], levels: int | None) -> None:
    """More bars than are assigned at once; whole numbers give many bars twice and more."""
    both = []
    for seed, shape in enumerate(shapes):
        values = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        values = values if levels is None else (levels * values).floor()
        both.append(tl.persistence(tl.Cubical(values)))
    assert min(map(len, both)) > _matching._FEW
    x, y = (diagrams(barcode)[0] for barcode in both)
    first, second = (barcode.select(sample=0) for barcode in both)
    essential = (first.essential.births - second.essential.births).abs().item()
    for order, norm in ((1, math.inf), (2, 2)):
        theirs = gudhi.wasserstein.wasserstein_distance(x, y, order=order, internal_p=norm)
        expected = (theirs**order + essential**order) ** (1 / order)
        assert tl.wasserstein(first, second, order=order, norm=norm).item() == pytest.approx(expected, rel=1e-9)
    expected = max(gudhi.bottleneck_distance(x, y, 0), essential)
    assert tl.bottleneck(first, second).item() == pytest.approx(expected, rel=1e-12)


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


# -- what holds of distances


def _three() -> list[tl.Barcode]:
    return [noise(3, 9, 10, seed=seed, dims=(0, 1)) for seed in range(3)]


@each_distance
@pytest.mark.parametrize("dim", [0, 1])
def test_metric(distance: Callable[..., Tensor], dim: int) -> None:
    a, b, c = _three()
    ab, ba, bc, ac = (distance(x, y, dim=dim) for x, y in ((a, b), (b, a), (b, c), (a, c)))
    torch.testing.assert_close(ab, ba)
    assert (ab > 0).all()
    assert (ac <= ab + bc + 1e-12).all()


@each_distance
@pytest.mark.parametrize("superlevel", [False, True], ids=["sublevel", "superlevel"])
def test_equal_barcodes(distance: Callable[..., Tensor], superlevel: bool) -> None:
    """Exactly 0, with gradient 0: also where the bars come in another order, as of a transposed image."""
    values = torch.rand(2, 9, 9, generator=torch.Generator().manual_seed(0)).mul(20).round().requires_grad_()
    for other in (values, values.mT.contiguous(), values.detach()):
        first, second = (tl.persistence(tl.Cubical(v, superlevel=superlevel)) for v in (values, other))
        assert len(first) > 20
        result = distance(first, second)
        assert result.tolist() == [0, 0]
        (gradient,) = torch.autograd.grad(result.sum(), values)
        assert not gradient.any()


@pytest.mark.parametrize("order", [1, 2, 3.5])
@pytest.mark.parametrize("norm", [1, 1.5, 2, math.inf])
def test_some_equal_bars_have_no_part_in_the_gradient(order: float, norm: float) -> None:
    x = torch.tensor([[1.0, 5.0], [2.0, 3.0], [0.0, 9.0]], dtype=torch.float64, requires_grad=True)
    total = tl.wasserstein(star(x), star([[1.0, 5.0], [2.0, 3.0], [0.0, 8.0]]), order=order, norm=norm)
    (gradient,) = torch.autograd.grad(total, x)
    torch.testing.assert_close(gradient, torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 1.0]], dtype=torch.float64))


@pytest.mark.parametrize("superlevel", [False, True], ids=["sublevel", "superlevel"])
@pytest.mark.parametrize("dim", [0, 1])
def test_stability(dim: int, superlevel: bool) -> None:
    """The bottleneck distance is at most the largest difference of values; Cohen-Steiner et al. (2007)."""
    values = torch.rand(5, 12, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    change = torch.randn(5, 12, 12, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 0.05
    first, second = (tl.persistence(tl.Freudenthal(v, superlevel=superlevel), dim) for v in (values, values + change))
    largest = change.abs().flatten(1).amax(dim=1)
    assert (tl.bottleneck(first, second) <= largest + 1e-15).all()
    assert (tl.bottleneck(first, second) > 0.3 * largest).all()


def test_orders_fall_to_the_bottleneck_distance() -> None:
    a, b, _ = _three()
    found = torch.stack([tl.wasserstein(a, b, order=q, dim=0) for q in (1, 1.5, 2, 4, 16, 1000)])
    assert (found[:-1] >= found[1:]).all()
    torch.testing.assert_close(found[-1], tl.bottleneck(a, b, dim=0), rtol=0.01, atol=0)


def test_sliced_wasserstein_is_bounded_by_wasserstein() -> None:
    """By 2 sqrt 2 times the one of order 1; Carrière et al. (2017), Theorem 3.4, with this normalization."""
    a, b, _ = _three()
    sliced = tl.sliced_wasserstein(a, b, dim=1, directions=200)
    assert (sliced <= 2 * math.sqrt(2) * tl.wasserstein(a, b, order=1, dim=1)).all()


@each_distance
def test_superlevel_is_sublevel_of_the_negative(distance: Callable[..., Tensor]) -> None:
    values = torch.rand(2, 3, 8, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sub = [tl.persistence(tl.Freudenthal(v)) for v in values]
    upper = [tl.persistence(tl.Freudenthal(-v, superlevel=True)) for v in values]
    torch.testing.assert_close(distance(*sub), distance(*upper), rtol=1e-12, atol=0)


@each_distance
@pytest.mark.parametrize("unit", [1e-30, 1e30])
def test_units_far_from_1(distance: Callable[..., Tensor], unit: float) -> None:
    """In float32 a square or a cube of these has no value."""
    values = torch.rand(2, 2, 8, 9, generator=torch.Generator().manual_seed(0)).requires_grad_()
    results = []
    for scale in (1.0, unit):
        options = {"order": 3, "norm": 4} if distance is tl.wasserstein else {}
        result = distance(*(tl.persistence(tl.Freudenthal(v * scale)) for v in values), **options) / scale
        results.append((result, *torch.autograd.grad(result.sum(), values)))
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-6)


# -- batches, dimensions, dtypes


@each_distance
def test_batches_are_compared_sample_by_sample(distance: Callable[..., Tensor]) -> None:
    values = torch.rand(2, 2, 3, 7, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values[0, 0, 1] = 0.5  # no finite bars
    values[1, 1, 2, :, ::2] = 0  # few
    first, second = (tl.persistence(tl.Cubical(v, superlevel=True), (1, 0)) for v in values)
    for dim in (0, 1):
        found = distance(first, second, dim=dim)
        assert found.shape == (2, 3)
        for i, j in itertools.product(range(2), range(3)):
            alone = (tl.persistence(tl.Cubical(v[i, j], superlevel=True), dim) for v in values)
            torch.testing.assert_close(found[i, j], distance(*alone), rtol=1e-12, atol=0)


@each_distance
def test_one_barcode_for_all_samples(distance: Callable[..., Tensor]) -> None:
    values = torch.rand(2, 3, 7, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    one = torch.rand(7, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()
    first = tl.persistence(tl.Cubical(values))
    results = []
    for other in (one, one.expand(2, 3, 7, 8)):
        result = distance(first, tl.persistence(tl.Cubical(other)))
        results.append((result, *torch.autograd.grad(result.sum(), one)))
    torch.testing.assert_close(results[0], results[1], rtol=1e-12, atol=1e-14)
    empty = tl.persistence(tl.Cubical(values[:, :0]))
    assert distance(empty, tl.persistence(tl.Cubical(one))).shape == (2, 0)


@each_distance
def test_dtypes(distance: Callable[..., Tensor]) -> None:
    values = torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = distance(*(tl.persistence(tl.Cubical(v.half().double())) for v in values))
    kinds = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    for one, other in itertools.product(kinds, kinds):
        if torch.bfloat16 in (one, other):
            continue
        found = distance(
            *(tl.persistence(tl.Cubical(v.half().to(k))) for v, k in zip(values, (one, other), strict=True))
        )
        assert found.dtype == (torch.float64 if torch.float64 in (one, other) else torch.float32)
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
    assert distance(*(tl.persistence(tl.Cubical(v.bfloat16())) for v in values)).dtype == torch.float32


@each_distance
def test_other_kinds_of_filtrations(distance: Callable[..., Tensor]) -> None:
    """Barcodes of an image and of points can be compared, if somebody wants to."""
    cloud = torch.rand(12, 2, generator=torch.Generator().manual_seed(0))
    rips = tl.persistence(tl.Rips(torch.cdist(cloud, cloud)))
    image = tl.persistence(tl.Cubical(torch.rand(9, 9, generator=torch.Generator().manual_seed(0))))
    assert distance(rips, image).isfinite()


# -- bars that are not there, and bars that never die


@each_distance
@pytest.mark.parametrize("case", NO_BARS)
def test_no_bars(distance: Callable[..., Tensor], case: str) -> None:
    barcode, values = no_bars(case)
    for first, second in ((barcode, barcode), (barcode, tl.persistence(tl.Freudenthal(values * 1, superlevel=True)))):
        result = distance(first, second)
        assert result.shape == barcode.batch_shape and not result.any()
        (gradient,) = torch.autograd.grad(result.sum(), values, retain_graph=True)
        assert not gradient.any()


def test_no_bars_against_some() -> None:
    x = torch.tensor([[1.0, 5.0], [2.0, 3.0]], dtype=torch.float64, requires_grad=True)
    for swap in (False, True):
        first, second = (star([]), star(x)) if swap else (star(x), star([]))
        assert tl.bottleneck(first, second).item() == 2
        assert tl.wasserstein(first, second, order=1).item() == 2.5
        assert tl.wasserstein(first, second, norm=2).item() == pytest.approx(math.sqrt(8 + 0.5))
        (gradient,) = torch.autograd.grad(tl.bottleneck(first, second), x, retain_graph=True)
        assert gradient.tolist() == [[-0.5, 0.5], [0, 0]]
        (gradient,) = torch.autograd.grad(tl.wasserstein(first, second, order=1), x)
        assert gradient.tolist() == [[-0.5, 0.5], [-0.5, 0.5]]
        assert tl.sliced_wasserstein(first, second).item() > 0


def test_bars_that_never_die_go_by_the_order_of_their_births() -> None:
    births = torch.tensor([0.0, 3.0, 10.0], dtype=torch.float64, requires_grad=True)
    first, second = star([], births), star([], [4.0, 1.0, 7.0])  # 0 to 1, 3 to 4, 10 to 7
    assert tl.wasserstein(first, second, order=1).item() == 5
    assert tl.wasserstein(first, second, order=1, norm=1).item() == 5
    assert tl.wasserstein(first, second).item() == pytest.approx(math.sqrt(11))
    assert tl.bottleneck(first, second).item() == 3
    assert tl.sliced_wasserstein(first, second).item() == 0
    (gradient,) = torch.autograd.grad(tl.wasserstein(first, second, order=1), births, retain_graph=True)
    assert gradient.tolist() == [-1, -1, 1]
    (gradient,) = torch.autograd.grad(tl.bottleneck(first, second), births)
    assert gradient.tolist() == [0, 0, 1]


@pytest.mark.parametrize("superlevel", [False, True], ids=["sublevel", "superlevel"])
def test_bars_that_never_die_in_a_batch(superlevel: bool) -> None:
    """Several in each sample, in the tensor in an order of their own."""
    values = torch.rand(2, 4, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    edges = torch.tensor([(0, 1), (1, 2), (4, 5), (5, 6), (7, 8)])
    both = [tl.persistence(tl.LowerStar(v, edges, superlevel=superlevel)) for v in values]
    assert [len(barcode.essential) for barcode in both] == [16, 16]
    for number in range(4):
        x, y = (diagrams(barcode)[number].tolist() for barcode in both)
        births = [sorted(b.essential.births[b.essential.sample == number].tolist()) for b in both]
        apart = [abs(b - c) for b, c in zip(*births, strict=True)]
        for order in (1, 2):
            expected = (brute_force(x, y, order, math.inf) ** order + sum(a**order for a in apart)) ** (1 / order)
            assert tl.wasserstein(*both, order=order)[number].item() == pytest.approx(expected, rel=1e-12)
        expected = max(brute_force(x, y, math.inf, math.inf), *apart)
        assert tl.bottleneck(*both)[number].item() == pytest.approx(expected, rel=1e-15)


@with_essential
def test_one_bar_more_that_never_dies(distance: Callable[..., Tensor]) -> None:
    """The distance is infinite, without a gradient, and the other samples do not notice."""
    distances = torch.tensor(
        [[[0.0, 1.0, 2.0]] * 3, [[0.0, 9.0, 9.0], [0.0, 0.0, 2.0], [0.0] * 3]], dtype=torch.float64
    )
    distances = (distances.triu(1) + distances.triu(1).mT).requires_grad_()
    first = tl.persistence(tl.Rips(distances, threshold=3.0))  # of the second sample one point stays apart
    second = tl.persistence(tl.Rips(torch.tensor([[0.0, 2.5], [2.5, 0.0]], dtype=torch.float64), threshold=3.0))
    result = distance(first, second)
    assert result.isfinite().tolist() == [True, False] and result[1].item() == math.inf
    (gradient,) = torch.autograd.grad(result.sum(), distances)
    assert gradient.isfinite().all() and gradient[0].any() and not gradient[1].any()
    assert distance(second, second).item() == 0


# -- gradients


def _two(first: Tensor, second: Tensor, superlevel: bool, dim: int) -> list[tl.Barcode]:
    return [tl.persistence(tl.Cubical(v, superlevel=superlevel), dim) for v in (first, second)]


def _pair() -> tuple[Tensor, Tensor]:
    values = apart(2, 2, 5, 6).detach()
    return values[0].clone().requires_grad_(), values[1].clone().requires_grad_()


@pytest.mark.parametrize("superlevel", [False, True], ids=["sublevel", "superlevel"])
@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize(("order", "norm"), [(1, math.inf), (2, math.inf), (1, 2), (2, 2), (1, 1), (3, 1.5), (7, 7)])
def test_gradcheck_of_wasserstein(order: float, norm: float, dim: int, superlevel: bool) -> None:
    def function(first: Tensor, second: Tensor) -> Tensor:
        return tl.wasserstein(*_two(first, second, superlevel, dim), order=order, norm=norm)

    assert torch.autograd.gradcheck(function, _pair())


@pytest.mark.parametrize("superlevel", [False, True], ids=["sublevel", "superlevel"])
@pytest.mark.parametrize("dim", [0, 1])
def test_gradcheck_of_the_others(dim: int, superlevel: bool) -> None:
    assert torch.autograd.gradcheck(lambda x, y: tl.bottleneck(*_two(x, y, superlevel, dim)), _pair())
    assert torch.autograd.gradcheck(
        lambda x, y: tl.sliced_wasserstein(*_two(x, y, superlevel, dim), directions=6), _pair()
    )


def test_second_derivative() -> None:
    def function(first: Tensor, second: Tensor) -> Tensor:
        return tl.wasserstein(*_two(first, second, False, 0), order=2, norm=2)

    assert torch.autograd.gradgradcheck(function, _pair())


def test_gradcheck_with_one_barcode_for_all() -> None:
    first, second = _pair()
    one = second.detach()[0].requires_grad_()
    for distance in DISTANCES.values():
        assert torch.autograd.gradcheck(lambda x, y, d=distance: d(*_two(x, y, True, 0)), (first, one))


def test_gradient_of_bottleneck_goes_to_the_one_pair_that_has_the_distance() -> None:
    """Bars of a tie that no optimal matching pairs get nothing: (0, 8) and (4, 9) are 4 apart as well."""
    x = torch.tensor([[0.0, 8.0], [4.0, 13.0]], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([[0.0, 8.5], [4.0, 9.0]], dtype=torch.float64, requires_grad=True)
    assert (x[0] - y[1]).abs().max() == (x[1] - y[1]).abs().max() == 4
    result = tl.bottleneck(star(x), star(y))
    assert result.item() == 4
    gradients = torch.autograd.grad(result, (x, y))
    assert [each.tolist() for each in gradients] == [[[0, 0], [0, 1]], [[0, 0], [0, -1]]]


@pytest.mark.parametrize("seed", range(12))
def test_the_bottleneck_pair_is_of_an_optimal_matching(seed: int) -> None:
    """Among whole numbers many pairs have the distance: with the one that is chosen the others go no farther."""
    x, y = (points(5, 2 * seed + k, levels=4) for k in (0, 1))
    matching = _matching.bottleneck_matching(x.numpy(), y.numpy())
    distance = brute_force(x.tolist(), y.tolist(), math.inf, math.inf)
    rest_x, rest_y = x.tolist(), y.tolist()
    (i, j), lengths = matching.pairs, []
    for side, rest, chosen in ((x, rest_x, (*i, *matching.first)), (y, rest_y, (*j, *matching.second))):
        lengths += [float(side[k, 1] - side[k, 0]) / 2 for k in chosen]
        for k in chosen:
            del rest[k]
    assert len(i) + len(matching.first) + len(matching.second) == 1
    attained = float((x[i[0]] - y[j[0]]).abs().max()) if len(i) else lengths[0]
    assert attained == distance
    assert brute_force(rest_x, rest_y, math.inf, math.inf) <= distance


def test_descent_brings_a_barcode_to_its_target() -> None:
    values = torch.rand(9, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    target = tl.persistence(tl.Freudenthal(torch.tensor([[0.0, 1.0, 0.2], [1.0, 1.0, 1.0]], dtype=torch.float64)))
    optimizer = torch.optim.SGD([values], lr=0.2)
    for _ in range(200):
        optimizer.zero_grad()
        (tl.wasserstein(tl.persistence(tl.Freudenthal(values)), target, norm=2) ** 2).backward()
        optimizer.step()
    barcode = tl.persistence(tl.Freudenthal(values))
    longest = barcode.lengths.argmax()
    assert barcode.births[longest].item() == pytest.approx(0.2, abs=1e-3)
    assert barcode.deaths[longest].item() == pytest.approx(1, abs=1e-3)
    assert tl.wasserstein(barcode, target).item() < 1e-2


@each_distance
def test_torch_compile_runs_it(distance: Callable[..., Tensor]) -> None:
    values = torch.rand(2, 2, 6, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def function(first: Tensor, second: Tensor) -> Tensor:
        return distance(*_two(first, second, True, 0))

    torch._dynamo.reset()
    found = torch.compile(function, backend="eager")(*values)
    torch._dynamo.reset()
    torch.testing.assert_close(found, function(*values))


# -- bad input


def _refused(error: type[Exception], match: str, distance: Callable[..., Tensor], *args: Any, **options: Any) -> None:
    with pytest.raises(error, match=match):
        distance(*args, **options)


@each_distance
def test_two_barcodes_that_do_not_fit(distance: Callable[..., Tensor]) -> None:
    """Contract 9."""
    barcode = noise(3, 5, 5)
    for wrong in (None, barcode.lengths, 3, [barcode]):
        _refused(TypeError, r"^first\b.*Barcode", distance, wrong, barcode)
        _refused(TypeError, r"^second\b.*Barcode", distance, barcode, wrong)
    for shape in ((2, 5, 5), (1, 5, 5), (3, 1, 5, 5), (0, 5, 5)):
        _refused(ValueError, r"^second: .*batch shape \(3,\).*\(\)", distance, barcode, noise(*shape))
    _refused(ValueError, r"^second: .*batch shape \(\)", distance, noise(5, 5), barcode)
    _refused(ValueError, r"^second: .*sublevel.*superlevel", distance, barcode, noise(3, 5, 5, superlevel=True))
    _refused(ValueError, r"^second: .*superlevel.*sublevel", distance, noise(3, 5, 5, superlevel=True), barcode)
    _refused(ValueError, r"^second: .*dimension 0.*dimension 1", distance, barcode, noise(3, 5, 5, dims=1))
    both = noise(3, 5, 5, dims=(0, 1))
    for first, second in ((both, both), (both, barcode), (barcode, both)):
        _refused(ValueError, r"^dim: .*\(0, 1\).*None", distance, first, second)
        assert distance(first, second, dim=0).shape == (3,)
    _refused(ValueError, r"^dim: .*got 1", distance, barcode, both, dim=1)
    _refused(ValueError, r"^dim: .*got 1", distance, both, barcode, dim=1)
    for dim in (True, "0", 0.0):
        _refused(TypeError, r"^dim\b", distance, both, both, dim=dim)


@each_distance
def test_two_devices(distance: Callable[..., Tensor]) -> None:
    import dataclasses

    barcode = noise(5, 5)
    elsewhere = dataclasses.replace(barcode, births=barcode.births.to("meta"))
    _refused(ValueError, r"^second: .*cpu.*meta", distance, barcode, elsewhere)


def test_bad_options() -> None:
    """Contract 9."""
    barcode = noise(5, 5)
    for name in ("order", "norm"):
        for wrong in (0.5, 0, -1, math.nan, -math.inf):
            _refused(ValueError, rf"^{name}\b.*>= 1", tl.wasserstein, barcode, barcode, **{name: wrong})
        for wrong in ("2", None, True, torch.tensor(2.0), 1j):
            _refused(TypeError, rf"^{name}\b", tl.wasserstein, barcode, barcode, **{name: wrong})
    _refused(ValueError, r"^order\b.*bottleneck", tl.wasserstein, barcode, barcode, order=math.inf)
    for wrong in (0, -1):
        _refused(ValueError, r"^directions\b", tl.sliced_wasserstein, barcode, barcode, directions=wrong)
    for wrong in (1.0, "5", None, True):
        _refused(TypeError, r"^directions\b", tl.sliced_wasserstein, barcode, barcode, directions=wrong)
    for distance in DISTANCES.values():
        with pytest.raises(TypeError):
            distance(barcode, barcode, 2)  # options are keyword-only
