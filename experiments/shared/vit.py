"""A small vision transformer with a dense head: patches are tokens, and a token predicts the pixels of its patch.

Dosovitskiy et al., "An image is worth 16x16 words" (2021). The blocks take and return maps of a quarter of the sides,
``(batch, channels, h, w)``, whose pixels are the tokens. So they are layers like those of a U-Net, and ``"block4"`` is
what :class:`topolayer.Regularizer` is given. There is no token of the class.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, scaled_dot_product_attention

PATCH = 4  # pixels of the side of a patch
HEADS = 4
LAYERS = tuple(f"block{number}" for number in range(1, 7))


def check_side(side: int) -> None:
    if side % PATCH:
        raise ValueError(f"--size {side}: the vision transformer takes sides that are multiples of {PATCH}")


class Block(nn.Module):
    """Attention between all tokens, then a perceptron for each: what either finds in normalized tokens is added.

    >>> Block(8)(torch.zeros(2, 8, 3, 5)).shape
    torch.Size([2, 8, 3, 5])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.before_attention, self.before_perceptron = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.queries_keys_values = nn.Linear(channels, 3 * channels)
        self.joined = nn.Linear(channels, channels)
        self.perceptron = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        batch, number, channels = tokens.shape
        parts = self.queries_keys_values(self.before_attention(tokens))
        queries, keys, values = parts.view(batch, number, 3, HEADS, channels // HEADS).permute(2, 0, 3, 1, 4)
        attended = scaled_dot_product_attention(queries, keys, values)
        tokens = tokens + self.joined(attended.transpose(1, 2).reshape(batch, number, channels))
        found: Tensor = tokens + self.perceptron(self.before_perceptron(tokens))
        return found.transpose(1, 2).reshape(x.shape)


class ViT(nn.Module):
    """Six blocks with four heads of `width` channels; at the start about `prior` is predicted at every pixel.

    Takes images ``(batch, 3, height, width)``, both sides multiples of 4, and returns one probability per pixel.

    >>> ViT(width=4)(torch.zeros(2, 3, 32, 64)).shape
    torch.Size([2, 1, 32, 64])
    """

    layers = LAYERS

    def __init__(self, width: int = 16, *, prior: float = 0.5) -> None:
        super().__init__()
        channels = HEADS * width
        self.patches = nn.Conv2d(3, channels, PATCH, PATCH)
        for layer in LAYERS:
            self.add_module(layer, Block(channels))
        self.normalized = nn.LayerNorm(channels)
        self.output = nn.Linear(channels, PATCH * PATCH)
        nn.init.normal_(self.output.weight, std=0.02)
        nn.init.constant_(self.output.bias, math.log(prior / (1 - prior)))

    def forward(self, images: Tensor) -> Tensor:
        x = self.patches(images)
        x = x + positions(x.shape[1], x.shape[2], x.shape[3]).to(x)
        for layer in LAYERS:
            x = self.get_submodule(layer)(x)
        pixels = self.output(self.normalized(x.movedim(1, -1))).movedim(-1, 1)
        return torch.sigmoid(pixel_shuffle(pixels, PATCH))


def positions(channels: int, height: int, width: int) -> Tensor:
    """Where each token is: sines and cosines of its row and of its column, ``(channels, height, width)``.

    >>> positions(8, 2, 3).shape
    torch.Size([8, 2, 3])
    """
    frequencies = 100 ** -torch.linspace(0, 1, channels // 4)
    rows = torch.arange(height)[None, :, None] * frequencies[:, None, None]
    columns = torch.arange(width)[None, None, :] * frequencies[:, None, None]
    waves = [wave(angles).expand(-1, height, width) for angles in (rows, columns) for wave in (torch.sin, torch.cos)]
    return torch.cat(waves)
