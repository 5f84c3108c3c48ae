"""What is trained in Section 4: the loss, the penalties on a layer, and the scores on the validation set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

import topolayer as tl
from experiments.files import Row
from experiments.images import ImageSet
from experiments.metrics import SegmentationScore

Penalty = Callable[[Tensor], Tensor]
Arm = Literal["none", "topology", "tv"]
Reduction = Literal["mean", "sum"]


def squared_error(prediction: Tensor, mask: Tensor, reduction: Reduction) -> Tensor:
    """Eq. (2) between probabilities and a binary mask: per image the mean or the sum over pixels; mean over images."""
    squares = (prediction.float() - mask).square()
    return squares.mean() if reduction == "mean" else squares.sum((1, 2, 3)).mean()


def total_variation(h: Tensor) -> Tensor:
    """Eq. (8): squared differences of neighbouring pixels, summed over pixels and channels. One number per sample."""
    h = h.float()
    return h.diff(dim=-2).square().sum((1, 2, 3)) + h.diff(dim=-1).square().sum((1, 2, 3))


def normalized(h: Tensor) -> Tensor:
    """Divide by the root mean square of the channel norm over the batch; the scale is a constant to the gradient."""
    scale = h.detach().float().square().sum(1).mean().sqrt()
    return h.float() / scale.clamp_min(torch.finfo(torch.float32).tiny)


def after_normalization(penalty: Penalty) -> Penalty:
    return lambda h: penalty(normalized(h))


def speckle(h: Tensor, *, k: int) -> Tensor:
    """The topological penalty of each sample relative to its mean squared magnitude: comparable between networks."""
    return tl.few_maxima(h, k=k) / tl.channel_norm(h.float()).square().mean((-1, -2))


def gradient_ratio(fabric: Fabric, penalty: Tensor, loss: Tensor, activation: Tensor) -> Tensor:
    """Norm of the weighted penalty's gradient at the layer, relative to that of the loss.

    It goes through ``fabric.backward``, which scales gradients so that they do not vanish in half precision; given
    `inputs`, it leaves the parameters' gradients alone.
    """
    gradients: list[Tensor] = []
    hook = activation.register_hook(gradients.append)  # type: ignore[no-untyped-call]
    for value in (penalty, loss):
        fabric.backward(value, inputs=[activation], retain_graph=True)
    hook.remove()
    activation.grad = None
    norms = torch.stack([gradient.float().norm() for gradient in gradients])
    return norms[0] / norms[1]


@dataclass(frozen=True)
class Regularization:
    """A penalty on the activation of a named layer, and its weight."""

    layer: str
    penalty: Penalty
    weight: float


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

    def step(self, indices: Tensor, *, probe: bool) -> dict[str, Tensor]:
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
        """Scores, loss and speckle on the validation set, shared by all processes."""
        score = SegmentationScore(self.fabric.device)
        sums = torch.zeros(3, device=self.fabric.device)
        mine = torch.arange(len(self.val))[self.fabric.global_rank :: self.fabric.world_size]
        for indices in torch.split(mine, 2 * self.batch_size):
            images, masks = self.val.batch(indices, self.fabric.device)
            prediction = self.model(images).float()
            score.update(prediction, masks)
            error = squared_error(prediction, masks, self.reduction)
            spots = speckle(self.activations[self.watched], k=self.k)
            sums += torch.stack([error * len(indices), spots.sum(), error.new_tensor(len(indices))])
        self.activations.clear()
        if self.fabric.world_size > 1:
            sums = torch.as_tensor(self.fabric.all_reduce(sums, reduce_op="sum"))
        total_error, total_speckle, count = sums.tolist()
        return {"val_mse": total_error / count, "val_speckle": total_speckle / count, **score.compute()}


def keep(kept: dict[str, Tensor], layer: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
    """A forward hook that puts the layer's activation into `kept`."""
    kept[layer] = output
