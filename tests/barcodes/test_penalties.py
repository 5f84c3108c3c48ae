"""algebraic and total_persistence: the sum over ranks >= k of |d - b|**p * ((b + d) / 2)**q."""

from __future__ import annotations

import inspect
import math

import pytest
import torch

import topolayer as tl

from ..helpers.families import BATCHES, grid_family
from ..helpers.problems import CYCLE


def _barcode(batch: tuple[int, ...] = (3,), superlevel: bool = True) -> tl.Barcode:
    image = torch.rand((*batch, 7, 9), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return tl.persistence(tl.Cubical(image, superlevel=superlevel), (0, 1))


def _by_hand(barcode: tl.Barcode, p: float, q: float, k: int, essential: str) -> list[float]:
    totals = [0.0] * torch.Size(barcode.batch_shape).numel()
    for i, (sample, dim, b, d) in enumerate(
        zip(
            barcode.sample.tolist(),
            barcode.dims.tolist(),
            barcode.births.tolist(),
            barcode.deaths.tolist(),
            strict=True,
        )
    ):
        rank = int(barcode.ranks[i])
        if essential == "exclude":
            e = barcode.essential
            rank -= int(((e.sample == sample) & (e.dims == dim)).sum())
        if rank >= k:
            totals[sample] += abs(d - b) ** p * ((b + d) / 2) ** q
    return totals


@pytest.mark.parametrize("batch", BATCHES, ids=str)
@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("essential", ["count", "exclude"])
def test_against_the_formula(batch: tuple[int, ...], superlevel: bool, essential: str) -> None:
    barcode = _barcode(batch, superlevel)
    for p, q, k in [(1, 0, 0), (2, 0, 8), (2, 1, 1), (0.5, 0.5, 3), (0, 0, 2), (3, 2, 0), (0, 1, 0), (1, 1.5, 2)]:
        total = tl.algebraic(barcode, p=p, q=q, k=k, essential=essential)
        assert total.shape == batch
        assert total.flatten().tolist() == pytest.approx(_by_hand(barcode, p, q, k, essential), rel=1e-12)


@pytest.mark.parametrize("essential", ["count", "exclude"])
@pytest.mark.parametrize("kind", "FVT")
def test_bars_of_equal_length_at_the_k_th_place(kind: str, essential: str) -> None:
    """Midpoints show which of them is spared: earlier birth first, then earlier death, as in the ranks."""
    family = grid_family(kind, 7, 8)
    for superlevel in (False, True):
        filtration = family.make(family.random((3, 4), levels=5), superlevel)
        barcode = tl.persistence(filtration, (0, 1))
        for k in range(1, 9):
            total = tl.algebraic(barcode, p=1, q=1, k=k, essential=essential)
            assert total.flatten().tolist() == pytest.approx(_by_hand(barcode, 1, 1, k, essential), rel=1e-12)
            part = barcode.select(barcode.births != 2, dim=0)
            total = tl.algebraic(part, p=1, q=1, k=k, essential=essential)
            assert total.flatten().tolist() == pytest.approx(_by_hand(part, 1, 1, k, essential), rel=1e-12)


def test_more_groups_than_bars() -> None:
    """Samples with many bars, few and none side by side, and a dimension that has none at all."""
    images = torch.zeros(6, 9, 9, dtype=torch.float64)
    images[1] = torch.rand(9, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    images[4, ::2, ::2] = torch.arange(25.0, dtype=torch.float64).reshape(5, 5)
    barcode = tl.persistence(tl.Cubical(images, superlevel=True), (1, 0))
    for k in (1, 2, 7, 24, 25, 10**9):
        for essential in ("count", "exclude"):
            total = tl.total_persistence(barcode, p=2, k=k, essential=essential)
            assert total.tolist() == pytest.approx(_by_hand(barcode, 2, 0, k, essential), rel=1e-12)


@pytest.mark.parametrize("p", [0.1, 3])
def test_the_power_of_a_spared_bar_does_not_matter(p: float) -> None:
    """It may overflow, or its derivative: the gradient is 0 and not NaN."""
    line = torch.tensor([0.0, 1e-44 if p < 1 else 1e38, 0.0, 3e38, 0.0], requires_grad=True)
    barcode = tl.persistence(tl.Freudenthal(line, ndim=1, superlevel=True))
    assert len(barcode) == 1
    total = tl.total_persistence(barcode, p=p, k=2)
    total.backward()
    assert total.item() == 0
    assert line.grad.tolist() == [0] * 5


def test_total_persistence_is_q_0() -> None:
    barcode = _barcode()
    for p in (0, 0.5, 1, 2):
        for k in (0, 1, 4):
            for essential in ("count", "exclude"):
                a = tl.total_persistence(barcode, p=p, k=k, essential=essential)
                assert torch.equal(a, tl.algebraic(barcode, p=p, q=0, k=k, essential=essential))
    assert torch.equal(tl.total_persistence(barcode), tl.algebraic(barcode, p=1))


def test_defaults_are_those_of_the_contract() -> None:
    def keywords(function: object) -> dict[str, object]:
        parameters = inspect.signature(function).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    empty = inspect.Parameter.empty
    assert keywords(tl.algebraic) == {"p": empty, "q": 0, "k": 0, "essential": "count"}
    assert keywords(tl.total_persistence) == {"p": 1, "k": 0, "essential": "count"}
    assert keywords(tl.few_maxima) == {"k": 8, "p": 2, "gradient": "critical", "region": None, "scale": None}
    assert keywords(tl.simplify) == {"k": None, "threshold": None, "backend": None}
    assert keywords(tl.persistence) == {"backend": None}


def test_p_0_counts_bars() -> None:
    barcode = _barcode()
    count = tl.algebraic(barcode, p=0)
    assert torch.equal(count, torch.bincount(barcode.sample, minlength=3).double())


def test_equation_1() -> None:
    """p=2, k=8 is equation (1) of the paper: all but the 8 longest bars, squared."""
    image = torch.rand(20, 20, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    barcode = tl.persistence(tl.Freudenthal(image, superlevel=True))
    assert len(barcode) > 20
    finite = barcode.lengths.sort(descending=True).values
    expected = finite[7:].square().sum()  # the first of the 8 is the essential bar
    assert tl.total_persistence(barcode, p=2, k=8).item() == pytest.approx(expected.item(), rel=1e-12)


def test_ties_at_k_are_broken_by_birth() -> None:
    """Three bars of length 1, k = 2: the one of the earliest birth is spared, by its gradient."""
    line = torch.tensor([-9.0, 4.0, 3.0, 9.0, 2.0, 3.0, 0.0, 9.0, 5.0, 6.0, 5.0], requires_grad=True)
    barcode = tl.persistence(tl.Freudenthal(line, ndim=1))
    spared = [(p, r) for p, r in zip(barcode.pairs.tolist(), barcode.ranks.tolist(), strict=True)]
    by_length = {tuple(p): r for p, r in spared}
    assert by_length == {(6, 3): 1, (8, 7): 2, (4, 5): 3, (2, 1): 4, (10, 9): 5}
    tl.total_persistence(barcode, p=1, k=4).backward()
    assert line.grad.tolist() == [0, 1, -1, 0, 0, 0, 0, 0, 0, 1, -1]


def test_gradient_of_fractional_p_is_finite() -> None:
    image = torch.rand(9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).requires_grad_()
    barcode = tl.persistence(tl.Freudenthal(image), (0, 1))
    for p in (0, 0.25, 1, 1.5):
        for q in (0, 0.5, 1):
            (grad,) = torch.autograd.grad(tl.algebraic(barcode, p=p, q=q), image, retain_graph=True)
            assert torch.isfinite(grad).all()


def test_midpoint_zero() -> None:
    """0**0 is 1; q = 1 gives 0 and a finite gradient; a fractional q a finite value."""
    line = torch.tensor([-5.0, 1.0, -1.0], dtype=torch.float64, requires_grad=True)
    barcode = tl.persistence(tl.Freudenthal(line, ndim=1))
    assert barcode.lengths.tolist() == [2.0]
    assert tl.algebraic(barcode, p=1, q=0).item() == 2
    assert tl.algebraic(barcode, p=1, q=1).item() == 0
    assert tl.algebraic(barcode, p=1, q=0.5).item() == 0
    (grad,) = torch.autograd.grad(tl.algebraic(barcode, p=1, q=1), line)
    assert grad.tolist() == [0, 1, 1]


@pytest.mark.parametrize("q", [1, 2, 3, 2.0])
def test_whole_q_with_negative_midpoints(q: float) -> None:
    line = torch.tensor([-9.0, -2.0, -4.0])
    barcode = tl.persistence(tl.Freudenthal(line, ndim=1))
    assert tl.algebraic(barcode, p=1, q=q).item() == 2 * (-3.0) ** q


def test_fractional_q_with_negative_midpoints_is_refused() -> None:
    """Contract 9: it names the argument, what was expected and why, and what came."""
    barcode = tl.persistence(tl.Freudenthal(torch.tensor([-9.0, -2.0, -4.0]), ndim=1))
    with pytest.raises(ValueError, match=r"^q\b.*whole.*negative.*0\.5"):
        tl.algebraic(barcode, p=1, q=0.5)


@pytest.mark.parametrize("function", [tl.algebraic, tl.total_persistence], ids=lambda f: f.__name__)
def test_bad_arguments(function: object) -> None:
    """Contract 9."""
    barcode = _barcode()
    for p in (-1, -0.5, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"^p\b"):
            function(barcode, p=p)
    for p in ("2", None, torch.ones(2), [1], True, 1j):
        with pytest.raises(TypeError, match=r"^p\b"):
            function(barcode, p=p)
    with pytest.raises(ValueError, match=r"^k\b"):
        function(barcode, p=1, k=-1)
    for k in (1.0, 1.5, "1", None, True):
        with pytest.raises(TypeError, match=r"^k\b"):
            function(barcode, p=1, k=k)
    with pytest.raises(ValueError, match=r'^essential\b.*"?count"?.*"?exclude"?'):
        function(barcode, p=1, essential="drop")
    for essential in (None, True, 3):
        with pytest.raises((TypeError, ValueError), match=r"^essential\b"):
            function(barcode, p=1, essential=essential)
    for wrong in (None, barcode.lengths, 3, [barcode]):
        with pytest.raises(TypeError, match=r"^barcode\b.*Barcode"):
            function(wrong, p=1)
    with pytest.raises(TypeError):
        function(barcode, 2)  # everything after the barcode is keyword-only


def test_bad_q() -> None:
    for q in (-1, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"^q\b"):
            tl.algebraic(_barcode(), p=1, q=q)
    for q in ("1", None, True, torch.ones(2)):
        with pytest.raises(TypeError, match=r"^q\b"):
            tl.algebraic(_barcode(), p=1, q=q)


def test_dimensions_are_summed_and_ranked_apart() -> None:
    values = grid_family("V", 6, 6).random((4,), levels=9)
    both = tl.persistence(tl.Cubical(values), (0, 1))
    apart = [tl.persistence(tl.Cubical(values), dim) for dim in (0, 1)]
    for k in (0, 1, 2):
        total = tl.total_persistence(both, p=2, k=k)
        assert torch.equal(total, sum(tl.total_persistence(b, p=2, k=k) for b in apart))


def test_a_dimension_with_essential_bars_only() -> None:
    ring = tl.persistence(tl.LowerStar(torch.arange(4.0), torch.tensor(CYCLE)), 1)
    assert len(ring) == 0
    assert tl.total_persistence(ring).item() == 0
