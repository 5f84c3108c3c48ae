"""The penalties on an activation, against sums done by hand."""

from __future__ import annotations

import pytest
import torch
from lightning_fabric import Fabric

import topolayer as tl
from experiments.shared.penalties import gradient_ratio, normalized, speckle, total_variation


def test_total_variation_sums_squared_differences_over_pixels_and_channels() -> None:
    h = torch.tensor([[0.0, 1.0], [3.0, 3.0]]).view(1, 1, 2, 2).repeat(2, 3, 1, 1)
    h[1] *= 2
    assert total_variation(h).tolist() == [3 * (9 + 4 + 1 + 0), 4 * 3 * (9 + 4 + 1 + 0)]
    assert total_variation(h.half()).dtype == torch.float32


def test_normalized_penalties_do_not_depend_on_the_scale() -> None:
    h = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(tl.few_maxima(normalized(h)), tl.few_maxima(normalized(100 * h)))
    assert tl.channel_norm(normalized(h)).square().mean() == pytest.approx(1, abs=1e-5)
    assert torch.isfinite(normalized(torch.zeros(1, 1, 2, 2))).all()


def test_ratio_of_gradients() -> None:
    weight = torch.ones(4, requires_grad=True)
    h = 3 * weight
    ratio = gradient_ratio(Fabric(accelerator="cpu", devices=1), 0.1 * h.sum(), 2 * h.sum(), h)
    assert ratio == pytest.approx(0.05)
    assert weight.grad is None  # the step's own backward pass is still to come


def test_speckle_does_not_depend_on_the_scale_and_vanishes_with_few_maxima() -> None:
    h = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(speckle(h, k=8), speckle(100 * h, k=8))
    ramp = torch.arange(16.0).expand(1, 2, 16, 16)
    assert speckle(h, k=8).min() > 0 and speckle(ramp, k=8) == 0
