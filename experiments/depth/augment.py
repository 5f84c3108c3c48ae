"""The augmentation of Section 5.4: a flip of image and depth, and four changes of the image's colours and sharpness.

What the paper leaves open: the strength of the jitter is that of MoCo v2 (0.4 in brightness, contrast and saturation,
0.1 in hue), from whose policy the probabilities of jitter, grey and blur seem to stem; a blur's standard deviation is
between 0.1 and 2 pixels of an image 384 pixels high, and in proportion in others.

An example's changes depend on the run's seed, the epoch and the example, and on nothing else: not on the arm, the
batch, the number of processes or an interruption.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from topolayer.metrics.torchvision import import_torchvision

import_torchvision()
from torchvision import tv_tensors  # noqa: E402  (where its operators are missing, they are declared first)
from torchvision.transforms import v2  # noqa: E402

JITTER = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}
SHARPEST, SOFTEST, HEIGHT = 0.1, 2.0, 384


def policy(height: int) -> v2.Compose:
    """The transforms for images `height` pixels high. Of them only the flip touches a `tv_tensors.Mask`."""
    softest = max(SOFTEST * height / HEIGHT, SHARPEST)
    kernel = 2 * round(3 * softest) + 1
    return v2.Compose(
        [
            v2.RandomHorizontalFlip(0.5),
            v2.RandomApply([v2.ColorJitter(**JITTER)], 0.8),
            v2.RandomApply([v2.RandomChannelPermutation()], 0.5),
            v2.RandomGrayscale(0.2),
            v2.RandomApply([v2.GaussianBlur(kernel, (SHARPEST, softest))], 0.5),
        ]
    )


class Augmentation:
    """Change a batch of images ``(b, 3, h, w)`` in [0, 1], depths and known pixels ``(b, 1, h, w)``."""

    def __init__(self, height: int, *, seed: int) -> None:
        self.policy, self.seed = policy(height), seed

    def __call__(
        self, images: Tensor, depths: Tensor, known: Tensor, *, indices: Tensor, epoch: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        changed = []
        # Transforms draw from the global generator of the CPU; it is given back as it was.
        with torch.random.fork_rng(devices=[]):
            for place, index in enumerate(indices.tolist()):
                words = np.random.SeedSequence([self.seed, epoch, index]).generate_state(1, np.uint64)
                torch.default_generator.manual_seed(int(words[0]) >> 1)
                target = torch.cat([depths[place], known[place].float()])
                changed.append(self.policy(tv_tensors.Image(images[place]), tv_tensors.Mask(target)))
        pictures = torch.stack([image.as_subclass(Tensor) for image, _ in changed])
        targets = torch.stack([target.as_subclass(Tensor) for _, target in changed])
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        return pictures, targets[:, :1], targets[:, 1:] > 0.5
