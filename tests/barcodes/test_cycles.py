"""Cycles that bars stand for, by linear algebra over Z/2 on complexes that are listed here cell by cell."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

import topolayer as tl

Cell = tuple[object, ...]
RNG = torch.Generator().manual_seed(0)


@dataclass
class Listed:
    """The cells of one sample, with the place of the entry that each enters with, and their facets."""

    ranks: dict[Cell, int]
    facets: dict[Cell, list[Cell]]
    dims: dict[Cell, int]

    def chains(self, dim: int, keep: Callable[[Cell], bool]) -> list[int]:
        """The boundaries of cells of a dimension, as bits of the cells one dimension below."""
        number = {cell: i for i, cell in enumerate(self.of(dim - 1))}
        return [sum(1 << number[f] for f in self.facets[cell]) for cell in self.of(dim) if keep(cell)]

    def of(self, dim: int) -> list[Cell]:
        return [cell for cell, own in self.dims.items() if own == dim]

    def closed(self, dim: int, keep: Callable[[Cell], bool]) -> list[int]:
        """A basis of the cycles of some cells, as bits of all cells of the dimension."""
        cells = self.of(dim)
        rows = [1 << i for i, cell in enumerate(cells) if keep(cell)]
        basis: dict[int, tuple[int, int]] = {}
        found = []
        for boundary, chain in zip(self.chains(dim, keep), rows, strict=True):
            while boundary and boundary.bit_length() in basis:
                one, other = basis[boundary.bit_length()]
                boundary, chain = boundary ^ one, chain ^ other
            if boundary:
                basis[boundary.bit_length()] = boundary, chain
            else:
                found.append(chain)
        return found

    def classes(self, dim: int, keep: Callable[[Cell], bool], before: float) -> int:
        """How many independent cycles of some cells do not bound in what has entered before a rank."""
        bounding = self.chains(dim + 1, lambda cell: self.ranks[cell] < before)
        return rank([*bounding, *self.closed(dim, keep)]) - rank(bounding)


def rank(rows: Iterable[int]) -> int:
    basis: dict[int, int] = {}
    for row in rows:
        while row and row.bit_length() in basis:
            row ^= basis[row.bit_length()]
        if row:
            basis[row.bit_length()] = row
    return len(basis)


def cubes(ranks: Tensor, construction: str) -> Listed:
    """Cells are products of intervals. Their corners are pixels ("V"), or pixels are those of full dimension ("T")."""
    top = construction == "T"
    along = [[(i,) for i in range(n + top)] + [(i, i + 1) for i in range(n + top - 1)] for n in ranks.shape]
    found = Listed({}, {}, {})
    for cell in itertools.product(*along):
        if top:
            beside = [(side[0],) if len(side) == 2 else (side[0] - 1, side[0]) for side in cell]
            places = [
                p for p in itertools.product(*beside) if all(0 <= i < n for i, n in zip(p, ranks.shape, strict=True))
            ]
        else:
            places = list(itertools.product(*cell))
        entered = [int(ranks[p]) for p in places]
        found.ranks[cell] = min(entered) if top else max(entered)
        found.dims[cell] = sum(len(side) == 2 for side in cell)
        found.facets[cell] = [
            (*cell[:axis], (end,), *cell[axis + 1 :])
            for axis, side in enumerate(cell)
            for end in (side if len(side) == 2 else ())
        ]
    return found


def simplices(ranks: Tensor, given: Iterable[tuple[int, ...]]) -> Listed:
    """All faces of simplices, each with its last vertex."""
    found = Listed({}, {}, {})
    for simplex in given:
        for width in range(1, len(simplex) + 1):
            for cell in itertools.combinations(sorted(simplex), width):
                found.ranks[cell] = max(int(ranks.flatten()[v]) for v in cell)
                found.dims[cell] = width - 1
                found.facets[cell] = list(itertools.combinations(cell, width - 1)) if width > 1 else []
    return found


def ranks_of(filtration: tl.Filtration) -> Tensor:
    """By (value, position), sorted here."""
    values = filtration.values.flatten()
    order = sorted(range(len(values)), key=lambda i: (-values[i] if filtration.superlevel else values[i], i))
    return (
        torch.empty(len(values), dtype=torch.int64)
        .index_copy(0, torch.tensor(order), torch.arange(len(values)))
        .view(filtration.values.shape)
    )


def assert_is_the_bar(
    listed: Listed, ranks: Tensor, dim: int, pair: list[int], found: Tensor, within: Callable[[Cell, set[int]], bool]
) -> None:
    """All has entered by the birth, and of the cycles of these entries one more dies with the bar if those are there
    that enter with the birth.
    """
    birth, death = (int(ranks.flatten()[end]) for end in pair)
    entries = set(found.tolist())
    assert pair[0] in entries and len(entries) == len(found) and sorted(entries) == found.tolist()
    assert all(int(ranks.flatten()[entry]) <= birth for entry in entries)

    def killed(last: int) -> int:
        def keep(cell: Cell) -> bool:
            return listed.ranks[cell] <= last and within(cell, entries)

        return listed.classes(dim, keep, death) - listed.classes(dim, keep, death + 1)

    assert killed(birth) > killed(birth - 1)


VOLUMES = {
    "random": torch.rand(4, 4, 3, generator=RNG),
    "tied": torch.randint(4, (4, 5, 5), generator=RNG).float(),
    "two levels": (torch.rand(4, 5, 5, generator=RNG) > 0.6).float(),
    "thin": torch.rand(2, 6, 5, generator=RNG),
    "flat": torch.rand(1, 4, 5, generator=RNG),
    "tiny": torch.rand(2, 2, 2, generator=RNG),
    "constant": torch.zeros(3, 3, 3),
}
SOME = {"random", "tied", "thin"}  # that have tunnels


@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("construction", ["V", "T", "F"])
@pytest.mark.parametrize("kind", VOLUMES)
def test_tunnels(kind: str, construction: str, superlevel: bool) -> None:
    volume = VOLUMES[kind]
    filtration: tl.Filtration
    if construction == "F":
        filtration = tl.Freudenthal(volume, ndim=3, superlevel=superlevel)
    else:
        filtration = tl.Cubical(volume, ndim=3, construction=construction, superlevel=superlevel)  # type: ignore[arg-type]
    barcode = tl.persistence(filtration, dims=1)
    assert len(barcode) > 0 or kind not in SOME
    ranks = ranks_of(filtration)
    flat = torch.arange(volume.numel()).view(volume.shape)
    if construction == "F":
        steps = [sorted(itertools.accumulate(order)) for order in itertools.permutations(_strides(volume))]
        corners = flat[tuple(slice(max(n - 1, 1)) for n in volume.shape)].flatten().tolist()
        listed = simplices(ranks, [(c, *(c + step for step in path)) for c in corners for path in steps])
    else:
        listed = cubes(ranks, construction)

    def within(cell: Cell, entries: set[int]) -> bool:
        if construction == "F":
            return set(cell) <= entries
        if construction == "V":
            return all(int(flat[corner]) in entries for corner in itertools.product(*cell))  # type: ignore[arg-type]
        own = (ranks == listed.ranks[cell]).flatten().nonzero().item()
        return own in entries

    found = tl.representatives(filtration, barcode, torch.arange(len(barcode)))
    for pair, voxels in zip(barcode.pairs.tolist(), found, strict=True):
        assert_is_the_bar(listed, ranks, 1, pair, voxels, within)


def _strides(volume: Tensor) -> list[int]:
    return [stride for stride, size in zip(volume.stride(), volume.shape, strict=True) if size > 1]


@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_cycles_of_complexes(seed: int, superlevel: bool) -> None:
    """Of values of vertices, and of all simplices: there the cycle itself is known."""
    rng = torch.Generator().manual_seed(seed)
    values = torch.rand(14, generator=rng)
    values = (9 * values).floor() if seed % 2 else values
    given = [tuple(torch.randperm(14, generator=rng)[: 3 + (i > 44)].sort().values.tolist()) for i in range(64)]
    rows = [torch.tensor([s for s in given if len(s) == width]) for width in (3, 4)]
    mesh = tl.LowerStar(values, [torch.arange(14)[:, None], *rows], superlevel=superlevel)
    ranks = ranks_of(mesh)
    listed = simplices(ranks, [*given, *((v,) for v in range(14))])
    cells = [sorted(listed.of(dim)) for dim in range(4)]
    flat = [cell for of_dim in cells for cell in of_dim]
    sign = -1.0 if superlevel else 1.0
    each = tl.Simplicial(
        torch.tensor([sign * listed.ranks[cell] for cell in flat]),
        [torch.tensor(of_dim).view(-1, dim + 1) for dim, of_dim in enumerate(cells)],
        superlevel=superlevel,
    )
    seen = 0
    for dim in (1, 2):
        barcode, same = tl.persistence(mesh, dims=dim), tl.persistence(each, dims=dim)
        every = torch.arange(len(same))
        cycles = dict(zip(map(tuple, same.pairs.tolist()), tl.representatives(each, same, every), strict=True))
        by_entries = set()
        for (birth, death), cycle in cycles.items():
            assert_bounds_at_its_death(listed, flat, dim, birth, death, cycle.tolist())
            vertices = sorted({int(str(v)) for cell in cycle.tolist() for v in flat[cell]})
            last = tuple(max(flat[end], key=lambda v: int(ranks[int(str(v))])) for end in (birth, death))
            by_entries.add((last, tuple(vertices)))
        found = tl.representatives(mesh, barcode, torch.arange(len(barcode)))
        for pair, vertices_found in zip(barcode.pairs.tolist(), found, strict=True):
            assert (tuple(pair), tuple(vertices_found.tolist())) in by_entries
            assert_is_the_bar(listed, ranks, dim, pair, vertices_found, lambda cell, entries: set(cell) <= entries)
        seen += len(barcode)
    assert seen > 0


def assert_bounds_at_its_death(
    listed: Listed, flat: list[Cell], dim: int, birth: int, death: int, cycle: list[int]
) -> None:
    """Its boundary is zero, the birth is its last cell, and it is a boundary from its death on, not before."""
    entered = sorted(range(len(flat)), key=lambda i: (listed.ranks[flat[i]], listed.dims[flat[i]], i))
    place = {cell: i for i, cell in enumerate(entered)}
    number = {cell: i for i, cell in enumerate(listed.of(dim))}
    facets = [facet for cell in cycle for facet in listed.facets[flat[cell]]]
    assert all(listed.dims[flat[cell]] == dim for cell in cycle)
    assert all(facets.count(facet) % 2 == 0 for facet in facets)
    assert max(cycle, key=place.__getitem__) == birth
    chain = sum(1 << number[flat[cell]] for cell in cycle)
    named = {cell: i for i, cell in enumerate(flat)}
    for last, bounds in ((place[death] - 1, False), (place[death], True)):
        bounding = listed.chains(dim + 1, lambda cell, last=last: place[named[cell]] <= last)  # type: ignore[misc]
        assert (rank([*bounding, chain]) == rank(bounding)) == bounds


def test_loops_and_voids_of_clouds() -> None:
    """One cloud and several: cycles of simplices, and components of vertices."""
    clouds = [torch.rand(n, 3, generator=RNG, dtype=torch.float64) for n in (14, 9)]
    several = tl.Alpha(clouds)
    barcode = tl.persistence(several, dims=(0, 1, 2))
    together = tl.representatives(several, barcode, torch.arange(len(barcode)))
    count = 0
    for number, first in enumerate(several.offsets[:-1].tolist()):
        one = tl.Alpha(clouds[number])
        bars = tl.persistence(one, dims=(0, 1, 2))
        own = barcode.sample == number
        found = tl.representatives(one, bars, torch.arange(len(bars)))
        apart = [together[i] - first for i in own.nonzero()[:, 0].tolist()]
        assert [part.tolist() for part in found] == [part.tolist() for part in apart]
        flat: list[Cell] = [tuple(row) for rows in one.simplices for row in rows.tolist()]
        facets = {cell: list(itertools.combinations(cell, len(cell) - 1)) if len(cell) > 1 else [] for cell in flat}
        ranks = ranks_of(one)
        listed = Listed(dict(zip(flat, ranks.tolist(), strict=True)), facets, {cell: len(cell) - 1 for cell in flat})
        for dim, pair, cells in zip(bars.dims.tolist(), bars.pairs.tolist(), found, strict=True):
            if dim:
                count += 1
                assert_bounds_at_its_death(listed, flat, dim, *pair, cells.tolist())
                continue
            edges = [cell for cell in listed.of(1) if listed.ranks[cell] < int(ranks[pair[1]])]
            reached = {flat[pair[0]][0]}
            for _ in flat:
                reached |= {v for edge in edges if reached & {*edge} for v in edge}
            assert {flat[i][0] for i in cells.tolist()} == reached and max(cells.tolist()) < len(clouds[number])
    assert count > 10


def test_a_ring_of_voxels() -> None:
    """A tunnel through a ring is the ring, in every sample of a batch."""
    ring = torch.zeros(2, 5, 7, 7)
    ring[:, 2, 1:6, 1:6] = 1
    ring[:, 2, 2:5, 2:5] = 0
    ring[1] *= 3
    for construction in ("V", "T"):
        filtration = tl.Cubical(ring, ndim=3, construction=construction, superlevel=True)  # type: ignore[arg-type]
        barcode = tl.persistence(filtration, dims=(0, 1, 2))
        tunnels = tl.representatives(filtration, barcode, barcode.dims == 1)
        for sample, tunnel in enumerate(tunnels):
            bright = (ring[sample] > 0).flatten().nonzero()[:, 0] + 245 * sample
            assert set(tunnel.tolist()) <= set(bright.tolist()) and len(tunnel) >= 12
        assert len(tunnels) == 2


def test_a_part_of_the_bars() -> None:
    """Those asked for, in the order in which they are asked for, are those of all."""
    filtration = tl.Cubical(VOLUMES["random"], ndim=3)
    barcode = tl.persistence(filtration, dims=(0, 1, 2))
    every = tl.representatives(filtration, barcode, torch.arange(len(barcode)))
    some = torch.tensor([len(barcode) - 1, int((barcode.dims == 1).nonzero()[0, 0]), 0])
    found = tl.representatives(filtration, barcode, some)
    assert [part.tolist() for part in found] == [every[i].tolist() for i in some.tolist()]


def test_an_empty_selection_costs_nothing() -> None:
    """A volume that is too large for the reduction has components all the same."""
    large = torch.zeros(96, 96, 96)
    large[2, 2, 2], large[5, 5, 5], large[50, 50, 48:53] = 1, 2, 3
    filtration = tl.Cubical(large, ndim=3, superlevel=True)
    barcode = tl.persistence(filtration, dims=(0, 1))
    parts = tl.representatives(filtration, barcode, barcode.dims == 0)
    assert [int(birth) in part for birth, part in zip(barcode.pairs[:, 0], parts, strict=True)] == [True, True]


def test_the_limit_is_one_of_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several meshes or clouds, those that are looked at must be small, each alone."""
    clouds = [torch.rand(n, 3, generator=RNG) for n in (12, 30, 12)]
    fan = torch.tensor([[0, 1, 4], [1, 2, 4], [2, 3, 4], [0, 3, 4]])
    meshes = tl.LowerStar(
        torch.tensor([0.0, 1, 2, 3, 4] * 3, dtype=torch.float16),
        torch.cat([fan, fan + 5, fan + 10]),
        batch=torch.arange(3).repeat_interleave(5),
    )
    alpha = tl.Alpha(clouds)
    limits = int(alpha.offsets.diff()[0]), 40
    for filtration, limit in zip((alpha, meshes), limits, strict=True):
        barcode = tl.persistence(filtration, (0, 1))
        some = (barcode.dims == 1) & (barcode.sample != 1)
        expected = tl.representatives(filtration, barcode, some)
        with monkeypatch.context() as patch:
            patch.setattr("topolayer._barcodes.cycles._MOST_CELLS", limit)
            found = tl.representatives(filtration, barcode, some)
            if filtration is alpha:
                with pytest.raises(ValueError, match=r"^filtration: expected at most .* cells"):
                    tl.representatives(filtration, barcode, barcode.sample == 1)
        assert [part.tolist() for part in found] == [part.tolist() for part in expected]
        assert len(found) > 1
