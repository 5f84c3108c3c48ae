"""Contract 4: essential bars are kept apart, count towards k, and never contribute to a sum."""

from __future__ import annotations

import math

import pytest
import torch

import topolayer as tl

from ..helpers.comparing import pairings, persistence
from ..helpers.families import FAMILIES, Family
from ..helpers.problems import CYCLE, DTYPES, SQUARE

pytestmark = pytest.mark.native
HILLS = [0.0, 2.0, 1.0, 3.0, 0.5]  # from below: one essential bar at 0, and bars of lengths 1 and 2.5


def _hills(dtype: torch.dtype = torch.float64, **options: object) -> tl.Barcode:
    return tl.persistence(tl.Freudenthal(torch.tensor(HILLS, dtype=dtype), ndim=1, **options))


@pytest.mark.parametrize(("backend", "family", "dims"), pairings(tuple(FAMILIES)))
def test_no_infinity_anywhere(backend: str, family: Family, dims: tuple[int, ...]) -> None:
    for dtype in DTYPES:
        barcode = persistence(family.make(family.random((3,), dtype), family.signs[-1]), dims, backend)
        for tensor in (barcode.births, barcode.deaths, barcode.lengths, barcode.essential.births):
            assert torch.isfinite(tensor).all()


def test_kept_apart() -> None:
    barcode = _hills()
    assert len(barcode) == 2
    essential = barcode.essential
    assert isinstance(essential, tl.EssentialBars)
    assert len(essential) == 1
    assert essential.births.tolist() == [0.0]
    assert essential.indices.tolist() == [0]
    assert essential.dims.tolist() == [0]
    assert essential.sample.tolist() == [0]


def test_births_of_essential_bars_are_on_the_graph() -> None:
    line = torch.tensor([[3.0, 2.0, 5.0], [1.0, 2.0, 0.0]], requires_grad=True)
    barcode = tl.persistence(tl.Freudenthal(line, ndim=1))
    total = barcode.essential.sum(barcode.essential.births**2)
    assert total.tolist() == [4.0, 0.0]
    total.sum().backward()
    assert line.grad.tolist() == [[0, 4, 0], [0, 0, 0]]


def test_essential_sum_has_one_number_per_sample() -> None:
    values = torch.arange(24, dtype=torch.float64).reshape(2, 3, 4)  # six paths of an edge and two lone vertices
    barcode = tl.persistence(tl.LowerStar(values, torch.tensor([[0, 1]])), (0, 1))
    assert barcode.essential.sum(torch.ones(18, dtype=torch.float64)).tolist() == [[3, 3, 3], [3, 3, 3]]
    births = barcode.essential.sum(barcode.essential.births)
    assert torch.equal(births, values[..., [0, 2, 3]].sum(-1))


def test_five_pixels_whose_essential_bar_must_not_be_paired() -> None:
    """The two bars of length 2 and nothing of the essential one, whose depth is 4."""
    line = torch.tensor([4.0, 0.0, 2.0, 0.0, 2.0])
    barcode = tl.persistence(tl.Freudenthal(line, ndim=1, superlevel=True))
    assert tl.total_persistence(barcode, p=1).item() == 4
    assert tl.total_persistence(barcode, p=1, essential="exclude").item() == 4


@pytest.mark.parametrize("essential", ["count", "exclude"])
def test_never_in_a_sum(essential: str) -> None:
    assert tl.total_persistence(_hills(), p=1, essential=essential).item() == 3.5
    rips = tl.persistence(tl.Rips(torch.tensor(SQUARE), threshold=1.0), (0, 1))
    assert len(rips.essential) == 2
    assert tl.total_persistence(rips, p=1, essential=essential).item() == 3
    ring = tl.persistence(tl.LowerStar(torch.tensor([1.0, 2, 3, 4]), torch.tensor(CYCLE)), (0, 1))
    assert tl.algebraic(ring, p=1, q=1, essential=essential).item() == 0


def test_they_are_the_longest_and_count_towards_k() -> None:
    by_k = [tl.total_persistence(_hills(), p=1, k=k).item() for k in range(5)]
    assert by_k == [3.5, 3.5, 1.0, 0.0, 0.0]  # k = 0 and k = 1 coincide: the image is connected


def test_exclude_ranks_finite_bars_alone() -> None:
    by_k = [tl.total_persistence(_hills(), p=1, k=k, essential="exclude").item() for k in range(4)]
    assert by_k == [3.5, 1.0, 0.0, 0.0]


def test_k_components_means_skipping_k_minus_1_finite_bars() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(3, 12, 12, generator=generator, dtype=torch.float64)
    barcode = tl.persistence(tl.Freudenthal(image, superlevel=True))
    for k in range(1, 9):
        counted = tl.total_persistence(barcode, p=2, k=k)
        excluded = tl.total_persistence(barcode, p=2, k=k - 1, essential="exclude")
        assert torch.equal(counted, excluded)
        for sample in range(3):
            lengths = barcode.lengths[barcode.sample == sample].sort(descending=True).values
            assert counted[sample].item() == pytest.approx((lengths[k - 1 :] ** 2).sum().item(), rel=1e-12)


@pytest.mark.parametrize("maxima", [1, 7, 8, 9, 12])
def test_k_8_leaves_at_most_8_maxima(maxima: int) -> None:
    """As the paper says; one local maximum more and there is a penalty."""
    line = torch.zeros(1, 1, 1, 2 * maxima + 1)
    line[..., 1::2] = torch.arange(1.0, maxima + 1)
    penalty = tl.few_maxima(line, k=8, p=2).item()
    assert penalty == sum(height**2 for height in range(1, maxima + 1 - 8))
    assert (penalty > 0) == (maxima > 8)


def test_several_essential_bars_count_each() -> None:
    """Two components that never meet: the longest finite bar has rank 2."""
    values = torch.tensor([0.0, 5, 1, 0, 3, 2])
    edges = torch.tensor([[0, 1], [1, 2], [3, 4], [4, 5]])
    barcode = tl.persistence(tl.LowerStar(values, edges))
    assert dict(zip(barcode.lengths.tolist(), barcode.ranks.tolist(), strict=True)) == {4.0: 2, 1.0: 3}
    assert [tl.total_persistence(barcode, k=k).item() for k in range(5)] == [5, 5, 5, 1, 0]
    excluded = [tl.total_persistence(barcode, k=k, essential="exclude").item() for k in range(3)]
    assert excluded == [5, 1, 0]


def test_they_count_within_their_own_sample_and_dimension() -> None:
    """A second sample, and an essential bar of dimension 1, change nothing in dimension 0 of the first."""
    values = torch.tensor([[0.0, 3, 1, 9], [9.0, 9, 9, 9]])
    barcode = tl.persistence(tl.LowerStar(values, torch.tensor(CYCLE)), (0, 1))
    assert barcode.lengths.tolist() == [2.0]
    assert barcode.ranks.tolist() == [1]
    assert sorted(zip(barcode.essential.sample.tolist(), barcode.essential.dims.tolist(), strict=True)) == [
        (0, 0), (0, 1), (1, 0), (1, 1),
    ]  # fmt: skip


def test_no_component_dies_below_the_threshold() -> None:
    """Bars alive at the threshold are essential, and all of them count."""
    distances = torch.full((5, 5), 4.0).fill_diagonal_(0)
    distances[0, 1] = distances[1, 0] = 1.0
    barcode = tl.persistence(tl.Rips(distances, threshold=2.0))
    assert len(barcode.essential) == 4
    assert barcode.ranks.tolist() == [4]
    assert tl.total_persistence(barcode, k=4).item() == 1
    assert tl.total_persistence(barcode, k=5).item() == 0
    assert math.isfinite(barcode.deaths.max().item())
