"""Encoders: five stages, each of which halves the sides. torchvision's, with their weights, and a small one.

The stages are ``encoder.stage1`` to ``encoder.stage5``, names that a regularizer takes.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from math import gcd
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from experiments.shared.console import UserError
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

    `weights` is "none", "imagenet" (downloaded once, into torch's cache), or a file with a state dict of the
    torchvision network of this name.
    """
    if name == "small":
        if weights != "none":
            raise UserError(f"--encoder small has no weights to start from: give --weights none instead of {weights}")
        return small(width)
    network: nn.Module = getattr(models, name)(weights=None)
    if weights != "none":
        state = _downloaded(name) if weights == "imagenet" else _from_file(Path(weights))
        _load(network, state, f"--weights {weights}", name)
    return Encoder(_stages(network), CHANNELS[name])


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
            layers += [nn.GroupNorm(gcd(8, after), after), nn.ReLU(inplace=True)]
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


def _load(network: nn.Module, state: dict[str, Tensor], option: str, name: str) -> None:
    """Load all but the classifier. Old files of DenseNet write ``norm.1`` for ``norm1``."""
    modern: Callable[[str], str] = lambda key: re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])", r"\1\2", key)  # noqa: E731
    heads = ("fc.", "classifier.")
    wanted = {key: value for key, value in network.state_dict().items() if not key.startswith(heads)}
    given = {modern(key): value for key, value in state.items()}
    # Files older than this counter, which nothing here reads, have none.
    missing = [
        key
        for key, value in wanted.items()
        if not key.endswith("num_batches_tracked") and (key not in given or given[key].shape != value.shape)
    ]
    if missing:
        raise UserError(
            f"{option} is no state dict of torchvision's {name}: {len(missing)} entries are missing or of another "
            f"shape, the first is {missing[0]}"
        )
    network.load_state_dict({key: given[key] for key in wanted if key in given}, strict=False)
