"""From the costs of samples to the loss, in the same way for all loss modules."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from topolayer._checks import check_word

Reduction = Literal["none", "mean", "sum"]


def check_reduction(reduction: Reduction, shape: str, mean_over: str) -> None:
    """Refuses other words; the message says the shape without a reduction, and what the mean is over."""
    words = {"none": shape, "mean": "", "sum": ""}
    check_word("reduction", reduction, words, remedy=f'"mean" is over {mean_over}')


def reduced(costs: Tensor, reduction: Reduction) -> Tensor:
    """The costs, their sum or their mean."""
    if reduction == "none":
        return costs
    if reduction == "sum" or costs.numel() == 0:  # the mean of no samples is 0, not NaN
        return costs.sum()
    return costs.mean()
