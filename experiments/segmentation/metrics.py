"""The scores of Section 4: intersection over union, from one confusion matrix of the whole validation set.

And scores that need no threshold, from such a matrix for each of many. A pixel is foreground where its probability is
at least the threshold, as in a superlevel set and in `topolayer.betti_error`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from topolayer.metrics.torchvision import import_torchvision

import_torchvision()
from torchmetrics.classification import BinaryAveragePrecision, BinaryConfusionMatrix  # noqa: E402  (torchvision)

THRESHOLD = 0.5


def foreground(probabilities: Tensor) -> Tensor:
    """Where a prediction says person; NaN says nothing."""
    return probabilities >= THRESHOLD


class SegmentationScore:
    """Counts pixels over any number of batches, then gives the scores.

    One confusion matrix of the *whole* set, not a mean over images: an image with hardly any people does not
    weigh as much as a crowd. Over several processes the matrices are added.
    """

    def __init__(self, device: torch.device) -> None:
        self._matrix = BinaryConfusionMatrix(validate_args=False).to(device)

    def update(self, probabilities: Tensor, masks: Tensor) -> None:
        # Cut here, for torchmetrics cuts probabilities above its threshold in this matrix, and from it on in curves.
        self._matrix.update(foreground(probabilities).int(), masks.int())

    def compute(self) -> dict[str, float]:
        return scores(self._matrix.compute().cpu())


def scores(matrix: Tensor) -> dict[str, float]:
    """Scores from ``matrix[truth, prediction]``, in per cent. A class that is nowhere, seen or predicted, is left out.

    >>> scores(torch.tensor([[50, 10], [20, 20]]))
    {'miou': 51.25, 'person_iou': 40.0, 'accuracy': 70.0}
    """
    counts = matrix.double()
    intersection = counts.diagonal()
    union = counts.sum(0) + counts.sum(1) - intersection
    iou = 100 * intersection / union
    return {
        "miou": float(iou.nanmean()),
        "person_iou": float(iou[1]),
        "accuracy": float(100 * intersection.sum() / counts.sum()),
    }


class ThresholdCurve:
    """Counts pixels over any number of batches at 201 thresholds from 0 to 1, on the CPU."""

    thresholds = torch.linspace(0, 1, 201)

    def __init__(self) -> None:
        self._matrices = BinaryAveragePrecision(thresholds=self.thresholds, validate_args=False)

    def update(self, probabilities: Tensor, masks: Tensor) -> None:
        self._matrices.update(probabilities.float(), masks.int())

    def miou(self) -> Tensor:
        """(201,) the mean IoU at each threshold, in per cent."""
        return torch.tensor([scores(matrix)["miou"] for matrix in self._matrices.confmat])

    def compute(self) -> dict[str, float]:
        """Average precision, the best mean IoU of all thresholds, and the share of pixels found at 0.5, in per cent."""
        usual = self._matrices.confmat[int((self.thresholds - THRESHOLD).abs().argmin())].double()
        return {
            "average_precision": 100 * float(self._matrices.compute()),
            "best_miou": float(self.miou().max()),
            "found": float(100 * usual[:, 1].sum() / usual.sum()),
        }
