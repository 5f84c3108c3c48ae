"""What a change of the input does to the bars, without knowing them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import topolayer as tl

from ..helpers.comparing import found, pairings, persistence, value_bars
from ..helpers.families import FAMILIES, MASKED, Family, grid_family

pytestmark = pytest.mark.native
VERTEX = tuple(f for f in FAMILIES if f.kind != "rips")


@pytest.mark.parametrize(("backend", "family", "dims"), pairings(VERTEX))
@pytest.mark.parametrize("shift", [-7.0, 0.5, 1024.0])
def test_shift(backend: str, family: Family, dims: tuple[int, ...], shift: float) -> None:
    """All values, and so all births and deaths, move; pairs and lengths stay."""
    for superlevel in family.signs:
        values = family.random((3,))
        a = persistence(family.make(values, superlevel), dims, backend)
        b = persistence(family.make(values + shift, superlevel), dims, backend)
        assert torch.equal(a.pairs, b.pairs)
        assert torch.equal(a.ranks, b.ranks)
        assert torch.equal(a.births + shift, b.births)
        assert torch.equal(a.lengths, b.lengths)


@pytest.mark.parametrize(("backend", "family", "dims"), pairings((*FAMILIES, *MASKED)))
@pytest.mark.parametrize("scale", [2.0**-1000, 0.25, 3.0, 2.0**1000])
def test_positive_scale(backend: str, family: Family, dims: tuple[int, ...], scale: float) -> None:
    for superlevel in family.signs:
        values = family.random((3,))
        a = persistence(family.make(values, superlevel), dims, backend)
        threshold = getattr(family.make(values, superlevel), "threshold", None)
        filtration = family.make(values * scale, superlevel)
        if threshold is not None:
            filtration = tl.Rips(values * scale, threshold=threshold * scale)
        b = persistence(filtration, dims, backend)
        assert torch.equal(a.pairs, b.pairs)
        assert torch.equal(a.ranks, b.ranks)
        assert torch.equal(a.lengths * scale, b.lengths)


@pytest.mark.parametrize(("backend", "family", "dims"), pairings(VERTEX))
def test_negation_exchanges_sublevel_and_superlevel(backend: str, family: Family, dims: tuple[int, ...]) -> None:
    """Exactly, ties included: both orders put the earlier position first."""
    values = family.random((3,))
    below = persistence(family.make(values, False), dims, backend)
    above = persistence(family.make(-values, True), dims, backend)
    assert torch.equal(below.pairs, above.pairs)
    assert torch.equal(below.dims, above.dims)
    assert torch.equal(below.ranks, above.ranks)
    assert torch.equal(below.essential.indices, above.essential.indices)
    assert torch.equal(below.births, -above.births)
    assert torch.equal(below.lengths, above.lengths)


@pytest.mark.parametrize(("backend", "family", "dims"), pairings(VERTEX))
def test_monotone_maps_keep_pairs(backend: str, family: Family, dims: tuple[int, ...]) -> None:
    values = family.random((3,), levels=None)
    for superlevel in family.signs:
        a = persistence(family.make(values, superlevel), dims, backend)
        b = persistence(family.make(values.exp() - 5, superlevel), dims, backend)
        assert torch.equal(a.pairs, b.pairs)


@pytest.mark.parametrize(("backend", "family", "dims"), pairings((*FAMILIES, *MASKED)))
def test_permuted_batch(backend: str, family: Family, dims: tuple[int, ...]) -> None:
    values = family.random((6,), levels=9)
    superlevel = family.signs[-1]
    permutation = torch.tensor([4, 2, 0, 5, 1, 3])
    a = persistence(family.make(values, superlevel), dims, backend)
    b = persistence(family.make(values[permutation], superlevel), dims, backend)
    for p in (1, 2):
        before = tl.total_persistence(a, p=p, k=1)
        assert torch.equal(before[permutation], tl.total_persistence(b, p=p, k=1))


@pytest.mark.parametrize(("backend", "family", "dims"), pairings((*FAMILIES, *MASKED)))
def test_a_batch_is_a_loop_over_samples(backend: str, family: Family, dims: tuple[int, ...]) -> None:
    values = family.random((2, 3), levels=9)
    superlevel = family.signs[-1]
    whole = persistence(family.make(values, superlevel), dims, backend)
    size = values[0, 0].numel()
    for number, sample in enumerate(values.flatten(0, 1)):
        one = persistence(family.make(sample, superlevel), dims, backend)
        part = whole.select(sample=number)
        assert torch.equal(one.pairs + number * size, part.pairs)
        assert torch.equal(one.ranks, part.ranks)
        assert torch.equal(one.births, part.births)
        loss = tl.total_persistence(one, p=2, k=1)
        assert torch.equal(loss, tl.total_persistence(whole, p=2, k=1).flatten()[number])


def test_a_batch_is_never_read_as_a_volume() -> None:
    """The number of grid axes is an argument, not a guess."""
    values = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0))
    for make in (tl.Freudenthal, tl.Cubical):
        assert tl.persistence(make(values)).batch_shape == (3,)
        assert tl.persistence(make(values, ndim=1)).batch_shape == (3, 4)
        assert tl.persistence(make(values, ndim=3)).batch_shape == ()
        assert len(tl.persistence(make(values)).essential) == 3
        assert len(tl.persistence(make(values, ndim=1)).essential) == 12
        assert len(tl.persistence(make(values, ndim=3)).essential) == 1


@given(st.integers(1, 6), st.integers(1, 6), st.randoms(use_true_random=False))
def test_relabelled_vertices(n: int, m: int, random: object) -> None:
    """A grid is also a graph, whatever its vertices are called; without ties pairs go along."""
    family = grid_family("F", n, m)
    values = torch.tensor(random.sample(range(100), n * m), dtype=torch.float64)
    edges = [(i * m + j, i * m + j + 1) for i in range(n) for j in range(m - 1)]
    edges += [(i * m + j, (i + 1) * m + j) for i in range(n - 1) for j in range(m)]
    edges += [(i * m + j, (i + 1) * m + j + 1) for i in range(n - 1) for j in range(m - 1)]
    new = torch.tensor(random.sample(range(n * m), n * m))
    renamed = torch.empty_like(values)
    renamed[new] = values
    graph = tl.LowerStar(renamed, new[torch.tensor(edges, dtype=torch.int64).reshape(-1, 2)])
    expected = sorted(
        (0, 0, int(new[b]), int(new[d])) for _, _, b, d in family.expected(values.reshape(n, m)).finite if _ == 0
    )
    assert found(tl.persistence(graph)).finite == expected


@given(st.integers(2, 7), st.randoms(use_true_random=False))
def test_rips_of_permuted_points(n: int, random: object) -> None:
    distinct = torch.tensor(random.sample(range(1, 200), n * n), dtype=torch.float64).reshape(n, n).triu(1)
    distances = distinct + distinct.mT
    permutation = torch.tensor(random.sample(range(n), n))
    a = tl.persistence(tl.Rips(distances), (0, 1))
    b = tl.persistence(tl.Rips(distances[permutation][:, permutation]), (0, 1))
    for p, q in ((1, 0), (2, 1)):
        assert tl.algebraic(a, p=p, q=q).item() == pytest.approx(tl.algebraic(b, p=p, q=q).item(), rel=1e-12)
    assert value_bars(a) == value_bars(b)


@pytest.mark.parametrize("kind", "FVT")
def test_stability(kind: str) -> None:
    """Total persistence with p=1 of a perturbed image moves no more than a bar can: both ends by epsilon each."""
    family = grid_family(kind, 8, 9)
    values = family.random(levels=None)
    noise = 1e-4 * (2 * torch.rand(8, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) - 1)
    a = tl.persistence(family.make(values, True), (0, 1)).lengths.sort(descending=True).values
    b = tl.persistence(family.make(values + noise, True), (0, 1)).lengths.sort(descending=True).values
    n = min(len(a), len(b))
    assert (a[:n] - b[:n]).abs().max() <= 2e-4
    assert all((rest <= 2e-4).all() for rest in (a[n:], b[n:]))
