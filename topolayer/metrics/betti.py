"""The Betti error and the Betti matching error over many batches."""

from __future__ import annotations

from torch import Tensor

from topolayer.losses.betti import differences
from topolayer.losses.betti_matching import mismatches
from topolayer.losses.segmentations import Prediction
from topolayer.metrics.segmentations import OfMasks


class BettiError(OfMasks):
    """The Betti error of segmentations, `betti_error`: added up over the dimensions, its mean over images or patches.

    Hu, Li, Samaras and Chen (2019) average it over random patches, others over tiles or whole images. `compute()` gives
    a number for each class, over the data of all processes; without `num_classes` each process has
    to see a batch.

    Args:
        threshold: the foreground of a prediction is where it is at least this; for logits this is 0.
        dims: 0 for components, 1 for holes (in volumes tunnels, and 2 for cavities). None means all of them.
        construction: "T": the foreground is 8-connected and its holes 4-connected (26 and 6 in volumes). "V": 4 and 8.
        num_classes: predictions and targets are labels from 0 to `num_classes - 1`, and each class is a mask.
        include_background: whether the first class counts, which is the background.
        patch: the sides of a patch, one for each axis of the grid or one for all. None: whole images.
        patches: how many random patches an image has. None: tiles that cover it; where they do not fit, the last ones
            overlap others.
        seed: a seed for the places of random patches. The places depend only on it and on the target, so that the score
            is the same in every epoch and for every size of a batch and number of processes.

    Raises:
        TypeError, ValueError: an option is out of its range, or is missing.

    Example:
        >>> import torch
        >>> from topolayer.metrics import BettiError
        >>> metric = BettiError()
        >>> target = torch.tensor([[[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0]]])
        >>> metric.update(target.float(), target)
        >>> metric.update(0.4 * target, target)  # a component and a hole are missing
        >>> metric.compute()
        tensor(1.)
    """

    def _errors(self, found: Tensor, truth: Tensor, ndim: int, dims: int | tuple[int, ...]) -> Tensor:
        return differences(found, truth, ndim=ndim, dims=dims, construction=self.construction).sum(-1)


class BettiMatchingError(OfMasks):
    """The Betti matching error of segmentations, `betti_matching_error`: its mean over images or patches.

    Stucki, Paetzold, Shit, Menze and Bauer (2023) average it over patches. It counts the components and holes that are
    not where those of the target are, so it is never less than the Betti error. `compute()` gives a number for each
    class, over the data of all processes; without `num_classes` each process has to see a batch.

    Args:
        threshold: the foreground of a prediction is where it is at least this; for logits this is 0.
        dims: 0 for components, 1 for holes (in volumes tunnels, and 2 for cavities). None means all of them.
        construction: "T": the foreground is 8-connected and its holes 4-connected (26 and 6 in volumes). "V": 4 and 8.
        num_classes: predictions and targets are labels from 0 to `num_classes - 1`, and each class is a mask.
        include_background: whether the first class counts, which is the background.
        patch: the sides of a patch, one for each axis of the grid or one for all. None: whole images.
        patches: how many random patches an image has. None: tiles that cover it; where they do not fit, the last ones
            overlap others.
        seed: a seed for the places of random patches. The places depend only on it and on the target, so that the score
            is the same in every epoch and for every size of a batch and number of processes.

    Raises:
        TypeError, ValueError: an option is out of its range, or is missing.

    Example:
        >>> import torch
        >>> from topolayer.metrics import BettiError, BettiMatchingError
        >>> target = torch.tensor([[[1, 1, 0, 0, 0, 1, 1]]])
        >>> preds = torch.tensor([[[1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]]])  # the second one is in the wrong place
        >>> numbers, places = BettiError(), BettiMatchingError()
        >>> for metric in (numbers, places):
        ...     metric.update(preds, target)
        >>> numbers.compute(), places.compute()
        (tensor(0.), tensor(2.))
    """

    def _errors(self, found: Tensor, truth: Tensor, ndim: int, dims: int | tuple[int, ...]) -> Tensor:
        sets = Prediction(found.to(truth.dtype), None, ndim, dims, "preds")
        return mismatches(sets, truth, self.construction)
