"""On which axes pictures are drawn, from tensors of which kind, and what they say of bad input."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import topolayer as tl
from topolayer import plot

from ..helpers.plotting import EMPTY, IMAGE, bars_of, draw, points
from ..helpers.problems import DTYPES


@pytest.fixture(autouse=True)
def _closed(closed_figures: None) -> None:
    """Drawing changes no setting; figures of one test are not the current ones of the next."""


GRID = tl.Cubical(IMAGE, superlevel=True)
MATCHING = tl.induced_matching(GRID, GRID, dims=(0, 1))
ONE: dict[str, Callable[..., Axes]] = {
    "diagram": lambda **o: plot.diagram(bars_of(), **o),
    "barcode": lambda **o: plot.barcode(bars_of(), **o),
    "landscape": lambda **o: plot.landscape(torch.rand(2, 3), torch.arange(3.0), **o),
    "betti_curve": lambda **o: plot.betti_curve(torch.ones(3), torch.arange(3.0), **o),
    "persistence_image": lambda **o: plot.persistence_image(torch.rand(2, 3), torch.arange(3), torch.arange(2), **o),
    "pairs": lambda **o: plot.pairs(IMAGE, bars_of(), **o),
    "representatives": lambda **o: plot.representatives(GRID, bars_of(), **o),
}
MANY: dict[str, Callable[..., Any]] = {
    "superlevel_sets": lambda **o: plot.superlevel_sets(IMAGE, 1, **o),
    "activations": lambda **o: plot.activations({"a": IMAGE}, **o),
    "matching": lambda **o: plot.matching(IMAGE, IMAGE, MATCHING, **o),
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
    "negative k": (ValueError, "k: expected an int >= 0", lambda: plot.pairs(IMAGE, bars_of(), k=-1)),
    "no axes": (TypeError, "ax: expected matplotlib's Axes or None, got tuple", lambda: ONE["diagram"](ax=(1, 2))),
    "image of another type": (TypeError, "image: .*torch.as_tensor", lambda: plot.pairs(IMAGE.numpy(), bars_of())),
    "image of another size": (ValueError, r"image: expected shape \(3, 3\)", lambda: plot.pairs(BATCH, bars_of())),
    "signal": (ValueError, r"barcode: .*2D grid.* \(4,\)", lambda: plot.pairs(IMAGE, _signal())),
    "graph": (
        ValueError,
        "barcode: .*2D grid.* no grid; plot",
        lambda: plot.pairs(IMAGE, EMPTY["only essential"][0]),
    ),
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
