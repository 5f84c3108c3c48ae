"""Losses as modules: which options, inputs and targets they refuse, and in which words (contract 9)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from topolayer.losses import BettiMatchingLoss, BettiNumberLoss

from ..helpers.loss_modules import CLASSES, FUNCTIONS, LABELS, LOGITS, ONE_HOT, SINGLE, called, classes, of_masks


def test_options_that_are_refused() -> None:
    """Contract 9, before any input is there."""
    cases: list[tuple[type[nn.Module], dict[str, Any], type[Exception], str]] = [
        (kind, {"sigmoid": True, "softmax": True}, ValueError, r"^softmax\b.*at most one.*both; .*exclude")
        for kind in CLASSES
    ]
    cases += [(kind, {"reduction": "max"}, ValueError, r'^reduction\b.*"mean".*max.*; ') for kind in CLASSES]
    cases += [(kind, {"sigmoid": 1}, TypeError, r"^sigmoid\b.*bool.*int 1; convert it with bool") for kind in CLASSES]
    cases += [(kind, {"jaccard": True}, TypeError, "jaccard") for kind in CLASSES]
    of_masks: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"include_background": None}, TypeError, r"^include_background\b.*bool.*NoneType"),
        ({"to_onehot_y": "yes"}, TypeError, r"^to_onehot_y\b.*bool.*yes"),
        ({"construction": "F"}, ValueError, r"^construction\b.*V.*T.*F"),
        ({"weight": [1, -1]}, ValueError, r"^weight\b.*>= 0, got -1; .*each class"),
        ({"weight": torch.tensor([1, -2])}, ValueError, r"^weight\b.*>= 0, got -2; "),
        ({"weight": math.nan}, ValueError, r"^weight\b.*finite.*nan"),
        ({"weight": torch.tensor(math.inf)}, ValueError, r"^weight\b.*finite"),
        ({"weight": "balanced"}, TypeError, r"^weight\b.*balanced.*each class"),
        ({"weight": torch.ones(2, 2)}, ValueError, r"^weight\b.*\(2, 2\); "),
    ]
    cases += [(kind, *case) for kind in FUNCTIONS for case in of_masks]
    cases += [
        (BettiMatchingLoss, {"comparison": "sum"}, ValueError, r"^comparison\b.*union.*sum"),
        (BettiMatchingLoss, {"min_length": -0.1}, ValueError, r"^min_length\b.*>= 0, got -0.1"),
        (BettiMatchingLoss, {"min_length": "0"}, TypeError, r"^min_length\b.*number.*str"),
        (BettiNumberLoss, {"components": -1}, ValueError, r"^components\b.*>= 0.*-1"),
        (BettiNumberLoss, {"loops": 0.5}, TypeError, r"^loops\b.*int.*0\.5"),
        (BettiNumberLoss, {"cavities": None}, TypeError, r"^cavities\b.*int.*None"),
    ]
    for kind, options, error, words in cases:
        with pytest.raises(error, match=words):
            kind(**options)
    for kind in FUNCTIONS:
        with pytest.raises(TypeError, match="positional"):
            kind(False)


@classes
def test_inputs_that_are_refused(kind: Callable[..., nn.Module]) -> None:
    """Contract 9: the argument is the module's, and so is the remedy."""
    cases: list[tuple[dict[str, Any], Any, type[Exception], str]] = [
        ({"softmax": True}, SINGLE, ValueError, r"^softmax\b.*each class.*one channel.*sigmoid=True"),
        ({}, SINGLE[0, 0], ValueError, r"^input\b.*\(B, C, H, W\).*\(8, 9\); .*input\[None\]"),
        ({}, SINGLE[:, 0], ValueError, r"^input\b.*\(B, C, H, W\).*\(2, 8, 9\); .*unsqueeze"),
        ({}, torch.rand(1, 1, 2, 2, 2, 2), ValueError, r"^input\b.*\(1, 1, 2, 2, 2, 2\)"),
        ({}, LOGITS, ValueError, r"^input\b.*0 to 1.*sigmoid=True.*softmax=True"),
        ({"sigmoid": True}, LOGITS * math.nan, ValueError, r"^input\b.*finite"),
        ({"softmax": True}, LOGITS.masked_fill(LOGITS > 2, math.inf), ValueError, r"^input\b.*finite"),
        ({}, LABELS, TypeError, r"^input\b.*floating.*int64"),
        ({}, [SINGLE, SINGLE], TypeError, r"^input\b.*torch\.Tensor.*list; .*call it for each one"),
        ({}, torch.empty(1, 1, 0, 5), ValueError, r"^input\b.*empty.*\(1, 1, 0, 5\)"),
    ]
    for options, input, error, words in cases:
        with pytest.raises(error, match=words):
            called(kind(**options), input, ONE_HOT)


@of_masks
def test_targets_that_are_refused(kind: Callable[..., nn.Module]) -> None:
    cases: list[tuple[dict[str, Any], Tensor, Any, type[Exception], str]] = [
        ({"to_onehot_y": True}, SINGLE, SINGLE > 0.5, ValueError, r"^to_onehot_y\b.*one channel; .*to_onehot_y=True"),
        ({"include_background": False}, SINGLE, SINGLE > 0.5, ValueError, r"^include_background\b.*one channel; "),
        ({"softmax": True}, LOGITS, LABELS, ValueError, r"^target\b.*as input has.*need to_onehot_y=True"),
        ({"sigmoid": True}, LOGITS, ONE_HOT * 255, ValueError, r"^target\b.*0 and 255; .*target / 255"),
        ({"sigmoid": True}, LOGITS, ONE_HOT[:, :2], ValueError, r"^target\b.*as input has.*\(2, 2, 8, 9\)"),
        ({"sigmoid": True}, LOGITS, ONE_HOT * math.nan, ValueError, r"^target\b.*finite"),
        ({"sigmoid": True}, LOGITS, ONE_HOT.numpy(), TypeError, r"^target\b.*torch\.Tensor.*ndarray"),
        (
            {"sigmoid": True, "weight": [1, 2]},
            LOGITS,
            ONE_HOT,
            ValueError,
            r"^weight\b.*or 3 numbers, one for each.*got 2; ",
        ),
        ({"sigmoid": True, "dims": 2}, LOGITS, ONE_HOT, ValueError, r"^dims\b.*0 to 1.*2"),
    ]
    labelled = {"softmax": True, "to_onehot_y": True}
    cases += [
        (labelled, LOGITS, ONE_HOT, ValueError, r"^target\b.*labels of shape \(2, 8, 9\) or .*one-hot already"),
        (labelled, LOGITS, LABELS + 1, ValueError, r"^target\b.*whole numbers from 0 to 2, got .*3; input"),
        (labelled, LOGITS, LABELS - 1, ValueError, r"^target\b.*from -1 to 1; .*ignore"),
        (labelled, LOGITS, LABELS.masked_fill(LABELS > 1, 255), ValueError, r"^target\b.*255; if 255 marks.*where"),
        (labelled, LOGITS, LABELS / 2, ValueError, r"^target\b.*whole numbers.*round"),
        (labelled, LOGITS, LABELS * math.nan, ValueError, r"^target\b.*finite"),
        (labelled, LOGITS, LABELS + 0j, TypeError, r"^target\b.*complex64; .*real"),
        (labelled, LOGITS, LABELS.to("meta"), ValueError, r"^target\b.*cpu, where input is.*meta; .*input\.device"),
    ]
    for options, input, target, error, words in cases:
        with pytest.raises(error, match=words):
            kind(**options)(input, target)
    with pytest.raises(ValueError, match=r"^cavities\b.*0 for images.*\(2, 1, 8, 9\).*got 2; .*\(B, C, D, H, W\)"):
        BettiNumberLoss(1, 0, 2)(SINGLE)
