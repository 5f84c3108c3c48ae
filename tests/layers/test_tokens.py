"""Tokens of a vision transformer as a grid: in themselves, in the probe and in the regularizer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import topolayer as tl


@pytest.fixture(autouse=True)
def _seeded(seeded: None) -> None:
    """Weights and images are the same in each test."""


@pytest.mark.parametrize("grid", [(3, 5), (2, 3, 4)])
@pytest.mark.parametrize("class_tokens", [0, 1, 5])
def test_tokens_go_back_to_their_patches(grid: tuple[int, ...], class_tokens: int) -> None:
    """As a transformer makes tokens of patches: flattened, channels last, after the class tokens."""
    patches = torch.rand(2, 7, *grid)
    tokens = torch.cat([torch.rand(2, class_tokens, 7), patches.flatten(2).transpose(1, 2)], dim=1)
    assert torch.equal(tl.tokens_to_grid(tokens, grid=grid, class_tokens=class_tokens), patches)


def test_a_square_needs_no_grid() -> None:
    assert tl.tokens_to_grid(torch.rand(2, 17, 3, dtype=torch.float16), class_tokens=1).shape == (2, 3, 4, 4)


def test_numbers_of_numpy_are_numbers() -> None:
    """As a shape computed with NumPy has them."""
    grid, one = tuple(np.array([3, 5])), np.int64(1)
    assert tl.tokens_to_grid(torch.rand(2, 16, 7), grid=grid, class_tokens=one).shape == (2, 7, 3, 5)  # type: ignore[arg-type]


def test_gradients_go_back_to_the_tokens() -> None:
    tokens = torch.rand(2, 10, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda h: tl.few_maxima(tl.tokens_to_grid(h, class_tokens=1), k=1), tokens)


X = torch.zeros(2, 17, 3)


@pytest.mark.parametrize(
    ("h", "options", "error", "message"),
    [
        ([[0.0]], {}, TypeError, "h: expected a torch.Tensor, got list"),
        (X[0], {}, ValueError, r"h: expected tokens of shape \(B, N, C\), got \(17, 3\); .*h\[None\]"),
        (X[:, 1:].unflatten(1, (4, 4)), {}, ValueError, r"got \(2, 4, 4, 3\); .* channels last .* h.movedim\(-1, 1\)"),
        (X, {}, ValueError, "17 tokens .* got 4 x 4; .* class_tokens=1: the other 16 tokens make a square"),
        (
            X[:, 2:],
            {},
            ValueError,
            r"15 tokens \(0 of 15 left out\), got 3 x 3; give grid=\(H, W\) or, .*, \(D, H, W\)$",
        ),
        (
            torch.zeros(2, 261, 3),
            {},
            ValueError,
            r"class_tokens=5 \(a class and register tokens\): the other 256 .* square",
        ),
        (torch.zeros(2, 20, 3), {}, ValueError, r"class_tokens=4 \(a class and register tokens\): the other 16"),
        (torch.zeros(2, 53, 3), {"grid": (6, 8)}, ValueError, "class_tokens=5 .*: the other 48 tokens make 6 x 8"),
        (
            torch.zeros(2, 29, 3),
            {"grid": (2, 3, 4)},
            ValueError,
            "class_tokens=5 .*: the other 24 tokens make 2 x 3 x 4",
        ),
        (torch.zeros(2, 16, 3), {"class_tokens": 1}, ValueError, "class_tokens=0: the other 16 tokens make a square"),
        (
            torch.zeros(2, 27, 3),
            {},
            ValueError,
            r"got 5 x 5; .*\(D, H, W\), such as \(3, 3, 3\), as 27 tokens make a cube",
        ),
        (torch.zeros(2, 217, 3), {"class_tokens": 1}, ValueError, r"\(6, 6, 6\), as 216 tokens make a cube$"),
        (X, {"grid": (4, 4)}, ValueError, "class_tokens=1: the other 16"),
        (X, {"grid": (4, 5), "class_tokens": 1}, ValueError, r"16 tokens \(1 of 17 left out\), got 4 x 5"),
        (X, {"grid": (17,)}, ValueError, r"grid: expected \(H, W\) .* got \(17,\)"),
        (X, {"grid": (-4, -4), "class_tokens": 1}, ValueError, r"grid: expected \(H, W\)"),
        (X, {"grid": {4}}, TypeError, r"grid: expected ints \(H, W\), .* got set, which has no order"),
        (X, {"grid": "4x4"}, TypeError, r"grid: expected ints \(H, W\), .* got str '4x4'; divide"),
        (X, {"grid": 4}, ValueError, r"grid: expected \(H, W\) .* got \(4,\)"),
        (X[:, :1], {"grid": (True, True)}, TypeError, r"grid: expected ints .* got bool True"),
        (X, {"grid": (4.0, 4.0), "class_tokens": 1}, TypeError, r"grid: expected ints .* got float 4.0"),
        (X, {"grid": ()}, ValueError, r"grid: expected \(H, W\) .* got \(\)"),
        (
            X,
            {"class_tokens": 17},
            ValueError,
            "class_tokens: expected an int >= 0 and <= 16, got 17; of the 17 tokens",
        ),
        (X, {"class_tokens": -1}, ValueError, "class_tokens: .* got -1"),
        (X, {"class_tokens": True}, TypeError, "class_tokens: expected an int, got bool"),
    ],
)
def test_bad_input(h: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tl.tokens_to_grid(h, **options)


def test_a_grid_is_any_sequence_of_integers() -> None:
    h = torch.rand(2, 12, 3)
    expected = tl.tokens_to_grid(h, grid=(3, 4))
    for grid in ([3, 4], torch.Size([3, 4]), np.array([3, 4]), torch.tensor([3, 4]), (np.int64(3), 4)):
        assert torch.equal(tl.tokens_to_grid(h, grid=grid), expected)


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch's: nested tensors are young
def test_tokens_whose_numbers_are_elsewhere() -> None:
    h = torch.rand(2, 4, 3)
    for wrong, words in (
        (torch.nested.nested_tensor([h[0], h[1, :2]]), "nested"),
        (h.to_sparse(), "to_dense"),
        (h.to("meta"), "meta"),
    ):
        with pytest.raises(TypeError, match=rf"^h: expected .*{words}"):
            tl.tokens_to_grid(wrong)


@pytest.fixture
def vit() -> torch.nn.Module:
    """torchvision's, with 8 x 8 patches, a class token and two layers."""
    pytest.importorskip("lightning_fabric", reason="needs the extra `experiments`")
    from topolayer.metrics.torchvision import import_torchvision

    import_torchvision()
    from torchvision.models import VisionTransformer

    return VisionTransformer(  # type: ignore[no-any-return]
        image_size=32, patch_size=4, num_layers=2, num_heads=2, hidden_dim=12, mlp_dim=24, num_classes=3
    )


def grids(h: Tensor) -> Tensor:
    return tl.tokens_to_grid(h, class_tokens=1) if h.ndim == 3 else h


def test_the_probe_on_a_vision_transformer(vit: torch.nn.Module) -> None:
    images, masks = torch.rand(6, 3, 32, 32), torch.rand(6, 32, 32) < 0.1
    table = tl.probe(vit, [images[:3], images[3:]], [masks[:3], masks[3:]], grids=grids)
    rows = {row["layer"]: row for row in table.rows}
    assert {"conv_proj", "encoder.layers.encoder_layer_0", "encoder.layers", "encoder"} <= set(rows)
    assert "that of 'encoder.layers'" in table.skipped["encoder.layers.encoder_layer_1"]
    assert {(row["resolution"], row["maxima"] >= 1) for row in rows.values()} == {("8x8", True)}
    assert {row["channels"] for row in rows.values()} == {12, 24}  # 24 within the perceptrons
    assert "returns tuple" in table.skipped["encoder.layers.encoder_layer_0.self_attention"]
    assert "(3, 3)" in table.skipped["heads"]
    assert table.images == 6


def test_without_the_function_the_remedy_is_named(vit: torch.nn.Module) -> None:
    with pytest.raises(ValueError, match=r"\(2, 65, 12\) is not a grid.*topolayer.tokens_to_grid"):
        tl.probe(vit, [torch.rand(2, 3, 32, 32)], layers=["encoder.layers.encoder_layer_0"])


def test_the_regularizer_on_a_vision_transformer(vit: torch.nn.Module) -> None:
    images, layer = torch.rand(3, 3, 32, 32), "encoder.layers.encoder_layer_1"
    with tl.Regularizer(vit, {layer: lambda h: tl.few_maxima(grids(h), k=2)}) as regularizer:
        vit(images)
        before = regularizer()
        before.backward()
        assert before > 0
        with torch.no_grad():
            for parameter in vit.parameters():
                if parameter.grad is not None:
                    parameter -= 1e-3 * parameter.grad
        vit(images)
        assert regularizer() < before
    assert vit.conv_proj.weight.grad is not None and vit.conv_proj.weight.grad.any()
