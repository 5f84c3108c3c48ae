"""What a bar stands for, against scikit-image's labels, fills and its definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.measure import label
from skimage.morphology import flood
from torch import Tensor

import topolayer as tl

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.rand(2, 9, 11, generator=GENERATOR)
TIES = torch.randint(0, 4, (2, 9, 11), generator=GENERATOR).float()
VOLUME = torch.rand(6, 7, 5, generator=GENERATOR)


def as_mask(filtration: tl.Filtration, found: Tensor) -> Tensor:
    return torch.zeros(filtration.values.numel(), dtype=torch.bool).index_fill(0, found, True)


def smoothed(images: Tensor) -> Tensor:
    return torch.nn.functional.avg_pool2d(images[:, None], 3, 1, 1)[:, 0]


@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("values, ndim", [(IMAGES, 2), (VOLUME, 3)], ids=["images", "volume"])
@pytest.mark.parametrize("construction", ["V", "T"])
def test_components_are_those_of_scikit_image(construction: str, values: Tensor, ndim: int, superlevel: bool) -> None:
    filtration = tl.Cubical(values, ndim=ndim, construction=construction, superlevel=superlevel)  # type: ignore[arg-type]
    barcode = tl.persistence(filtration)
    found = tl.representatives(filtration, barcode, torch.arange(len(barcode)))
    grid = values.reshape(-1, *values.shape[-ndim:])
    for number, pixels in enumerate(found):
        sample, death = grid[barcode.sample[number]], barcode.deaths[number]
        before = (sample > death if superlevel else sample < death).numpy()
        labels = label(before, connectivity=1 if construction == "V" else ndim)
        size = sample.numel()
        birth = int(barcode.pairs[number, 0]) % size
        expected = np.flatnonzero(labels == labels.flat[birth]) + int(barcode.sample[number]) * size
        assert pixels.tolist() == expected.tolist()


@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("construction", ["V", "T", "F"])
def test_loops_enclose_the_pixel_at_which_they_die(construction: str, superlevel: bool) -> None:
    images = smoothed(torch.rand(3, 24, 30, generator=torch.Generator().manual_seed(1)))
    make = {"F": tl.Freudenthal}.get(construction)
    filtration = (
        make(images, superlevel=superlevel)
        if make
        else tl.Cubical(  # type: ignore[arg-type]
            images, construction=construction, superlevel=superlevel
        )
    )
    barcode = tl.persistence(filtration, 1)
    assert len(barcode) > 20
    loops = tl.representatives(filtration, barcode, torch.ones(len(barcode), dtype=torch.bool))
    inside_is_4_connected = construction == "T"
    for number, loop in enumerate(loops):
        birth, death = barcode.pairs[number].tolist()
        entered = images.flatten()[loop]
        assert birth in loop and death not in loop
        assert (entered >= images.flatten()[birth] if superlevel else entered <= images.flatten()[birth]).all()
        sample = as_mask(filtration, loop).reshape(images.shape)[barcode.sample[number]]
        assert int(sample.sum()) == len(loop)
        row, column = barcode.coordinates[number, 1].tolist()
        reached = torch.from_numpy(
            flood(sample.byte().numpy(), (row, column), connectivity=1 if inside_is_4_connected else 2)
        )
        if construction != "F":  # whose diagonals scikit-image does not know
            edge = torch.ones_like(sample)
            edge[1:-1, 1:-1] = False
            assert not (reached & edge).any()
            whole = label(sample.numpy(), connectivity=2 if inside_is_4_connected else 1)
            assert whole.max() == 1


def test_islands_in_a_hole_are_no_part_of_the_loop() -> None:
    image = torch.zeros(9, 9)
    image[1:8, 1:8] = 1
    image[2:7, 2:7] = 0.1
    image[4, 4] = 0.9
    filtration = tl.Cubical(image, superlevel=True)
    barcode = tl.persistence(filtration, 1)
    (loop,) = tl.representatives(filtration, barcode, barcode.lengths > 0.5)
    expected = torch.zeros(9, 9, dtype=torch.bool)
    expected[1:8, 1:8] = True
    expected[2:7, 2:7] = False
    assert torch.equal(as_mask(filtration, loop).view(9, 9), expected)


def test_shells_of_volumes() -> None:
    volume = torch.zeros(5, 5, 5)
    volume[1:4, 1:4, 1:4] = 1
    volume[2, 2, 2] = 0.2
    for construction, size in (("V", 26), ("T", 6)):
        filtration = tl.Cubical(volume, ndim=3, construction=construction, superlevel=True)  # type: ignore[arg-type]
        barcode = tl.persistence(filtration, 2)
        (shell,) = tl.representatives(filtration, barcode, torch.tensor([0]))
        assert len(shell) == size


@pytest.mark.parametrize("superlevel", [False, True])
def test_components_of_ties_are_those_of_simplices(superlevel: bool) -> None:
    """A grid and the graph of its triangulation have one order; and sizes add up to what the elder rule says."""
    grid = tl.Freudenthal(TIES, superlevel=superlevel)
    number = torch.arange(99).view(9, 11)
    steps = [(number[:-1], number[1:]), (number[:, :-1], number[:, 1:]), (number[:-1, :-1], number[1:, 1:])]
    edges = torch.cat([torch.stack([a.flatten(), b.flatten()], 1) for a, b in steps])
    graph = tl.LowerStar(TIES.flatten(1), edges, superlevel=superlevel)
    found = []
    for filtration in (grid, graph):
        barcode = tl.persistence(filtration)
        cells = tl.representatives(filtration, barcode, torch.arange(len(barcode)))
        found.append({tuple(pair): part.tolist() for pair, part in zip(barcode.pairs.tolist(), cells, strict=True)})
    assert found[0] == found[1]
    assert len(found[0]) > 5


def test_components_of_points() -> None:
    points = torch.rand(2, 12, 2, generator=torch.Generator().manual_seed(0))
    filtration = tl.Rips.from_points(points)
    barcode = tl.persistence(filtration)
    parts = tl.representatives(filtration, barcode, torch.arange(len(barcode)))
    for number, part in enumerate(parts):
        sample, death = int(barcode.sample[number]), barcode.deaths[number]
        near = (filtration.distances[sample] < death).double()
        reach = torch.linalg.matrix_power(near + torch.eye(12), 12) > 0
        own = int(barcode.pairs[number, 0]) % 144 // 13
        assert part.tolist() == [144 * sample + 13 * i for i in reach[own].nonzero()[:, 0].tolist()]


def test_none_and_parts() -> None:
    filtration = tl.Freudenthal(IMAGES)
    barcode = tl.persistence(filtration, (0, 1))
    assert tl.representatives(filtration, barcode, torch.zeros(len(barcode), dtype=torch.bool)) == []
    part = barcode.select(barcode.lengths > 0.3, dim=0)
    (first,) = tl.representatives(filtration, part, torch.tensor([2]))
    whole = tl.representatives(filtration, barcode, (barcode.lengths > 0.3) & (barcode.dims == 0))
    assert torch.equal(first, whole[2])
    for dtype in (torch.uint8, torch.uint16, torch.uint32, torch.uint64):  # of which torch compares only the first
        (same,) = tl.representatives(filtration, part, torch.tensor([2], dtype=dtype))
        assert torch.equal(same, first)


# -- loops of points and of graphs


def as_edges(loop: Tensor, points: int) -> list[tuple[int, int]]:
    return [divmod(entry, points) for entry in loop.tolist()]


def hops(edges: Tensor, start: int, end: int) -> int:
    """The fewest steps from one vertex to another, by powers of the matrix (n, n) of bools."""
    reached, steps = torch.zeros(len(edges)), 0
    reached[start] = 1
    while not reached[end]:
        reached, steps = (reached + edges.float() @ reached).clamp(max=1), steps + 1
    return steps


@pytest.mark.parametrize("rounded", [False, True])
def test_loops_of_points_close_with_their_birth(rounded: bool) -> None:
    points = torch.rand(3, 25, 2, generator=torch.Generator().manual_seed(3))
    points = (6 * points).round() if rounded else points
    filtration = tl.Rips.from_points(points)
    barcode = tl.persistence(filtration, (0, 1))
    chosen = (barcode.dims == 1).nonzero()[:, 0]
    assert len(chosen) > 5
    ranks = filtration.ranks(filtration.order())
    for number, loop in zip(chosen.tolist(), tl.representatives(filtration, barcode, chosen), strict=True):
        sample, birth = int(barcode.sample[number]), int(barcode.pairs[number, 0])
        edges = as_edges(loop - 625 * sample, 25)
        own, born = ranks[sample], ranks[sample].flatten()[birth - 625 * sample]
        assert birth in loop
        assert all(i < j and own[i, j] <= born for i, j in edges)
        ends = torch.tensor(edges).flatten().bincount()
        assert set(ends.tolist()) <= {0, 2}
        first, last = divmod(birth - 625 * sample, 25)
        assert len(edges) == int((ends == 2).sum()) == 1 + hops(own < born, first, last)


def test_the_loop_of_a_ring_goes_around_it() -> None:
    angles = 6.283 * torch.rand(40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ring = torch.stack([angles.cos(), angles.sin()], dim=1)
    filtration = tl.Rips.from_points(ring)
    barcode = tl.persistence(filtration, 1)
    (loop,) = tl.representatives(filtration, barcode, barcode.ranks == 0)
    vertices = torch.tensor(as_edges(loop, 40)).unique()
    gaps = angles[vertices].sort().values
    assert torch.cat([gaps, gaps[:1] + 6.283]).diff().max() < 2


def walk_exists(edges: set[frozenset[int]], vertices: list[int]) -> bool:
    """Whether a closed walk meets each of the vertices once, by trying all."""

    def further(walk: list[int]) -> bool:
        if len(walk) == len(vertices):
            return frozenset({walk[-1], walk[0]}) in edges
        return any(further([*walk, v]) for v in vertices if v not in walk and frozenset({walk[-1], v}) in edges)

    return len(vertices) > 2 and further(vertices[:1])


@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("kind", ["random", "tied"])
def test_loops_of_graphs_go_from_birth_to_death(kind: str, superlevel: bool) -> None:
    generator = torch.Generator().manual_seed(4)
    values = torch.rand(4, 9, generator=generator)
    values = (4 * values).round() if kind == "tied" else values
    edges = torch.combinations(torch.arange(9))[torch.rand(36, generator=generator) < 0.4]
    filtration = tl.LowerStar(values, edges, superlevel=superlevel)
    barcode = tl.extended_persistence(filtration)
    chosen = ((barcode.kind == 2) & (barcode.dims == 1)).nonzero()[:, 0]
    assert len(chosen) > 10
    there = filtration.ranks(filtration.order()).flatten()
    back = tl.LowerStar(values, edges, superlevel=not superlevel)
    again = back.ranks(back.order()).flatten()
    graph = {frozenset(edge) for edge in edges.tolist()}
    for number, loop in zip(chosen.tolist(), tl.representatives(filtration, barcode, chosen), strict=True):
        birth, death = barcode.pairs[number].tolist()
        assert int(loop[there[loop].argmax()]) == birth
        assert int(loop[again[loop].argmax()]) == death
        assert walk_exists(graph, (loop - 9 * int(barcode.sample[number])).tolist())


def test_loops_of_equal_births_and_deaths() -> None:
    """Three ways from the least vertex to the greatest."""
    values = torch.tensor([0.0, 9.0, 1.0, 2.0, 3.0])
    edges = torch.tensor([[0, 2], [0, 3], [0, 4], [1, 2], [1, 3], [1, 4], [0, 2], [4, 1]])
    filtration = tl.LowerStar(values, edges)
    barcode = tl.extended_persistence(filtration)
    loops = tl.representatives(filtration, barcode, barcode.dims == 1)
    assert barcode.select(dim=1).pairs.tolist() == [[1, 0], [1, 0]]
    first, second = ({*loop.tolist()} for loop in loops)
    assert first != second
    assert all({0, 1} < loop < {0, 1, 2, 3, 4} and len(loop) == 4 for loop in (first, second))
    (alone,) = tl.representatives(filtration, barcode, torch.tensor([len(barcode) - 1]))
    assert {*alone.tolist()} == second


def test_components_of_extended_bars() -> None:
    """An ordinary one ends before its death; an extended one is all that is connected."""
    values, edges = torch.tensor([0.0, 5.0, 1.0, 6.0, 3.0, 4.0]), torch.tensor([[0, 1], [1, 2], [2, 3], [4, 5]])
    filtration = tl.LowerStar(values, edges)
    barcode = tl.extended_persistence(filtration)
    kept = barcode.select(barcode.kind != 1)
    found = {
        (int(kind), *pair): cells.tolist()
        for kind, pair, cells in zip(
            kept.kind, kept.pairs.tolist(), tl.representatives(filtration, kept, torch.arange(len(kept))), strict=True
        )
    }
    assert found == {(0, 2, 1): [2], (2, 0, 3): [0, 1, 2, 3], (2, 4, 5): [4, 5]}


# -- samples of different sizes


def test_samples_of_different_sizes() -> None:
    """Each as if it were alone."""
    generator = torch.Generator().manual_seed(5)
    clouds = [torch.rand(size, 2, generator=generator) for size in (14, 1, 22, 9)]
    sizes = torch.tensor([16, 0, 21])
    pairs = [torch.combinations(torch.arange(int(size))) for size in sizes]
    edges = [rows[torch.rand(len(rows), generator=generator) < 0.13] for rows in pairs]
    values = torch.rand(37, generator=generator)
    batch = torch.arange(3).repeat_interleave(sizes)
    graphs = tl.LowerStar(values, torch.cat([edges[0], edges[2] + 16]), batch=batch, samples=3)
    for filtration, function in (
        (tl.Rips.from_points(clouds), lambda one: tl.persistence(one, (0, 1))),
        (graphs, tl.persistence),
        (graphs, lambda one: (bars := tl.extended_persistence(one)).select(bars.kind != 1)),
    ):
        barcode = function(filtration)
        together = tl.representatives(filtration, barcode, torch.arange(len(barcode)))
        assert len(together) > 2
        apart = []
        for number, first in enumerate(filtration.offsets[:-1].tolist()):
            one = filtration.sample(number)
            bars = function(one)
            apart += [part + first for part in tl.representatives(one, bars, torch.arange(len(bars)))]
        assert [part.tolist() for part in together] == [part.tolist() for part in apart]
