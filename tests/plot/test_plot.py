"""Pictures: what is drawn is read off the artists, and compared with the barcode or with a count by hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import topolayer as tl
from topolayer import plot

from ..helpers.plotting import EMPTY, ESSENTIAL, FINITE, IMAGES, bars_of, draw, points, segments, texts
from ..helpers.problems import CYCLE


@pytest.fixture(autouse=True)
def _closed(closed_figures: None) -> None:
    """Drawing changes no setting; figures of one test are not the current ones of the next."""


# -- diagrams


@pytest.mark.parametrize("superlevel", [True, False])
def test_a_diagram_has_a_point_for_every_bar(superlevel: bool) -> None:
    """Births to the right, deaths upwards, in the input's units; what never dies lies beyond a dashed line."""
    ax = plot.diagram(bars_of(IMAGES[superlevel], superlevel))
    (dashed,) = (line for line in ax.lines if line.get_linestyle() == "--")
    line = dashed.get_ydata()[0]
    beyond = (lambda y: y < line) if superlevel else (lambda y: y > line)
    for dim, found in enumerate(points(ax)):
        assert sorted(p for p in found if not beyond(p[1])) == sorted(FINITE[superlevel][dim])
        assert [x for x, y in found if beyond(y)] == [ESSENTIAL[superlevel]] * (dim == 0)
    deaths = [death for dim in (0, 1) for _, death in FINITE[superlevel][dim]]
    assert not any(beyond(death) for death in deaths)
    (infinity,) = ax.get_yticks(minor=True)
    assert beyond(infinity)
    assert points(ax)[0][0] == (ESSENTIAL[superlevel], infinity)
    draw(ax)
    (label,) = ax.get_yticklabels(minor=True)
    assert label.get_text() == (r"$-\infty$" if superlevel else r"$\infty$")
    assert not any(beyond(tick) for tick in ax.get_yticks())
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_aspect()) == ("birth", "death", 1.0)
    assert not ax.xaxis_inverted() and not ax.yaxis_inverted()


@pytest.mark.parametrize("drawn", [plot.diagram, plot.barcode])
def test_a_sample_of_another_size_is_drawn_as_if_it_were_alone(drawn: Callable[..., Axes]) -> None:
    generator = torch.Generator().manual_seed(0)
    filtration = tl.Rips.from_points([torch.rand(n, 2, generator=generator) for n in (12, 1, 20)])
    together = tl.persistence(filtration, (0, 1))
    for sample in range(3):
        alone = tl.persistence(filtration.sample(sample), (0, 1))
        one, other = (
            drawn(bars, sample=number, k=5, ax=Figure().add_subplot())
            for bars, number in ((together, sample), (alone, 0))
        )
        assert (points(one), segments(one)) == (points(other), segments(other))
        assert [label.get_text() for label in one.get_yticklabels()] == [t.get_text() for t in other.get_yticklabels()]
        assert points(one) or segments(one)


@pytest.mark.parametrize("superlevel", [True, False])
def test_the_axes_of_a_diagram_hold_all_points_and_the_diagonal(superlevel: bool) -> None:
    image = torch.randn(9, 11, generator=torch.Generator().manual_seed(0)) * 1e-3 + 5
    ax = plot.diagram(bars_of(image, superlevel))
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    everything = [p for found in points(ax) for p in found]
    assert len(everything) == len(bars_of(image, superlevel)) + 1
    assert all(left < x < right and bottom < y < top for x, y in everything)
    diagonal = ax.lines[0]
    assert tuple(diagonal.get_xdata()) == tuple(diagonal.get_ydata()) == pytest.approx((left, right))
    assert right - left < 2 * (image.max() - image.min())


def test_the_legend_of_a_diagram_counts_bars() -> None:
    mask = torch.zeros(5, 5)
    mask[::2, ::2] = 1.0
    ax = plot.diagram(bars_of(mask))
    assert texts(ax) == ["$H_{0}$ (9)"]
    assert len(points(ax)[0]) == 9
    assert plot.diagram(bars_of(mask), legend=False, ax=Figure().subplots()).get_legend() is None


def squares_with_holes() -> torch.Tensor:
    """Nine components, one of them with a hole, and all bars of a dimension alike."""
    mask = torch.zeros(9, 9)
    mask[::4, ::4] = 1.0
    mask[4, 4] = mask[:, 1::2] = 0.0
    mask[3:6, 3:6] = 1.0
    mask[4, 4] = 0.0
    return mask


@pytest.mark.parametrize("k", [None, 0, 2, 100])
@pytest.mark.parametrize(
    ("values", "superlevel", "counted"),
    [
        (squares_with_holes(), True, {(1.0, 0.0): 8}),
        (1 - squares_with_holes(), False, {(0.0, 1.0): 8}),
        (IMAGES[True], True, {}),  # all bars differ
        (torch.tensor([[1.0, 0, 2], [0, 0, 0], [1, 0, 2]]), True, {(1.0, 0.0): 2}),
        (torch.zeros(4, 4), True, {}),
    ],
)
def test_bars_that_coincide_are_counted(
    values: torch.Tensor, superlevel: bool, counted: dict[tuple[float, float], int], k: int | None
) -> None:
    """Beside their point, whether they are filled, hollow or some of each."""
    ax = plot.diagram(bars_of(values, superlevel), k=k)
    assert {tuple(map(float, text.xy)): int(text.get_text()[1:]) for text in ax.texts} == counted
    draw(ax)


def test_bars_that_never_die_and_coincide_are_counted() -> None:
    """Dimensions are counted separately, so that the numbers of two do not cover one another."""
    simplices = [torch.tensor(CYCLE), torch.tensor([[4], [5]])]
    ax = plot.diagram(tl.persistence(tl.LowerStar(torch.zeros(6), simplices), (0, 1)))
    (infinity,) = ax.get_yticks(minor=True)
    assert [(text.xy, int(text.get_text()[1:])) for text in ax.texts] == [((0, infinity), 3)]


def test_a_picture_of_many_coinciding_bars_has_no_numbers() -> None:
    image = torch.randint(0, 9, (24, 24), generator=torch.Generator().manual_seed(0)).float()
    assert not plot.diagram(bars_of(image)).texts


@pytest.mark.parametrize("k", [0, 1, 2, 4, 100])
@pytest.mark.parametrize("superlevel", [True, False])
def test_the_k_longest_are_filled(k: int, superlevel: bool) -> None:
    image = torch.rand(8, 9, generator=torch.Generator().manual_seed(1))
    barcode = bars_of(image, superlevel)
    ax = plot.diagram(barcode, k=k)
    scatters = [c for c in ax.collections if isinstance(c, PathCollection)]
    for dim in (0, 1):
        filled, hollow = scatters[2 * dim : 2 * dim + 2]
        assert len(hollow.get_facecolors()) == 0 and len(filled.get_facecolors()) == 1
        births, longest = barcode.births[barcode.dims == dim], barcode.ranks[barcode.dims == dim] < k
        never = ESSENTIAL_OF[superlevel](image) if dim == 0 else []
        wanted = births[longest].tolist() + (never if k > 0 else [])
        assert sorted(filled.get_offsets()[:, 0].tolist()) == pytest.approx(sorted(wanted))
        assert len(filled.get_offsets()) + len(hollow.get_offsets()) == len(births) + len(never)
        assert len(filled.get_offsets()) == min(k, len(births) + len(never))


ESSENTIAL_OF: dict[bool, Callable[[torch.Tensor], list[float]]] = {
    True: lambda image: [image.max().item()],
    False: lambda image: [image.min().item()],
}


def test_dimensions_differ_in_marker_and_in_lightness() -> None:
    """Readable without colour vision, and in print."""
    octahedron = [[a, b, c] for a in (0, 1) for b in (2, 3) for c in (4, 5)]
    sphere = tl.LowerStar(torch.tensor([0.0, 5, 1, 2, 3, 4]), torch.tensor(octahedron))
    loop = tl.LowerStar(torch.tensor([0.0, 1.0, 2.0, 3.0]), torch.tensor(CYCLE))
    found: dict[str, Any] = {}
    for ax, barcode in zip(
        Figure().subplots(1, 2), (tl.persistence(sphere, (0, 2)), tl.persistence(loop, (0, 1))), strict=True
    ):
        plot.diagram(barcode, ax=ax)
        for text, handle in zip(texts(ax), ax.get_legend().legend_handles, strict=True):
            found[text.split(" ")[0]] = handle
    assert sorted(found) == ["$H_{0}$", "$H_{1}$", "$H_{2}$"]
    for first, second in itertools.combinations(found.values(), 2):
        assert len(first.get_paths()[0]) != len(second.get_paths()[0])
        light = [to_lightness(handle.get_facecolors()[0]) for handle in (first, second)]
        assert abs(light[0] - light[1]) > 15


def to_lightness(colour: Any) -> float:
    """CIE L*, 0 to 100."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    y = float(np.dot((0.2126, 0.7152, 0.0722), linear))
    return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y


# -- barcodes


@pytest.mark.parametrize("superlevel", [True, False])
def test_a_barcode_has_a_line_for_every_bar(superlevel: bool) -> None:
    """From birth to death, the longest first; values run in the order of the filtration."""
    ax = plot.barcode(bars_of(IMAGES[superlevel], superlevel))
    assert ax.xaxis_inverted() == superlevel
    end = ax.get_xlim()[1]
    for dim, lines in enumerate(segments(ax)):
        assert all(start[1] == stop[1] for start, stop in lines)
        assert [start[1] for start, _ in lines] == [lines[0][0][1] + i for i in range(len(lines))]
        bars = [(start[0], stop[0]) for start, stop in lines]
        never = [(ESSENTIAL[superlevel], end)] if dim == 0 else []
        assert bars == never + FINITE[superlevel][dim]  # those of equal length by birth
    arrows = [p for found in points(ax) for p in found]
    assert arrows == [(end, 0.0)]
    heights = [start[1] for lines in segments(ax) for start, _ in lines]
    assert len(set(heights)) == len(heights)
    bottom, top = ax.get_ylim()
    assert all(top < height < bottom for height in heights)
    assert ax.get_xlabel() == "value"


def test_a_barcode_is_ordered_by_length_and_cut_at_k() -> None:
    image = torch.rand(2, 12, 12, generator=torch.Generator().manual_seed(2))
    barcode = bars_of(image)
    ax = plot.barcode(barcode, sample=1, k=5)
    for dim, lines in enumerate(segments(ax)):
        lengths = barcode.lengths[(barcode.sample == 1) & (barcode.dims == dim)].sort(descending=True).values.tolist()
        drawn = [start[0] - stop[0] for start, stop in lines]
        assert len(drawn) == 5
        assert drawn[dim == 0 :] == pytest.approx(lengths[: 5 - (dim == 0)])
    totals = [len(barcode.select(dim=d, sample=1)) + (d == 0) for d in (0, 1)]
    assert [label.get_text() for label in ax.get_yticklabels()] == [f"$H_{{{d}}}$\n5 of {totals[d]}" for d in (0, 1)]


# -- barcodes with little in them


@pytest.mark.parametrize("superlevel", [True, False])
@pytest.mark.parametrize("k", [None, 0, 3])
@pytest.mark.parametrize("name", EMPTY)
def test_little_to_draw(name: str, k: int | None, superlevel: bool) -> None:
    barcode, count = EMPTY[name]
    ax = plot.diagram(barcode, k=k)
    assert sum(map(len, points(ax))) == count
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("birth", "death")
    assert ax.get_xlim()[0] < ax.get_xlim()[1]
    assert len(ax.lines) == 1 + (len(barcode.essential) > 0)
    draw(ax)
    ax = plot.barcode(barcode, k=k, ax=Figure().subplots())
    assert sum(map(len, segments(ax))) == min(count, count if k is None else k)
    draw(ax)


@pytest.mark.parametrize("function", [plot.diagram, plot.barcode])
def test_nothing_in_an_empty_barcode_is_counted(function: Callable[..., Axes]) -> None:
    ax = function(bars_of(torch.zeros(4, 4), dims=1))
    shown = texts(ax) if function is plot.diagram else [label.get_text() for label in ax.get_yticklabels()]
    assert shown == ["$H_{1}$ (0)" if function is plot.diagram else "$H_{1}$\n0"]


# -- curves and images


def test_a_landscape_has_a_line_for_every_row() -> None:
    values, grid = torch.rand(3, 7, requires_grad=True), torch.linspace(2, 3, 7).bfloat16()
    ax = plot.landscape(values, grid)
    assert len(ax.lines) == 3
    for line, row in zip(ax.lines, values.tolist(), strict=True):
        assert line.get_ydata().tolist() == pytest.approx(row)
        assert line.get_xdata().tolist() == grid.tolist()
    assert texts(ax) == [rf"$\lambda_{{{n}}}$" for n in (1, 2, 3)]
    assert len({line.get_linestyle() for line in ax.lines}) == 3
    assert ax.get_xlabel() == "value"
    silhouette = plot.landscape(values[0], grid, ax=Figure().subplots())
    assert len(silhouette.lines) == 1 and silhouette.get_legend() is None


def test_a_betti_curve_is_a_step_function_if_it_counts() -> None:
    counts, levels = torch.tensor([[1, 3, 1], [0, 0, 2]]), torch.tensor([0.2, 0.5, 0.8])
    ax = plot.betti_curve(counts, levels, dims=(0, 1))
    assert [line.get_drawstyle() for line in ax.lines] == ["steps-mid"] * 2
    assert [line.get_ydata().tolist() for line in ax.lines] == counts.tolist()
    assert texts(ax) == [r"$\beta_{0}$", r"$\beta_{1}$"]
    assert len({line.get_linestyle() for line in ax.lines}) == 2
    soft = plot.betti_curve(counts[1] + 0.5, levels, dims=1, ax=Figure().subplots())
    assert soft.lines[0].get_drawstyle() == "default"
    assert soft.lines[0].get_color() == ax.lines[1].get_color() != ax.lines[0].get_color()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("level", "Betti number")


@pytest.mark.parametrize("flip", [False, True])
def test_a_persistence_image_lies_on_its_grids(flip: bool) -> None:
    image, births, lengths = torch.rand(2, 3), torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0.5, 1.5])
    births = births.flip(0) if flip else births
    ax = plot.persistence_image(image, births, lengths)
    (mesh,) = ax.collections
    assert isinstance(mesh, QuadMesh)
    assert mesh.get_array().tolist() == image.tolist()
    corners = mesh.get_coordinates()
    centres = (corners[:-1, :-1] + corners[1:, 1:]) / 2
    assert centres[:, 0, 1].tolist() == [0.5, 1.5]
    middle = corners[0, 1:3, 0].tolist()
    assert middle == ([3.0, 1.5] if flip else [1.5, 3.0])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("birth", "length")
    ax.figure.colorbar(ax.collections[0])
    draw(ax)
