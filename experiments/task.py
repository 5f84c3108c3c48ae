"""What is trained in Section 4: the loss, with a penalty on a layer, and the scores on the validation set."""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

import topolayer as tl
from experiments.files import Row
from experiments.images import ImageSet
from experiments.metrics import THRESHOLD, SegmentationScore
from experiments.penalties import Regularization, gradient_ratio, keep, speckle

Arm = Literal["none", "topology", "tv"]
Reduction = Literal["mean", "sum"]


def squared_error(prediction: Tensor, mask: Tensor, reduction: Reduction) -> Tensor:
    """Eq. (2) between probabilities and a binary mask: per image the mean or the sum over pixels; mean over images."""
    squares = (prediction.float() - mask).square()
    return squares.mean() if reduction == "mean" else squares.sum((1, 2, 3)).mean()


class Segmentation:
    """The training task: `bare` is the network, on whose layers hooks are placed before fabric wraps it.

    `model` is what gets called; set it to the wrapped network. `watched` is the layer whose speckle is logged.
    """

    def __init__(
        self,
        fabric: Fabric,
        bare: nn.Module,
        train: ImageSet,
        val: ImageSet,
        regularization: Regularization | None,
        *,
        watched: str,
        k: int,
        reduction: Reduction,
        batch_size: int,
    ) -> None:
        self.fabric, self.model, self.train, self.val = fabric, bare, train, val
        self.regularization = regularization
        self.watched, self.k, self.reduction, self.batch_size = watched, k, reduction, batch_size
        self.activations: dict[str, Tensor] = {}
        layers = {watched}
        if regularization is not None:
            self.regularizer = tl.Regularizer(bare, {regularization.layer: regularization.penalty})
            layers.add(regularization.layer)
        for layer in layers:
            bare.get_submodule(layer).register_forward_hook(partial(keep, self.activations, layer))

    def step(self, indices: Tensor, *, epoch: int, probe: bool) -> dict[str, Tensor]:
        """The loss of one batch; as a probe also how strongly the penalty pulls."""
        images, masks = self.train.batch(indices, self.fabric.device)
        error = squared_error(self.model(images), masks, self.reduction)
        values = {"loss": error, "mse": error}
        if self.regularization is not None:
            penalty = self.regularizer()
            weighted = self.regularization.weight * penalty
            values = {"loss": error + weighted, "mse": error, "penalty": penalty}
            if probe:
                activation = self.activations[self.regularization.layer]
                values["gradient_ratio"] = gradient_ratio(self.fabric, weighted, error, activation)
        self.activations.clear()
        return values

    def evaluate(self) -> Row:
        """Scores, loss and speckle on the validation set."""
        return self.scores(self.val)

    def scores(self, images_of: ImageSet) -> Row:
        """The same on any set, shared by all processes. The Betti error is the mean over images, of dimension 0."""
        score = SegmentationScore(self.fabric.device)
        sums = torch.zeros(4, device=self.fabric.device)
        mine = torch.arange(len(images_of))[self.fabric.global_rank :: self.fabric.world_size]
        for indices in torch.split(mine, 2 * self.batch_size):
            images, masks = images_of.batch(indices, self.fabric.device)
            prediction = self.model(images).float()
            score.update(prediction, masks)
            error = squared_error(prediction, masks, self.reduction)
            spots = speckle(self.activations[self.watched], k=self.k)
            wrong = tl.betti_error((prediction > THRESHOLD).float(), masks, dims=0)
            sums += torch.stack([error * len(indices), spots.sum(), wrong.sum(), error.new_tensor(len(indices))])
        self.activations.clear()
        if self.fabric.world_size > 1:
            sums = torch.as_tensor(self.fabric.all_reduce(sums, reduce_op="sum"))
        means = (sums[:-1] / sums[-1]).tolist()
        return {**dict(zip(("val_mse", "val_speckle", "betti_error"), means, strict=True)), **score.compute()}
