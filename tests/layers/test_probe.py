"""The table of layers: its numbers, its recommendation, and what it looks like."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest
import torch
from scipy.ndimage import label
from scipy.stats import spearmanr
from torch import Tensor

import topolayer as tl
from topolayer._layers import probe as _probe

from ..helpers.probed import Net, Shows, blobs, peaks, row
from ..helpers.reference import components, neighbours


@pytest.fixture(autouse=True)
def _seeded(seeded: None) -> None:
    """Weights and images are the same in each test."""


# -- the numbers


@pytest.mark.parametrize(("prominence", "expected"), [(0.0, 4), (0.1, 3), (0.25, 2), (0.5, 2), (0.75, 1), (0.9, 1)])
@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (1e-3, 0), (8, 16)])
def test_counts_by_hand(prominence: float, expected: int, scale: float, shift: float) -> None:
    """The first of the heights 4, 3, 1, 0.25 never dies. Neither scale nor shift changes a count; 3 is not above 3."""
    model = Shows(peaks=lambda x: scale * x + shift)
    found = row(tl.probe(model, [peaks(4, 0.25, 3, 1)], prominence=prominence), "peaks")
    assert (found["prominent"], found["maxima"]) == (expected, 4)
    assert found["persistence"] == pytest.approx(4.25 * scale, rel=1e-4)
    assert (found["resolution"], found["channels"], found["runs"]) == ("3x9", 1, 1)


def test_a_constant_image_has_nothing_prominent() -> None:
    found = row(tl.probe(Shows(flat=torch.ones_like), [torch.rand(2, 3, 4, 4)]), "flat")
    assert (found["prominent"], found["maxima"], found["persistence"]) == (0, 1, 0)


@pytest.mark.parametrize("shape", [(9, 7), (4, 5, 3)])
def test_against_the_slow_reference(shape: tuple[int, ...]) -> None:
    x = torch.rand(4, 3, *shape)
    table = tl.probe(Shows(layer=lambda x: x), [(x[:3],), x[3:]], prominence=0.3)
    maxima, prominent, persistence = [], [], []
    for values in x.double().square().sum(1).sqrt().flatten(1).tolist():
        bars = components(values, neighbours(shape, "F"), superlevel=True).finite
        lengths = [values[birth] - values[death] for _, birth, death in bars]
        maxima.append(1 + len(lengths))
        prominent.append(1 + sum(length > 0.3 * (max(values) - min(values)) for length in lengths))
        persistence.append(sum(lengths))
    found = row(table, "layer")
    assert found["maxima"] == pytest.approx(np.mean(maxima))
    assert found["prominent"] == pytest.approx(np.mean(prominent))
    assert found["persistence"] == pytest.approx(np.mean(persistence), rel=1e-5)
    assert table.counts["layer"].tolist() == prominent
    assert (table.images, table.batch_size, table.layer, table.k, table.components) == (4, 3, None, None, None)


@pytest.mark.parametrize("ties", [2, 5, 1000])
def test_correlation_against_scipy(ties: int) -> None:
    first, second = torch.randint(ties, (2, 50)).double()
    assert _probe._spearman(first, second) == pytest.approx(spearmanr(first, second).statistic)
    assert _probe._spearman(first, first) == pytest.approx(1)
    assert _probe._spearman(first, -first) == pytest.approx(-1)


@pytest.mark.parametrize("constant", [torch.zeros(5), torch.full((5,), 3.0)])
def test_correlation_with_a_constant_is_nan(constant: Tensor) -> None:
    assert math.isnan(_probe._spearman(constant, torch.arange(5.0)))
    assert math.isnan(_probe._spearman(torch.arange(5.0), constant))


@pytest.mark.parametrize("shape", [(8, 9), (4, 5, 6)])
def test_components_of_masks_against_scipy(shape: tuple[int, ...]) -> None:
    """Neighbours in the Freudenthal triangulation: along any axes, all in one direction."""
    masks = torch.rand(20, *shape) < torch.linspace(0, 1, 20).view(20, *(1,) * len(shape))
    masks[0], masks[-1] = False, True
    step = np.stack(np.meshgrid(*[[-1, 0, 1]] * len(shape), indexing="ij"))
    structure = (step.min(0) >= 0) | (step.max(0) <= 0)
    expected = [label(mask.numpy(), structure)[1] for mask in masks]
    assert expected[0] == 0 and expected[-1] == 1 and max(expected) > 3
    assert _probe._components(masks[:, None]).tolist() == expected
    assert _probe._components(masks[:, None].to(torch.uint8)).tolist() == expected
    if len(shape) == 2:
        assert _probe._components(masks.float()).tolist() == expected


def test_agreement_with_masks() -> None:
    masks = blobs(1, 2, 3, 5)
    table = tl.probe(
        Shows(
            same=lambda x: x,
            more=lambda x: torch.cat([x, x], dim=-1).repeat_interleave(2, -2),
            fewer=lambda x: -x,
            one=lambda x: 0 * x,
        ),
        [masks[:, None]],
        [masks],
    )
    assert table.components is not None and table.components.tolist() == [1, 2, 3, 5]
    assert table.counts["more"].tolist() == [2, 4, 6, 10]
    columns = {found["layer"]: (found["correlation"], found["off_by"]) for found in table.rows}
    assert columns["same"] == (pytest.approx(1), 0)
    assert columns["more"] == (pytest.approx(1), pytest.approx((1 + 2 + 3 + 5) / 4))
    assert columns["fewer"][0] == pytest.approx(1)  # the norm of a negative channel is its absolute value
    assert math.isnan(columns["one"][0]) and columns["one"][1] == pytest.approx(11 / 4)


# -- the recommendation


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A penalty that costs a millisecond for each pixel."""
    monkeypatch.setattr(_probe, "_milliseconds", lambda h, grids, repeats: [float(h[0, 0].numel())] * 3)


def speckled(x: Tensor) -> Tensor:
    """A ripple, so that there is something to penalize, and one more square, beside which it is never prominent."""
    ripple = torch.zeros_like(x)
    ripple[..., 1::2, 1::2] = 0.1
    ripple[..., -1, -1] = 1
    return x + ripple


def doubled(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, -1).repeat_interleave(2, -2)


def test_the_cheapest_of_the_best_is_recommended(clock: None) -> None:
    """Clean has no maxima to penalize, wrong does not follow the masks."""
    masks = blobs(*range(1, 13))
    model = Shows(
        wrong=lambda x: speckled(blobs(*[13 - int(mask.sum()) // 4 for mask in x])[:, None]),
        large=lambda x: doubled(speckled(x)),
        small=speckled,
        clean=lambda x: x,
        none=lambda x: 0 * x,
    )
    table = tl.probe(model, [masks[:7, None], masks[7:, None]], [masks[:7], masks[7:]])
    assert (table.layer, table.k) == ("small", 12)
    assert {found["layer"]: found["rank"] for found in table.rows} == {
        "wrong": None,
        "large": 2,
        "small": 1,
        "clean": None,
        "none": None,
    }
    assert "layer 'small' with k = 12" in str(table)


def test_a_better_layer_wins_over_a_cheaper_one_that_is_clearly_worse(clock: None) -> None:
    masks = blobs(*range(1, 13), *range(1, 13))
    shuffled = torch.randperm(24)
    shuffled[:12] = torch.arange(12)
    model = Shows(worse=lambda x: speckled(x[shuffled]), good=lambda x: doubled(speckled(x)))
    table = tl.probe(model, [masks[:, None]], [masks])
    worse, good = row(table, "worse"), row(table, "good")
    assert 0 < worse["correlation"] < 0.8 and good["correlation"] == pytest.approx(1)
    assert worse["milliseconds"] < good["milliseconds"]
    assert (table.layer, worse["rank"]) == ("good", 2)


@pytest.mark.parametrize(("swapped", "recommended"), [((5, 6), "cheap"), ((2, 9), "good")])
def test_a_little_less_correlation_for_less_cost(clock: None, swapped: tuple[int, int], recommended: str) -> None:
    """Two of 12 images are exchanged: the correlation falls by 12 d² / (12³ - 12), 0.007 and 0.34."""
    masks, order = blobs(*range(1, 13)), torch.arange(12)
    order[list(swapped)] = order[list(swapped[::-1])]
    model = Shows(cheap=lambda x: speckled(x[order]), good=lambda x: doubled(speckled(x)))
    table = tl.probe(model, [masks[:, None]], [masks])
    distance = swapped[1] - swapped[0]
    assert row(table, "cheap")["correlation"] == pytest.approx(1 - 12 * distance**2 / (12**3 - 12))
    assert table.layer == recommended


def test_what_else_the_machine_does_is_no_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The median is shown, the fastest run counts."""
    times = iter([[9.0, 9.0, 2.0], [3.0, 3.0, 3.0]])
    monkeypatch.setattr(_probe, "_milliseconds", lambda h, grids, repeats: next(times))
    masks = blobs(1, 2, 3, 4, 5, 1)
    model = Shows(quick=speckled, slow=lambda x: doubled(speckled(x)))
    table = tl.probe(model, [masks[:, None]], [masks])
    assert [found["milliseconds"] for found in table.rows] == [9.0, 3.0]
    assert table.layer == "quick"


def test_layers_of_one_shape_cost_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([5.0, 4.0])
    monkeypatch.setattr(_probe, "_milliseconds", lambda h, grids, repeats: [next(times)])
    masks = blobs(1, 2, 3, 4, 5, 1)
    other = masks[torch.tensor([0, 1, 2, 4, 3, 0])]
    table = tl.probe(Shows(best=speckled, fast=lambda x: speckled(other[:, None])), [masks[:, None]], [masks])
    assert row(table, "fast")["milliseconds"] < row(table, "best")["milliseconds"]
    assert table.layer == "best"


@pytest.mark.parametrize(("counts", "k"), [([0] * 9 + [1], 1), ([1] * 10 + [2] * 10, 2), ([1] * 95 + [3] * 5, 1)])
def test_k_spares_what_all_but_a_few_masks_have(counts: list[int], k: int) -> None:
    masks = blobs(*counts)
    assert tl.probe(Shows(layer=speckled), [masks[:, None]], [masks]).k == k


@pytest.mark.parametrize("counts", [(2, 2, 2), (3,)])
def test_masks_that_are_all_alike_recommend_nothing(counts: tuple[int, ...]) -> None:
    masks = blobs(*counts)
    table = tl.probe(Shows(layer=speckled), [masks[:, None]], [masks])
    assert (table.layer, table.k) == (None, None)
    assert math.isnan(row(table, "layer")["correlation"])
    assert "Nothing is recommended" in str(table)


def test_what_is_recommended_can_be_regularized() -> None:
    model, masks = Net(), blobs(*range(1, 9))
    table = tl.probe(model, [masks[:, None]], [masks])
    assert table.layer in {"enc.0", "enc", "dec.0", "dec", ""} and table.k == 8
    with tl.Regularizer(model, {str(table.layer): lambda h: tl.few_maxima(h, k=table.k or 0)}) as regularizer:
        model(masks[:, None])
        regularizer().backward()  # the penalty of an untrained model may be anything, its gradient exists
    assert any(parameter.grad is not None for parameter in model.parameters())


# -- what it returns


def test_rows_are_plain_data() -> None:
    masks = blobs(1, 2, 3)
    table = tl.probe(Net(), [masks[:, None]], [masks])
    text = io.StringIO()
    writer = csv.DictWriter(text, table.rows[0])
    writer.writeheader()
    writer.writerows(table.rows)
    read = list(csv.DictReader(text.getvalue().splitlines()))
    assert [found["layer"] for found in read] == [found["layer"] for found in table.rows]
    assert {type(cell) for found in table.rows for cell in found.values()} <= {str, int, float, type(None)}


def test_it_is_frozen() -> None:
    table = tl.probe(Net(), [torch.rand(2, 1, 8, 8)])
    with pytest.raises(AttributeError):
        table.k = 3  # type: ignore[misc]
