"""How patches are changed: gamma, contrast, brightness, sharpness, noise.

The changes of a patch depend on the run's seed, the epoch and the patch's number, and on nothing else: not on the arm,
the batch, the number of processes or an interruption.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from experiments.boundaries.boundaryset import Array


def altered(images: Tensor, indices: Tensor, *, seed: int, epoch: int) -> Tensor:
    """Patches ``(b, 1, side, side)`` from 0 to 1, of these numbers, changed."""
    changed = [
        _altered(image, np.random.default_rng([seed, epoch, index, 1]))  # another stream than that of their places
        for image, index in zip(images[:, 0].numpy(), indices.tolist(), strict=True)
    ]
    return torch.from_numpy(np.stack(changed)).float()[:, None]


def _altered(image: Array, rng: np.random.Generator) -> Array:
    gamma, contrast = np.exp(rng.uniform(-0.4, 0.4, 2))
    image = contrast * (image**gamma - 0.5) + 0.5 + rng.uniform(-0.15, 0.15)
    if rng.random() < 0.3:
        image = gaussian_filter(image, rng.uniform(0.3, 1.2))
    return np.asarray((image + rng.normal(0, rng.uniform(0, 0.08), image.shape)).clip(0, 1))
