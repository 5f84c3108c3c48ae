"""Gradients of distances between barcodes, and what these functions refuse."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import topolayer as tl
from topolayer._barcodes import assignment as _matching

from ..helpers.diagrams import apart
from ..helpers.two_barcodes import DISTANCES, brute_force, each_distance, noise, points, star


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
