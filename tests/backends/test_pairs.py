"""Contract 2 and 3: index pairs, as multisets, against the reference.

Every backend x filtration x sub/superlevel x dtype x batch shape, on inputs full of ties.
"""

from __future__ import annotations

import math

import pytest
import torch

import topolayer as tl

from ..helpers.comparing import BACKENDS, assert_consistent, found, pairings, persistence
from ..helpers.families import BATCHES, FAMILIES, MASKED, THIN, Family, grid_family
from ..helpers.problems import DTYPES

pytestmark = pytest.mark.native
ALL = tuple(FAMILIES + THIN)


@pytest.mark.parametrize("batch", BATCHES, ids=str)
@pytest.mark.parametrize(("backend", "family", "dims"), pairings((*FAMILIES, *MASKED)))
def test_against_the_reference(backend: str, family: Family, dims: tuple[int, ...], batch: tuple[int, ...]) -> None:
    for dtype in DTYPES:
        values = family.random(batch, dtype, seed=len(batch))
        for superlevel in family.signs:
            filtration = family.make(values, superlevel)
            barcode = persistence(filtration, dims, backend)
            assert found(barcode) == family.expected(values, superlevel, dims)
            assert_consistent(barcode, filtration)


@pytest.mark.parametrize(("backend", "family", "dims"), pairings(tuple(THIN)))
def test_small_and_thin(backend: str, family: Family, dims: tuple[int, ...]) -> None:
    for seed in range(3):
        values = family.random((2,), seed=seed, levels=2 + seed)
        for superlevel in family.signs:
            barcode = persistence(family.make(values, superlevel), dims, backend)
            assert found(barcode) == family.expected(values, superlevel, dims)


@pytest.mark.parametrize(("backend", "family", "dims"), pairings((*FAMILIES, *MASKED)))
def test_without_ties(backend: str, family: Family, dims: tuple[int, ...]) -> None:
    for dtype in (torch.float32, torch.float64):
        values = family.random((2,), dtype, levels=None)
        for superlevel in family.signs:
            barcode = persistence(family.make(values, superlevel), dims, backend)
            assert found(barcode) == family.expected(values, superlevel, dims)


@pytest.mark.parametrize(("backend", "family", "dims"), pairings(ALL))
def test_one_dimension_at_a_time(backend: str, family: Family, dims: tuple[int, ...]) -> None:
    """An int and a tuple ask for the same, and the order in which dimensions are asked for changes nothing."""
    values = family.random((2,), seed=5)
    superlevel = family.signs[-1]
    for dim in dims:
        for asked in (dim, (dim,)):
            barcode = persistence(family.make(values, superlevel), asked, backend)
            assert found(barcode) == family.expected(values, superlevel, (dim,))
    forwards = persistence(family.make(values, superlevel), dims, backend)
    backwards = persistence(family.make(values, superlevel), dims[::-1], backend)
    assert torch.equal(forwards.pairs, backwards.pairs)
    assert torch.equal(forwards.dims, backwards.dims)


def test_default_dimension_is_zero() -> None:
    family = grid_family("F", 4, 5)
    values = family.random()
    assert found(tl.persistence(family.make(values, False))) == family.expected(values, False, (0,))


@pytest.mark.parametrize(("backend", "family", "dims"), pairings((*FAMILIES, *MASKED)))
def test_batches_with_an_empty_axis(backend: str, family: Family, dims: tuple[int, ...]) -> None:
    """Contract 9: an empty batch is no error: no bars, result of the batch's shape."""
    for batch in ((0,), (2, 0), (0, 3)):
        for dtype in (torch.float16, torch.float64):
            values = family.random(batch, dtype).requires_grad_()
            barcode = persistence(family.make(values, family.signs[0]), dims, backend)
            assert len(barcode) == len(barcode.essential) == 0
            assert barcode.pairs.shape == (0, 2)
            total = barcode.sum(barcode.lengths)
            assert total.shape == batch
            assert tl.total_persistence(barcode, p=2, k=1).shape == batch
            assert barcode.essential.sum(barcode.essential.births).shape == batch
            total.sum().backward()
            assert values.grad is not None
            assert values.grad.shape == values.shape


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name in ("gudhi", "cripser", "native")])
def test_a_volume_may_repeat_one_pair_in_dimension_1(backend: str) -> None:
    """Contract 3: compare as multisets. Two loops are born at one voxel and die at one voxel."""
    family = grid_family("V", 3, 3, 3)
    values = _with_repeated_pair(family)
    expected = family.expected(values, False, (1,))
    assert len(set(expected.finite)) < len(expected.finite)
    filtration = family.make(values, False)
    if BACKENDS[backend].unsupported(filtration, (1,)) is None:
        assert found(persistence(filtration, 1, backend)) == expected


def _with_repeated_pair(family: Family) -> torch.Tensor:
    for seed in range(200):
        values = family.random(seed=seed, levels=2)
        finite = family.expected(values, False, (1,)).finite
        if len(set(finite)) < len(finite):
            return values
    raise AssertionError("no such volume among those tried")


@pytest.mark.parametrize("family", [f for f in FAMILIES if f.kind in "FVT"], ids=lambda family: family.name)
def test_indices_are_flat_into_the_whole_batch_in_c_order(family: Family) -> None:
    """Contract 3: whatever the strides of the input."""
    values = family.random((2, 3), seed=8)
    barcode = tl.persistence(family.make(values, False), family.dims)
    strange = values.flip(0).transpose(0, -1).contiguous().transpose(0, -1).flip(0)
    assert torch.equal(strange, values)
    other = tl.persistence(family.make(strange, False), family.dims)
    assert torch.equal(barcode.pairs, other.pairs)
    size = math.prod(family.shape)
    assert torch.equal(barcode.pairs // size, barcode.sample[:, None].expand(-1, 2))
    flat = values.flatten()
    assert torch.equal(flat[barcode.pairs[:, 0]], barcode.births)
    assert torch.equal(flat[barcode.pairs[:, 1]], barcode.deaths)


def test_rips_pairs_name_entries_above_the_diagonal() -> None:
    """Contract 3: a vertex is (i, i), an edge the entry (i, j) with i < j."""
    distances = torch.tensor([[0.0, 3, 4], [3, 0, 5], [4, 5, 0]])
    barcode = tl.persistence(tl.Rips(distances), 0)
    assert barcode.pairs.tolist() == [[4, 1], [8, 2]]
    assert barcode.essential.indices.tolist() == [0]


def test_lower_star_pairs_name_vertices() -> None:
    """Contract 3."""
    values = torch.tensor([[0.0, 2, 1], [2.0, 0, 1]])
    barcode = tl.persistence(tl.LowerStar(values, torch.tensor([[0, 1], [1, 2]])), 0)
    assert barcode.pairs.tolist() == [[2, 1]]
    assert barcode.essential.indices.tolist() == [0, 4]


def test_alpha_pairs_name_simplices() -> None:
    """Contract 3: positions in `values`, which lists the simplices by dimension."""
    filtration = tl.Alpha(torch.tensor([[0.0], [1.0], [3.0]]))
    barcode = tl.persistence(filtration, 0)
    vertices, edges = filtration.simplices[0], filtration.simplices[1]
    assert vertices.shape == (3, 1)
    assert edges.shape == (2, 2)
    assert filtration.values.shape == (5,)
    named = {tuple(sorted(edge)): 3 + i for i, edge in enumerate(edges.tolist())}
    number = {v[0]: i for i, v in enumerate(vertices.tolist())}
    assert number == {0: 0, 1: 1, 2: 2}
    assert barcode.pairs.tolist() == [[1, named[0, 1]], [2, named[1, 2]]]
