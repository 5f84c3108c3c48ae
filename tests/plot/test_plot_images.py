"""Pictures of images, with where their bars are born and die, and of activations."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

import topolayer as tl
from topolayer import plot

from ..helpers.plotting import IMAGE, bars_of, draw, points, segments, texts


@pytest.fixture(autouse=True)
def _closed(closed_figures: None) -> None:
    """Drawing changes no setting; figures of one test are not the current ones of the next."""


@pytest.mark.parametrize("k", [None, 1, 2, 5])
@pytest.mark.parametrize("superlevel", [True, False])
def test_pairs_are_where_bars_are_born_and_die(superlevel: bool, k: int | None) -> None:
    image = torch.rand(7, 10, generator=torch.Generator().manual_seed(3))
    barcode = bars_of(image, superlevel)
    ax = plot.pairs(image, barcode, k=k)
    assert torch.equal(torch.as_tensor(ax.images[0].get_array().data), image.double())
    for dim, lines in enumerate(segments(ax)):
        chosen = (barcode.dims == dim) & (barcode.ranks < (len(barcode) + 1 if k is None else k))
        for (x, y), (u, v) in lines:
            births, deaths = barcode.births[chosen], barcode.deaths[chosen]
            assert ((births == image[int(y), int(x)]) & (deaths == image[int(v), int(u)])).sum() == 1
        assert len(lines) == int(chosen.sum())
        dies, born, never = points(ax)[3 * dim : 3 * dim + 3]
        assert born == [tuple(start) for start, _ in lines]
        assert dies == [tuple(stop) for _, stop in lines]
        extreme = image.argmax() if superlevel else image.argmin()
        assert never == ([(int(extreme) % 10, int(extreme) // 10)] if dim == 0 else [])
    assert texts(ax) == ["$H_{0}$ is born", "$H_{1}$ is born", "dies", "is born, never dies"]
    draw(ax)
    assert ax.get_xlim() == (-0.5, 9.5) and ax.get_ylim() == (6.5, -0.5)


@pytest.mark.parametrize("k", [None, 2])
def test_representatives_are_coloured_by_dimension(k: int | None) -> None:
    images = torch.rand(2, 8, 9, generator=torch.Generator().manual_seed(3))
    filtration = tl.Cubical(images, superlevel=True)
    barcode = tl.persistence(filtration, (0, 1))
    for dim in (0, 1):
        ax = plot.representatives(filtration, barcode.select(dim=dim), sample=1, k=k, ax=Figure().subplots())
        image, overlay = (np.asarray(shown.get_array()) for shown in ax.images)
        assert np.array_equal(image, images[1].double().numpy())
        chosen = (barcode.sample == 1) & (barcode.dims == dim) & (barcode.ranks < (99 if k is None else k))
        cells = tl.representatives(filtration, barcode, chosen)
        expected = torch.zeros(144, dtype=torch.bool).index_fill(0, torch.cat(cells), True)[72:].view(8, 9)
        assert np.array_equal(overlay[..., 3] > 0, expected.numpy())
        assert {tuple(pixel) for pixel in overlay[overlay[..., 3] > 0].round(2)} == {
            tuple(np.round(to_rgba(("#D55E00", "#004C7F")[dim], 0.6), 2))
        }
    with pytest.raises(ValueError, match="filtration: expected one of 2D images"):
        plot.representatives(
            tl.Freudenthal(images[0], ndim=1), tl.persistence(tl.Freudenthal(images[0], ndim=1)), sample=0
        )


def test_pairs_on_a_batch_and_on_a_photograph() -> None:
    images = torch.rand(2, 3, 5, 6, generator=torch.Generator().manual_seed(4))
    barcode = bars_of(images)
    ax = plot.pairs(images, barcode, sample=4, legend=False)
    assert torch.equal(torch.as_tensor(ax.images[0].get_array().data), images[1, 1].double())
    assert ax.get_legend() is None
    assert sum(map(len, segments(ax))) == len(barcode.select(sample=4))
    photograph = torch.randint(0, 256, (5, 6, 3), dtype=torch.uint8)
    ax = plot.pairs(photograph, barcode, sample=0, ax=Figure().subplots())
    assert torch.equal(torch.as_tensor(ax.images[0].get_array().data), photograph)
    constant = torch.zeros(4, 4)
    assert segments(plot.pairs(constant, bars_of(constant), ax=Figure().subplots())) == [[]]


@pytest.mark.parametrize("superlevel", [True, False])
def test_superlevel_sets_of_a_small_image_are_complexes(superlevel: bool) -> None:
    image = torch.rand(5, 7, generator=torch.Generator().manual_seed(5))
    levels = [0.7, 0.4, 0.0]
    row = plot.superlevel_sets(image, levels, superlevel=superlevel)
    assert row.shape == (4,)
    assert torch.equal(torch.as_tensor(row[0].images[0].get_array().data), image.double())
    for ax, level in zip(row[1:], levels, strict=True):
        inside = {(i, j) for i in range(5) for j in range(7) if (image[i, j] >= level) == superlevel}
        corners = [((0, 0), (0, 1)), ((0, 0), (1, 0)), ((0, 0), (1, 1))]
        triangles = [((0, 0), (0, 1), (1, 1)), ((0, 0), (1, 0), (1, 1))]

        def within(shapes: Any, inside: set[tuple[int, int]] = inside) -> list[Any]:
            """Those of all places whose corners are inside; as sets of (x, y)."""
            moved = (tuple((i + a, j + b) for a, b in shape) for shape in shapes for i in range(5) for j in range(7))
            return sorted(sorted((j, i) for i, j in shape) for shape in moved if set(shape) <= inside)

        assert sorted(points(ax)[0]) == sorted((j, i) for i, j in inside)
        assert sorted(sorted(map(tuple, edge)) for edge in segments(ax)[0]) == within(corners)
        (faces,) = (c for c in ax.collections if isinstance(c, PolyCollection))
        drawn = [sorted({tuple(v) for v in path.vertices.tolist()}) for path in faces.get_paths()]
        assert sorted(drawn) == within(triangles)
        assert ax.get_title() == rf"$f \{'geq' if superlevel else 'leq'} {level:.3g}$"
        assert ax.get_ylim()[0] > ax.get_ylim()[1]
    draw(row[0])


@pytest.mark.parametrize("superlevel", [True, False])
def test_superlevel_sets_of_a_large_image_are_pixels(superlevel: bool) -> None:
    image = torch.arange(40 * 50, dtype=torch.int64).reshape(40, 50)
    row = plot.superlevel_sets(image, 3, superlevel=superlevel)
    steps = [0.75, 0.5, 0.25] if superlevel else [0.25, 0.5, 0.75]
    for ax, part in zip(row[1:], steps, strict=True):
        level = part * 1999
        inside = image >= level if superlevel else image <= level
        assert torch.equal(torch.as_tensor(ax.images[0].get_array().data).bool(), inside)


def test_superlevel_sets_on_given_axes() -> None:
    given = Figure().subplots(1, 3)
    row = plot.superlevel_sets(IMAGE, torch.tensor([5.0, 2.0]), axes=given)
    assert list(row) == list(given)
    assert plt.get_fignums() == []
    draw(row[0])


def test_activations_are_magnitudes_above_their_diagrams() -> None:
    torch.manual_seed(0)
    h = {"a": torch.randn(2, 3, 6, 8, requires_grad=True), "b": torch.randn(2, 1, 4, 4), "c": torch.randn(2, 2, 5, 5)}
    grid = plot.activations(h, sample=1, k=2)
    assert grid.shape == (2, 3)
    for column, (name, activation) in enumerate(h.items()):
        magnitude = activation.detach()[1].norm(dim=0)
        picture, below = grid[:, column]
        assert picture.get_title() == name
        np.testing.assert_allclose(picture.images[0].get_array().data, magnitude.numpy(), rtol=1e-6)
        barcode = tl.persistence(tl.Freudenthal(magnitude, superlevel=True))
        births = sorted([*barcode.births.tolist(), magnitude.max().item()])
        assert sorted(x for found in points(below) for x, _ in found) == pytest.approx(births, rel=1e-6)
        assert len(points(below)[0]) == min(2, len(births))
    draw(grid[0, 0])


def test_many_activations_take_several_pairs_of_rows() -> None:
    grid = plot.activations({str(n): torch.rand(3, 4) for n in range(9)})
    assert grid.shape == (4, 7)
    assert [ax.get_title() for ax in grid[::2].flat] == [*map(str, range(9)), *[""] * 5]
    assert [ax.get_visible() for ax in grid[2:].flat] == ([True] * 2 + [False] * 5) * 2
    given = Figure().subplots(4, 2)
    assert plot.activations({str(n): torch.rand(1, 2, 3, 4) for n in range(3)}, axes=given).tolist() == given.tolist()
    pair = Figure().subplots(2)
    assert plot.activations({"x": -torch.ones(3, 4)}, axes=pair).shape == (2, 1)
    assert pair[0].images[0].get_array().tolist() == [[-1.0] * 4] * 3  # (H, W) is shown as it is


# -- induced matchings

# Two components and a loop around the hole in the middle; the component at the lower right corner is alone.
FIRST = torch.tensor([[9.0, 8.0, 8.0, 0.0], [8.0, 2.0, 8.0, 0.0], [8.0, 8.0, 8.0, 1.0], [0.0, 0.0, 0.0, 6.0]])
SECOND = torch.tensor([[7.0, 7.0, 7.0, 0.0], [7.0, 1.0, 7.0, 0.0], [7.0, 7.0, 8.0, 0.0], [0.0, 0.0, 0.0, 0.0]])


def matched(first: torch.Tensor = FIRST, second: torch.Tensor = SECOND, dims: Any = (0, 1)) -> tl.InducedMatching:
    return tl.induced_matching(*(tl.Cubical(image, superlevel=True) for image in (first, second)), dims)


def test_matched_features_have_one_number_and_others_are_crossed_out() -> None:
    row = plot.matching(FIRST, SECOND, matched())
    numbers = [[(text.get_text(), text.xy) for text in ax.texts] for ax in row]
    assert numbers == [[("1", (0, 0)), ("2", (1, 1))], [("1", (2, 2)), ("2", (1, 1))]]  # the component, then the loop
    crosses = [[place for place in points(ax) if len(place) == 1 and place[0] == (3, 3)] for ax in row]
    assert list(map(len, crosses)) == [2, 0]  # black on white
    colours = [[text.get_color() for text in ax.texts] for ax in row]
    assert colours[0] == colours[1]
    assert len(set(colours[0])) == 2
    assert texts(row[0]) == ["$H_{0}$ matched", "$H_{1}$ matched", "never dies", "alone"]
    for ax, image in zip(row, (FIRST, SECOND), strict=True):
        assert torch.equal(torch.as_tensor(ax.images[0].get_array().data), image.double())
        draw(ax)


def test_a_matching_of_a_batch() -> None:
    pair = torch.stack([FIRST, SECOND]), torch.stack([SECOND, FIRST])
    whole = matched(*pair)
    figure = Figure().subplots(1, 2)
    row = plot.matching(*pair, whole, sample=1, k=1, axes=figure, legend=False)
    assert row.tolist() == figure.tolist()
    assert [[(text.get_text(), text.xy) for text in ax.texts] for ax in row] == [
        [("1", (2, 2)), ("2", (1, 1))],
        [("1", (0, 0)), ("2", (1, 1))],
    ]
    assert row[0].get_legend() is None
    assert not any((3, 3) in place for place in points(row[1]))  # of the two components the shorter one is left out
    empty = plot.matching(*pair, whole, sample=0, k=0, axes=Figure().subplots(1, 2))
    assert [len(ax.texts) for ax in empty] == [0, 0]
    many = [torch.rand(20, 20, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0)]
    assert not plot.matching(*many, matched(*many), axes=Figure().subplots(1, 2))[0].texts  # they would hide the image


def test_matchings_that_cannot_be_drawn() -> None:
    """Contract 9."""
    whole = matched(FIRST[None], SECOND[None])
    several = matched(*torch.rand(2, 3, 3, 3, generator=torch.Generator().manual_seed(0)), dims=0)
    line = tl.induced_matching(*(tl.Freudenthal(image[0], ndim=1) for image in (FIRST, SECOND)))
    cases: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
        ((FIRST, SECOND, bars_of()), {}, TypeError, r"^matching\b.*InducedMatching.*Barcode; induced_matching"),
        ((FIRST, SECOND[:3], whole), {}, ValueError, r"^second\b.*\(4, 4\).*\(3, 4\)"),
        ((FIRST.tolist(), SECOND, whole), {}, TypeError, r"^first\b.*torch\.Tensor.*list"),
        ((FIRST, SECOND, whole), {"k": -1}, ValueError, r"^k\b.*>= 0.*-1; None draws all"),
        ((FIRST, SECOND, whole), {"sample": 1}, (ValueError, IndexError), "sample"),
        ((FIRST, SECOND, line), {}, ValueError, r"^matching\b.*2D grids.*grid \(4,\)"),
        ((FIRST, SECOND, whole), {"axes": Figure().subplots(1, 3)}, ValueError, r"^axes\b.*2 Axes"),
    ]  # type: ignore[list-item]
    for arguments, options, error, words in cases:
        with pytest.raises(error, match=words):
            plot.matching(*arguments, **options)
    with pytest.raises(ValueError, match=r"^sample\b.*has 3"):
        plot.matching(FIRST, SECOND, several)
