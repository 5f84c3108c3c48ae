"""The scores of predicted boundaries, for each image.

A boundary is where the probability is at least 1/2. In the construction "T" boundaries are 8-connected and the cells
between them 4-connected; in "V", whose scores end in ``_v``, it is the other way round.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, label
from torch import Tensor

import topolayer as tl
from experiments.boundaries.boundaryset import EIGHT, Array

THRESHOLD = 0.5
Construction = Literal["T", "V"]
CONSTRUCTIONS: dict[str, Construction] = {"": "T", "_v": "V"}  # by the end of a score's name


def boundary(probabilities: Tensor) -> Tensor:
    """Where a prediction says boundary; NaN says nothing."""
    return probabilities >= THRESHOLD


def scores(prediction: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """``(b,)`` numbers for each score, of probabilities and masks ``(b, 1, h, w)``."""
    seen, truth = boundary(prediction), masks > 0
    found = {"dice": dice(seen, truth)}
    for ending, construction in CONSTRUCTIONS.items():
        walls, wanted = seen.float(), truth.float()
        for dim in (0, 1):
            error = tl.betti_error(walls, wanted, dims=dim, construction=construction)
            found[f"betti{dim}_error{ending}"] = error.float().flatten()
        matching = tl.betti_matching_error(walls, wanted, construction=construction)
        found[f"matching_error{ending}"] = matching.float().flatten()
        pairs = zip(seen[:, 0].cpu().numpy(), truth[:, 0].cpu().numpy(), strict=True)
        rand = [rand_error(wall, target, construction) for wall, target in pairs]
        found[f"rand_error{ending}"] = torch.tensor(rand, device=prediction.device)
    return found


def dice(seen: Tensor, truth: Tensor) -> Tensor:
    """In per cent; 100 where neither has a boundary."""
    both, sizes = (seen & truth).sum((1, 2, 3)), seen.sum((1, 2, 3)) + truth.sum((1, 2, 3))
    return torch.where(sizes > 0, 200 * both / sizes, 100.0)


def rand_error(seen: Array, truth: Array, construction: Construction) -> float:
    """The adapted Rand error of the cells, over the pixels that belong to a true one (Arganda-Carreras et al. 2015).

    A pixel of a predicted boundary belongs to the nearest of the predicted cells, so that boundaries that are merely
    thick cost nothing: the error is of cells that are merged or split.
    """
    from skimage.metrics import adapted_rand_error

    structure = None if construction == "T" else EIGHT
    wanted, _ = label(~truth, structure)
    found = _grown(~seen, structure)
    error, _, _ = adapted_rand_error(wanted, found, ignore_labels=(0,))  # type: ignore[no-untyped-call]
    return float(error)


def _grown(cells: Array, structure: Array | None) -> Array:
    pieces, _ = label(cells, structure)
    rows, columns = distance_transform_edt(pieces == 0, return_distances=False, return_indices=True)
    return np.asarray(pieces[rows, columns])
