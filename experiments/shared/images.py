"""Images with binary masks, decoded and resized once and kept as bytes, in memory or in files that are mapped."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from experiments.shared.console import UserError

# Mean and standard deviation of the channels over ImageNet, as is usual for photographs.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Rows:
    """Some rows of a tensor that may be larger than the memory; they are read when they are asked for."""

    whole: Tensor
    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, places: int | slice | list[int] | Tensor) -> Tensor:
        return self.whole[self.rows[places]]

    def __iter__(self) -> Iterator[Tensor]:
        return (self.whole[row] for row in self.rows.tolist())


@dataclass(frozen=True)
class ImageSet:
    """`images`: uint8 ``(n, side, side, 3)``; `masks`: bool ``(n, side, side)``; one name and credit per image.

    `people` says how many each shows, as far as that was written down.

    A batch is one tensor indexing: with the whole set in memory that beats worker processes on a small machine,
    and the channels come last, which is the layout CPU convolutions are fastest in.
    """

    images: Tensor | Rows
    masks: Tensor | Rows
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
        images, masks = (
            Rows(every.whole, every.rows[chosen]) if isinstance(every, Rows) else every[chosen]
            for every in (self.images, self.masks)
        )
        return ImageSet(
            images,
            masks,
            tuple(self.names[i] for i in chosen),
            tuple(self.credits[i] for i in chosen),
            tuple(self.people[i] for i in chosen if self.people),
        )

    def foreground(self) -> Tensor:
        """(n,) the share of each image that its mask covers."""
        return torch.stack([mask.float().mean() for mask in self.masks])

    def restricted(self, index: int) -> bool:
        """Whether the licence of an image forbids commercial use or changes."""
        return any(word in self.credits[index] for word in ("NonCommercial", "NoDerivs"))

    def share(self, share: float, *, seed: int) -> ImageSet:
        """A share of the images, drawn by `seed`: the larger share of a seed contains the smaller one."""
        if share == 1:
            return self
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        return self.subset(sorted(order[: round(share * len(self))].tolist()))

    def split(self, share: float) -> tuple[ImageSet, ImageSet]:
        """The images to train on, and the share of them that is held out, always the same."""
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(0)).tolist()
        number = round(share * len(self))
        if not 0 < number < len(self):
            raise UserError(f"--held-out {share}: of {len(self)} training images that is none or all")
        return self.subset(order[number:]), self.subset(order[:number])

    def noisy(self, strength: float, *, seed: int = 0) -> ImageSet:
        """The images with Gaussian noise, the same at every call, of standard deviation `strength`, white being 1."""
        generator = torch.Generator().manual_seed(seed)
        return self._changed(lambda image: image + 255 * strength * torch.randn(image.shape, generator=generator))

    def blurred(self, sigma: float) -> ImageSet:
        """The images blurred by a Gaussian with a standard deviation of `sigma` pixels."""
        return self._changed(
            lambda image: torch.from_numpy(gaussian_filter(image.numpy(), (sigma, sigma, 0), mode="nearest"))
        )

    def _changed(self, change: Callable[[Tensor], Tensor]) -> ImageSet:
        """The images are changed one by one, as the whole set in floating point could be larger than memory."""
        images = [change(image.float()).round().clamp(0, 255).to(torch.uint8) for image in self.images]
        return dataclasses.replace(self, images=torch.stack(images))


def photograph(shape: tuple[int, ...]) -> np.ndarray:
    """A photograph that needs no file: scikit-image's `camera`, grey, in [0, 1], resized to `shape`."""
    try:
        from skimage import data
        from skimage.transform import resize
    except ImportError as error:
        raise UserError('the photograph is scikit-image\'s: pip install "topolayer[bench]"') from error
    return np.asarray(resize(data.camera(), shape, anti_aliasing=True))  # type: ignore[no-untyped-call]
