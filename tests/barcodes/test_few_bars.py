"""Contract 5 and 6: zero-length bars are dropped; fewer than k bars give 0, a gradient of 0, and a graph."""

from __future__ import annotations

import pytest
import torch

import topolayer as tl

from ..helpers.comparing import pairings, persistence
from ..helpers.families import FAMILIES, THIN, Family
from ..helpers.problems import DTYPES

pytestmark = pytest.mark.native


def _constant(family: Family, batch: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    values = torch.full((*batch, *family.shape), 0.0 if family.kind == "rips" else 3.0, dtype=dtype)
    return values.requires_grad_()


@pytest.mark.parametrize(("backend", "family", "dims"), pairings(tuple(FAMILIES + THIN)))
def test_a_constant_has_no_bars_and_no_gradient(backend: str, family: Family, dims: tuple[int, ...]) -> None:
    """Contract 5: an empty barcode, one essential bar for a grid, and a gradient that is exactly zero."""
    for dtype in (torch.float16, torch.float64):
        for superlevel in family.signs:
            values = _constant(family, (2,), dtype)
            barcode = persistence(family.make(values, superlevel), dims, backend)
            assert len(barcode) == 0
            assert barcode.pairs.shape == (0, 2)
            if family.kind in "FVT":
                assert barcode.essential.dims.tolist() == [0, 0]
                assert barcode.essential.births.tolist() == [3.0, 3.0]
            loss = tl.total_persistence(barcode, p=1)
            assert loss.tolist() == [0.0, 0.0]
            loss.sum().backward()
            assert values.grad is not None
            assert torch.equal(values.grad, torch.zeros_like(values))


@pytest.mark.parametrize(("backend", "family", "dims"), pairings(tuple(FAMILIES)))
def test_no_bar_has_length_zero(backend: str, family: Family, dims: tuple[int, ...]) -> None:
    """Contract 5, where plateaus abound."""
    for superlevel in family.signs:
        values = family.random((6,), levels=1)
        barcode = persistence(family.make(values, superlevel), dims, backend)
        assert (barcode.lengths > 0).all()


def test_few_maxima_of_a_constant_activation() -> None:
    """Contract 5: nothing is pushed, also where the activation is zero."""
    for value in (0.0, 2.0):
        for dtype in DTYPES:
            h = torch.full((2, 3, 5, 6), value, dtype=dtype, requires_grad=True)
            penalty = tl.few_maxima(h, k=0)
            assert penalty.tolist() == [0.0, 0.0]
            penalty.sum().backward()
            assert torch.equal(h.grad, torch.zeros_like(h))


@pytest.mark.parametrize("essential", ["count", "exclude"])
@pytest.mark.parametrize("p", [0, 0.5, 1, 2, 3])
@pytest.mark.parametrize("q", [0, 1, 2])
def test_fewer_than_k_bars(p: float, q: float, essential: str) -> None:
    """Contract 6: loss 0, gradient 0, and `backward` works."""
    values = torch.tensor([[1.0, 3.0, 2.0, 5.0, 1.0]], requires_grad=True)
    barcode = tl.persistence(tl.Freudenthal(values))
    assert len(barcode) == 2
    loss = tl.algebraic(barcode, p=p, q=q, k=3, essential=essential).sum()
    assert loss.item() == 0
    loss.backward()
    assert torch.equal(values.grad, torch.zeros_like(values))


def test_fewer_than_k_bars_in_some_samples() -> None:
    """Contract 6, beside a sample that has enough."""
    values = torch.tensor([[0.0, 1, 0, 2, 0], [0, 1, 2, 3, 4]], requires_grad=True)
    loss = tl.total_persistence(tl.persistence(tl.Freudenthal(values, ndim=1)), p=1, k=1)
    assert loss.tolist() == [3.0, 0.0]
    loss.sum().backward()
    # of the two bars one dies at 1 and one at 2; both are born at zeros that are not the oldest
    assert values.grad.tolist() == [[0, 1, -1, 1, -1], [0, 0, 0, 0, 0]]


@pytest.mark.parametrize("k", [8, 100, 10**9])
def test_few_maxima_with_few_maxima(k: int) -> None:
    """Contract 6."""
    h = torch.rand(2, 3, 3, 3, requires_grad=True)
    penalty = tl.few_maxima(h, k=k)
    assert penalty.tolist() == [0.0, 0.0]
    penalty.sum().backward()
    assert torch.equal(h.grad, torch.zeros_like(h))


def test_a_user_written_loss_on_no_bars() -> None:
    """Contract 6: the graph is intact for any function of births and deaths."""
    values = torch.zeros(4, 4, requires_grad=True)
    barcode = tl.persistence(tl.Cubical(values), (0, 1))
    loss = barcode.sum((barcode.deaths.exp() - barcode.births) * barcode.lengths.sqrt())
    assert loss.shape == ()
    assert loss.requires_grad
    loss.backward()
    assert torch.equal(values.grad, torch.zeros(4, 4))
