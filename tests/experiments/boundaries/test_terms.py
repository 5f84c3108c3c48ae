"""What the arms add to Dice and cross-entropy, and what it costs."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from typing import Any

import pytest
import torch

import topolayer as tl
from experiments.boundaries import config as options
from experiments.boundaries.augment import altered
from experiments.boundaries.config import Config, settle
from experiments.boundaries.curves import networks
from experiments.boundaries.terms import Term, overlap, term, timed
from experiments.shared.console import UserError

MISSING = importlib.util.find_spec("monai") is None
ARMS = ["wasserstein", "betti", pytest.param("cldice", marks=pytest.mark.skipif(MISSING, reason="needs MONAI"))]


def some() -> tuple[torch.Tensor, torch.Tensor]:
    masks = networks(2, 64, seed=0).masks[:, None].float()
    noise = torch.rand(masks.shape, generator=torch.Generator().manual_seed(0))
    return (0.7 * masks + 0.3 * noise).clamp(0.05, 0.95), masks


def test_overlap_is_dice_and_cross_entropy_of_each_image() -> None:
    masks = torch.zeros(2, 1, 4, 4)
    masks[0, :, :2] = 1
    found = overlap(torch.full_like(masks, 0.5), masks)
    entropy = torch.log(torch.tensor(2.0))
    torch.testing.assert_close(found, torch.stack([1 - 9 / 17 + entropy, 1 - 1 / 9 + entropy]))
    assert overlap(masks, masks).abs().max() < 1e-6


@pytest.mark.parametrize("arm", ARMS)
def test_terms_are_the_losses_and_so_are_their_gradients(arm: Any) -> None:
    prediction, masks = some()
    added = term(Config(), arm)
    assert added is not None and added.weight > 0
    prediction.requires_grad_()
    value = added.loss(prediction, masks)
    (gradient,) = torch.autograd.grad(value, prediction)
    known, seconds = timed(added.loss, prediction, masks)
    (found,) = torch.autograd.grad(known, prediction)
    assert known == value > 0 and torch.equal(found, gradient) and gradient.abs().sum() > 0
    assert 0 < seconds < 100
    assert added.loss(masks, masks) < 1e-3  # nothing is wrong with the mask


def test_matching_terms_are_those_of_the_library() -> None:
    prediction, masks = some()
    for arm, loss in (("wasserstein", tl.wasserstein_matching_loss), ("betti", tl.betti_matching_loss)):
        added = term(Config(), arm)  # type: ignore[arg-type]
        assert added is not None
        torch.testing.assert_close(added.loss(prediction, masks), loss(prediction, masks).mean())
    assert term(Config(), "none") is None


def test_the_weight_rises_in_the_first_epochs() -> None:
    rising = Term(lambda prediction, masks: prediction.sum(), 2.0, warm_up=4)
    assert [rising.weight_in(epoch) for epoch in (0, 1, 4, 9)] == [0, 0.5, 2, 2]
    assert dataclasses.replace(rising, warm_up=0).weight_in(0) == 2


def test_patches_are_changed_by_seed_epoch_and_number() -> None:
    images = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    indices = torch.tensor([5, 3])
    changed = altered(images, indices, seed=0, epoch=0)
    assert changed.shape == images.shape and changed.dtype == torch.float32
    assert changed.min() >= 0 and changed.max() <= 1 and not torch.equal(changed, images)
    assert torch.equal(altered(images.flip(0), indices.flip(0), seed=0, epoch=0), changed.flip(0))
    for other in ({"seed": 1, "epoch": 0}, {"seed": 0, "epoch": 1}):
        assert not torch.equal(altered(images, indices, **other), changed)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "cracks"}, "--data cracks needs --root DIR"),
        ({"held_out": 1.0}, "--held-out must be at least 0 and below 1"),
        ({"patch": 100}, "--patch 100: .*multiples of 64"),
        ({"patches": 0}, "--patches must be at least 1"),
        ({"betti_lambda": -1.0}, "--betti-lambda must be a number from 0"),
        ({"warm_up": -1}, "--warm-up must be a number from 0"),
    ],
)
def test_options_that_cannot_work_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        settle(Config(**({"arms": ("none",)} | changes)))


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = {"monai"}
    find = importlib.util.find_spec
    monkeypatch.setattr(options.importlib.util, "find_spec", lambda name: None if name in missing else find(name))
    extra = r'pip install "topolayer\[boundaries\]"'
    with pytest.raises(UserError, match=rf"cldice is MONAI's, .*{extra}, or give --arms none wasserstein betti"):
        settle(Config())
    assert "cldice" not in settle(Config(arms=("none", "betti"))).arms
    missing.add("skimage")
    with pytest.raises(UserError, match=rf"adapted Rand error is scikit-image's, .*{extra}"):
        settle(Config(arms=("none",)))
    assert "monai" not in sys.modules or not MISSING
