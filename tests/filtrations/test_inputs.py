"""Tensors as they come: any strides, views, lazily negated, leaves or not, with and without grad mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import topolayer as tl

from ..helpers.comparing import found, pairings, persistence
from ..helpers.families import FAMILIES, Family

pytestmark = pytest.mark.native


def _every_second(x: torch.Tensor) -> torch.Tensor:
    big = torch.full((*x.shape[:-1], 2 * x.shape[-1]), -99.0, dtype=x.dtype)
    big[..., ::2] = x
    return big[..., ::2]


def _with_offset(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([torch.full((3,), -99.0, dtype=x.dtype), x.flatten()])[3:].reshape(x.shape)


def _fortran(x: torch.Tensor) -> torch.Tensor:
    return x.permute(*reversed(range(x.ndim))).contiguous().permute(*reversed(range(x.ndim)))


def _lazily_negated(x: torch.Tensor) -> torch.Tensor:
    view = torch.complex(torch.zeros_like(x), -x).conj().imag
    assert view.is_neg()
    return view


def _lazily_negated_twice_cut(x: torch.Tensor) -> torch.Tensor:
    view = torch._neg_view(torch.cat([-x, -x], dim=-1))[..., : x.shape[-1]]
    assert view.is_neg()
    return view


VIEWS: list[Callable[[torch.Tensor], torch.Tensor]] = [
    _every_second,
    _with_offset,
    _fortran,
    _lazily_negated,
    _lazily_negated_twice_cut,
]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__.strip("_"))
@pytest.mark.parametrize(("backend", "family", "dims"), pairings(tuple(FAMILIES)))
def test_views(
    backend: str, family: Family, dims: tuple[int, ...], view: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    for dtype in (torch.float32, torch.float64):
        values = family.random((2, 2), dtype, levels=9)
        seen = view(values)
        assert torch.equal(seen, values)
        for superlevel in family.signs:
            barcode = persistence(family.make(seen, superlevel), dims, backend)
            assert found(barcode) == family.expected(values, superlevel, dims)
            plain = persistence(family.make(values, superlevel), dims, backend)
            assert torch.equal(barcode.births, plain.births)
            assert torch.equal(barcode.deaths, plain.deaths)


@pytest.mark.parametrize(("backend", "family", "dims"), pairings(tuple(FAMILIES)))
def test_expanded(backend: str, family: Family, dims: tuple[int, ...]) -> None:
    """One sample seen three times; its gradient is the sum of three."""
    values = family.random((1,), levels=9)
    wide = values.clone().requires_grad_()
    barcode = persistence(family.make(wide.expand(3, *family.shape), family.signs[-1]), dims, backend)
    assert found(barcode) == family.expected(values.repeat(3, *[1] * len(family.shape)), family.signs[-1], dims)
    barcode.sum(barcode.lengths).sum().backward()
    single = values.clone().requires_grad_()
    barcode = persistence(family.make(single, family.signs[-1]), dims, backend)
    barcode.sum(barcode.lengths).sum().backward()
    assert torch.equal(wide.grad, 3 * single.grad)
    constant = torch.zeros(1, dtype=torch.float64).expand(family.shape)
    assert len(persistence(family.make(constant, False), dims, backend)) == 0


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_gradients_through_views(family: Family) -> None:
    values = family.random((2,), levels=9)
    plain = values.clone().requires_grad_()
    barcode = tl.persistence(family.make(plain, family.signs[-1]), family.dims)
    tl.total_persistence(barcode, p=2).sum().backward()
    for view in (_every_second, _fortran, _lazily_negated):
        leaf = values.clone().requires_grad_()
        barcode = tl.persistence(family.make(view(leaf), family.signs[-1]), family.dims)
        tl.total_persistence(barcode, p=2).sum().backward()
        assert torch.equal(leaf.grad, plain.grad)


def test_leaves_and_others() -> None:
    """The graph is there exactly when the input has one."""
    image = torch.rand(6, 6, generator=torch.Generator().manual_seed(0))
    parameter = torch.nn.Parameter(image.clone())
    for values in (parameter, parameter * 2, parameter.relu()):
        barcode = tl.persistence(tl.Freudenthal(values))
        assert barcode.births.requires_grad
        assert barcode.deaths.requires_grad
        assert barcode.lengths.requires_grad
        assert not barcode.pairs.requires_grad
    barcode = tl.persistence(tl.Freudenthal(image))
    assert not barcode.births.requires_grad
    assert not tl.total_persistence(barcode).requires_grad


def test_without_grad_mode() -> None:
    image = torch.rand(6, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    expected = tl.persistence(tl.Freudenthal(image), (0, 1))
    h = image.detach()[None, None]
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            barcode = tl.persistence(tl.Freudenthal(image), (0, 1))
            assert not barcode.births.requires_grad
            assert torch.equal(barcode.pairs, expected.pairs)
            assert torch.equal(tl.few_maxima(h, k=1), tl.few_maxima(h.clone(), k=1))
            assert tl.total_persistence(barcode).item() == tl.total_persistence(expected).item()
    with torch.inference_mode():
        made_here = torch.rand(6, 6)
        assert len(tl.persistence(tl.Freudenthal(made_here))) > 0
        assert len(tl.persistence(tl.Rips(torch.zeros(3, 3)))) == 0


def test_a_filtration_made_under_no_grad_or_before_it() -> None:
    image = torch.rand(6, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    filtration = tl.Freudenthal(image)
    with torch.no_grad():
        assert len(tl.persistence(filtration)) > 0
    barcode = tl.persistence(filtration)
    barcode.lengths.sum().backward()
    assert image.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "make", [lambda x: tl.few_maxima(x, k=1), lambda x: tl.channel_norm(x).sum((1, 2))], ids=["few_maxima", "norm"]
)
def test_activations_in_any_memory_format(make: Callable[[torch.Tensor], torch.Tensor]) -> None:
    h = torch.randn(3, 4, 8, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plain = h.clone().requires_grad_()
    expected = make(plain)
    expected.sum().backward()
    for change in (
        lambda x: x.to(memory_format=torch.channels_last),
        _every_second,
        _fortran,
        lambda x: x.flip(0).flip(0),
        _lazily_negated,
    ):
        leaf = h.clone().requires_grad_()
        penalty = make(change(leaf))
        assert torch.allclose(penalty, expected, rtol=1e-13)
        penalty.sum().backward()
        assert torch.allclose(leaf.grad, plain.grad, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("make", [tl.Alpha, tl.Rips.from_points])
def test_a_list_that_changes_later(make: Callable[[list[torch.Tensor]], tl.Filtration]) -> None:
    first, second = torch.rand(9, 2, generator=torch.Generator().manual_seed(0)).split([4, 5])
    expected = make([first, second])
    clouds = [first, second]
    filtration = make(clouds)
    clouds.reverse()
    clouds.pop()
    assert found(tl.persistence(filtration, (0, 1))) == found(tl.persistence(expected, (0, 1)))
    assert torch.equal(filtration.sample(1).values, expected.sample(1).values)
    distances = [torch.zeros(2, 2), torch.ones(3, 3) - torch.eye(3)]
    given = list(distances)
    rips = tl.Rips(given)
    given.reverse()
    assert torch.equal(rips.distances[0], distances[0]) and torch.equal(rips.distances[1], distances[1])


def test_a_lazily_negated_batch() -> None:
    negated = torch._neg_view(-torch.tensor([0, 0, 1, 1, 1]))
    assert negated.is_neg()
    edges = torch.tensor([[0, 1], [2, 3]])
    assert tl.LowerStar(torch.zeros(5), edges, batch=negated).offsets.tolist() == [0, 2, 5]


def test_simplices_of_any_integer_type_and_stride() -> None:
    values = torch.tensor([[0.0, 2, 1, 3, 0.5]])
    edges = [[0, 1], [1, 2], [2, 3], [3, 4]]
    expected = found(tl.persistence(tl.LowerStar(values, torch.tensor(edges)), (0, 1)))
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        tensor = torch.tensor(edges, dtype=dtype)
        for simplices in (tensor, tensor.T.contiguous().T, [tensor], (tensor[:2], tensor[2:]), tensor.flip(1)):
            assert found(tl.persistence(tl.LowerStar(values, simplices), (0, 1))) == expected


def test_simplices_of_several_dimensions() -> None:
    """A sequence may mix them, in any order, with faces that are there already, and with none of a dimension."""
    values = torch.tensor([0.0, 4, 1, 3, 2], dtype=torch.float64)
    triangle, edges, vertex = torch.tensor([[0, 1, 2]]), torch.tensor([[2, 3], [3, 4]]), torch.tensor([[4]])
    expected = found(tl.persistence(tl.LowerStar(values, [triangle, edges]), (0, 1, 2)))
    none = torch.empty(0, 2, dtype=torch.int64)
    for simplices in (
        (edges, triangle),
        (vertex, edges, triangle, none),
        (triangle, edges, torch.tensor([[1, 0], [2, 1]])),
        (triangle, triangle.flip(1), edges, edges),
    ):
        assert found(tl.persistence(tl.LowerStar(values, simplices), (0, 1, 2))) == expected
    graph = found(tl.persistence(tl.LowerStar(values, (edges,)), (0, 1)))
    assert graph != expected
    only_vertices = tl.persistence(tl.LowerStar(values, none), 0)
    assert len(only_vertices.essential) == 5


LAYOUTS: list[Callable[[torch.Tensor], torch.Tensor]] = [
    lambda x: x.to(memory_format=torch.channels_last),
    lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    lambda x: torch.complex(x, -x).conj().real,
    lambda x: torch._neg_view(-x),
    lambda x: torch._neg_view(-x).mT.contiguous().mT,
    lambda x: torch.nn.functional.pad(x, (2, 3, 1, 4, 1, 1), value=-99.0)[:, 1:-1, 1:-4, 2:-3],
    lambda x: x.flatten()[None].expand(2, -1)[1].as_strided(x.shape, x.stride()),
]


@pytest.mark.parametrize("view", LAYOUTS)
@pytest.mark.parametrize("kind", "FVT")
def test_activations_in_any_layout(view: Callable[[torch.Tensor], torch.Tensor], kind: str) -> None:
    """(B, C, H, W): the pairs are flat into the batch in C order, whatever the strides."""
    x = torch.randint(0, 5, (3, 4, 6, 7), generator=torch.Generator().manual_seed(0)).float()
    seen = view(x)
    assert torch.equal(seen, x)

    def bars(values: torch.Tensor) -> Any:
        filtration = tl.Freudenthal(values) if kind == "F" else tl.Cubical(values, construction=kind, superlevel=True)
        return tl.persistence(filtration, (0, 1), backend="native")

    plain, strange = bars(x), bars(seen)
    assert torch.equal(plain.pairs, strange.pairs)
    assert torch.equal(plain.births, strange.births)
    assert torch.equal(plain.essential.indices, strange.essential.indices)
    row = x[:1, :1, :1].expand(3, 4, 6, 7)  # stride zero: all rows are one
    assert torch.equal(bars(row).pairs, bars(row.clone()).pairs)
    assert len(bars(row)) > 0
