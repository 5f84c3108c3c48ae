"""The table as text, and what it recommends: nothing that does not beat chance."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import topolayer as tl

from ..helpers.probed import Net, Shows, blobs, row


@pytest.fixture(autouse=True)
def _seeded(seeded: None) -> None:
    """Weights and images are the same in each test."""


def names(text: str) -> list[str]:
    """The layers of a printed table."""
    lines = text.splitlines()
    return [line.split("  ")[0] for line in lines[1 : next(i for i, s in enumerate(lines) if "images. Prom" in s)]]


@pytest.mark.parametrize("with_masks", [False, True])
def test_it_prints_as_a_table(with_masks: bool) -> None:
    masks = blobs(1, 2, 3)
    table = tl.probe(Net(), [masks[:, None]], [masks] if with_masks else None)
    lines = str(table).splitlines()
    assert lines[0].split()[:3] == ["layer", "resolution", "channels"]
    assert ("correlation" in lines[0]) == ("ecommended" in lines[-1]) == with_masks
    assert set(names(str(table))) == {"enc.0", "enc", "dec.0", "dec", "(the model)"}
    assert len({line.index("16x16") for line in lines[1:6]}) == 1
    assert repr(table) == str(table) == table.to_string()


def mobile(layers: int = 12) -> nn.Module:
    """As many layers, coarser and coarser, and four of 1 x 1 and 2 x 2."""
    grids = {f"layer{n}": lambda x, n=n: torch.rand(len(x), 3, 6 + n, 6 + n) for n in range(layers)}
    small = {f"small{n}": lambda x, n=n: torch.rand(len(x), 3, n, n) for n in (1, 2, 3, 4)}
    return Shows(**grids, **small)


def test_ten_layers_with_enough_pixels() -> None:
    """Without masks those with the most maxima come first."""
    table = tl.probe(mobile(), [torch.rand(4, 1, 24, 24)])
    assert names(str(table)) == [f"layer{n}" for n in range(11, 1, -1)]
    assert "4 more have so few pixels that they cannot have more than 8 maxima." in str(table)
    assert "2 more are not shown: print(table.to_string(None)) has all." in str(table)
    assert names(table.to_string(3)) == ["layer11", "layer10", "layer9"]
    everything = table.to_string(None)
    assert len(names(everything)) == len(table.rows) == 16 and "more " not in everything.split("images.")[1][90:]
    assert [found["layer"] for found in table.rows][:2] == ["layer0", "layer1"]  # as they ran


def test_few_pixels_are_fewer_where_k_is_smaller() -> None:
    masks = blobs(*[1, 2] * 12, side=8)
    model = Shows(
        grid=lambda x: x + 0.1 * torch.rand_like(x), small=lambda x: x[..., ::2, ::2], one=lambda x: x[..., :1, :1]
    )
    table = tl.probe(model, [masks[:, None]], [masks])
    assert table.k == 2
    assert set(names(str(table))) == {"grid", "small"}
    assert "1 more has so few pixels that it cannot have more than 2 maxima." in str(table)


def test_the_usual_k_is_that_of_few_maxima() -> None:
    assert inspect.signature(tl.few_maxima).parameters["k"].default == 8


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (2, 3), (3, 3), (4, 4), (1, 5), (2, 2, 2)])
def test_no_grid_has_more_maxima_than_every_second_pixel(shape: tuple[int, ...]) -> None:
    """The bound by which layers are left out, on noise."""
    barcode = tl.persistence(tl.Freudenthal(torch.rand(500, *shape), ndim=len(shape), superlevel=True))
    maxima = 1 + barcode.sum(torch.ones_like(barcode.dims))
    assert maxima.max() <= (math.prod(shape) + 1) // 2


@pytest.mark.parametrize(("most", "error"), [(0, ValueError), (-1, ValueError), (2.0, TypeError), (True, TypeError)])
def test_bad_numbers_of_rows(most: Any, error: type[Exception]) -> None:
    table = tl.probe(Net(), [torch.rand(2, 1, 8, 8)])
    with pytest.raises(error, match=f"most: expected an int .* got {most}; None shows all layers"):
        table.to_string(most)


# -- chance


def rippled(x: Tensor) -> Tensor:
    return x + 0.1 * torch.rand_like(x)


def test_nothing_is_recommended_by_chance() -> None:
    """Thirty layers that know nothing of twenty masks: the best of them follows nevertheless."""
    masks = blobs(*[1 + n % 6 for n in range(20)])
    model = Shows(**{f"layer{n}": lambda x: rippled(x[torch.randperm(len(x))]) for n in range(30)})
    table = tl.probe(model, [masks[:, None]], [masks], repeats=1)
    assert table.chance == pytest.approx(math.sqrt(2 * math.log(30) / 19))
    assert max(found["correlation"] for found in table.rows) > 0.2  # type: ignore[type-var, operator]
    assert (table.layer, table.k) == (None, None)
    assert {found["why_not"] for found in table.rows} == {"chance"}
    last = str(table).splitlines()[-1]
    assert last.startswith("Nothing is recommended. Best correlation: ")
    assert last.endswith("Take more images, with different numbers of components.")


def test_what_beats_chance_is_recommended_and_ranked() -> None:
    masks = blobs(*[1 + n % 6 for n in range(20)])
    others = {f"layer{n}": lambda x: rippled(x[torch.randperm(len(x))]) for n in range(5)}
    table = tl.probe(Shows(**others, good=rippled, flat=torch.ones_like), [masks[:, None]], [masks], repeats=1)
    assert table.layer == "good" and row(table, "good")["rank"] == 1
    assert row(table, "flat")["why_not"] == "few maxima"
    assert all((found["rank"] is None) == (found["why_not"] is not None) for found in table.rows)
    assert names(str(table))[0] == "good"
    assert "Recommended: layer 'good' with k = 6. Best correlation: 1.00; the best of 6 unrelated" in str(table)


def test_two_images_are_chance() -> None:
    masks = blobs(1, 2)
    table = tl.probe(Shows(layer=rippled), [masks[:, None]], [masks])
    assert row(table, "layer")["correlation"] == pytest.approx(1) and table.layer is None
