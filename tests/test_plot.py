"""Pictures: what is drawn is read off the artists, and compared with the barcode or with a count by hand."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, PolyCollection, QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import topolayer as tl
from topolayer import plot

from .problems import CYCLE, DTYPES

# Maxima in three corners, and a loop around the minimum in the middle; upside down for sublevel. And their bars.
IMAGE = torch.tensor([[9.0, 4.0, 6.0], [4.0, 1.0, 3.0], [4.0, 3.0, 5.0]])
IMAGES = {True: IMAGE, False: 10 - IMAGE}
FINITE = {
    True: {0: [(6.0, 4.0), (5.0, 3.0)], 1: [(3.0, 1.0)]},
    False: {0: [(4.0, 6.0), (5.0, 7.0)], 1: [(7.0, 9.0)]},
}
ESSENTIAL = {True: 9.0, False: 1.0}


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Drawing changes no setting; figures of one test are not the current ones of the next."""
    before = dict(mpl.rcParams)
    yield
    plt.close("all")
    assert dict(mpl.rcParams) == before


def bars_of(image: torch.Tensor = IMAGE, superlevel: bool = True, dims: Any = (0, 1)) -> tl.Barcode:
    return tl.persistence(tl.Cubical(image, superlevel=superlevel), dims)


def points(ax: Axes) -> list[list[tuple[float, float]]]:
    """Of every scatter plot that is on the axes, in the order in which they were drawn."""
    return [[tuple(p) for p in c.get_offsets().tolist()] for c in ax.collections if isinstance(c, PathCollection)]


def segments(ax: Axes) -> list[list[Any]]:
    return [[s.tolist() for s in c.get_segments()] for c in ax.collections if isinstance(c, LineCollection)]


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def draw(ax: Axes) -> None:
    """Render, so that what fails or warns only then is seen."""
    ax.figure.canvas.draw()


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

EMPTY: dict[str, tuple[tl.Barcode, int]] = {  # and how many points there are
    "constant": (bars_of(torch.full((4, 4), 3.0)), 1),
    "zero": (bars_of(torch.zeros(4, 4)), 1),
    "huge": (bars_of(torch.full((4, 4), 3e38)), 1),
    "no loops": (bars_of(torch.zeros(4, 4), dims=1), 0),
    "only essential": (tl.persistence(tl.LowerStar(torch.tensor([3.0, 1.0, 2.0]), torch.tensor([[0], [2]]))), 3),
    "equal bars": (bars_of(torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 1.0]])), 4),
    "nothing selected": (bars_of(torch.zeros(4, 4), dims=(0, 1)).select(dim=1), 0),
}


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


# -- pictures of images


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


# -- where it is drawn, and from what

ONE: dict[str, Callable[..., Axes]] = {
    "diagram": lambda **o: plot.diagram(bars_of(), **o),
    "barcode": lambda **o: plot.barcode(bars_of(), **o),
    "landscape": lambda **o: plot.landscape(torch.rand(2, 3), torch.arange(3.0), **o),
    "betti_curve": lambda **o: plot.betti_curve(torch.ones(3), torch.arange(3.0), **o),
    "persistence_image": lambda **o: plot.persistence_image(torch.rand(2, 3), torch.arange(3), torch.arange(2), **o),
    "pairs": lambda **o: plot.pairs(IMAGE, bars_of(), **o),
}
MANY: dict[str, Callable[..., Any]] = {
    "superlevel_sets": lambda **o: plot.superlevel_sets(IMAGE, 1, **o),
    "activations": lambda **o: plot.activations({"a": IMAGE}, **o),
}


def test_the_tables_have_every_function() -> None:
    assert sorted([*ONE, *MANY]) == sorted(plot.__all__)


@pytest.mark.parametrize("name", ONE)
def test_the_axes_given_or_the_current_ones(name: str) -> None:
    own = Figure().subplots()
    assert ONE[name](ax=own) is own
    assert plt.get_fignums() == []  # pyplot is left out of it
    _, (first, second) = plt.subplots(1, 2)
    plt.sca(first)
    assert ONE[name]() is first
    assert not second.has_data()
    assert len(plt.get_fignums()) == 1
    draw(first)


@pytest.mark.parametrize("name", MANY)
def test_grids_make_a_figure_of_their_own(name: str) -> None:
    _, before = plt.subplots()
    axes = MANY[name]()
    assert len(plt.get_fignums()) == 2
    assert not before.has_data()
    assert len({id(ax.figure) for ax in axes.flat}) == 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_tensors_on_the_graph_and_in_half_precision(dtype: torch.dtype) -> None:
    leaf = torch.tensor(IMAGE.tolist(), dtype=dtype, requires_grad=True)
    image = leaf.t()
    barcode = bars_of(image)
    assert sum(map(len, points(plot.diagram(barcode)))) == 4
    plot.barcode(barcode)
    assert plot.pairs(image, barcode).images[0].get_array().tolist() == IMAGE.t().tolist()
    assert len(points(plot.superlevel_sets(image, [3.0])[1])[0]) == 8
    assert plot.activations({"x": image})[0, 0].images[0].get_array().tolist() == IMAGE.t().tolist()
    assert leaf.grad is None and barcode.births.requires_grad


BATCH = torch.rand(2, 2, 3, 3, generator=torch.Generator().manual_seed(6))


@pytest.mark.parametrize("function", ["diagram", "barcode"])
def test_one_of_several_samples(function: str) -> None:
    barcode, draw_it = bars_of(BATCH), getattr(plot, function)
    with pytest.raises(ValueError, match=r"sample: expected .* 4 \(batch shape \(2, 2\)\), got None; sample=0"):
        draw_it(barcode)
    for bad in (4, -1):
        with pytest.raises(ValueError, match="sample: expected a flat batch index"):
            draw_it(barcode, sample=bad)
    with pytest.raises(TypeError, match="sample"):
        draw_it(barcode, sample=1.0)
    with pytest.raises(ValueError, match="sample"):
        draw_it(bars_of(torch.zeros(0, 3, 3)))
    assert plt.get_fignums() == []  # nothing was begun
    for sample in range(4):
        one, other = draw_it(barcode, sample=sample), draw_it(bars_of(BATCH[divmod(sample, 2)]), ax=Figure().subplots())
        assert points(one)[-len(points(other)) :] == points(other)
    draw_it(bars_of(BATCH[:1, :1]))  # a batch of one leaves no choice


# -- bad input

BAD: dict[str, tuple[type[Exception], str, Callable[[], object]]] = {
    "no barcode": (TypeError, "barcode: expected a Barcode, got Tensor", lambda: plot.diagram(IMAGE)),
    "k of another type": (TypeError, "k: expected an int", lambda: plot.barcode(bars_of(), k=2.0)),
    "k is a bool": (TypeError, "k: expected an int", lambda: plot.diagram(bars_of(), k=True)),
    "negative k": (ValueError, "k: expected a number >= 0", lambda: plot.pairs(IMAGE, bars_of(), k=-1)),
    "no axes": (TypeError, "ax: expected matplotlib's Axes or None, got tuple", lambda: ONE["diagram"](ax=(1, 2))),
    "image of another type": (TypeError, "image: .*torch.as_tensor", lambda: plot.pairs(IMAGE.numpy(), bars_of())),
    "image of another size": (ValueError, r"image: expected shape \(3, 3\)", lambda: plot.pairs(BATCH, bars_of())),
    "signal": (ValueError, r"barcode: .*2D grid.* \(4,\)", lambda: plot.pairs(IMAGE, _signal())),
    "graph": (ValueError, "barcode: .*2D grid.* no grid", lambda: plot.pairs(IMAGE, EMPTY["only essential"][0])),
    "values of another type": (TypeError, "values: ", lambda: plot.landscape([1.0], torch.ones(1))),
    "complex": (TypeError, "values: .*real", lambda: plot.landscape(torch.ones(2, dtype=torch.cfloat), torch.ones(2))),
    "three axes": (ValueError, "values: expected 1 or 2 axes", lambda: plot.landscape(IMAGE[None], torch.ones(3))),
    "no points": (ValueError, "values: .*at least one", lambda: plot.landscape(torch.ones(2, 0), torch.ones(0))),
    "short grid": (ValueError, "grid: .* 3 columns of values, got 2", lambda: plot.landscape(IMAGE, torch.ones(2))),
    "NaN": (ValueError, "values: expected finite", lambda: plot.landscape(IMAGE / 0 * 0, torch.ones(3))),
    "short levels": (ValueError, "levels: .* 3 columns", lambda: plot.betti_curve(IMAGE[0], torch.ones(4))),
    "dims": (ValueError, "dims: .*each of 3 rows", lambda: plot.betti_curve(IMAGE, torch.ones(3), dims=(0, 1))),
    "negative dim": (ValueError, "dims: ", lambda: plot.betti_curve(IMAGE[0], torch.ones(3), dims=-1)),
    "births that do not fit": (ValueError, "births: .*columns", lambda: _persistence_image(4, 3)),
    "lengths that do not fit": (ValueError, "lengths: .*rows", lambda: _persistence_image(3, 2)),
    "one birth": (
        ValueError,
        "births: .*at least 2",
        lambda: plot.persistence_image(IMAGE[:, :1], torch.ones(1), torch.arange(3)),
    ),
    "births out of order": (
        ValueError,
        "births: expected ascending or descending",
        lambda: plot.persistence_image(IMAGE, torch.tensor([0, 2, 1]), torch.arange(3)),
    ),
    "no levels": (ValueError, "levels: ", lambda: plot.superlevel_sets(IMAGE, [])),
    "no number of levels": (ValueError, "levels: ", lambda: plot.superlevel_sets(IMAGE, 0)),
    "level": (ValueError, "levels: ", lambda: plot.superlevel_sets(IMAGE, 0.5)),
    "infinite level": (ValueError, "levels: ", lambda: plot.superlevel_sets(IMAGE, [float("inf")])),
    "superlevel": (TypeError, "superlevel: ", lambda: plot.superlevel_sets(IMAGE, superlevel=1)),
    "batch of images": (ValueError, "image: expected 2 axes", lambda: plot.superlevel_sets(BATCH)),
    "too few axes": (
        ValueError,
        "axes: expected an array of 5 Axes",
        lambda: plot.superlevel_sets(IMAGE, axes=Figure().subplots(1, 4)),
    ),
    "no mapping": (TypeError, "activations: expected a mapping", lambda: plot.activations([IMAGE])),
    "no activations": (ValueError, "activations: .*none", lambda: plot.activations({})),
    "integers": (TypeError, r"activations\['x'\]: ", lambda: plot.activations({"x": IMAGE.int()})),
    "not finite": (ValueError, r"activations\['x'\]: expected finite", lambda: plot.activations({"x": IMAGE / 0})),
    "a row": (ValueError, r"activations\['x'\]: expected shape", lambda: plot.activations({"x": IMAGE[0]})),
    "several samples": (ValueError, r"sample: .*activations\['x'\] has 2", lambda: plot.activations({"x": BATCH})),
    "missing sample": (ValueError, "sample: .*>= 0 and < 2", lambda: plot.activations({"x": BATCH}, sample=2)),
    "sample of another type": (TypeError, "sample: ", lambda: plot.activations({"x": BATCH}, sample=0.5)),
    "axes for activations": (ValueError, "axes: expected an array of 2", lambda: MANY["activations"](axes=[1, 2])),
}


def _signal() -> tl.Barcode:
    return tl.persistence(tl.Freudenthal(torch.rand(4), ndim=1))


def _persistence_image(births: int, lengths: int) -> Axes:
    return plot.persistence_image(torch.ones(3, 3), torch.arange(births), torch.arange(lengths))


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    error, message, call = BAD[name]
    with pytest.raises(error, match=message):
        call()
    assert plt.get_fignums() == []


def test_without_matplotlib() -> None:
    code = (
        "import sys, topolayer\n"
        "sys.modules['matplotlib'] = None\n"
        "try:\n    from topolayer import plot\nexcept ImportError as error:\n    print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True)
    assert 'pip install "topolayer[plot]"' in run.stdout
