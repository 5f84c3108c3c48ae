"""Contract 7 and 8: dtypes and devices."""

from __future__ import annotations

import pickle
from copy import deepcopy as copy_of

import pytest
import torch

import topolayer as tl

from ..helpers.comparing import found, pairings, persistence
from ..helpers.families import FAMILIES, MASKED, Family
from ..helpers.problems import DTYPES

pytestmark = pytest.mark.native
COMPUTED = {
    torch.float16: torch.float32,
    torch.bfloat16: torch.float32,
    torch.float32: torch.float32,
    torch.float64: torch.float64,
}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("backend", "family", "dims"), pairings((*FAMILIES, *MASKED)))
def test_computed_in_own_precision_or_raised(
    backend: str, family: Family, dims: tuple[int, ...], dtype: torch.dtype
) -> None:
    """float64 and float32 as they are, half types in float32; the gradient has the input's dtype."""
    values = family.random((12,), dtype, seed=1).requires_grad_()
    filtration = family.make(values, family.signs[-1])
    assert filtration.values.dtype == COMPUTED[dtype]
    barcode = persistence(filtration, dims, backend)
    loss = tl.total_persistence(barcode, p=2)
    for tensor in (barcode.births, barcode.deaths, barcode.lengths, barcode.essential.births, loss):
        assert tensor.dtype == COMPUTED[dtype]
    assert barcode.sum(barcode.lengths).dtype == COMPUTED[dtype]
    loss.sum().backward()
    assert values.grad.dtype == dtype
    assert values.grad.abs().sum() > 0


SMALL = {torch.bool: 1, torch.uint8: 255, torch.int8: 127, torch.uint16: 65535, torch.int16: 32767}  # the largest


@pytest.mark.parametrize("dtype", SMALL, ids=str)
@pytest.mark.parametrize(("backend", "family", "dims"), pairings((*FAMILIES, *MASKED)))
def test_small_integers_are_as_their_float_copy(
    backend: str, family: Family, dims: tuple[int, ...], dtype: torch.dtype
) -> None:
    """The smallest and the largest numbers of the type are among them, where a negated one would overflow."""
    ties = family.random((2, 3), seed=2)
    numbers = torch.linspace(0, 1, 5) * SMALL[dtype]
    if dtype.is_signed and family.kind != "rips":
        numbers[0], numbers[1] = -SMALL[dtype] - 1, -1
    values = numbers[ties.long()]
    small = values.to(dtype)
    assert torch.equal(small.float(), values.floor() if dtype != torch.bool else (values != 0).float())
    for superlevel in family.signs:
        integer, copy = family.make(small, superlevel), family.make(small.float(), superlevel)
        barcode, expected = persistence(integer, dims, backend), persistence(copy, dims, backend)
        assert found(barcode) == found(expected)
        assert integer.values.dtype == barcode.births.dtype == barcode.input_dtype == torch.float32
        assert torch.equal(barcode.births, expected.births) and torch.equal(barcode.deaths, expected.deaths)
        assert torch.equal(barcode.essential.births, expected.essential.births)
        assert not barcode.births.requires_grad


@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("construction", ["F", "V", "T"])
@pytest.mark.parametrize("dtype", SMALL, ids=str)
def test_volumes_of_integers_are_read_without_a_copy(dtype: torch.dtype, construction: str, superlevel: bool) -> None:
    """In the whole range of the type, in all dimensions together and alone, in the order of bars of the copy."""
    least, most = (-SMALL[dtype] - 1 if dtype.is_signed else 0), SMALL[dtype]
    values = torch.randint(least, most + 1, (2, 7, 8, 9), generator=torch.Generator().manual_seed(0)).to(dtype)

    def make(given: torch.Tensor) -> tl.Filtration:
        if construction == "F":
            return tl.Freudenthal(given, ndim=3, superlevel=superlevel)
        return tl.Cubical(given, ndim=3, construction=construction, superlevel=superlevel)  # type: ignore[arg-type]

    integer, copy = make(values), make(values.float())
    assert repr(integer) == repr(copy)
    for dims in ((0, 1, 2), (0, 2), (0,), (1,), (2,)):
        barcode, expected = tl.persistence(integer, dims), tl.persistence(copy, dims)
        for name in ("pairs", "births", "deaths", "dims", "sample"):
            assert torch.equal(getattr(barcode, name), getattr(expected, name))
        assert torch.equal(barcode.essential.births, expected.essential.births)
    assert len(tl.persistence(integer, (0, 1, 2))) > 50
    assert "values" not in vars(integer)  # which are made when they are first read
    for again in (pickle.loads(pickle.dumps(make(values))), copy_of(make(values))):  # torch cannot pickle uint16
        assert torch.equal(tl.persistence(again, 1).pairs, tl.persistence(copy, 1).pairs)
        assert torch.equal(again.values, copy.values)
    assert integer.values is integer.values
    assert torch.equal(integer.values, copy.values)
    assert torch.equal(tl.persistence(integer).pairs, tl.persistence(copy).pairs)


def test_levels_between_integers() -> None:
    """Numbers are compared with the values, not rounded to their type."""
    barcode = tl.persistence(tl.Freudenthal(torch.tensor([3, 0, 2], dtype=torch.uint8), ndim=1, superlevel=True))
    assert tl.betti_numbers(barcode, 2.5) == 1 and tl.betti_numbers(barcode, 1.5) == 2
    assert tl.length_weights(barcode, 1.5).tolist() == [1] and tl.length_weights(barcode, 2.5).tolist() == [0]


@pytest.mark.parametrize("dtype", SMALL, ids=str)
def test_lists_and_points_of_small_integers(dtype: torch.dtype) -> None:
    clouds = [
        torch.tensor([[0, 0], [1, 0], [0, 1]]).to(dtype),
        torch.tensor([[1, 1], [0, 1], [1, 0], [0, 0]]).to(dtype),
    ]
    matrices = [(1 - torch.eye(n)).to(dtype) for n in (2, 4)]
    for make, given in ((tl.Alpha, clouds), (tl.Rips.from_points, clouds), (tl.Rips, matrices)):
        integer, copy = make(given), make([part.float() for part in given])
        assert torch.equal(integer.values, copy.values) and integer.input_dtype == torch.float32
        assert found(tl.persistence(integer)) == found(tl.persistence(copy))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_types_lose_nothing(dtype: torch.dtype) -> None:
    """Sums of half numbers that a half type could not hold."""
    line = torch.tensor([0.0, 1.0] * 3000, dtype=dtype)
    barcode = tl.persistence(tl.Freudenthal(line, ndim=1))
    assert tl.total_persistence(barcode, p=1).item() == 2999
    tall = torch.tensor([0.0, 60000.0, 0.0], dtype=dtype)
    barcode = tl.persistence(tl.Freudenthal(tall, ndim=1))
    assert tl.total_persistence(barcode, p=2).item() == float(tall[1]) ** 2


@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_under_autocast(dtype: torch.dtype, low: torch.dtype) -> None:
    """The same dtypes and numbers as without it."""
    image = (torch.randn(2, 9, 11, generator=torch.Generator().manual_seed(0)) * 30).to(dtype)
    h = (torch.randn(2, 4, 9, 11, generator=torch.Generator().manual_seed(0)) * 30).to(dtype)

    def run() -> list[torch.Tensor]:
        a, b = image.clone().requires_grad_(), h.clone().requires_grad_()
        barcode = tl.persistence(tl.Freudenthal(a, superlevel=True), (0,))
        loss = tl.total_persistence(barcode, p=2, k=3)
        maxima = tl.few_maxima(b, k=3)
        algebraic = tl.algebraic(barcode, p=2, q=2)
        (loss.sum() + maxima.sum()).backward()
        return [
            barcode.births,
            barcode.deaths,
            barcode.lengths,
            loss,
            algebraic,
            maxima,
            tl.channel_norm(b),
            a.grad,
            b.grad,
        ]

    plain = run()
    with torch.autocast("cpu", dtype=low):
        cast = run()
    for a, b in zip(plain, cast, strict=True):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)


def test_few_maxima_behind_an_autocast_convolution() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(3, 5, 3, padding=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        h = layer(torch.rand(2, 3, 12, 12))
        assert h.dtype == torch.bfloat16
        penalty = tl.few_maxima(h, k=2)
    assert penalty.dtype == torch.float32
    penalty.sum().backward()
    assert layer.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_rips_and_alpha_dtypes(dtype: torch.dtype) -> None:
    points = torch.tensor([[0.0, 0], [2, 0], [0, 3], [2, 4]], dtype=dtype, requires_grad=True)
    filtration = tl.Alpha(points)
    assert filtration.values.dtype == COMPUTED[dtype]
    barcode = tl.persistence(filtration, (0, 1))
    barcode.sum(barcode.lengths).backward()
    assert points.grad.dtype == dtype
    distances = torch.tensor([[0.0, 3], [3, 0]], dtype=dtype, requires_grad=True)
    barcode = tl.persistence(tl.Rips(distances))
    assert barcode.deaths.dtype == COMPUTED[dtype]
    barcode.deaths.sum().backward()
    assert distances.grad.dtype == dtype
    assert distances.grad.tolist() == [[0, 1], [0, 0]]


def test_float64_is_not_rounded() -> None:
    """Values that float32 would take for ties, in an order of their own."""
    line = 1 + torch.tensor([0.0, 3, 1, 4, 2], dtype=torch.float64) * 2.0**-40
    barcode = tl.persistence(tl.Freudenthal(line, ndim=1))
    assert barcode.pairs.tolist() == [[2, 1], [4, 3]]
    for backend in ("native", "torch", "gudhi"):
        assert found(tl.persistence(tl.Freudenthal(line, ndim=1), backend=backend)) == found(barcode)


@pytest.mark.parametrize(("backend", "family", "dims"), pairings((*FAMILIES, *MASKED)))
def test_everything_is_on_the_device_of_the_values(backend: str, family: Family, dims: tuple[int, ...]) -> None:
    """Contract 8, on the CPU; a CUDA device is tried with the total order."""
    filtration = family.make(family.random((2,)), False)
    barcode = persistence(filtration, dims, backend)
    essential = barcode.essential
    padded, mask = barcode.padded(barcode.lengths)
    for tensor in (
        barcode.pairs, barcode.births, barcode.deaths, barcode.lengths, barcode.dims, barcode.sample, barcode.ranks,
        essential.births, essential.indices, essential.dims, essential.sample, padded, mask,
        barcode.sum(barcode.lengths), essential.sum(essential.births),
    ):  # fmt: skip
        assert tensor.device == filtration.values.device
