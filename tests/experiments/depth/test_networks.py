"""The networks: names, resolutions, range, weights."""

from __future__ import annotations

import math
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch

import topolayer as tl
from experiments.depth.depthset import Sensor
from experiments.depth.encoders import CHANNELS, make_encoder, models, small
from experiments.depth.networks import DenseDepth, Head, UNet, check_sides, resolutions
from experiments.shared.console import UserError

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


@pytest.mark.parametrize("name", CHANNELS)
def test_channels_of_the_encoders(name: str) -> None:
    with torch.device("meta"):
        encoder = make_encoder(name)
        found = encoder.eval()(torch.zeros(1, 3, 64, 96))
    assert tuple(activation.shape[1] for activation in found) == CHANNELS[name] == encoder.channels
    assert [tuple(activation.shape[2:]) for activation in found] == [(32, 48), (16, 24), (8, 12), (4, 6), (2, 3)]


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


def test_sides_are_multiples_of_32() -> None:
    check_sides(96, 128)
    with pytest.raises(ValueError, match=r"multiples of 32.*96 128 is near"):
        check_sides(100, 120)
    with pytest.raises(ValueError, match="32 32 is near"):
        check_sides(0, 8)


def test_small_is_not_given_weights() -> None:
    with pytest.raises(UserError, match="--weights none"):
        make_encoder("small", weights="imagenet")


def test_weights_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(1)
    source = models.resnet18(weights=None)
    torch.save(source.state_dict(), tmp_path / "resnet18.pth")
    encoder = make_encoder("resnet18", weights=str(tmp_path / "resnet18.pth"))
    torch.testing.assert_close(encoder.stage3[0].conv1.weight, source.layer2[0].conv1.weight)
    with pytest.raises(UserError, match=r"no state dict of torchvision's resnet34.*layer1\.2"):
        make_encoder("resnet34", weights=str(tmp_path / "resnet18.pth"))
    (tmp_path / "nothing.pth").write_bytes(b"nothing")
    for file in ("nothing.pth", "nowhere.pth"):
        with pytest.raises(UserError, match=f"{file}: no state dict"):
            make_encoder("resnet18", weights=str(tmp_path / file))


def test_old_names_of_densenet(tmp_path: Path) -> None:
    torch.manual_seed(1)
    source = models.densenet121(weights=None)
    old = {
        key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2.") if "denselayer" in key else key: value
        for key, value in source.state_dict().items()
        if "num_batches" not in key
    }
    torch.save(old, tmp_path / "densenet.pth")
    encoder = make_encoder("densenet121", weights=str(tmp_path / "densenet.pth"))
    layer = source.features.denseblock1.denselayer2
    torch.testing.assert_close(encoder.stage3[0].denselayer2.conv2.weight, layer.conv2.weight)


def test_without_a_network_the_ways_out_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise urllib.error.URLError("unreachable")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    with pytest.raises(UserError, match=r"unreachable.*--weights none.*https://.*resnet18.*--weights FILE"):
        make_encoder("resnet18", weights="imagenet")
