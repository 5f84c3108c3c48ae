"""Losses and scores of a prediction and its mask. Enter here to add one: its file, with the checks that all share."""

from topolayer.losses.betti import betti_error
from topolayer.losses.modules import BettiNumberLoss, WassersteinMatchingLoss
from topolayer.losses.wasserstein import wasserstein_matching_loss

__all__ = ["BettiNumberLoss", "WassersteinMatchingLoss", "betti_error", "wasserstein_matching_loss"]
