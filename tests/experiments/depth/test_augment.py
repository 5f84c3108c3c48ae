"""Augmentation: only the flip touches depth, and an example's changes depend on seed, epoch and example alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from experiments.depth.augment import Augmentation, policy

MANY = 400


def batch(count: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(1, 3, 8, 10, generator=generator).expand(count, -1, -1, -1)
    depths = 1 + torch.rand(1, 1, 8, 10, generator=generator).expand(count, -1, -1, -1)
    known = (depths > 1.2).expand(count, -1, -1, -1)
    return images, depths, known


def test_only_the_flip_touches_depth() -> None:
    images, depths, known = batch(MANY)
    changed, targets, left = Augmentation(384, seed=0)(images, depths, known, indices=torch.arange(MANY), epoch=0)
    flipped = (targets == depths.flip(3)).flatten(1).all(1)
    kept = (targets == depths).flatten(1).all(1)
    assert (flipped ^ kept).all()
    assert torch.equal(left[flipped], known.flip(3)[flipped]) and torch.equal(left[kept], known[kept])
    untouched = (changed == images).flatten(1).all(1) | (changed == images.flip(3)).flatten(1).all(1)
    assert not (changed == images)[flipped].flatten(1).all(1).any()  # the image is flipped with its depth
    assert ((changed >= 0) & (changed <= 1)).all()
    # Nothing but a flip: 0.2 x (0.5 + 0.5 / 6: the permutation may be the identity) x 0.8 x 0.5 of the images.
    assert float(untouched.float().mean()) == pytest.approx(0.2 * (0.5 + 0.5 / 6) * 0.8 * 0.5, abs=0.035)


def test_probabilities_are_those_of_the_paper() -> None:
    transforms = policy(384).transforms
    assert [getattr(transform, "p", None) for transform in transforms] == [0.5, 0.8, 0.5, 0.2, 0.5]
    images, depths, known = batch(MANY)
    changed, targets, _ = Augmentation(384, seed=1)(images, depths, known, indices=torch.arange(MANY), epoch=0)
    grey = (changed[:, :1] == changed).flatten(1).all(1).float().mean()
    flips = (targets != depths).flatten(1).any(1).float().mean()
    assert grey == pytest.approx(0.2, abs=0.08) and flips == pytest.approx(0.5, abs=0.1)


def test_changes_depend_on_seed_epoch_and_example() -> None:
    images, depths, known = batch(4)

    def changed(indices: list[int], *, seed: int = 3, epoch: int = 1) -> Tensor:
        some = (tensor[: len(indices)] for tensor in (images, depths, known))
        return Augmentation(64, seed=seed)(*some, indices=torch.tensor(indices), epoch=epoch)[0]

    before = torch.get_rng_state()
    whole = changed([5, 6, 7, 8])
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(9)
    assert torch.equal(whole[[3, 1]], changed([8, 6]))
    assert not torch.equal(whole, changed([5, 6, 7, 8], seed=4))
    assert not torch.equal(whole, changed([5, 6, 7, 8], epoch=2))


def test_small_images_are_blurred_in_proportion() -> None:
    wide, narrow = (policy(height).transforms[-1].transforms[0].sigma for height in (384, 96))
    assert list(wide) == [0.1, 2.0] and list(narrow) == [0.1, 0.5]
