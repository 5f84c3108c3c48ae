"""The losses that are modules, and inputs of all of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

import topolayer as tl
from topolayer.losses import BettiMatchingLoss, BettiNumberLoss, WassersteinMatchingLoss

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = 2 * torch.randn(2, 3, 8, 9, generator=GENERATOR)
LABELS = torch.randint(0, 3, (2, 1, 8, 9), generator=GENERATOR)
ONE_HOT = one_hot(LABELS[:, 0], 3).movedim(-1, 1)
SINGLE = torch.rand(2, 1, 8, 9, generator=GENERATOR)

# The losses of a prediction and its mask, and the functions that they wrap.
FUNCTIONS: dict[type[nn.Module], Callable[..., Tensor]] = {
    WassersteinMatchingLoss: tl.wasserstein_matching_loss,
    BettiMatchingLoss: tl.betti_matching_loss,
}
CLASSES: list[type[nn.Module]] = [*FUNCTIONS, BettiNumberLoss]
classes = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
of_masks = pytest.mark.parametrize("kind", FUNCTIONS, ids=lambda kind: kind.__name__)


def called(loss: nn.Module, input: Tensor, target: Tensor) -> Tensor:
    """A prior on numbers takes no target."""
    found: Tensor = loss(input) if isinstance(loss, BettiNumberLoss) else loss(input, target)
    return found
