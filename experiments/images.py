"""Images with binary masks, decoded and resized once and kept in memory as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Mean and standard deviation of the channels over ImageNet, as is usual for photographs.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ImageSet:
    """`images`: uint8 ``(n, side, side, 3)``; `masks`: bool ``(n, side, side)``; one name and credit per image.

    `people` says how many each shows, as far as that was written down.

    A batch is one tensor indexing: with the whole set in memory that beats worker processes on a small machine,
    and the channels come last, which is the layout CPU convolutions are fastest in.
    """

    images: Tensor
    masks: Tensor
    names: tuple[str, ...]
    credits: tuple[str, ...]
    people: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def batch(self, indices: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """Normalized images ``(b, 3, side, side)`` (channels last in memory) and masks ``(b, 1, side, side)``."""
        pixels = self.images[indices].to(device, non_blocking=True).permute(0, 3, 1, 2).float()
        mean = torch.tensor(MEAN, device=device).view(3, 1, 1) * 255
        std = torch.tensor(STD, device=device).view(3, 1, 1) * 255
        masks = self.masks[indices].to(device, non_blocking=True).unsqueeze(1).float()
        return (pixels - mean) / std, masks

    def subset(self, indices: Sequence[int]) -> ImageSet:
        chosen = list(indices)
        return ImageSet(
            self.images[chosen],
            self.masks[chosen],
            tuple(self.names[i] for i in chosen),
            tuple(self.credits[i] for i in chosen),
            tuple(self.people[i] for i in chosen if self.people),
        )
