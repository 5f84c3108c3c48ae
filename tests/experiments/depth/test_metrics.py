"""The scores of Section 5.6 against sums done by hand and torchmetrics."""

from __future__ import annotations

import math

import pytest
import torch

from experiments.depth.metrics import DepthScore, scores


def test_by_hand() -> None:
    depth = torch.tensor([1.0, 10.0, 2.0, 4.0]).view(1, 1, 2, 2)
    prediction = torch.tensor([10.0, 10.0, 2.5, 3.0]).view(1, 1, 2, 2)
    valid = torch.tensor([True, True, True, False]).view(1, 1, 2, 2)
    got = {name: float(value) for name, value in scores(prediction, depth, valid).items()}
    log = math.log10(1.25)
    assert got == pytest.approx(
        {
            "mae": (9 + 0 + 0.5) / 3,
            "rmse": math.sqrt((81 + 0 + 0.25) / 3),
            "abs_rel": (0.9 + 0 + 0.2) / 3,
            "abs_rel_usual": (9 + 0 + 0.25) / 3,
            "mae_log10": (1 + 0 + log) / 3,
            "rmse_log10": math.sqrt((1 + 0 + log**2) / 3),
            "delta1": 1 / 3,  # 1.25 is not below 1.25
            "delta2": 2 / 3,
            "delta3": 2 / 3,
        }
    )


def test_against_torchmetrics() -> None:
    from topolayer.metrics.torchvision import import_torchvision

    import_torchvision()
    regression = pytest.importorskip("torchmetrics.functional.regression")
    prediction, depth = 0.5 + torch.rand(2, 1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    found = scores(prediction, depth, torch.ones_like(depth, dtype=torch.bool))
    got = {name: float(value) for name, value in found.items()}
    assert got["mae"] == pytest.approx(float(regression.mean_absolute_error(prediction, depth)))
    assert got["rmse"] == pytest.approx(float(regression.mean_squared_error(prediction, depth, squared=False)))
    assert got["abs_rel_usual"] == pytest.approx(float(regression.mean_absolute_percentage_error(prediction, depth)))
    assert got["abs_rel"] == pytest.approx(float(regression.mean_absolute_percentage_error(depth, prediction)))


def test_a_set_is_the_mean_of_its_images_and_ranges_are_pooled() -> None:
    depth = torch.tensor([[1.0, 3.0], [2.0, 7.0]]).view(2, 1, 1, 2)
    prediction = torch.tensor([[2.0, 5.0], [3.0, 0.1]]).view(2, 1, 1, 2)
    valid = torch.tensor([[True, True], [True, False]]).view(2, 1, 1, 2)
    score = DepthScore((0.5, 2, 5, 10), torch.device("cpu"))
    for image in range(2):
        score.update(prediction[image, None], depth[image, None], valid[image, None])
    row = score.compute()
    assert row["mae"] == pytest.approx((1.5 + 1) / 2)
    assert row["mae_from_0.5_to_2"] == pytest.approx(1)
    assert row["mae_from_2_to_5"] == pytest.approx((2 + 1) / 2)  # 2 belongs to the range above it
    assert row["abs_rel_usual_from_2_to_5"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert "mae_from_5_to_10" not in row  # the only such pixel is not known
