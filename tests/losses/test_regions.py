"""Losses and scores in a region: what is outside counts in neither the prediction nor the mask, whatever it is."""

from __future__ import annotations

import math

import pytest
import torch

import topolayer as tl


def test_a_region_of_the_loss_is_a_mask_of_both() -> None:
    """NaN and logits outside are neither refused nor looked at; loops around a gap count by their births."""
    generator = torch.Generator().manual_seed(0)
    prediction = torch.rand(2, 3, 6, 7, generator=generator)
    mask = torch.rand(2, 3, 6, 7, generator=generator) > 0.5
    region = torch.rand(2, 1, 6, 7, generator=generator) > 0.3
    disturbed = torch.where(region, prediction, torch.tensor([math.nan, 5.0, -math.inf]).repeat(14).reshape(6, 7))
    leaf = disturbed.clone().requires_grad_()
    loss = tl.wasserstein_matching_loss(leaf, torch.where(region, mask, 7), region=region)
    loss.sum().backward()
    assert leaf.grad is not None
    assert not leaf.grad[~region.expand_as(leaf)].any()
    assert leaf.grad.isfinite().all() and leaf.grad.any()
    bars, truth = (
        tl.persistence(tl.Cubical(image, construction="T", superlevel=True, mask=region), (0, 1))
        for image in (disturbed, mask.float())
    )
    expected = sum(tl.wasserstein(bars, truth, order=2, norm=2, dim=dim).square() for dim in (0, 1))
    torch.testing.assert_close(loss.detach(), expected)
    assert loss.shape == (2, 3)


def test_a_region_of_the_error() -> None:
    """The foreground inside alone: a ring around a gap of the region has a hole, a line through one two pieces."""
    line, gap = torch.zeros(5, 5), torch.ones(5, 5, dtype=torch.bool)
    line[2], gap[2, 2] = 1.0, False
    whole = torch.ones(5, 5)
    assert tl.betti_error(line, whole).tolist() == [0.0, 0.0]
    assert tl.betti_error(line, whole, region=gap).tolist() == [1.0, 1.0]
    assert tl.betti_error(torch.where(gap, line, math.nan), torch.where(gap, whole, 9), region=gap).tolist() == [1, 1]
    assert tl.betti_error(line, whole, region=gap, threshold=-1).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("shape", [(6, 7), (2, 1, 6, 7), (1, 1, 6, 7), (2, 3, 6, 7)])
def test_shapes_of_a_region(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(1)
    prediction, region = torch.rand(2, 3, 6, 7, generator=generator), torch.rand(shape, generator=generator) > 0.2
    mask = prediction > 0.4
    whole = region.expand(2, 3, 6, 7)
    for function in (tl.betti_error, tl.wasserstein_matching_loss):
        assert torch.equal(function(prediction, mask, region=region), function(prediction, mask, region=whole))


# -- few_maxima


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64], ids=str)
def test_few_maxima_of_a_region(dtype: torch.dtype) -> None:
    """That of the norms inside: each piece has a maximum that never dies; NaN outside is no NaN of the penalty."""
    generator = torch.Generator().manual_seed(2)
    h = torch.randn(2, 3, 6, 7, generator=generator).to(dtype)
    region = torch.rand(2, 1, 6, 7, generator=generator) > 0.3
    leaf = torch.where(region, h, math.nan).to(dtype).requires_grad_()
    penalty = tl.few_maxima(leaf, k=2, region=region)
    penalty.sum().backward()
    assert leaf.grad is not None and leaf.grad.isfinite().all() and leaf.grad.any()
    assert not leaf.grad[~region.expand_as(leaf)].any()
    bars = tl.persistence(tl.Freudenthal(tl.channel_norm(h), superlevel=True, mask=region[:, 0]))
    torch.testing.assert_close(penalty.detach(), tl.total_persistence(bars, p=2, k=2))
    one = tl.few_maxima(h, k=2, region=region[0, 0])
    assert torch.equal(one, tl.few_maxima(h, k=2, region=region[:1].expand(2, 1, 6, 7)))


def test_few_maxima_is_nan_where_something_inside_is() -> None:
    h = torch.rand(3, 2, 5, 6, generator=torch.Generator().manual_seed(0))
    region = torch.ones(5, 6, dtype=torch.bool)
    region[0, 0] = False
    h[0, 1, 0, 0], h[1, 1, 2, 2] = math.nan, math.inf
    assert tl.few_maxima(h, k=1, region=region).isnan().tolist() == [False, True, False]


def test_few_maxima_of_a_volume_and_of_no_channels() -> None:
    region = torch.rand(4, 5, 6, generator=torch.Generator().manual_seed(0)) > 0.5
    h = torch.rand(2, 1, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    bars = tl.persistence(tl.Freudenthal(h[:, 0], ndim=3, superlevel=True, mask=region))
    torch.testing.assert_close(tl.few_maxima(h, k=1, region=region), tl.total_persistence(bars, p=2, k=1))
    assert tl.few_maxima(h[:, :0], k=1, region=region).tolist() == [0.0, 0.0]
