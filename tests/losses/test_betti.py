"""Betti numbers at a level, Betti curves, their relaxation, and the Betti error of a segmentation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from gudhi.representations import BettiCurve
from scipy import ndimage
from skimage.measure import label
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

import topolayer as tl

from ..helpers.diagrams import NO_BARS, apart, barcode, diagrams, masks, no_bars, noise, pictures
from ..helpers.families import BATCHES
from ..helpers.problems import CYCLE, SQUARE

LEVELS = torch.tensor([3.0, 0.0, 0.5, 2.0, 2.0, 4.0, -7.0, 9.0, 1.0], dtype=torch.float64)


def alive(bars: tl.Barcode, number: int, dim: int, level: float) -> int:
    """The bars of one sample that are born at the level or before, and dead after it or never."""

    def reached(value: float) -> bool:
        return value >= level if bars.superlevel else value <= level

    count = 0
    for sample, d, birth, death in zip(
        bars.sample.tolist(), bars.dims.tolist(), bars.births.tolist(), bars.deaths.tolist(), strict=True
    ):
        count += (sample, d) == (number, dim) and reached(birth) and not reached(death)
    e = bars.essential
    for sample, d, birth in zip(e.sample.tolist(), e.dims.tolist(), e.births.tolist(), strict=True):
        count += (sample, d) == (number, dim) and reached(birth)
    return count


def components(foreground: np.ndarray, connectivity: int) -> int:
    return int(label(foreground, connectivity=connectivity, return_num=True)[1])


def holes(foreground: np.ndarray, connectivity: int) -> int:
    """Components of the background that do not touch the border; the connectivity is the background's."""
    return components(np.pad(~foreground, 1, constant_values=True), connectivity) - 1


# -- Betti numbers


@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_by_the_definition(batch: tuple[int, ...], superlevel: bool) -> None:
    """At the values themselves too, in any order and repeated; a number is a curve of one level."""
    bars = barcode(batch, superlevel, (0, 1))
    samples = range(torch.Size(batch).numel())
    for dim in (0, 1):
        curve = tl.betti_numbers(bars, LEVELS, dim=dim)
        assert curve.shape == (*batch, len(LEVELS))
        assert curve.dtype == torch.float64
        expected = [[alive(bars, number, dim, level) for level in LEVELS.tolist()] for number in samples]
        assert curve.reshape(-1, len(LEVELS)).tolist() == expected
        for place, level in enumerate(LEVELS.tolist()):
            for one in (level, LEVELS[place]):
                found = tl.betti_numbers(bars, one, dim=dim)
                assert found.shape == batch
                assert torch.equal(found, curve[..., place])
    assert tl.betti_numbers(bars, LEVELS[:0], dim=0).shape == (*batch, 0)


@pytest.mark.parametrize("kind", "VT")
@pytest.mark.parametrize("source", [pictures, masks], ids=["photographs", "masks"])
def test_of_the_sets_themselves(source: Callable[[], Tensor], kind: str) -> None:
    """Components and holes as scikit-image counts them in the thresholded picture."""
    images = source()[:4]
    if source is masks:
        images = torch.nn.functional.avg_pool2d(images[:, None], 3, 1)[:, 0]
    connectivity = {"V": 1, "T": 2}[kind]
    levels = torch.linspace(0.05, 0.95, 7, dtype=torch.float64)
    for superlevel in (False, True):
        bars = tl.persistence(tl.Cubical(images, construction=kind, superlevel=superlevel), (0, 1))
        curves = [tl.betti_numbers(bars, levels, dim=dim) for dim in (0, 1)]
        for number, image in enumerate(images.numpy()):
            for place, level in enumerate(levels.tolist()):
                inside = image >= level if superlevel else image <= level
                assert curves[0][number, place] == components(inside, connectivity)
                assert curves[1][number, place] == holes(inside, 3 - connectivity)


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("source", [noise, pictures], ids=["noise", "photographs"])
def test_against_gudhi(source: Callable[[], Tensor], superlevel: bool, dim: int) -> None:
    """GUDHI counts the bars that it is given; essential ones die at infinity."""
    bars = tl.persistence(tl.Freudenthal(source(), superlevel=superlevel), (0, 1))
    sign = -1 if superlevel else 1
    levels = sign * torch.linspace(-1.2, 1.2, 101, dtype=torch.float64)
    known = []
    for number, finite in enumerate(diagrams(bars, dim)):
        births = bars.essential.births[(bars.essential.sample == number) & (bars.essential.dims == dim)]
        forever = np.stack([sign * births.numpy(), np.full(len(births), np.inf)], axis=1)
        known.append(np.concatenate([np.sort(sign * finite, axis=1), forever]))
    expected = BettiCurve(predefined_grid=sign * levels.numpy()).fit_transform(known)
    assert tl.betti_numbers(bars, levels, dim=dim).tolist() == expected.tolist()


def test_a_pixel_is_in_at_its_own_value_whatever_the_dtype_of_the_level() -> None:
    """0.1 in float32 is above 0.1 in float64."""
    bars = tl.persistence(tl.Freudenthal(torch.tensor([0.1, 0.5, 0.1, 0.7], dtype=torch.float32), ndim=1))
    for level in (0.1, torch.tensor(0.1, dtype=torch.float64), torch.tensor([0.1])):
        found = tl.betti_numbers(bars, level)
        assert found.dtype == torch.float32
        assert (found == 2).all()


def test_graphs_and_points() -> None:
    cycle = tl.persistence(tl.LowerStar(torch.arange(4.0), torch.tensor(CYCLE)), (0, 1))
    assert tl.betti_numbers(cycle, torch.tensor([2.9, 3.0]), dim=1).tolist() == [0, 1]
    square = tl.persistence(tl.Rips(torch.tensor(SQUARE)), (0, 1))
    assert tl.betti_numbers(square, torch.tensor([0.0, 0.9, 1.0, 1.4, 1.5]), dim=0).tolist() == [4, 4, 1, 1, 1]
    assert tl.betti_numbers(square, torch.tensor([0.0, 0.9, 1.0, 1.4, 1.5]), dim=1).tolist() == [0, 0, 1, 1, 0]


@pytest.mark.parametrize("superlevel", [False, True])
def test_the_relaxation_by_its_formula(superlevel: bool) -> None:
    bars = barcode((2, 3), superlevel, (0, 1))
    sign = -1 if superlevel else 1

    def sigma(x: Tensor) -> Tensor:
        return 1 / (1 + torch.exp(-sign * x / 0.7))

    for dim in (0, 1):
        found = tl.betti_numbers(bars, LEVELS, dim=dim, softness=0.7)
        for number in range(6):
            part = bars.select(dim=dim, sample=number)
            expected = sum(
                (sigma(LEVELS - b) * sigma(d - LEVELS) for b, d in zip(part.births, part.deaths, strict=True)),
                start=torch.zeros(len(LEVELS), dtype=torch.float64),
            )
            expected = expected + sum(sigma(LEVELS - b) for b in part.essential.births)
            torch.testing.assert_close(found.reshape(6, -1)[number], expected)
        number = tl.betti_numbers(bars, 2, dim=dim, softness=0.7)
        torch.testing.assert_close(number, found[..., 3])


def test_the_relaxation_goes_to_the_count() -> None:
    bars = barcode((4,), levels=None, dims=(0, 1))
    levels = torch.linspace(0, 1, 21, dtype=torch.float64)
    for softness in (1e-7, 1e-300):
        for dim in (0, 1):
            soft = tl.betti_numbers(bars, levels, dim=dim, softness=softness)
            torch.testing.assert_close(soft, tl.betti_numbers(bars, levels, dim=dim), rtol=0, atol=1e-2)


@pytest.mark.parametrize("superlevel", [False, True])
def test_derivatives(superlevel: bool) -> None:
    levels = torch.tensor([0.31, 0.77, 1.23], dtype=torch.float64, requires_grad=True)

    def soft(x: Tensor, levels: Tensor) -> Tensor:
        bars = tl.persistence(tl.Freudenthal(x, superlevel=superlevel), (0, 1))
        return tl.betti_numbers(bars, levels, dim=0, softness=0.2) - tl.betti_numbers(bars, 0.6, dim=1, softness=0.3)

    def one(x: Tensor, levels: Tensor) -> Tensor:
        return soft(x, levels[:1])

    assert gradcheck(one, (apart(5, 6), levels))
    assert gradgradcheck(one, (apart(4, 4), levels))
    bars = tl.persistence(tl.Freudenthal(apart(5, 6)))
    assert not tl.betti_numbers(bars, 0.5).requires_grad


@pytest.mark.parametrize("case", NO_BARS)
def test_without_finite_bars(case: str) -> None:
    """The essential bar counts; where there is no sample, nothing."""
    bars, values = no_bars(case)
    top = values.detach().amax(dim=(-2, -1)) if values.numel() else values.detach().sum(dim=(-2, -1))
    levels = torch.tensor([-1.0, 1.0, 20.0], dtype=torch.float64)
    expected = (top[..., None] >= levels).double()
    assert torch.equal(tl.betti_numbers(bars, levels), expected)
    soft = tl.betti_numbers(bars, levels, softness=0.5)
    torch.testing.assert_close(soft, ((top[..., None] - levels) / 0.5).sigmoid())
    soft.sum().backward()
    assert torch.isfinite(values.grad).all()


def test_no_bars_at_all() -> None:
    """Dimension 1 of a path: 0, with a graph."""
    values = torch.arange(4.0, requires_grad=True)
    bars = tl.persistence(tl.LowerStar(values, torch.tensor(CYCLE[:3])), 1)
    assert (len(bars), len(bars.essential)) == (0, 0)
    assert tl.betti_numbers(bars, 2).item() == 0
    soft = tl.betti_numbers(bars, 2, softness=1.0)
    soft.backward()
    assert soft.item() == 0
    assert not values.grad.any()


def test_bad_levels() -> None:
    """Contract 9."""
    bars = barcode(dims=(0, 1), dtype=torch.float32)
    with pytest.raises(ValueError, match=r"^levels\b.*\(n,\).*\(2, 2\)"):
        tl.betti_numbers(bars, torch.ones(2, 2), dim=0)
    for wrong in (math.nan, math.inf, 10**400, 1e300, torch.tensor([0, 1e300], dtype=torch.float64)):
        with pytest.raises(ValueError, match=r"^levels\b.*finite"):
            tl.betti_numbers(bars, wrong, dim=0)
    for wrong in (None, "1", True, [0.5], np.ones(2), torch.arange(3), torch.tensor(True)):
        with pytest.raises(TypeError, match=r"^levels\b"):
            tl.betti_numbers(bars, wrong, dim=0)
    for wrong in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"^softness\b"):
            tl.betti_numbers(bars, 1, dim=0, softness=wrong)
    with pytest.raises(ValueError, match=r"^dim\b.*\(0, 1\).*None.*dim="):
        tl.betti_numbers(bars, 1)
    with pytest.raises(TypeError, match=r"^barcode\b.*Barcode"):
        tl.betti_numbers(bars.essential, 1, dim=0)


# -- the Betti error

BLOTS = """
11100000 1000
10100011 0100
11100011 0010
00000000 1000
"""


def of_sets(first: Tensor, second: Tensor, kind: str) -> list[list[int]]:
    connectivity = {"V": 1, "T": 2}[kind]
    return [
        [
            abs(components(a, connectivity) - components(b, connectivity)),
            abs(holes(a, 3 - connectivity) - holes(b, 3 - connectivity)),
        ]
        for a, b in zip(first.numpy().astype(bool), second.numpy().astype(bool), strict=True)
    ]


@pytest.mark.parametrize("kind", "VT")
def test_error_of_random_sets_against_scikit_image(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    prediction, mask = torch.rand(2, 30, 9, 11, generator=generator)
    mask = mask > 0.4
    for threshold in (0.5, 0.8, -1.0, 2.0):
        found = tl.betti_error(prediction, mask, threshold=threshold, construction=kind)
        assert found.dtype == torch.float32
        assert found.tolist() == of_sets(prediction >= threshold, mask, kind)


@pytest.mark.parametrize("kind", "VT")
def test_error_of_people_against_scikit_image(kind: str) -> None:
    """A person at a quarter of the resolution against the person."""
    people = masks()
    coarse = torch.nn.functional.interpolate(people[:, None, ::4, ::4], scale_factor=4, mode="bilinear")[:, 0]
    found = tl.betti_error(coarse, people, construction=kind)
    assert found.tolist() == of_sets(coarse >= 0.5, people, kind)
    assert found.sum() > 10


def test_error_by_hand() -> None:
    rows = [row.replace(" ", "0") for row in BLOTS.split("\n") if row]
    mask = torch.tensor([[int(c) for c in row] for row in rows])
    nothing = torch.zeros(mask.shape)
    assert tl.betti_error(nothing, mask).tolist() == [4, 1]  # a ring, a square, a diagonal, a pixel below it
    assert tl.betti_error(nothing, mask, construction="V").tolist() == [6, 1]
    assert tl.betti_error(nothing, mask, dims=(1, 0)).tolist() == [1, 4]
    assert tl.betti_error(nothing, mask, dims=1).tolist() == [1]
    assert tl.betti_error(mask.double(), mask).tolist() == [0, 0]
    assert tl.betti_error(mask + nothing - 0.5, mask, threshold=0).tolist() == [0, 0]


def test_error_of_volumes() -> None:
    """A cube with a cavity against a solid one, and a frame with a tunnel; scipy counts the cavities."""
    solid = torch.zeros(2, 6, 6, 6)
    solid[:, 1:5, 1:5, 1:5] = 1
    hollow = solid.clone()
    hollow[0, 2:4, 2:4, 2:4] = 0
    hollow[1, :, 2:4, 2:4] = 0
    found = tl.betti_error(hollow, solid, dims=(0, 1, 2), ndim=3)
    assert found.tolist() == [[0, 0, 1], [0, 1, 0]]
    assert ndimage.label(~hollow[0].bool().numpy())[1] == 2


def test_error_of_signals() -> None:
    """They have components and no holes."""
    mask = torch.tensor([[1, 0, 1, 1, 0, 1], [0, 0, 0, 0, 0, 1]])
    assert tl.betti_error(torch.ones(2, 6), mask, dims=0, ndim=1).tolist() == [[2], [0]]
    with pytest.raises(ValueError, match=r"^dims\b.*dimension 0, the only.*got \(0, 1\)"):
        tl.betti_error(torch.ones(2, 6), mask, dims=(0, 1), ndim=1)


@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_error_has_one_number_per_sample_and_dimension(batch: tuple[int, ...]) -> None:
    prediction = torch.rand((*batch, 7, 8), generator=torch.Generator().manual_seed(0), requires_grad=True)
    mask = (prediction > 0.5).int()
    found = tl.betti_error(prediction, mask)
    assert found.shape == (*batch, 2)
    assert not found.any()
    assert not found.requires_grad


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.float64])
def test_dtypes_of_the_error(dtype: torch.dtype) -> None:
    mask = torch.eye(6).to(dtype)
    for kind, result in ((torch.float16, torch.float32), (torch.float32, torch.float32), (torch.float64,) * 2):
        found = tl.betti_error(torch.full((6, 6), 0.5, dtype=kind), mask, construction="V")
        assert found.tolist() == [5, 0]  # at the threshold is in
        assert found.dtype == result


def test_bad_segmentations() -> None:
    """Contract 9."""
    good, mask = torch.rand(2, 5, 6), torch.ones(2, 5, 6)
    cases: list[tuple[Any, Any, dict[str, Any], type[Exception], str]] = [
        (good, mask[0], {}, ValueError, r"^mask\b.*\(2, 5, 6\).*\(5, 6\)"),
        (good, mask * 255, {}, ValueError, r"^mask\b.*0 .*and 1 .*mask > 127"),
        (good, mask * 0.5, {}, ValueError, r"^mask\b.*0 and 1, got 0.5; .*mask >= 0.5"),
        (good, mask * math.nan, {}, ValueError, r"^mask\b.*finite"),
        (good, mask.tolist(), {}, TypeError, r"^mask\b.*torch\.Tensor"),
        (good.long(), mask, {}, TypeError, r"^prediction\b.*floating-point"),
        (good * math.nan, mask, {}, ValueError, r"^prediction\b.*finite"),
        (good[0, 0], mask[0, 0], {}, ValueError, r"^prediction\b.*2 axes.*\(6,\)"),
        (good[:, :0], mask[:, :0], {}, ValueError, r"^prediction\b.*empty.*\(2, 0, 6\)"),
        (good, mask, {"threshold": math.nan}, ValueError, r"^threshold\b.*finite"),
        (good, mask, {"threshold": "half"}, TypeError, r"^threshold\b.*number"),
        (good, mask, {"construction": "F"}, ValueError, r"^construction\b"),
        (good, mask, {"dims": (2,)}, ValueError, r"^dims\b"),
        (good, mask, {"dims": ()}, TypeError, r"^dims\b"),
        (good, mask, {"ndim": True}, TypeError, r"^ndim\b"),
        (good, mask, {"ndim": "2"}, TypeError, r"^ndim\b"),
        (good, mask, {"ndim": 2.0}, TypeError, r"^ndim\b"),
        (good, mask, {"ndim": 4}, ValueError, r"^ndim\b"),
    ]
    for prediction, truth, options, error, words in cases:
        with pytest.raises(error, match=words):
            tl.betti_error(prediction, truth, **options)
