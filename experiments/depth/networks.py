"""The two networks of Section 5.2: a U-Net on a ResNet, and DenseDepth on a DenseNet.

Their decoders' phases are numbered as in Section 4, down to the output, and each takes the encoder's activation of its
own resolution beside what comes from below. At 384x512:

    U-Net       12x16 -> dec5 24x32 -> dec4 48x64 -> dec3 96x128 -> dec2 192x256 -> dec1 384x512 -> depth
    DenseDepth  12x16 -> dec4 24x32 -> dec3 48x64 -> dec2 96x128 -> dec1 192x256 -> depth -> 384x512, bilinear

The second phase from the bottleneck, ``decoder[1]``, is dec4 of the one and dec3 of the other.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.depth.config import Map
from experiments.depth.depthset import Sensor
from experiments.shared.encoders import STAGES, Encoder
from experiments.shared.images import MEAN, STD
from experiments.shared.penalties import activations
from experiments.shared.unet import DECODER, add_decoder, decode


class Head(nn.Module):
    """A 3x3 convolution, and a map from all numbers into the sensor's range.

    "log" makes the logarithm of depth a sigmoid's share of the way from the logarithm of the nearest to that of the
    farthest depth: equal steps are equal *relative* errors anywhere. "linear" does so with depth itself. All of this
    is computed in float32. At the start the prediction is about `start` metres at every pixel.
    """

    def __init__(self, channels: int, sensor: Sensor, *, map: Map, start: float) -> None:
        super().__init__()
        self.nearest, self.farthest, self.map = sensor.nearest, sensor.farthest, map
        ends = [math.log(depth) if map == "log" else depth for depth in (sensor.nearest, start, sensor.farthest)]
        share = min(max((ends[1] - ends[0]) / (ends[2] - ends[0]), 0.01), 0.99)
        self.output = nn.Conv2d(channels, 1, 3, padding=1)
        self.output.bias = nn.Parameter(torch.full((1,), math.log(share / (1 - share))))

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            share = torch.sigmoid(self.output(x.float()))
            if self.map == "log":
                depth = self.nearest * torch.exp(share * math.log(self.farthest / self.nearest))
            else:
                depth = self.nearest + share * (self.farthest - self.nearest)
            return depth.clamp(self.nearest, self.farthest)  # it may be rounded to something beyond


class DepthNetwork(nn.Module):
    """Takes images in [0, 1], ``(b, 3, h, w)`` with sides that are multiples of 32, to depths ``(b, 1, h, w)``.

    `decoder` names the decoder's phases from the bottleneck to the output.
    """

    decoder: tuple[str, ...]
    mean: Tensor
    std: Tensor

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)
        self.encoder = encoder

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of all layers, in the order of computation."""
        return (*(f"encoder.{stage}" for stage in STAGES), *self.decoder)

    def encode(self, images: Tensor) -> list[Tensor]:
        found: list[Tensor] = self.encoder((images - self.mean) / self.std)
        return found


class UNet(DepthNetwork):
    """A decoder of transposed convolutions, and of two convolutions with batch normalization and ReLU per phase.

    The last phase has `width` channels, each before it twice as many; it has no encoder's activation to take.
    """

    decoder = tuple(reversed(DECODER[:5]))

    def __init__(self, encoder: Encoder, sensor: Sensor, *, width: int = 16, map: Map = "log", start: float) -> None:
        super().__init__(encoder)
        add_decoder(self, encoder, width)
        self.head = Head(width, sensor, map=map, start=start)

    def forward(self, images: Tensor) -> Tensor:
        depth: Tensor = self.head(decode(self, self.encode(images)))
        return depth


class DenseDepth(DepthNetwork):
    """A decoder of bilinear upsampling, and of two convolutions with leaky ReLU per phase, without normalization.

    It starts with half of the encoder's channels and halves them in every phase, or ends with `width`, with twice as
    many in each phase before. Depth comes at half the resolution and is upsampled.
    """

    decoder = ("dec4", "dec3", "dec2", "dec1")

    def __init__(self, encoder: Encoder, sensor: Sensor, *, width: int = 0, map: Map = "log", start: float) -> None:
        super().__init__(encoder)
        width = width or max(encoder.channels[-1] // 32, 1)
        channels = 16 * width
        self.bottleneck = nn.Conv2d(encoder.channels[-1], channels, 1)
        for name, skip in zip(self.decoder, reversed(encoder.channels[:-1]), strict=True):
            layers: list[nn.Module] = []
            after = channels // 2
            for before in (channels + skip, after):
                layers += [nn.Conv2d(before, after, 3, padding=1), nn.LeakyReLU(0.2, inplace=True)]
            self.add_module(name, nn.Sequential(*layers))
            channels = after
        self.head = Head(channels, sensor, map=map, start=start)

    def forward(self, images: Tensor) -> Tensor:
        *skips, x = self.encode(images)
        x = self.bottleneck(x)
        for name in self.decoder:
            skip = skips.pop()
            x = F.interpolate(x, skip.shape[-2:], mode="bilinear", align_corners=True)
            x = self.get_submodule(name)(torch.cat([x, skip], 1))
        return F.interpolate(self.head(x), scale_factor=2, mode="bilinear", align_corners=False)


def resolutions(network: DepthNetwork, size: tuple[int, int]) -> dict[str, tuple[int, int, int]]:
    """Channels, height and width of every layer for an image of `size`; "output" is the last."""
    training, device = network.training, network.mean.device
    with torch.inference_mode(), activations(network, network.layers) as kept:
        kept["output"] = network.eval()(torch.zeros(1, 3, *size, device=device))
    network.train(training)
    shapes = {name: kept[name].shape for name in (*network.layers, "output")}
    return {name: (shape[1], shape[2], shape[3]) for name, shape in shapes.items()}


NETWORKS: dict[str, type[UNet] | type[DenseDepth]] = {"unet": UNet, "densedepth": DenseDepth}
