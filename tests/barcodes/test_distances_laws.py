"""What holds of distances between barcodes: of a metric, of units and batches, and where bars are missing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import topolayer as tl

from ..helpers.diagrams import NO_BARS, diagrams, no_bars
from ..helpers.two_barcodes import brute_force, each_distance, noise, star

with_essential = pytest.mark.parametrize("distance", [tl.wasserstein, tl.bottleneck], ids=lambda f: f.__name__)


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
    """The bound is 2 sqrt 2 times the one of order 1; Carrière et al. (2017), Theorem 3.4, with this normalization."""
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
