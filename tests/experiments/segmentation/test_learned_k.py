"""A k that is learned: the soft penalty against the hard one, the derivative by k against differences, the command."""

from __future__ import annotations

import copy
import csv
from pathlib import Path

import pytest
import torch

import topolayer as tl
from experiments.segmentation.learned_k import Options, main, soft_penalty, step_and_slope
from experiments.shared.console import UserError


def test_a_hard_k_is_the_limit() -> None:
    h = torch.rand(3, 2, 12, 15, generator=torch.Generator().manual_seed(0))
    for k in (1, 4, 9):
        found = soft_penalty(h, torch.tensor(float(k)), softness=1e-3)
        assert torch.allclose(found, tl.few_maxima(h, k=k), rtol=1e-4)
    more, less = (soft_penalty(h, torch.tensor(k), softness=1.0) for k in (4.0, 4.5))
    assert (more > less).all()


@pytest.mark.parametrize("k", [1.0, 3.7])
def test_the_derivative_by_k_is_that_of_the_loss_after_the_step(k: float) -> None:
    """By central differences, in double precision with a convolution whose step changes no order of the lengths."""
    torch.manual_seed(0)
    first = torch.nn.Conv2d(1, 2, 3, padding=1).double()
    images, wanted = torch.rand(2, 1, 9, 9).double(), torch.rand(2, 2, 9, 9).double()
    others, theirs = torch.rand(2, 1, 9, 9).double(), torch.rand(2, 2, 9, 9).double()

    def after(value: float) -> tuple[torch.Tensor, torch.Tensor]:
        net, soft = copy.deepcopy(first), torch.tensor(value, dtype=torch.float64, requires_grad=True)
        h = net(images)
        barcode = tl.persistence(tl.Freudenthal(tl.channel_norm(h), ndim=2, superlevel=True))
        weights = torch.sigmoid(barcode.ranks.double() + 0.5 - soft)
        penalty = (weights * barcode.lengths.square()).sum()

        def held() -> torch.Tensor:
            return (net(others) - theirs).square().mean()

        parameters = list(net.parameters())
        slope = step_and_slope(parameters, (h - wanted).square().mean(), penalty, soft, held, lr=0.1)
        return slope, held().detach()

    slope, _ = after(k)
    difference = (after(k + 1e-4)[1] - after(k - 1e-4)[1]) / 2e-4
    assert float(slope) == pytest.approx(float(difference), rel=1e-5)
    assert abs(float(slope)) > 1e-6


def test_the_command_writes_k_after_each_step(tmp_path: Path) -> None:
    main(Options(starts=(2.0, 5.0), epochs=2, images=4, batch_size=2, width=2, runs=tmp_path))
    with (tmp_path / "learned-k" / "learned_k.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"]
    assert 0 < abs(float(rows[0]["from_5"]) - 5) <= 0.21
    text = (tmp_path / "learned-k" / "learned_k.md").read_text()
    assert text.startswith("| k at the start |") and text.count("\n| ") == 3  # a line below the header, and two starts


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(epochs=0), "--epochs must be at least 1"),
        (Options(starts=(0.0,)), "--starts: expected values of k from 0.5"),
        (Options(layer="enc1"), "--layer enc1: expected dec1, dec2"),
    ],
)
def test_options_that_cannot_work_are_refused(options: Options, message: str) -> None:
    with pytest.raises(UserError, match=message):
        main(options)
