"""What is minimized: Dice and cross-entropy, and what the arms add to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy

from experiments.boundaries.config import Arm, Config
from topolayer.losses import BettiMatchingLoss, WassersteinMatchingLoss

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Term:
    """A loss of probabilities and masks that an arm adds, and its weight, which rises in the first epochs."""

    loss: Loss
    weight: float
    warm_up: int

    def weight_in(self, epoch: int) -> float:
        """From 0 in the first epoch, number 0, to the whole weight in number `warm_up`."""
        return self.weight * min(1.0, epoch / self.warm_up) if self.warm_up else self.weight


def overlap(prediction: Tensor, masks: Tensor) -> Tensor:
    """Soft Dice loss and cross-entropy of probabilities ``(b, 1, h, w)``: a number for each image."""
    both, sizes = (prediction * masks).sum((1, 2, 3)), prediction.sum((1, 2, 3)) + masks.sum((1, 2, 3))
    entropy = binary_cross_entropy(prediction, masks, reduction="none").mean((1, 2, 3))
    return 1 - (2 * both + 1) / (sizes + 1) + entropy


def term(config: Config, arm: Arm) -> Term | None:
    """What an arm adds, which is all that distinguishes it from the others."""
    if arm == "none":
        return None
    if arm == "cldice":
        from monai.losses.cldice import SoftclDiceLoss

        return Term(SoftclDiceLoss(iter_=config.cldice_steps), config.cldice_lambda, config.warm_up)
    if arm == "wasserstein":
        return Term(WassersteinMatchingLoss(), config.wasserstein_lambda, config.warm_up)
    return Term(BettiMatchingLoss(), config.betti_lambda, config.warm_up)


def timed(loss: Loss, prediction: Tensor, masks: Tensor) -> tuple[Tensor, float]:
    """The loss, and the seconds that it and its gradient take.

    Its gradient with respect to the prediction is computed at once, as later it could not be told from the network's.
    What is returned has the loss's value and this gradient.
    """
    given = prediction.detach().requires_grad_()
    began = _now(prediction)
    value = loss(given, masks)
    (gradient,) = torch.autograd.grad(value, given)
    seconds = _now(prediction) - began
    return value.detach() + ((prediction - prediction.detach()) * gradient).sum(), seconds


def _now(values: Tensor) -> float:
    """The time at which everything is computed that was asked of the device so far."""
    if values.is_cuda:
        torch.cuda.synchronize(values.device)
    return time.perf_counter()
