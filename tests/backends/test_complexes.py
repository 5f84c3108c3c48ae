"""Meshes and other complexes by the core: against GUDHI and Euler's formula, in batches and on threads."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor

import topolayer as tl
from topolayer._filtrations.simplices import freudenthal_simplices

pytestmark = pytest.mark.native
KINDS = ["vertices", "simplices"]


def draw(seed: int) -> tuple[Tensor, list[Tensor]]:
    """Values of two samples, many of them equal or all, and simplices, some of them twice, in several components."""
    rng = torch.Generator().manual_seed(seed)

    def below(bound: int) -> int:
        return int(torch.randint(bound, (1,), generator=rng))

    vertices = 1 + below(12)
    simplices = [torch.empty(0, 1, dtype=torch.int64)]
    for width in range(2, min(vertices, 5) + 1):
        rows = [torch.randperm(vertices, generator=rng)[:width] for _ in range(below(14))]
        if rows:
            simplices.append(torch.stack(rows + rows[:2]))
    values = torch.rand(2, vertices, generator=rng, dtype=torch.float64)
    return (values, (values * 4).floor() - 1, values * 0)[seed % 3], simplices


def filtration(kind: str, values: Tensor, simplices: list[Tensor], superlevel: bool, seed: int) -> tl.Filtration:
    """Of vertices; or of all simplices, in some order, each as late as its last face or a little later."""
    mesh = tl.LowerStar(values, simplices, superlevel=superlevel)
    if kind == "vertices":
        return mesh
    rng = torch.Generator().manual_seed(seed)
    faces: list[Tensor] = []
    for width in range(1, mesh.top_dimension + 2):
        rows = [torch.arange(values.shape[-1])] if width == 1 else []
        rows += [torch.combinations(row.sort().values, width) for given in simplices for row in given]
        distinct = torch.cat([row.reshape(-1, width) for row in rows]).unique(dim=0)
        faces.append(distinct[torch.randperm(len(distinct), generator=rng)])
    sign = -1 if superlevel else 1
    delays = [(torch.rand(2, len(rows), generator=rng) * 2).floor() * (len(rows[0]) > 1) for rows in faces]
    entries: dict[tuple[int, ...], Tensor] = {}
    for rows, delay in zip(faces, delays, strict=True):
        for place, row in enumerate(map(tuple, rows.sort(dim=1).values.tolist())):
            facets = (
                [entries[row[:i] + row[i + 1 :]] for i in range(len(row))]
                if len(row) > 1
                else [sign * values[:, row[0]]]
            )
            entries[row] = torch.stack(facets).amax(dim=0) + delay[:, place]
    names = [row for rows in faces for row in map(tuple, rows.sort(dim=1).values.tolist())]
    return tl.Simplicial(sign * torch.stack([entries[name] for name in names], dim=1), faces, superlevel=superlevel)


def bars(filtered: tl.Filtration, dims: int | tuple[int, ...], backend: str) -> list[Counter[tuple[int, ...]]]:
    barcode = tl.persistence(filtered, dims, backend=backend)
    never = barcode.essential
    return [
        Counter(zip(kind.sample.tolist(), kind.dims.tolist(), map(str, indices.tolist()), strict=True))
        for kind, indices in ((barcode, barcode.pairs), (never, never.indices))
    ]


@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_pairs_are_those_of_gudhi(kind: str, superlevel: bool) -> None:
    for seed in range(300):
        filtered = filtration(kind, *draw(seed), superlevel, seed)
        top = filtered.top_dimension
        assert top is not None
        for dims in {tuple(range(top + 1)), (top,), (0, top)[: top + 1], (seed % (top + 1),)}:
            assert bars(filtered, dims, "native") == bars(filtered, dims, "gudhi"), (seed, dims)


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_bars_is_that_of_any_backend(kind: str) -> None:
    for seed in range(30):
        filtered = filtration(kind, *draw(seed), seed % 2 == 1, seed)
        dims = tuple(range((filtered.top_dimension or 0) + 1))
        ours, theirs = (tl.persistence(filtered, dims, backend=backend) for backend in ("native", "gudhi"))
        assert torch.equal(ours.deaths, theirs.deaths) and torch.equal(ours.births, theirs.births)
        assert torch.equal(ours.pairs, theirs.pairs)
        assert torch.equal(ours.essential.indices, theirs.essential.indices)


@pytest.mark.parametrize("kind", KINDS)
def test_essential_bars_have_the_euler_characteristic(kind: str) -> None:
    for seed in range(60):
        filtered = filtration(kind, *draw(seed), False, seed)
        simplices = filtration("simplices", *draw(seed), False, seed).cells.simplices
        dims = tl.persistence(filtered, tuple(range((filtered.top_dimension or 0) + 1))).essential.dims
        count = sum((-1) ** dim * len(rows) for dim, rows in enumerate(simplices))
        assert int(((-1) ** dims).sum()) == 2 * count  # of two samples


@pytest.mark.parametrize("kind", KINDS)
def test_neither_threads_nor_the_batch_change_anything(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    solid = torch.from_numpy(freudenthal_simplices((6, 7, 8)))
    rng = torch.Generator().manual_seed(0)
    many = torch.rand(40, 6 * 7 * 8, generator=rng)
    if kind == "vertices":
        filtered, one = tl.LowerStar(many, solid), lambda row: tl.LowerStar(row, solid)
    else:
        lattice = tl.Alpha(torch.rand(60, 3, generator=rng)).simplices
        first = torch.rand(40, 60, generator=rng)
        values = torch.cat([first[:, rows].amax(dim=-1) for rows in lattice], dim=1)
        filtered, one = tl.Simplicial(values, lattice), lambda row: tl.Simplicial(row, lattice)
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found.append(tl.persistence(filtered, (0, 1, 2), backend="native"))
    assert torch.equal(found[0].pairs, found[1].pairs)
    alone = [tl.persistence(one(row), (0, 1, 2)) for row in filtered.values]
    assert torch.equal(found[0].births, torch.cat([barcode.births for barcode in alone]))
    assert torch.equal(found[0].dims, torch.cat([barcode.dims for barcode in alone]))
    assert torch.equal(found[0].essential.births, torch.cat([barcode.essential.births for barcode in alone]))


def test_a_lower_star_filtration_is_the_one_of_largest_values() -> None:
    """Bars of the same values; their indices are of simplices, not of vertices."""
    solid = torch.from_numpy(freudenthal_simplices((4, 4, 4)))
    values = torch.rand(4 * 4 * 4, generator=torch.Generator().manual_seed(1))
    star = tl.persistence(tl.LowerStar(values, solid), (0, 1, 2))
    faces = [torch.cat([torch.combinations(row, width) for row in solid]).unique(dim=0) for width in (1, 2, 3, 4)]
    of_simplices = tl.Simplicial(torch.cat([values[rows].amax(dim=1) for rows in faces]), faces)
    own = tl.persistence(of_simplices, (0, 1, 2))
    assert torch.equal(star.deaths, own.deaths) and torch.equal(star.dims, own.dims)
    births = [sorted(zip(b.dims.tolist(), b.deaths.tolist(), b.births.tolist(), strict=True)) for b in (star, own)]
    assert births[0] == births[1]


def test_names_of_vertices_are_any_numbers() -> None:
    vertices, edges = torch.tensor([[70], [-3], [5]]), torch.tensor([[5, 70], [-3, 5], [70, -3]])
    values = torch.tensor([0.0, 1, 2, 3, 5, 4], requires_grad=True)
    barcode = tl.persistence(tl.Simplicial(values, [vertices, edges]), (0, 1))
    assert barcode.pairs.tolist() == [[2, 3], [1, 5]]
    assert barcode.essential.indices.tolist() == [0, 4]
    (barcode.lengths.sum() + barcode.essential.births.sum()).backward()
    assert values.grad is not None and values.grad.tolist() == [1, -1, -1, 1, 1, 1]


def test_the_simplices_of_alpha_can_be_given_other_values() -> None:
    """Also where a point is there twice, and not a vertex."""
    points = torch.rand(30, 2, generator=torch.Generator().manual_seed(0))
    alpha = tl.Alpha(torch.cat([points[:9], points]))
    again = tl.Simplicial(alpha.values, alpha.simplices)
    ours, theirs = (tl.persistence(filtered, (0, 1)) for filtered in (again, alpha))
    assert torch.equal(ours.pairs, theirs.pairs)


def test_the_message_tells_the_simplex_and_its_face() -> None:
    vertices, edges = torch.arange(3)[:, None], torch.tensor([[0, 1], [2, 1]])
    values = torch.tensor([[0.0, 1, 2, 1, 2], [0.0, 1, 2, 1, 1.5]])
    with pytest.raises(ValueError, match=r"got 1\.5 for \[2, 1\] and 2 for its face \[2\] in sample \(1,\)"):
        tl.Simplicial(values, [vertices, edges])
    with pytest.raises(ValueError, match=r"value of a simplex <= .* the other superlevel"):
        tl.Simplicial(values[0], [vertices, edges], superlevel=True)
    with pytest.raises(ValueError, match=r"got \[0, 1, 2\] in row 0 of those of dimension 2 without \[0, 2\]"):
        tl.Simplicial(torch.ones(6), [vertices, edges, torch.tensor([[0, 1, 2]])])
