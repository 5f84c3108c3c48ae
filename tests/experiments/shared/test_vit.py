"""The vision transformer: attention against a sum over tokens, positions, the first prediction, the sizes it takes."""

from __future__ import annotations

import math

import pytest
import torch

from experiments.shared.vit import HEADS, LAYERS, Block, ViT, check_side, positions


def test_a_block_mixes_tokens_as_softmax_of_their_products_says() -> None:
    torch.manual_seed(0)
    block, x = Block(8), torch.randn(1, 8, 2, 3)
    tokens = [x[0, :, row, column] for row in range(2) for column in range(3)]
    parts = [block.queries_keys_values(block.before_attention(token)) for token in tokens]
    wanted = []
    for token, part in zip(tokens, parts, strict=True):
        found = []
        for head in range(HEADS):
            channels = slice(2 * head, 2 * head + 2)
            query = part[:8][channels]
            products = torch.stack([query @ other[8:16][channels] for other in parts]) / math.sqrt(2)
            weights = products.softmax(0)
            found.append(sum(weight * other[16:][channels] for weight, other in zip(weights, parts, strict=True)))
        token = token + block.joined(torch.cat(found))
        wanted.append(token + block.perceptron(block.before_perceptron(token)))
    assert torch.allclose(block(x)[0].flatten(1).T, torch.stack(wanted), atol=1e-5)


def test_no_two_places_are_alike() -> None:
    places = positions(16, 12, 20).flatten(1).T
    assert torch.cdist(places, places).add(torch.eye(len(places)) * 9).min() > 0.1
    assert torch.equal(positions(16, 12, 20)[:, :5, :7], positions(16, 5, 7))


def test_the_first_prediction_is_near_the_prior() -> None:
    torch.manual_seed(0)
    with torch.inference_mode():
        assert float(ViT(4, prior=0.1)(torch.randn(2, 3, 16, 16)).mean()) == pytest.approx(0.1, abs=0.05)


def test_what_a_patch_predicts_lies_where_the_patch_is() -> None:
    network = ViT(2)
    torch.nn.init.zeros_(network.output.weight)
    with torch.no_grad():
        network.output.bias.copy_(torch.arange(16.0) - 8)
    seen = network(torch.zeros(1, 3, 8, 4)).logit()[0, 0]
    assert torch.allclose(seen, (torch.arange(16.0) - 8).view(4, 4).repeat(2, 1), atol=1e-4)


def test_layers_are_maps_of_a_quarter_of_the_sides() -> None:
    network, shapes = ViT(2), {}
    for layer in LAYERS:
        network.get_submodule(layer).register_forward_hook(
            lambda module, inputs, output, layer=layer: shapes.update({layer: tuple(output.shape)})
        )
    assert network(torch.randn(2, 3, 12, 20)).shape == (2, 1, 12, 20)
    assert shapes == dict.fromkeys(LAYERS, (2, 8, 3, 5))
    with pytest.raises(ValueError, match=r"--size 30: .* multiples of 4"):
        check_side(30)
