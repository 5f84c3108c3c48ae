"""Losses and scores of a prediction and its mask. Enter here to add one: its file, with the checks that all share."""

from topolayer.losses.betti import betti_error
from topolayer.losses.betti_matching import betti_matching_error, betti_matching_loss
from topolayer.losses.modules import BettiNumberLoss, WassersteinMatchingLoss
from topolayer.losses.wasserstein import wasserstein_matching_loss

__all__ = [
    "BettiNumberLoss",
    "WassersteinMatchingLoss",
    "betti_error",
    "betti_matching_error",
    "betti_matching_loss",
    "wasserstein_matching_loss",
]
