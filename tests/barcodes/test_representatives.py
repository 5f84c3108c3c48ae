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
