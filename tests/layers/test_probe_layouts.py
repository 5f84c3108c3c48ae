"""What the probe takes for a grid of channels: signs that an activation is none, and what the caller says of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import topolayer as tl

from ..helpers.probed import Shows, blobs, row


@pytest.fixture(autouse=True)
def _seeded(seeded: None) -> None:
    """Weights and images are the same in each test."""


def filled(*shape: int) -> Callable[[Tensor], Tensor]:
    """A layer that returns numbers of this shape for each image."""
    return lambda x: torch.rand(len(x), *shape)


# -- signs


@pytest.mark.parametrize(
    ("image", "shape"),
    [
        ((3, 32, 32), (8, 8, 32)),
        ((3, 32, 32), (32, 32, 8)),
        ((3, 32, 32), (4, 4, 8)),
        ((3, 24, 32), (6, 8, 32)),
        ((3, 32, 24), (8, 6, 32)),
        ((32, 32, 3), (8, 8, 32)),
        ((3, 64, 64), (12, 65, 16)),  # heads of attention to 64 tokens and a class token
        ((3, 64, 64), (12, 65, 17)),  # attention from tokens to other ones
        ((1, 8, 16, 16), (8, 16, 16, 5)),
        ((3, 16, 16), (4, 4, 8, 8)),  # windows: no volume, as the images are none
    ],
)
def test_other_proportions_are_no_grid(image: tuple[int, ...], shape: tuple[int, ...]) -> None:
    x = torch.rand(2, *image)
    table = tl.probe(
        Shows(odd=filled(*shape), grid=lambda x: x[..., :1, :, :]), [x], layers=["odd", "grid"], grids=kept
    )
    assert [found["layer"] for found in table.rows] == ["grid"]
    assert "not have the proportions of the images" in table.skipped["odd"] and "grids" in table.skipped["odd"]
    assert "1 has no row because it does not look like a grid" in str(table)


def kept(h: Tensor, name: str) -> Tensor:
    return h[:] if name == "grid" else h


@pytest.mark.parametrize(
    ("image", "shape"),
    [
        ((3, 32, 32), (5, 8, 8)),
        ((3, 31, 33), (5, 2, 3)),  # rounded
        ((3, 24, 32), (5, 96, 128)),
        ((3, 24, 32), (5, 8, 16)),  # sixteen pixels lost to convolutions
        ((3, 572, 300), (5, 194, 58)),  # the same at half the resolution
        ((3, 100, 150), (5, 64, 96)),
        ((1, 8, 16, 24), (5, 8, 4, 6)),  # a volume that is coarser along some axes
        ((1, 8, 16, 24), (5, 8, 12)),  # its slices
        ((32, 24, 3), (5, 8, 6)),
        ((7, 9), (5, 4, 4)),  # no images to compare with
    ],
)
def test_what_has_the_proportions_is_a_grid(image: tuple[int, ...], shape: tuple[int, ...]) -> None:
    table = tl.probe(Shows(grid=filled(*shape)), [torch.rand(2, *image)])
    assert [found["layer"] for found in table.rows] == ["grid"]


@pytest.mark.parametrize("batch", [lambda x: (torch.tensor(1), x), lambda x: {"x": x}, lambda x: [*x]])
def test_images_are_found_in_any_batch(batch: Callable[[Tensor], Any]) -> None:
    class Takes(Shows):
        def forward(self, *args: Any, x: Any = None) -> None:  # type: ignore[override]
            for layer in self.children():
                layer(torch.zeros(2))

    model = Takes(last=filled(8, 8, 32), grid=filled(32, 8, 8))
    table = tl.probe(model, [batch(torch.rand(2, 3, 16, 16))])
    assert [found["layer"] for found in table.rows] == ["grid"]


def test_masks_have_the_proportions_too() -> None:
    """A generator makes images of noise."""
    model = Shows(last=filled(8, 8, 32), grid=filled(32, 8, 8))
    table = tl.probe(model, [torch.rand(4, 5)], [blobs(1, 2, 3, 4)])
    assert [found["layer"] for found in table.rows] == ["grid"]


class Swin(nn.Module):
    """Channels first, then last: as many as there are rows and columns, so that proportions tell nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.norm = nn.LayerNorm(8)
        self.mlp = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Dropout(0.1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.patches(x).movedim(1, -1)
        return (h + self.mlp(self.norm(h))).sum(-1, keepdim=True).movedim(-1, 1)


def test_channels_last_of_any_number() -> None:
    """8 x 8 with 16 channels would be told from the proportions, 8 x 8 with 8 only from the layers that are like it."""
    table = tl.probe(Swin(), [torch.rand(2, 3, 32, 48)])
    assert [found["layer"] for found in table.rows] == ["patches", ""]
    assert "Linear returns this shape, (2, 8, 12, 8), with channels on the last axis" in table.skipped["mlp"]
    square = tl.probe(Swin(), [torch.rand(2, 3, 32, 32)])
    assert [found["layer"] for found in square.rows] == [""]
    assert all("last axis" in square.skipped[name] for name in ("norm", "mlp", "mlp.0", "patches"))


def moved(h: Tensor, name: str) -> Tensor:
    """One model, two layouts."""
    return h.movedim(-1, 1) if name.startswith(("norm", "mlp")) else h[:]


def test_the_caller_knows_the_layout_by_the_name() -> None:
    x = torch.rand(2, 3, 32, 32)
    table = tl.probe(Swin(), [x], grids=moved)
    assert [found["layer"] for found in table.rows] == ["patches", "norm", "mlp.0", "mlp", ""]
    assert [(found["resolution"], found["channels"]) for found in table.rows] == [("8x8", 8)] * 4 + [("8x8", 1)]


class Attention(nn.Module):
    """Tokens of 4 heads with 8 numbers each, and their weights: as many as there are tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Linear(48, 32)
        self.heads, self.weights, self.scaled = nn.Identity(), nn.Softmax(dim=-1), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.tokens(x.unfold(2, 4, 4).unfold(3, 4, 4).movedim(1, 3).flatten(3).flatten(1, 2))
        q = self.heads(h.unflatten(-1, (4, 8)).transpose(1, 2))
        weights = self.scaled(self.weights(q @ q.mT) * 1)
        return (weights @ q).transpose(1, 2).flatten(2)


def test_attention_is_no_grid() -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), Attention())
    table = tl.probe(model, [torch.rand(2, 3, 16, 16)])
    assert [found["layer"] for found in table.rows] == ["0"]
    assert "4 heads of attention to 16 tokens of 32 channels" in table.skipped["1.heads"]
    assert "rows that sum to 1: weights of attention" in table.skipped["1.weights"]
    assert "weights of attention" in table.skipped["1.scaled"]


# -- what the caller says


@pytest.mark.parametrize(
    "grids",
    [
        lambda h: h.movedim(-1, 1),
        lambda h, name: h.movedim(-1, 1),
        lambda h, axis=-1: h.movedim(axis, 1),
        partial(torch.movedim, source=-1, destination=1),
        lambda *args: args[0].movedim(-1, 1),
    ],
    ids=["activation", "and name", "default", "written in C", "any"],
)
def test_functions_with_and_without_the_name(grids: Any) -> None:
    found = row(tl.probe(Shows(last=filled(8, 8, 32)), [torch.rand(2, 3, 32, 32)], grids=grids), "last")
    assert (found["resolution"], found["channels"]) == ("8x8", 32)


def test_the_caller_is_taken_at_its_word() -> None:
    model = Shows(odd=filled(8, 8, 32))
    words = r"model: expected a layer .* 8x32 does not have the proportions .* 32x32.*h\[:\]"
    with pytest.raises(ValueError, match=words):
        tl.probe(model, [torch.rand(2, 3, 32, 32)])
    found = row(tl.probe(model, [torch.rand(2, 3, 32, 32)], grids=lambda h: h[:]), "odd")
    assert (found["resolution"], found["channels"]) == ("8x32", 8)


@pytest.mark.parametrize(
    ("grids", "error", "message"),
    [
        (lambda a, b, c: a, TypeError, "grids: .* the name of its layer, got one that needs 3 arguments; .*partial"),
        (7, TypeError, "grids: expected a function, got int; such as lambda h, name"),
        (lambda h, name: None, ValueError, "grids returns a NoneType, not a tensor"),
        (lambda h: h[0], ValueError, r"\(8, 8, 32\) is not a grid"),
    ],
)
def test_bad_functions(grids: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tl.probe(Shows(last=filled(8, 8, 32)), [torch.rand(2, 3, 32, 32)], grids=grids)
