"""The networks: names, resolutions, range, weights."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import topolayer as tl
from experiments.depth.depthset import Sensor
from experiments.depth.networks import DenseDepth, Head, UNet, resolutions
from experiments.shared.encoders import make_encoder, small

SENSOR = Sensor(0.6, 350.0, (0.6, 350.0))
BUILD = {"unet": UNet, "densedepth": DenseDepth}


@pytest.mark.parametrize(("name", "second", "last"), [("unet", "dec4", (384, 512)), ("densedepth", "dec3", (192, 256))])
def test_resolutions_are_those_of_the_paper(name: str, second: str, last: tuple[int, int]) -> None:
    network = BUILD[name](small(1), SENSOR, start=10.0)
    found = resolutions(network, (384, 512))
    assert network.decoder[1] == second
    assert found[second][1:] == (48, 64)
    assert found["dec1"][1:] == last
    assert found["output"] == (1, 384, 512)
    assert found["encoder.stage5"][1:] == (12, 16)
    assert list(found) == [*network.layers, "output"]
    assert network.training


@pytest.mark.parametrize("name", BUILD)
def test_the_probe_tables_all_layers(name: str) -> None:
    network = BUILD[name](small(1), SENSOR, start=10.0)
    table = tl.probe(network, [torch.rand(2, 3, 64, 96)], layers=network.layers)
    found = resolutions(network, (64, 96))
    assert {row["layer"]: row["resolution"] for row in table.rows} == {
        layer: f"{found[layer][1]}x{found[layer][2]}" for layer in network.layers
    }


def test_the_networks_of_the_paper() -> None:
    """U-Net on a ResNet-50 and DenseDepth on a DenseNet-161, whose decoder starts with half of 2208 channels."""
    with torch.device("meta"):
        unet = UNet(make_encoder("resnet50"), SENSOR, start=10.0)
        dense = DenseDepth(make_encoder("densenet161"), SENSOR, start=10.0)
        shapes = {}
        for network in (unet, dense):
            for layer in network.decoder:
                network.get_submodule(layer).register_forward_hook(
                    lambda module, inputs, output, key=(network, layer): shapes.update({key: output.shape[1]})
                )
            network.head = torch.nn.Identity()  # autocast, which it switches off, knows no meta device
            network.eval()(torch.zeros(1, 3, 64, 64))
    assert [shapes[unet, layer] for layer in unet.decoder] == [256, 128, 64, 32, 16]
    assert [shapes[dense, layer] for layer in dense.decoder] == [552, 276, 138, 69]


@pytest.mark.parametrize("map", ["log", "linear"])
def test_predictions_are_within_the_sensors_range(map: Any) -> None:
    head = Head(2, SENSOR, map=map, start=20.0)
    with torch.no_grad():
        head.output.weight.zero_()
        assert head(torch.zeros(1, 2, 3, 3)).flatten().tolist() == pytest.approx([20] * 9, rel=1e-4)
        head.output.weight[:, :, 1, 1] = 1
    x = torch.linspace(-60, 60, 50).expand(1, 2, 3, 50)
    depth = head(x)
    ends = torch.tensor([SENSOR.nearest, SENSOR.farthest])
    assert (depth >= ends[0]).all() and (depth <= ends[1]).all()
    torch.testing.assert_close(torch.stack([depth.min(), depth.max()]), ends)
    assert (depth.diff(dim=-1) >= 0).all()


def test_the_log_map_is_halfway_at_the_geometric_mean() -> None:
    head = Head(1, SENSOR, map="log", start=5.0)
    with torch.no_grad():
        head.output.bias.zero_()
        head.output.weight.zero_()
    assert head(torch.zeros(1, 1, 1, 1)).item() == pytest.approx(math.sqrt(0.6 * 350))


@pytest.mark.parametrize("name", BUILD)
def test_under_autocast_depth_is_float32(name: str) -> None:
    network = BUILD[name](small(2), SENSOR, start=10.0)
    with torch.autocast("cpu", torch.bfloat16):
        assert network(torch.rand(2, 3, 32, 64)).dtype == torch.float32


@pytest.mark.parametrize("name", BUILD)
def test_penalties_reach_the_decoders_layers(name: str) -> None:
    network = BUILD[name](small(2), SENSOR, start=10.0)
    layers = {network.decoder[1]: tl.few_maxima, network.decoder[-1]: lambda h: h.square().mean((1, 2, 3))}
    with tl.Regularizer(network, layers) as regularizer:
        network(torch.rand(2, 3, 64, 64))
        regularizer().backward()
    assert network.encoder.stage1[0].weight.grad.abs().sum() > 0
