"""The network: names, shapes, and the sizes it cannot take."""

from __future__ import annotations

import pytest
import torch

from experiments.shared.unet import LAYERS, UNet, side_of


def test_layers_are_named_as_in_the_paper() -> None:
    names = (
        "enc1",
        "enc2",
        "enc3",
        "enc4",
        "enc5",
        "enc6",
        "bottleneck",
        "dec6",
        "dec5",
        "dec4",
        "dec3",
        "dec2",
        "dec1",
    )
    assert names == LAYERS


@pytest.mark.parametrize("size", [(64, 64), (128, 64)])
def test_shapes_of_all_layers(size: tuple[int, int]) -> None:
    network = UNet(width=2)
    shapes: dict[str, torch.Size] = {}
    for layer in LAYERS:
        network.get_submodule(layer).register_forward_hook(
            lambda module, inputs, output, layer=layer: shapes.update({layer: output.shape})
        )
    output = network(torch.randn(2, 3, *size))
    assert output.shape == (2, 1, *size)
    assert (output >= 0).all() and (output <= 1).all()
    for layer in LAYERS:
        depth = 6 if layer == "bottleneck" else int(layer[-1]) - 1
        assert shapes[layer] == (2, 2 * 2**depth, *(side_of(layer, side) for side in size)), layer


def test_width_is_that_of_the_first_phase() -> None:
    assert UNet(width=3).get_submodule("enc1")[0].out_channels == 3


@pytest.mark.parametrize("size", [(96, 64), (64, 100), (32, 32)])
def test_sides_that_six_halvings_cannot_take_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"multiples of 64.*resize"):
        UNet(width=2)(torch.zeros(2, 3, *size))


def test_one_pixel_in_the_bottleneck_needs_more_than_one_image() -> None:
    network = UNet(width=2)
    with pytest.raises(ValueError, match="batch of two or larger images"):
        network(torch.zeros(1, 3, 64, 64))
    network(torch.zeros(1, 3, 64, 128))
    assert network.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 1, 64, 64)
