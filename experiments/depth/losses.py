"""The training objective of Section 5.1, eqs. (4) to (8): how far a predicted depth is from the true one.

All functions take a prediction, the true depth and the mask of pixels where it is known, ``(B, 1, H, W)`` each, and
return one number per image. A window (3x3 of the Sobel filter, 11x11 of SSIM) counts where it lies inside the image
and every pixel of it is known; what stands at the others may be anything, NaN too. An image without any gets 0.

The paper writes sums. ``reduction="mean"`` divides each of them by the number of its terms: eq. (5) below its root by
known pixels, eq. (6) by windows, eq. (8) by the pixels of the layer (not by its channels). Eq. (7) is a mean of SSIM
over windows in either case, and eq. (1) a sum over bars.

The paper's weights are taken for those of the means: eq. (7) has no size to speak of beside sums over 2e5 pixels, and
0.1, 1 and 1 are the weights under which DenseDepth was published, with means. `for_sums` carries weights over.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

import topolayer as tl
from experiments.depth.config import Reduction
from experiments.shared.penalties import total_variation

SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
WINDOW, SIGMA = 11, 1.5  # SSIM's, as its authors chose them


@dataclass(frozen=True)
class Weights:
    """The five weights of eq. (4)."""

    depth: float = 0.1
    gradient: float = 1.0
    ssim: float = 1.0
    tv: float = 0.0
    topology: float = 0.0

    def for_sums(self, height: int, width: int, tv_pixels: int) -> Weights:
        """The weights under which the sums add up to what these give with means, where all depths are known.

        `height` and `width` are those of the prediction, `tv_pixels` is the size of the layer that eq. (8) looks at.

        >>> Weights(tv=1.0).for_sums(384, 512, 384 * 512).depth == 0.1 / (384 * 512) ** 0.5
        True
        """
        return Weights(
            depth=self.depth / (height * width) ** 0.5,
            gradient=self.gradient / ((height - 2) * (width - 2)),
            ssim=self.ssim,
            tv=self.tv / tv_pixels,
            topology=self.topology,
        )


def log_rmse(prediction: Tensor, depth: Tensor, valid: Tensor, *, reduction: Reduction = "sum") -> Tensor:
    """Eq. (5): the root of the squared differences of logarithms. Where all of them are 0, so is the gradient."""
    differences = torch.where(valid, _known(depth, valid).log() - _known(prediction, valid).log(), 0.0).flatten(1)
    norm: Tensor = torch.linalg.vector_norm(differences, dim=1)
    return norm / valid.flatten(1).sum(1).clamp_min(1).sqrt() if reduction == "mean" else norm


def gradient_error(prediction: Tensor, depth: Tensor, valid: Tensor, *, reduction: Reduction = "sum") -> Tensor:
    """Eq. (6): absolute differences of the horizontal and vertical Sobel gradients."""
    differences = (sobel(_known(depth, valid)) - sobel(_known(prediction, valid))).abs().sum(1, keepdim=True)
    return _reduced(differences, windows(valid, 3), reduction)


def dissimilarity(prediction: Tensor, depth: Tensor, valid: Tensor, *, data_range: float) -> Tensor:
    """Eq. (7): half of one minus the mean of SSIM."""
    inside = windows(valid, WINDOW)
    similar = ssim(_known(prediction, valid), _known(depth, valid), data_range=data_range)
    return _reduced((1 - similar) / 2, inside, "mean")


def variation(h: Tensor, *, reduction: Reduction = "sum") -> Tensor:
    """Eq. (8) on an activation ``(B, C, H, W)``; as a mean, per pixel."""
    return total_variation(h) / (h[0, 0].numel() if reduction == "mean" else 1)


def few_minima(h: Tensor, *, k: int) -> Tensor:
    """Eq. (1) of the *sublevel* sets of the magnitude of `h`: all but the k most prominent minima. One number each."""
    return tl.few_extrema(tl.Freudenthal(tl.channel_norm(h.float())), k=k)


def data_terms(
    prediction: Tensor, depth: Tensor, valid: Tensor, *, reduction: Reduction, data_range: float
) -> dict[str, Tensor]:
    """The three terms of eq. (4) that compare with the truth, by the names of their weights, as means over images."""
    return {
        "depth": log_rmse(prediction, depth, valid, reduction=reduction).mean(),
        "gradient": gradient_error(prediction, depth, valid, reduction=reduction).mean(),
        "ssim": dissimilarity(prediction, depth, valid, data_range=data_range).mean(),
    }


# --- windows ----------------------------------------------------------------------------------------------------


def sobel(image: Tensor) -> Tensor:
    """Horizontal and vertical derivative ``(B, 2, H - 2, W - 2)`` by the 3x3 Sobel filter, not divided by its norm.

    A slope of 1 per pixel gives 8.
    """
    horizontal = image.new_tensor(SOBEL)
    return F.conv2d(image, torch.stack([horizontal, horizontal.T]).unsqueeze(1))


def ssim(one: Tensor, other: Tensor, *, data_range: float) -> Tensor:
    """The structural similarity of every 11x11 window, ``(B, 1, H - 10, W - 10)``.

    Weights are a Gaussian of standard deviation 1.5, the constants (0.01 L)^2 and (0.03 L)^2 with L = `data_range`.
    torchmetrics has the same map and takes 10 to 30 times as long on a CPU, as it does not filter rows and columns
    separately, which would dominate a training step of a small network.
    """
    if min(one.shape[-2:]) < WINDOW:
        raise ValueError(f"SSIM looks at windows of {WINDOW}x{WINDOW} pixels, the image has {tuple(one.shape[-2:])}")
    steps = torch.arange(WINDOW, dtype=one.dtype, device=one.device) - WINDOW // 2
    bell = (-0.5 * (steps / SIGMA).square()).exp()
    bell = bell / bell.sum()
    moments = torch.cat([one, other, one * one, other * other, one * other], dim=1)
    along = bell.view(1, 1, 1, -1).expand(5, -1, -1, -1)
    smooth = F.conv2d(F.conv2d(moments, along, groups=5), along.transpose(2, 3), groups=5)
    mean_one, mean_other, square_one, square_other, product = torch.split(smooth, 1, dim=1)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    means = (2 * mean_one * mean_other + c1) / (mean_one.square() + mean_other.square() + c1)
    variances = square_one - mean_one.square() + square_other - mean_other.square()
    similar: Tensor = means * (2 * (product - mean_one * mean_other) + c2) / (variances + c2)
    return similar


def windows(valid: Tensor, side: int) -> Tensor:
    """Which windows of `side` x `side` pixels hold known pixels only: ``(B, 1, H - side + 1, W - side + 1)``, bool."""
    return F.max_pool2d((~valid).float(), side, stride=1) == 0


def _known(image: Tensor, valid: Tensor) -> Tensor:
    """1 where the depth is not known: finite there, and no gradient passes."""
    return torch.where(valid, image, 1.0)


def _reduced(values: Tensor, inside: Tensor, reduction: Reduction) -> Tensor:
    total = torch.where(inside, values, 0.0).sum((1, 2, 3))
    return total / inside.sum((1, 2, 3)).clamp_min(1) if reduction == "mean" else total
