"""The scores and the loss of the segmentation, against sums done by hand."""

from __future__ import annotations

import math

import pytest
import torch
from lightning_fabric import Fabric

import topolayer as tl
from experiments.segmentation.metrics import THRESHOLD, SegmentationScore, ThresholdCurve, foreground, scores
from experiments.segmentation.task import Segmentation, squared_error
from experiments.shared.images import ImageSet


def test_one_confusion_matrix_of_the_whole_set() -> None:
    score = SegmentationScore(torch.device("cpu"))
    masks = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]).view(3, 1, 2, 2)
    probabilities = torch.tensor([[0.9, 0.4, 0.6, 0.1], [0.7, 0.2, 0.2, 0.2], [0.1, 0.8, 0.5, 0.1]]).view(3, 1, 2, 2)
    score.update(probabilities[:2], masks[:2])
    score.update(probabilities[2:], masks[2:])
    # Person: 2 right, 1 missed, 3 false. Background: 6 right. One half is foreground.
    got = score.compute()
    assert got["person_iou"] == pytest.approx(100 * 2 / 6)
    assert got["miou"] == pytest.approx(100 * (2 / 6 + 6 / 10) / 2)
    assert got["accuracy"] == pytest.approx(100 * 8 / 12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [0.5, 0.49, 0.51])
def test_all_scores_cut_at_the_same_values(value: float, dtype: torch.dtype) -> None:
    """IoU, the curve over thresholds and the Betti error: at least one half is foreground, as in a superlevel set."""
    masks = torch.zeros(1, 1, 4, 4)
    masks[..., :2] = 1
    probabilities = torch.full((1, 1, 4, 4), value).to(dtype)
    score, curve = SegmentationScore(torch.device("cpu")), ThresholdCurve()
    score.update(probabilities, masks)
    curve.update(probabilities, masks)
    found = value >= 0.5
    assert score.compute()["person_iou"] == (50 if found else 0)
    assert float(curve.miou()[100]) == pytest.approx(score.compute()["miou"]) == 25
    assert curve.compute()["found"] == 100 * found
    assert bool(foreground(probabilities).all()) == found
    assert tl.betti_error(probabilities.float(), masks, threshold=THRESHOLD, dims=0) == (not found)


def test_a_class_that_is_nowhere_is_left_out() -> None:
    assert scores(torch.tensor([[8, 0], [0, 0]]))["miou"] == 100


def test_errors_count_components_of_the_prediction() -> None:
    """Two and no person where there are one and two: the mean of 1 and 2. A network that fails predicts nobody.

    One of the two is where the person is, so as many have no partner.
    """
    masks = torch.zeros(2, 8, 8, dtype=torch.bool)
    masks[0, 1:4, 1:4] = masks[1, 0, 0] = masks[1, 5:, 5:] = True
    images = ImageSet(torch.zeros(2, 8, 8, 3, dtype=torch.uint8), masks, ("", ""), ("", ""))
    predicted = torch.zeros(2, 1, 8, 8)
    predicted[0, 0, 1:3, 1:3] = predicted[0, 0, 6:, 0] = 0.9
    predicted[1] = math.nan

    class Fixed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.layer(x + torch.rand(x.shape))
            return predicted

    fabric = Fabric(accelerator="cpu", devices=1)
    task = Segmentation(fabric, Fixed(), images, images, None, watched="layer", k=1, reduction="mean", batch_size=2)
    found = task.evaluate()
    assert (found["betti_error"], found["matching_error"]) == (1.5, 1.5)


def test_squared_error_is_a_mean_or_a_sum() -> None:
    prediction = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.5, 0.5, 0.5, 0.5]).view(2, 1, 2, 2)
    mask = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]).view(2, 1, 2, 2)
    assert squared_error(prediction, mask, "sum") == pytest.approx((2 + 1) / 2)
    assert squared_error(prediction, mask, "mean") == pytest.approx((2 + 1) / 8)
