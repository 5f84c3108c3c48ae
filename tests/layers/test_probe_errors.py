"""What the probe refuses, in which words."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import topolayer as tl

from ..helpers.probed import Net, Shows, blobs

X = torch.rand(2, 1, 8, 8)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": "net"}, TypeError, "model: expected a torch.nn.Module, got str"),
        ({"batches": X}, TypeError, r"batches: .* got Tensor; a single batch is \[batches\]"),
        ({"batches": X[0]}, TypeError, r"got Tensor; .* \[batches\], a single image \[batches\[None\]\]"),
        ({"batches": 3}, TypeError, "batches: .* got int"),
        ({"batches": []}, ValueError, "batches: expected at least one batch"),
        ({"batches": [X[:0]]}, ValueError, "batches: expected at least one batch with an image"),
        ({"batches": [7]}, TypeError, "batches: expected tensors, .* got int"),
        ({"masks": blobs(1, 2)}, TypeError, r"masks: .* got Tensor"),
        ({"masks": X[0, 0]}, TypeError, r"got Tensor; .* a single image \[masks\[None\]\]"),
        ({"masks": [torch.tensor([[[0, 1, 2]]] * 2)]}, ValueError, "mask == c the mask of one class$"),
        ({"masks": []}, ValueError, "masks: expected as many as batches"),
        ({"masks": [blobs(1, 2)] * 2}, ValueError, "masks: expected as many as batches"),
        ({"masks": [blobs(1, 2, 3)]}, ValueError, "masks: expected one for each of 2 images of a batch, got 3"),
        ({"masks": [np.zeros((2, 8, 8))]}, TypeError, "masks: expected a torch.Tensor, got ndarray; .*as_tensor"),
        ({"masks": [torch.zeros(2, 3, 8, 8)]}, ValueError, r"masks: expected shape .* got \(2, 3, 8, 8\)"),
        ({"masks": [torch.zeros(2, 8)]}, ValueError, r"masks: expected shape .* got \(2, 8\)"),
        ({"masks": [torch.full((2, 8, 8), 255)]}, ValueError, "masks: expected bool, or zeros and ones"),
        ({"masks": [torch.full((2, 8, 8), torch.nan)]}, ValueError, "masks: expected bool, or zeros and ones"),
        ({"layers": "dec"}, TypeError, r"layers: expected several names, got one string; use \['dec'\]"),
        ({"layers": ["decoder"]}, ValueError, "layers: the model has no layer 'decoder'; the nearest .*'dec'"),
        ({"layers": 3}, TypeError, "layers: expected names of layers, got int; None means all"),
        ({"layers": True}, TypeError, "layers: expected names of layers, got bool; None means all"),
        ({"layers": torch.tensor([0])}, TypeError, "layers: expected names of layers, got Tensor; None means all"),
        ({"layers": []}, ValueError, "layers: expected at least one name, got none; None means all"),
        ({"batches": X.numpy()}, TypeError, "batches: expected tensors, .* got ndarray; .*as_tensor"),
        ({"batches": (X, X > 0.5)}, ValueError, r"batches: .*bool; for a pair \(x, y\), pass \[x\], and masks=\[y\]"),
        ({"batches": [X, torch.tensor([0, 1])]}, ValueError, r"batches: .*\(2,\).*int64; for a pair"),
        ({"batches": [X, torch.rand(2, 3, 8, 8)]}, ValueError, r"batches: .*\(2, 3, 8, 8\).*; for a pair"),
        ({"masks": [blobs(1, 2).to("meta")]}, TypeError, "masks: expected a dense tensor with data, got a meta"),
        ({"masks": [blobs(1, 2).byte() * 255]}, ValueError, "such as 255; .* mask > 127 of shades of grey"),
        ({"layers": [3]}, ValueError, "layers: the model has no layer 3"),
        ({"grids": 3}, TypeError, "grids: expected a function, got int"),
        ({"grids": lambda h: (h,)}, ValueError, "grids returns a tuple, not a tensor"),
        ({"prominence": "0.1"}, TypeError, "prominence: expected a number, got str"),
        ({"prominence": 1.0}, ValueError, "prominence: expected a share of the range, >= 0 and < 1, got 1.0"),
        ({"prominence": math.nan}, ValueError, "prominence: .* got nan"),
        ({"repeats": 0}, ValueError, "repeats: expected an int >= 1, got 0"),
        ({"repeats": 1.0}, TypeError, "repeats: expected an int, got float"),
    ],
)
def test_bad_input(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments: dict[str, Any] = {"model": Net(), "batches": [X], "masks": None} | changes
    with pytest.raises(error, match=message):
        tl.probe(**arguments)


def pairs(images: int = 4) -> torch.utils.data.DataLoader[Any]:
    """Lists [x, y], as a DataLoader makes them."""
    data = torch.utils.data.TensorDataset(torch.rand(images, 1, 8, 8), torch.rand(images, 1, 8, 8) < 0.1)
    return torch.utils.data.DataLoader(data, batch_size=2)


@pytest.mark.parametrize(
    ("batches", "masks", "message"),
    [
        (
            pairs,
            None,
            r"got a list of a tensor of shape \(2, 1, 8, 8\), a tensor .*; "
            "a list is one argument; if batches are pairs",
        ),
        (
            lambda: [tuple(pair) for pair in pairs()],
            None,
            r"a tuple holds positional arguments; if batches are pairs \(x, y\), pass",
        ),
        (lambda: [([x], y) for x, y in pairs()], None, "pairs .*, pass images and masks apart"),
        (lambda: [{"image": x, "label": y} for x, y in pairs()], None, r"with 'image', 'label'.* batch\[\"image\"\]"),
        (
            lambda: pairs(6),
            [blobs(1, 2, 3)] * 3,
            "masks: .* 2 images .*, got 3; a list is one argument; if batches are pairs",
        ),
        (lambda: [torch.rand(3, 8, 8)], None, r"got a tensor of shape \(3, 8, 8\), .* \(C, H, W\) .* image\[None\]"),
        (lambda: [torch.rand(1, 8, 8)], None, r"\(C, H, W\) gets its batch axis by image\[None\]"),
        (lambda: [torch.rand(8, 8)], None, r"batch axis by image\[None\]"),
        (lambda: [torch.rand(3, 8, 8)], [blobs(1)], r"masks: .* 3 images .*, got 1; a single image .* image\[None\]"),
    ],
)
def test_what_was_meant_is_said(batches: Callable[[], Any], masks: Any, message: str) -> None:
    """Instead of the error of the first convolution."""
    with pytest.raises(ValueError, match=message):
        tl.probe(Net(), batches(), masks)


def test_the_remedy_for_pairs_works() -> None:
    """It goes through the loader once: shuffled, it gives another order each time."""
    images, masks = zip(*pairs(8), strict=True)
    assert tl.probe(Net(), images, masks).images == 8


def test_arrays_beside_masks() -> None:
    with pytest.raises(ValueError, match=r"^batches: expected what the model takes, got ndarray.*torch\.as_tensor"):
        tl.probe(Net(), [X.numpy()], [blobs(1, 2)])


def test_two_batches_that_are_no_pair() -> None:
    assert tl.probe(Net(), (X, X[:1])).images == 3


@pytest.mark.filterwarnings("ignore:.torch.jit.* is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.torch.jit.* is deprecated:FutureWarning")
def test_a_scripted_model() -> None:
    with pytest.raises(ValueError, match=r"^model: .*got a scripted module; take the model before torch\.jit\.script"):
        tl.probe(torch.jit.script(nn.Sequential(nn.Conv2d(1, 2, 3))), [X])


def test_one_photograph_through_layers_that_take_it() -> None:
    """A convolution without batch normalization does not mind, and what it returns is not a grid."""
    with pytest.raises(ValueError, match=r"\(4, 6, 6\) is not a grid .*; a single image .* image\[None\]"):
        tl.probe(nn.Sequential(nn.Conv2d(3, 4, 3)), [torch.rand(3, 8, 8)])


def test_the_models_own_error_otherwise() -> None:
    def fails(x: Tensor) -> Tensor:
        raise RuntimeError("out of coffee")

    with pytest.raises(RuntimeError, match=r"^out of coffee$"):
        tl.probe(Shows(layer=fails), [X])


def test_numbers_of_numpy_are_numbers() -> None:
    table = tl.probe(Net(), [X], prominence=np.float32(0.5), repeats=np.int64(2))  # type: ignore[arg-type]
    assert table.prominence == 0.5
