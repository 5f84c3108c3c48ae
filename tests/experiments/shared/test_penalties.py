"""The penalties on an activation, against sums done by hand."""

from __future__ import annotations

import pytest
import torch
from lightning_fabric import Fabric

import topolayer as tl
from experiments.shared.penalties import gradient_ratio, shuffled, speckle, squared_norm, total_variation


def test_total_variation_sums_squared_differences_over_pixels_and_channels() -> None:
    h = torch.tensor([[0.0, 1.0], [3.0, 3.0]]).view(1, 1, 2, 2).repeat(2, 3, 1, 1)
    h[1] *= 2
    assert total_variation(h).tolist() == [3 * (9 + 4 + 1 + 0), 4 * 3 * (9 + 4 + 1 + 0)]
    assert total_variation(h.half()).dtype == torch.float32


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


def test_the_placebo_sees_the_same_values_at_other_places() -> None:
    h = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0), requires_grad=True)
    seen: list[torch.Tensor] = []
    keep = shuffled(lambda x: seen.append(x) or x.flatten(1).sum(1))  # type: ignore[func-returns-value]
    keep(h)
    keep(2 * h)
    norms = tl.channel_norm(h).flatten(1)
    assert torch.equal(tl.channel_norm(seen[0]).flatten(1).sort().values, norms.sort().values)
    assert not torch.equal(tl.channel_norm(seen[0]).flatten(1), norms)
    assert torch.equal(seen[1], 2 * seen[0])  # the same order again
    ramp = torch.arange(16.0).expand(1, 2, 16, 16)
    assert shuffled(tl.few_maxima)(ramp) > 0 == tl.few_maxima(ramp)  # no topology of the activation's is left
    shuffled(tl.few_maxima)(h).sum().backward()
    assert h.grad is not None and h.grad.abs().sum() > 0


def test_the_squared_norm_of_each_sample() -> None:
    h = torch.tensor([[3.0, 4.0], [1.0, 0.0]]).view(2, 2, 1, 1)
    assert squared_norm(h).tolist() == [25, 1] and squared_norm(h.half()).dtype == torch.float32
