"""Contract 17: induced matchings. What is matched is compared with the definition in test_many_matchings.py."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import topolayer as tl

from ..helpers.comparing import assert_consistent

pytestmark = pytest.mark.native

GRID = torch.rand(2, 3, 12, 13, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
NEAR = (GRID + 0.2 * torch.rand(GRID.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)) / 1.2
RING = torch.tensor([[i, (i + 1) % 13] for i in range(13)])
KINDS = {
    "F": lambda v, **options: tl.Freudenthal(v, **options),
    "V": lambda v, **options: tl.Cubical(v, **options),
    "T": lambda v, **options: tl.Cubical(v, construction="T", **options),
    "graph": lambda v, mask=None, **options: tl.LowerStar(v, RING, **options),
}


def dims_of(kind: str) -> tuple[int, ...]:
    return (0,) if kind == "graph" else (0, 1)


def rows(barcode: tl.Barcode) -> list[tuple[int, ...]]:
    return list(map(tuple, torch.cat([barcode.sample[:, None], barcode.dims[:, None], barcode.pairs], 1).tolist()))


@pytest.mark.parametrize("comparison", ["union", "intersection"])
@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_result_is_consistent(kind: str, superlevel: bool, comparison: Any) -> None:
    first, second = (KINDS[kind](v, superlevel=superlevel) for v in (GRID, NEAR))
    matching = tl.induced_matching(first, second, dims_of(kind), comparison=comparison)
    for barcode, filtration in ((matching.first, first), (matching.second, second)):
        assert_consistent(barcode, filtration)
        plain = tl.persistence(filtration, dims_of(kind))
        assert rows(barcode) == rows(plain)
        assert torch.equal(barcode.essential.indices, plain.essential.indices)
        assert barcode.computed_dims == plain.computed_dims
    i, j = matching.pairs
    assert matching.pairs.dtype == torch.int64 and len(i) > 20
    assert torch.equal(i, i.sort().values) and len(j.unique()) == len(j)
    assert torch.equal(matching.first.sample[i], matching.second.sample[j])
    assert torch.equal(matching.first.dims[i], matching.second.dims[j])
    assert matching.unmatched_first.sum() + len(i) == len(matching.first)
    assert not matching.unmatched_first[i].any() and not matching.unmatched_second[j].any()
    assert matching.unmatched_second.sum() + len(j) == len(matching.second)
    exchanged = tl.induced_matching(second, first, dims_of(kind), comparison=comparison)
    assert sorted(exchanged.pairs.flip(0).T.tolist()) == matching.pairs.T.tolist()


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("comparison", ["union", "intersection"])
@pytest.mark.parametrize("kind", KINDS)
def test_identity_matches_every_bar_with_itself(kind: str, comparison: Any, ties: bool) -> None:
    values = (5 * GRID).round() if ties else GRID
    filtration = KINDS[kind](values)
    matching = tl.induced_matching(filtration, filtration, dims_of(kind), comparison=comparison)
    every = torch.arange(len(matching.first))
    assert len(every) > 50
    assert torch.equal(matching.pairs, torch.stack([every, every]))
    assert not matching.unmatched_first.any() and not matching.unmatched_second.any()


def test_volumes_match_in_every_dimension() -> None:
    volume = torch.rand(2, 9, 8, 7, generator=torch.Generator().manual_seed(0))
    near = (volume + 0.1 * volume.flip(0)) / 1.1
    for kind in "FVT":
        first, second = (KINDS[kind](v, ndim=3) for v in (volume, near))
        matching = tl.induced_matching(first, second, (2, 0, 1))
        assert set(matching.first.dims[matching.pairs[0]].tolist()) == {0, 1, 2}
        for dim in (0, 1, 2):
            alone = tl.induced_matching(first, second, dim)
            mine = [(rows(alone.first)[i], rows(alone.second)[j]) for i, j in alone.pairs.T.tolist()]
            both = [(rows(matching.first)[i], rows(matching.second)[j]) for i, j in matching.pairs.T.tolist()]
            assert mine == [pair for pair in both if pair[0][1] == dim]


def test_a_feature_is_matched_with_the_one_at_its_place() -> None:
    """Two peaks of the same heights as two others, the other way round: by lengths one would match 4 with 4."""
    first = torch.tensor([9.0, 0.0, 4.0, 0.0, 2.0])
    second = torch.tensor([9.0, 0.0, 2.0, 0.0, 4.0])
    one, other = (tl.Freudenthal(f, ndim=1, superlevel=True) for f in (first, second))
    matching = tl.induced_matching(one, other)
    births = matching.first.births[matching.pairs[0]], matching.second.births[matching.pairs[1]]
    assert sorted(zip(*map(Tensor.tolist, births), strict=True)) == [(2.0, 4.0), (4.0, 2.0)]


def test_the_comparison() -> None:
    """Two hills with one between them: their union is connected, so nothing is matched through it."""
    first, second = torch.tensor([3.0, 0.0, 2.0, 0.0]), torch.tensor([3.0, 3.0, 3.0, 0.0])
    one, other = (tl.Freudenthal(f, ndim=1, superlevel=True) for f in (first, second))
    assert tl.induced_matching(one, other).pairs.shape == (2, 0)
    apart = torch.tensor([3.0, 0.0, 1.0, 0.0])
    two = tl.Freudenthal(apart, ndim=1, superlevel=True)
    for comparison in ("union", "intersection"):
        assert tl.induced_matching(one, two, comparison=comparison).pairs.tolist() == [[0], [0]]


@pytest.mark.parametrize("kind", "FVT")
def test_masks(kind: str) -> None:
    """What is outside may be anything; what dies outside never dies, and has the partner of its place in the order."""
    mask = torch.rand(GRID.shape, generator=torch.Generator().manual_seed(2)) > 0.2
    first, second = (KINDS[kind](v.where(mask, nan), mask=mask) for v, nan in ((GRID, math.nan), (NEAR, math.inf)))
    matching = tl.induced_matching(first, second, (0, 1))
    for barcode, filtration in ((matching.first, first), (matching.second, second)):
        plain = tl.persistence(filtration, (0, 1))
        assert rows(barcode) == rows(plain)
        assert torch.equal(barcode.essential.indices, plain.essential.indices)
    one, other = matching.first.essential, matching.second.essential
    assert len(one) == len(other) > 6
    every = torch.arange(len(one))
    assert torch.equal(matching.essential, torch.stack([every, every]))
    assert torch.equal(one.dims, other.dims) and torch.equal(one.sample, other.sample)


def test_essential_bars_of_a_graph_are_matched_by_component() -> None:
    edges = torch.tensor([[0, 1], [2, 3], [4, 5]])
    first = torch.tensor([[5.0, 6.0, 1.0, 2.0, 3.0, 4.0], [1, 2, 3, 4, 5, 6]])
    second = torch.tensor([[1.0, 2.0, 8.0, 5.0, 3.0, 4.0], [6, 5, 4, 3, 2, 1]])
    matching = tl.induced_matching(tl.LowerStar(first, edges), tl.LowerStar(second, edges))
    m, n = matching.essential
    assert m.tolist() == list(range(6))
    born = [matching.first.essential.indices[m] % 6 // 2, matching.second.essential.indices[n] % 6 // 2]
    assert torch.equal(*born)
    assert torch.equal(matching.first.essential.sample[m], matching.second.essential.sample[n])


def test_dtypes_are_put_together_and_kept() -> None:
    first, second = tl.Cubical(GRID.float()), tl.Cubical(NEAR)
    matching = tl.induced_matching(first, second, (0, 1))
    assert matching.first.births.dtype == torch.float32 and matching.second.births.dtype == torch.float64
    wide = tl.induced_matching(tl.Cubical(GRID.float().double()), second, (0, 1))
    assert torch.equal(matching.pairs, wide.pairs)
    half = tl.Cubical(GRID.half())
    assert tl.induced_matching(half, second).first.input_dtype == torch.float16


def test_threads_and_batches_change_nothing() -> None:
    first, second = GRID.repeat(4, 9, 1, 1), NEAR.repeat(4, 9, 1, 1)
    assert first.numel() > 2**14
    large = GRID.reshape(1, -1).repeat(300, 1), NEAR.reshape(1, -1).repeat(300, 1)
    assert large[0].numel() > 2**18  # so that the rows of one image are spread over threads
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            both = ((tl.Cubical(first), tl.Cubical(second)), map(tl.Cubical, large))
            found.append([tl.induced_matching(*two, (0, 1)).pairs for two in both])
    finally:
        torch.set_num_threads(before)
    assert all(map(torch.equal, *found))


@pytest.mark.parametrize("kind", KINDS)
def test_empty_batches(kind: str) -> None:
    values = torch.empty(0, 3, 12, 13)
    matching = tl.induced_matching(KINDS[kind](values), KINDS[kind](values), dims_of(kind))
    assert matching.pairs.shape == matching.essential.shape == (2, 0)
    assert matching.first.batch_shape == ((0, 3, 12) if kind == "graph" else (0, 3))


def _loss(first: Tensor, second: Tensor, mask: Tensor | None = None) -> Tensor:
    one, other = (tl.Cubical(v, construction="T", superlevel=True, mask=mask) for v in (first, second))
    matching = tl.induced_matching(one, other, (0, 1))
    i, j = matching.pairs
    both = (matching.first.births[i] - matching.second.deaths[j]).square().sum()
    alone = matching.first.lengths[matching.unmatched_first], matching.second.lengths[matching.unmatched_second]
    return both + sum(lengths.square().sum() for lengths in alone)


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_through_both_barcodes(masked: bool) -> None:
    mask = torch.rand(7, 8, generator=torch.Generator().manual_seed(3)) > 0.2 if masked else None
    first, second = (v[0, 0, :7, :8].clone().requires_grad_() for v in (GRID, NEAR))
    assert torch.autograd.gradcheck(lambda *both: _loss(*both, mask), (first, second))
    grad = torch.func.grad(_loss, argnums=(0, 1))(first.detach(), second.detach(), mask)
    expected = torch.autograd.grad(_loss(first, second, mask), (first, second))
    assert all(map(torch.equal, grad, expected))


def test_vmap_is_refused() -> None:
    with pytest.raises(ValueError, match=r"torch\.func\.vmap"):
        torch.func.vmap(_loss)(GRID, NEAR)


def test_a_compiled_function_gives_the_same() -> None:
    compiled = torch.compile(_loss, backend="eager")
    assert torch.equal(compiled(GRID[0], NEAR[0]), _loss(GRID[0], NEAR[0]))


class Mine:
    """A backend of a user that can match."""

    name = "mine"
    capabilities = tl.Capabilities(matches=True)

    def __init__(self, canonical: bool = True) -> None:
        self.native, self.canonical = tl.backends()["native"], canonical

    def unsupported(self, filtration: tl.Filtration, dims: tuple[int, ...]) -> str | None:
        return self.native.unsupported(filtration, dims)

    def pairs(self, filtration: tl.Filtration, dims: tuple[int, ...]) -> tl.IndexPairs:
        return self.native.pairs(filtration, dims)

    def matched(self, first: Any, second: Any, dims: tuple[int, ...], comparison: str) -> tuple[Any, Any, Tensor]:
        assert isinstance(self.native, object) and first.mask is None
        one, other, pairs = self.native.matched(first, second, dims, comparison)  # type: ignore[attr-defined]
        return tl.IndexPairs(one.finite, one.essential, canonical=self.canonical), other, pairs


def test_a_backend_that_declares_it() -> None:
    first, second = tl.Cubical(GRID), tl.Cubical(NEAR)
    mine, native = (tl.induced_matching(first, second, (0, 1), backend=b) for b in (Mine(), "native"))
    assert torch.equal(mine.pairs, native.pairs)
    with pytest.raises(TypeError, match="canonical"):
        tl.induced_matching(first, second, backend=Mine(canonical=False))
    with pytest.raises(ValueError, match="finite"):
        tl.induced_matching(first, tl.Cubical(NEAR / 0), backend=Mine())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("which", [0, 1])
def test_what_is_not_finite_is_refused(which: int, kind: str) -> None:
    values = [GRID.clone(), NEAR.clone()]
    values[which][1, 2, 3, 4] = math.nan if kind == "F" else -math.inf
    with pytest.raises(ValueError, match="values: expected finite"):
        tl.induced_matching(*(KINDS[kind](v) for v in values))
