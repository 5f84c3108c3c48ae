"""Derivatives through persistence: the gradient of a gather, by gradcheck, and by hand."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

import topolayer as tl

from ..helpers.comparing import pairings, persistence
from ..helpers.families import FAMILIES, MASKED, Family

# Rips has a gradcheck of its own, on the upper triangle.
VERTEX = tuple(f for f in FAMILIES if f.kind != "rips")


def _apart(family: Family, batch: tuple[int, ...]) -> torch.Tensor:
    """Values that differ by far more than gradcheck's step, so that the pairs stay."""
    shape = (*batch, *family.shape)
    n = torch.Size(shape).numel()
    values = torch.randperm(n, generator=torch.Generator().manual_seed(0)).double() / n + 0.5
    return values.reshape(shape).requires_grad_()


@pytest.mark.parametrize(("backend", "family", "dims"), pairings(VERTEX))
def test_births_and_deaths(backend: str, family: Family, dims: tuple[int, ...]) -> None:
    for superlevel in family.signs:
        values = _apart(family, (2,))

        def diagram(x: torch.Tensor, superlevel: bool = superlevel) -> tuple[torch.Tensor, ...]:
            barcode = persistence(family.make(x, superlevel), dims, backend)
            return barcode.births, barcode.deaths, barcode.lengths, barcode.essential.births

        assert gradcheck(diagram, (values,))
        assert gradgradcheck(diagram, (values,))


@pytest.mark.parametrize(("backend", "family", "dims"), pairings(VERTEX))
@pytest.mark.parametrize(("p", "q", "k"), [(2, 0, 1), (1, 1, 0), (1.5, 0.5, 2)])
def test_algebraic(backend: str, family: Family, dims: tuple[int, ...], p: float, q: float, k: int) -> None:
    values = _apart(family, ())

    def loss(x: torch.Tensor) -> torch.Tensor:
        return tl.algebraic(persistence(family.make(x, family.signs[-1]), dims, backend), p=p, q=q, k=k)

    assert gradcheck(loss, (values,))
    assert gradgradcheck(loss, (values,))


@pytest.mark.parametrize(("backend", "family", "dims"), pairings((*FAMILIES, *MASKED)))
def test_gradient_is_that_of_a_gather(backend: str, family: Family, dims: tuple[int, ...]) -> None:
    """Plus one at every birth, by its multiplicity, and so for deaths; also where values tie."""
    values = family.random((3,)).requires_grad_()
    barcode = persistence(family.make(values, family.signs[-1]), dims, backend)
    weights = torch.randn(2, len(barcode), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    (weights[0] @ barcode.births + weights[1] @ barcode.deaths).backward()
    expected = torch.zeros(values.numel(), dtype=torch.float64)
    for weight, index in zip(weights, barcode.pairs.T, strict=True):
        expected.index_add_(0, index, weight)
    if family.kind == "rips":  # a vertex is born at 0, with no gradient
        expected.reshape(values.shape).diagonal(dim1=-2, dim2=-1).zero_()
    assert torch.allclose(values.grad.flatten(), expected, rtol=0, atol=1e-12)


def test_any_function_of_births_and_deaths_is_a_loss() -> None:
    """Persistent entropy, written by a user."""
    image = torch.rand(2, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()

    def entropy(x: torch.Tensor) -> torch.Tensor:
        barcode = tl.persistence(tl.Freudenthal(x, superlevel=True), (0, 1))
        share = barcode.lengths / barcode.sum(barcode.lengths)[barcode.sample]
        return barcode.sum(-share * share.log())

    assert gradcheck(entropy, (image,))
    assert gradgradcheck(entropy, (image,))


def test_padded_and_select() -> None:
    image = torch.rand(2, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()

    def padded(x: torch.Tensor) -> torch.Tensor:
        barcode = tl.persistence(tl.Cubical(x), (0, 1)).select(dim=0)
        return barcode.padded(barcode.lengths**2)[0]

    assert gradcheck(padded, (image,))


def test_descent_reaches_a_persistence_of_zero() -> None:
    """An image of noise loses all but one of its maxima."""
    image = torch.rand(12, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    optimizer = torch.optim.SGD([image], lr=0.25)
    for _ in range(200):
        optimizer.zero_grad()
        loss = tl.total_persistence(tl.persistence(tl.Freudenthal(image, superlevel=True)), p=2, k=1)
        loss.backward()
        optimizer.step()
    assert loss.item() < 1e-6
