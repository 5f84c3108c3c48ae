"""Landscapes, silhouettes and persistence images."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from gudhi.representations import Landscape, PersistenceImage, Silhouette
from persim import PersistenceImager, PersLandscapeExact
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

import topolayer as tl
from topolayer._barcodes import vectors as _vectorizations

from ..helpers.diagrams import NO_BARS, apart, barcode, diagrams, masks, no_bars, noise, pictures
from ..helpers.families import BATCHES
from ..helpers.problems import CYCLE

GRIDS = {
    "even": torch.linspace(-1, 5, 13, dtype=torch.float64),
    "unsorted and repeated": torch.tensor([3.0, 0.5, 0.5, -2.0, 3.75, 3.0, 2.0, 1.0], dtype=torch.float64),
    "one point": torch.tensor([1.25], dtype=torch.float64),
    "none": torch.zeros(0, dtype=torch.float64),
}


def tent(low: float, high: float, t: float) -> float:
    return max(0.0, min(t - low, high - t))


def bell(x: float, sigma: float) -> float:
    return math.exp(-(x**2) / (2 * sigma**2)) / (math.sqrt(2 * math.pi) * sigma)


def assert_equal(found: Tensor, shape: tuple[int, ...], expected: Any) -> None:
    assert found.shape == shape
    torch.testing.assert_close(
        found, torch.tensor(expected, dtype=torch.float64).reshape(shape), rtol=1e-10, atol=1e-12
    )


# -- by their definitions


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_landscape_by_its_definition(batch: tuple[int, ...], superlevel: bool, grid: Tensor) -> None:
    bars = barcode(batch, superlevel, (0, 1))
    for dim in (0, 1):
        for k in (1, 3, 60):  # more than there are bars
            expected = [
                [sorted([tent(*bar, t) for bar in diagram.tolist()] + [0] * k, reverse=True)[:k] for t in grid.tolist()]
                for diagram in diagrams(bars, dim)
            ]
            found = tl.landscape(bars, grid, k=k, dim=dim)
            assert found.shape == (*batch, k, len(grid))
            assert_equal(found.mT, (*batch, len(grid), k), expected)
    assert tl.landscape(bars, grid, k=0, dim=0).shape == (*batch, 0, len(grid))


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_silhouette_by_its_definition(batch: tuple[int, ...], superlevel: bool, grid: Tensor) -> None:
    bars = barcode(batch, superlevel, (0, 1))
    for dim in (0, 1):
        for p in (0, 0.5, 1, 3):
            expected = [
                [
                    sum((high - low) ** p * tent(low, high, t) for low, high in diagram.tolist())
                    / (sum((high - low) ** p for low, high in diagram.tolist()) or 1)
                    for t in grid.tolist()
                ]
                for diagram in diagrams(bars, dim)
            ]
            assert_equal(tl.silhouette(bars, grid, p=p, dim=dim), (*batch, len(grid)), expected)


@pytest.mark.parametrize("rows", ["even", "one point", "none"])
@pytest.mark.parametrize("columns", ["unsorted and repeated", "none"])
@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_persistence_image_by_its_definition(batch: tuple[int, ...], superlevel: bool, columns: str, rows: str) -> None:
    bars = barcode(batch, superlevel, (0, 1))
    births, lengths = GRIDS[columns], GRIDS[rows]
    for dim in (0, 1):
        for sigma in (0.3, 2):
            expected = [
                [
                    [
                        sum(
                            length * bell(x - birth, sigma) * bell(y - length, sigma)
                            for birth, length in zip(
                                bars.births[(bars.sample == number) & (bars.dims == dim)].tolist(),
                                bars.lengths[(bars.sample == number) & (bars.dims == dim)].tolist(),
                                strict=True,
                            )
                        )
                        for x in births.tolist()
                    ]
                    for y in lengths.tolist()
                ]
                for number in range(torch.Size(batch).numel())
            ]
            found = tl.persistence_image(bars, births, lengths, sigma=sigma, dim=dim)
            assert_equal(found, (*batch, len(lengths), len(births)), expected)


def test_weights_are_those_of_the_bars() -> None:
    bars = barcode((2, 3), dims=(0, 1))
    axes = GRIDS["even"], GRIDS["unsorted and repeated"]
    for dim in (0, 1):
        usual = tl.persistence_image(bars, *axes, sigma=1, dim=dim)
        assert torch.equal(tl.persistence_image(bars, *axes, sigma=1, dim=dim, weight=bars.lengths), usual)
        chosen = bars.lengths > 1
        part = tl.persistence_image(bars.select(chosen), *axes, sigma=1, dim=dim)
        torch.testing.assert_close(
            tl.persistence_image(bars, *axes, sigma=1, dim=dim, weight=bars.lengths * chosen), part
        )
        assert not torch.equal(part, usual)


# -- against other libraries


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("source", [noise, pictures, masks], ids=["noise", "photographs", "masks"])
def test_against_gudhi(source: Callable[[], Tensor], superlevel: bool, dim: int) -> None:
    images = source()
    if source is masks:
        images = torch.nn.functional.avg_pool2d(images[:, None], 5, 1)[:, 0] + images[:, 2:-2, 2:-2]
    bars = tl.persistence(tl.Cubical(images, superlevel=superlevel), dim)
    known = diagrams(bars, dim)
    some = [number for number, diagram in enumerate(known) if len(diagram)]  # GUDHI has no value for the others
    assert len(some) > 3
    span, grid = [-0.1, 1.2], torch.linspace(-0.1, 1.2, 40, dtype=torch.float64)

    heights = Landscape(num_landscapes=4, resolution=40, sample_range=span, keep_endpoints=True).fit_transform(known)
    assert_equal(tl.landscape(bars, grid, k=4), (len(images), 4, 40), heights / math.sqrt(2))
    for p in (0, 1, 2.5):
        mean = Silhouette(lambda x, p=p: (x[1] - x[0]) ** p, resolution=40, sample_range=span, keep_endpoints=True)
        expected = mean.fit_transform([known[number] for number in some]) / math.sqrt(2)
        assert_equal(tl.silhouette(bars, grid, p=p)[some], (len(some), 40), expected)

    # GUDHI's births are the lower ends; those of a superlevel barcode are, turned round, -1 times the upper ones.
    sign = -1 if superlevel else 1
    turned = [np.sort(sign * diagram, axis=1) for diagram in known]
    image = PersistenceImage(0.1, lambda x: x[1] ** 2, resolution=[30, 20], im_range=[-1, 1, 0, 0.9])
    expected = image.fit_transform(turned).reshape(len(images), 20, 30)
    births, lengths = torch.linspace(-1, 1, 30, dtype=torch.float64), torch.linspace(0, 0.9, 20, dtype=torch.float64)
    found = tl.persistence_image(bars, sign * births, lengths, sigma=0.1, weight=bars.lengths**2)
    assert_equal(found, (len(images), 20, 30), expected)


def test_landscape_against_persim() -> None:
    bars = tl.persistence(tl.Freudenthal(pictures((24, 32))), 0)
    grid = torch.linspace(0, 1, 57, dtype=torch.float64)
    found = tl.landscape(bars, grid, k=5)
    for number, diagram in enumerate(diagrams(bars)):
        exact = PersLandscapeExact([diagram], hom_deg=0)
        exact.compute_landscape()
        for depth, corners in enumerate(exact.critical_pairs[:5]):
            x, y = np.array(corners).T
            expected = np.interp(grid.numpy(), x, y, left=0, right=0)
            torch.testing.assert_close(found[number, depth], torch.from_numpy(expected), rtol=0, atol=1e-10)


def test_persistence_image_against_persim() -> None:
    """persim integrates over pixels; small ones, whose integral is about the value in the middle times the area."""
    bars = tl.persistence(tl.Freudenthal(pictures()), 0)
    side = 0.02
    imager = PersistenceImager((0, 1), (0, 0.6), side, "persistence", {"n": 1}, "gaussian", {"sigma": 0.01 * np.eye(2)})
    middles = [torch.from_numpy(edges[:-1] + side / 2) for edges in (imager._bpnts, imager._ppnts)]
    found = tl.persistence_image(bars, *middles, sigma=0.1) * side**2
    for number, diagram in enumerate(diagrams(bars)):
        expected = torch.from_numpy(imager.transform(diagram, skew=True)).T
        torch.testing.assert_close(found[number], expected, rtol=0, atol=0.005 * float(expected.max()))


# -- memory, derivatives, edges


def test_a_landscape_in_parts_is_that_of_the_whole_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    bars, grid = barcode((2, 3), levels=None), torch.linspace(0, 1, 29, dtype=torch.float64)
    whole = tl.landscape(bars, grid, k=4)
    for chunk in (1, 300, 1000):
        monkeypatch.setattr(_vectorizations, "_CHUNK", chunk)
        assert torch.equal(tl.landscape(bars, grid, k=4), whole)


FUNCTIONS: dict[str, Callable[[tl.Barcode, Tensor], Tensor]] = {
    "landscape": lambda bars, grid: tl.landscape(bars, grid, k=3, dim=0),
    "silhouette": lambda bars, grid: tl.silhouette(bars, grid, p=2, dim=0),
    "silhouette, p=0.5": lambda bars, grid: tl.silhouette(bars, grid, p=0.5, dim=0),
    "persistence_image": lambda bars, grid: tl.persistence_image(bars, grid, grid + 0.125, sigma=0.3, dim=0),
}
functions = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)


@functions
@pytest.mark.parametrize("superlevel", [False, True])
def test_derivatives(function: Callable[[tl.Barcode, Tensor], Tensor], superlevel: bool) -> None:
    grid = torch.tensor([0.31, 0.77, 1.23], dtype=torch.float64, requires_grad=True)

    def of_the_image(x: Tensor, grid: Tensor) -> Tensor:
        return function(tl.persistence(tl.Freudenthal(x, superlevel=superlevel), (0, 1)), grid)

    assert gradcheck(of_the_image, (apart(2, 5, 6), grid))
    assert gradgradcheck(of_the_image, (apart(2, 4, 4), grid))


@functions
@pytest.mark.parametrize("case", NO_BARS)
def test_without_bars(function: Callable[[tl.Barcode, Tensor], Tensor], case: str) -> None:
    bars, values = no_bars(case)
    found = function(bars, GRIDS["unsorted and repeated"])
    assert found.shape[: values.ndim - 2] == values.shape[:-2]
    assert not found.any()
    found.sum().backward()
    assert not values.grad.any()


@functions
def test_essential_bars_alone(function: Callable[[tl.Barcode, Tensor], Tensor]) -> None:
    path = tl.persistence(tl.LowerStar(torch.arange(4.0), torch.tensor(CYCLE)), (1, 0))
    assert len(path) == 0
    assert not function(path, torch.arange(4.0)).any()


@functions
def test_a_sample_without_bars_beside_others(function: Callable[[tl.Barcode, Tensor], Tensor]) -> None:
    x = apart(3, 6, 6).detach()
    x[1] = 0.5
    x.requires_grad_()
    grid = torch.linspace(0, 2, 11, dtype=torch.float64)
    together = function(tl.persistence(tl.Freudenthal(x)), grid)
    together.sum().backward()
    assert torch.isfinite(x.grad).all()
    assert not together[1].any()
    assert not x.grad[1].any()
    for number in (0, 2):
        torch.testing.assert_close(together[number], function(tl.persistence(tl.Freudenthal(x[number])), grid))


def test_equal_bars() -> None:
    """The landscape has them one by one, the silhouette and the image have as many times one bar."""
    signal = torch.tensor([0.0, 2, 0, 2, 0, 2, 0, 2], dtype=torch.float64, requires_grad=True)
    bars = tl.persistence(tl.Freudenthal(signal, ndim=1, superlevel=True))
    grid = torch.tensor([0.0, 0.5, 1, 1.75, 2], dtype=torch.float64)
    one = [0, 0.5, 1, 0.25, 0]
    landscape, silhouette = tl.landscape(bars, grid, k=4), tl.silhouette(bars, grid)
    assert landscape.tolist() == [one, one, one, [0] * 5]
    assert silhouette.tolist() == pytest.approx(one, rel=1e-15)
    image = tl.persistence_image(bars, grid, grid, sigma=0.5)
    expected = [[3 * 2 * bell(x - 2, 0.5) * bell(y - 2, 0.5) for x in grid.tolist()] for y in grid.tolist()]
    assert_equal(image, (5, 5), expected)
    (landscape.sum() + silhouette.sum() + image.sum()).backward()
    assert torch.isfinite(signal.grad).all()


def test_gradients_where_a_tent_has_a_corner() -> None:
    """At its feet 0, as beside it; at its top that of the height, which is half the length."""
    signal = torch.tensor([9.0, 0, 4, 1], dtype=torch.float64, requires_grad=True)
    for t, expected in {0.0: [0, 0, 0, 0], 4.0: [0, 0, 0, 0], 2.0: [0, -0.5, 0.5, 0], 1.0: [0, -1, 0, 0]}.items():
        bars = tl.persistence(tl.Freudenthal(signal, ndim=1, superlevel=True))
        grid = torch.tensor([t], dtype=torch.float64)
        for found in (tl.landscape(bars, grid, k=2), tl.silhouette(bars, grid)):
            (gradient,) = torch.autograd.grad(found.sum(), signal, retain_graph=True)
            assert gradient.tolist() == expected


def test_numbers_at_the_edge() -> None:
    """What overflows far from a bar is 0 there, with derivative 0."""
    for dtype in (torch.float32, torch.float64):
        high = torch.finfo(dtype).max / 2
        x = torch.tensor([0, high, 0, high], dtype=dtype, requires_grad=True)
        bars = tl.persistence(tl.Freudenthal(x, ndim=1, superlevel=True))
        grid = torch.tensor([-high, 0, high / 2], dtype=dtype)
        found = [tl.landscape(bars, grid, k=2), tl.silhouette(bars, grid, p=3)]
        assert found[0].tolist() == [[0, 0, high / 2], [0, 0, 0]]
        assert found[1].tolist() == [0, 0, high / 2]
        found.append(tl.persistence_image(bars, grid, grid, sigma=1e-3, weight=torch.ones_like(bars.births)))
        assert not found[2].any()
        sum(part.sum() for part in found).backward()
        assert torch.isfinite(x.grad).all()


def test_silhouette_where_a_length_overflows() -> None:
    """Two bars from h/2 and h down to -h, h the largest number, beside a sample of one bar from 1 down to 0."""
    h = torch.finfo(torch.float64).max
    x = torch.tensor([[h, -h, h, -h, h / 2], [3.0, 0, 1, 0, 0]], dtype=torch.float64, requires_grad=True)
    bars = tl.persistence(tl.Freudenthal(x, ndim=1, superlevel=True))
    grid = torch.tensor([-h, 0.0, 0.25, h / 4], dtype=torch.float64)
    found = tl.silhouette(bars, grid)
    weights = torch.tensor([4, 3], dtype=torch.float64) / 7
    tents = torch.tensor([[0, h, h, h / 4 * 3], [0, h / 2, h / 2, h / 4]], dtype=torch.float64)
    torch.testing.assert_close(found[0], (weights[:, None] * tents).sum(0))
    torch.testing.assert_close(found[1], torch.tensor([0, 0, 0.25, 0], dtype=torch.float64))
    (gradient,) = torch.autograd.grad(found[:, 3].sum(), x)
    assert torch.isfinite(gradient).all()


@functions
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_dtypes(function: Callable[[tl.Barcode, Tensor], Tensor], dtype: torch.dtype) -> None:
    """Half precision is raised to float32, also under autocast; grids are taken in the dtype of the barcode."""
    x = torch.rand(2, 7, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    grid = torch.tensor([0.125, 0.5, 0.6875])
    exact = function(tl.persistence(tl.Freudenthal(x.double())), grid)
    assert exact.dtype == torch.float64
    for autocast in (False, True):
        for kind in (torch.float16, torch.float32, torch.float64):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
                found = function(tl.persistence(tl.Freudenthal(x)), grid.to(kind))
            assert found.dtype == torch.float32
            torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=1e-5)


# -- bad input


CALLS: dict[str, Callable[..., Tensor]] = {
    "landscape": lambda bars, grid, **options: tl.landscape(bars, grid, k=1, **options),
    "silhouette": tl.silhouette,
    "births": lambda bars, grid, **options: tl.persistence_image(bars, grid, torch.ones(2), sigma=1, **options),
    "lengths": lambda bars, grid, **options: tl.persistence_image(bars, torch.ones(2), grid, sigma=1, **options),
}


@pytest.mark.parametrize("name", CALLS)
def test_bad_grids_barcodes_and_dimensions(name: str) -> None:
    """Contract 9."""
    bars, grid, call = barcode(dims=(0, 1), dtype=torch.float32), GRIDS["even"], CALLS[name]
    argument = name if name in ("births", "lengths") else "grid"
    for wrong, words in ((torch.ones(2, 3), r"\(2, 3\)"), (torch.tensor(1.0), r"\(\)")):
        with pytest.raises(ValueError, match=rf"^{argument}\b.*\(n,\).*{words}"):
            call(bars, wrong, dim=0)
    for wrong in ([0.0, 1.0], 3.0, None, np.ones(3)):
        with pytest.raises(TypeError, match=rf"^{argument}\b.*torch\.Tensor"):
            call(bars, wrong, dim=0)
    for wrong in (torch.arange(3), torch.ones(3, dtype=torch.complex64), torch.ones(3, dtype=torch.bool)):
        with pytest.raises(TypeError, match=rf"^{argument}\b.*floating-point"):
            call(bars, wrong, dim=0)
    for wrong in (math.nan, math.inf, 1e300):  # the last is infinite in the dtype of the barcode
        with pytest.raises(ValueError, match=rf"^{argument}\b.*finite.*\(1,\)"):
            call(bars, torch.tensor([0.0, wrong], dtype=torch.float64), dim=0)
    with pytest.raises(TypeError, match=rf"^{argument}\b.*meta"):
        call(bars, torch.ones(3, device="meta"), dim=0)
    for wrong in (None, bars.lengths, [bars]):
        with pytest.raises(TypeError, match=r"^barcode\b.*Barcode"):
            call(wrong, grid, dim=0)
    with pytest.raises(ValueError, match=r"^dim\b.*\(0, 1\).*None.*dim="):
        call(bars, grid)
    with pytest.raises(ValueError, match=r"^dim\b.*\(0, 1\), got 2"):
        call(bars, grid, dim=2)
    torch.testing.assert_close(call(bars.select(dim=1), grid), call(bars, grid, dim=1))


def test_bad_numbers_and_weights() -> None:
    bars, grid = barcode(dims=(0, 1)), GRIDS["even"]
    for wrong, error in ((-1, ValueError), (1.0, TypeError), (None, TypeError), (True, TypeError)):
        with pytest.raises(error, match=r"^k\b"):
            tl.landscape(bars, grid, k=wrong, dim=0)
    for wrong in (2**31, 10**30):
        with pytest.raises(ValueError, match=rf"^k\b.*<= 2147483647.*got {wrong};"):
            tl.landscape(bars, grid, k=wrong, dim=0)
    for wrong, error in ((-1, ValueError), (math.nan, ValueError), (math.inf, ValueError), ("1", TypeError)):
        with pytest.raises(error, match=r"^p\b"):
            tl.silhouette(bars, grid, p=wrong, dim=0)
        with pytest.raises(error, match=r"^sigma\b"):
            tl.persistence_image(bars, grid, grid, sigma=wrong, dim=0)
    for wrong in (0, 0.0, 1e-200, 1e200, 10**200):
        with pytest.raises(ValueError, match=r"^sigma\b.*> 0.*float64"):
            tl.persistence_image(bars, grid, grid, sigma=wrong, dim=0)
    with pytest.raises(TypeError, match=r"^weight\b"):
        tl.persistence_image(bars, grid, grid, sigma=1, dim=0, weight=lambda lengths: lengths)
    for wrong in (torch.ones(len(bars) + 1), torch.ones(len(bars.select(dim=0))), torch.ones(())):
        with pytest.raises(ValueError, match=rf"^weight\b.*\({len(bars)},\)"):
            tl.persistence_image(bars, grid, grid, sigma=1, dim=0, weight=wrong)
