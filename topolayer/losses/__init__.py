"""Losses and scores of a prediction and its mask, and losses of two representations. To add one, write a file for it
here, with the checks that all share.
"""

from topolayer.losses.betti import betti_error
from topolayer.losses.betti_matching import betti_matching_error, betti_matching_loss
from topolayer.losses.modules import BettiMatchingLoss, BettiNumberLoss, WassersteinMatchingLoss
from topolayer.losses.representations import RTDLiteLoss, SignatureLoss, rtd_lite, signature_loss
from topolayer.losses.wasserstein import wasserstein_matching_loss

__all__ = [
    "BettiMatchingLoss",
    "BettiNumberLoss",
    "RTDLiteLoss",
    "SignatureLoss",
    "WassersteinMatchingLoss",
    "betti_error",
    "betti_matching_error",
    "betti_matching_loss",
    "rtd_lite",
    "signature_loss",
    "wasserstein_matching_loss",
]
