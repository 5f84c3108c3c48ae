"""U-Nets: one on any encoder, and the paper's of Section 4: six encoder phases, a bottleneck, six decoder phases.

    input -> enc1 -> ... -> enc6 -> bottleneck -> dec6 -> ... -> dec1 -> output

Every phase is two 3x3 convolutions, each followed by batch normalization and ReLU. Between phases the encoder
halves the sides by 2x2 max pooling and doubles the channels; the decoder does the reverse with transposed
convolutions and puts the encoder's activation of the same resolution beside its own. The layers bear the paper's
names, so ``"dec4"`` is what :class:`topolayer.Regularizer` is given.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from experiments.shared import vit
from experiments.shared.encoders import STAGES, Encoder, make_encoder

PHASES = 6
DECODER = tuple(f"dec{phase}" for phase in range(1, PHASES + 1))
LAYERS = (*(f"enc{phase}" for phase in range(1, PHASES + 1)), "bottleneck", *reversed(DECODER))


def phase(channels_in: int, channels_out: int) -> nn.Sequential:
    """Two 3x3 convolutions, each with batch normalization (hence no bias) and ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def side_of(layer: str, side: int) -> int:
    """How many pixels a layer is wide when the input is `side` pixels wide.

    >>> side_of("dec4", 256), side_of("bottleneck", 256), side_of("encoder.stage1", 256), side_of("block1", 256)
    (32, 4, 128, 64)
    """
    if layer in vit.LAYERS:
        return side // vit.PATCH
    depth = PHASES if layer == "bottleneck" else int(layer[-1]) - (not layer.startswith("encoder."))
    return side // int(2**depth)


def check_sides(height: int, width: int, batch: int, *, training: bool) -> None:
    """Refuse inputs that the six halvings cannot take, and those that batch normalization cannot."""
    multiple = 2**PHASES
    if height % multiple or width % multiple:
        raise ValueError(
            f"the U-Net halves its input {PHASES} times: both sides must be multiples of {multiple}, "
            f"but the input is {height}x{width}; resize it to {_nearest(height)}x{_nearest(width)}"
        )
    if training and batch == 1 and height == width == multiple:
        raise ValueError(
            f"a training batch of one {multiple}x{multiple} image leaves a single value per channel in the "
            f"bottleneck, which batch normalization cannot normalize: use a batch of two or larger images"
        )


def _nearest(side: int) -> int:
    multiple = 2**PHASES
    return int(max(multiple, round(side / multiple) * multiple))


class UNet(nn.Module):
    """U-Net with `width` channels in its first phase, twice as many in every following one.

    At the start it predicts about `prior` at every pixel. Where the foreground is rare, a network that starts at one
    half learns first of all to predict less; with few channels that can turn all weights of the output layer
    negative, and then no pixel ever exceeds the threshold again.

    Takes images ``(batch, channels, height, width)``, both sides multiples of 64, and returns one probability
    per pixel, ``(batch, 1, height, width)``: the loss of eq. (2) compares probabilities.

    >>> UNet(width=4)(torch.zeros(2, 3, 64, 128)).shape
    torch.Size([2, 1, 64, 128])
    """

    layers = LAYERS

    def __init__(self, width: int = 16, channels: int = 3, *, prior: float = 0.5) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"width must be at least 1, got {width}")
        if not 0 < prior < 1:
            raise ValueError(f"prior is a probability between 0 and 1, got {prior}")
        widths = [width * 2**level for level in range(PHASES + 1)]
        for number in range(1, PHASES + 1):
            channels_in = channels if number == 1 else widths[number - 2]
            self.add_module(f"enc{number}", phase(channels_in, widths[number - 1]))
        self.bottleneck = phase(widths[PHASES - 1], widths[PHASES])
        for number in range(PHASES, 0, -1):
            up = nn.ConvTranspose2d(widths[number], widths[number - 1], 2, stride=2)
            self.add_module(f"up{number}", up)
            self.add_module(f"dec{number}", phase(2 * widths[number - 1], widths[number - 1]))
        self.pool = nn.MaxPool2d(2)
        self.output = _output(width, prior)

    def forward(self, x: Tensor) -> Tensor:
        check_sides(x.shape[-2], x.shape[-1], x.shape[0], training=self.training)
        skips: list[Tensor] = []
        for number in range(1, PHASES + 1):
            x = self.get_submodule(f"enc{number}")(x)
            skips.append(x)
            x = self.pool(x)
        x = self.bottleneck(x)
        for number in range(PHASES, 0, -1):
            x = self.get_submodule(f"up{number}")(x)
            x = self.get_submodule(f"dec{number}")(torch.cat([skips.pop(), x], dim=1))
        return torch.sigmoid(self.output(x))


def add_decoder(network: nn.Module, encoder: Encoder, width: int) -> None:
    """Give a network a decoder for this encoder: dec5 to dec1, and the transposed convolutions up5 to up1 before them.

    The last phase has `width` channels, each before it twice as many; it has no encoder's activation to take.
    """
    channels = encoder.channels[-1]
    for number, skip in zip(range(len(STAGES), 0, -1), (*reversed(encoder.channels[:-1]), 0), strict=True):
        after = width * 2 ** (number - 1)
        up = (nn.ConvTranspose2d(channels, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(True))
        network.add_module(f"up{number}", nn.Sequential(*up))
        network.add_module(f"dec{number}", phase(after + skip, after))
        channels = after


def decode(network: nn.Module, activations: list[Tensor]) -> Tensor:
    """What the decoder makes of the activations of the encoder's stages: its last phase, of the input's resolution."""
    *skips, x = activations
    for number in range(len(activations), 0, -1):
        x = network.get_submodule(f"up{number}")(x)
        x = network.get_submodule(f"dec{number}")(torch.cat([x, skips.pop()], 1) if skips else x)
    return x


def layers_of(encoder: str, network: str = "unet") -> tuple[str, ...]:
    """The layers in the order of computation: of the paper's U-Net, of one on an encoder with a name, or of a "vit"."""
    if network == "vit":
        return vit.LAYERS
    if not encoder:
        return LAYERS
    return (*(f"encoder.{stage}" for stage in STAGES), *reversed(DECODER[: len(STAGES)]))


class EncoderUNet(nn.Module):
    """A U-Net on any encoder, which takes and returns what `UNet` does, for sides that are multiples of 32.

    >>> EncoderUNet(make_encoder("small", width=4), width=4)(torch.zeros(2, 3, 64, 32)).shape
    torch.Size([2, 1, 64, 32])
    """

    layers = layers_of("any")

    def __init__(self, encoder: Encoder, *, width: int = 16, prior: float = 0.5) -> None:
        super().__init__()
        self.encoder = encoder
        add_decoder(self, encoder, width)
        self.output = _output(width, prior)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.output(decode(self, self.encoder(x))))


def _output(width: int, prior: float) -> nn.Conv2d:
    """The last layer, which predicts about `prior` at the start."""
    output = nn.Conv2d(width, 1, 1)
    output.bias = nn.Parameter(torch.full((1,), math.log(prior / (1 - prior))))
    return output


Network = UNet | EncoderUNet | vit.ViT


def seeded(
    width: int, seed: int, *, prior: float = 0.5, network: str = "unet", encoder: str = "", weights: str = "none"
) -> Network:
    """The network that a seed determines; `prior`, the share of foreground in training, is kept away from 0 and 1.

    It is a U-Net, with an `encoder` one on that, with these weights; or, as `network` says, a "vit".
    """
    torch.manual_seed(seed)
    prior = min(max(prior, 0.01), 0.99)
    model: Network
    if network == "vit":
        model = vit.ViT(width, prior=prior)
    elif encoder:
        model = EncoderUNet(make_encoder(encoder, weights=weights, width=width), width=width, prior=prior)
    else:
        model = UNet(width, prior=prior)
    # On the CPU, training in channels-last layout is 1.2 to 1.6 times as fast.
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model
