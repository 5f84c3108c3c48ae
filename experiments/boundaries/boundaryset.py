"""Grey images with the masks of their boundaries, in memory; patches for training, and folds of neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import label
from torch import Tensor

from experiments.shared.console import UserError

Array = np.ndarray
EIGHT = np.ones((3, 3))


@dataclass(frozen=True)
class BoundarySet:
    """`images`: uint8 ``(n, h, w)``; `masks`: bool ``(n, h, w)``, True on boundaries; in the order of the sections."""

    images: Tensor
    masks: Tensor
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def subset(self, places: list[int]) -> BoundarySet:
        return BoundarySet(self.images[places], self.masks[places], tuple(self.names[place] for place in places))

    def folds(self, number: int) -> list[tuple[BoundarySet, BoundarySet]]:
        """Training and validation images, so often: what is validated is a block of neighbours, which look alike."""
        if not 2 <= number <= len(self):
            raise UserError(f"{len(self)} images make from 2 to {len(self)} folds, not {number}")
        fold = [place * number // len(self) for place in range(len(self))]
        found = []
        for held in range(number):
            inside = [place for place in range(len(self)) if fold[place] == held]
            outside = [place for place in range(len(self)) if fold[place] != held]
            found.append((self.subset(outside), self.subset(inside)))
        return found

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Whole images ``(b, 1, h, w)`` from 0 to 1, and their masks."""
        return self.images[indices, None].float() / 255, self.masks[indices, None].float()

    def split(self, share: float) -> tuple[BoundarySet, BoundarySet]:
        """The images without a share of them, and that share: the last ones, as neighbours look alike."""
        rest = len(self) - round(share * len(self))
        if not 0 < rest < len(self):
            raise UserError(f"--held-out {share}: of {len(self)} training images that is none or all")
        return self.subset(list(range(rest))), self.subset(list(range(rest, len(self))))

    def patches(self, indices: Tensor, side: int, *, seed: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Patches with these numbers, ``(b, 1, side, side)`` from 0 to 1, and their masks, turned and flipped.

        With n images patch i is one of image i modulo n. Place and turn depend on `seed`, `epoch` and the number,
        and on nothing else.
        """
        height, width = self.images.shape[1:]
        if side > min(height, width):
            raise UserError(f"patches of {side} x {side} pixels do not fit into images of {height} x {width}")
        pictures: list[Tensor] = []
        masks: list[Tensor] = []
        for index in indices.tolist():
            rng = np.random.default_rng([seed, epoch, index])
            top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
            turns, flipped = int(rng.integers(4)), bool(rng.integers(2))
            for found, whole in ((pictures, self.images), (masks, self.masks)):
                patch = torch.rot90(whole[index % len(self), top : top + side, left : left + side], turns)
                found.append(patch.flip(-1) if flipped else patch)
        return torch.stack(pictures)[:, None].float() / 255, torch.stack(masks)[:, None].float()


def cleaned(mask: Array, least: int) -> Array:
    """Without pieces of fewer than `least` pixels: 8-connected ones of the boundary, then 4-connected ones around it.

    Outlines drawn by hand have such pieces. They are no features, and each would count as one.
    """
    kept = _large(mask, EIGHT, least)
    return ~_large(~kept, None, least)


def _large(mask: Array, structure: Array | None, least: int) -> Array:
    pieces, _ = label(mask, structure)
    sizes = np.bincount(pieces.ravel())
    large = sizes >= least
    large[0] = False  # what is outside of the mask
    return np.asarray(large[pieces])
