"""What is trained in Section 5: eq. (4), and the scores on the validation set."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

import topolayer as tl
from experiments.depth.augment import Augmentation
from experiments.depth.depthset import DepthSet
from experiments.depth.losses import Reduction, Weights, data_terms
from experiments.depth.metrics import DepthScore
from experiments.files import Row
from experiments.penalties import Regularization, gradient_ratio, keep, speckle


class Depth:
    """The training task: `bare` is the network, on whose layers hooks are placed before fabric wraps it.

    `model` is what gets called; set it to the wrapped network. `watched` is the layer whose speckle is logged.
    `regularizations` are the terms of eq. (4) on activations, by name; without any there are three terms.
    """

    def __init__(
        self,
        fabric: Fabric,
        bare: nn.Module,
        train: DepthSet,
        val: DepthSet,
        regularizations: Mapping[str, Regularization],
        *,
        weights: Weights,
        reduction: Reduction,
        data_range: float,
        augmentation: Augmentation | None,
        watched: str,
        k: int,
        batch_size: int,
    ) -> None:
        self.fabric, self.model, self.train, self.val = fabric, bare, train, val
        self.weights, self.augmentation = weights, augmentation
        self.terms = partial(data_terms, reduction=reduction, data_range=data_range)
        self.watched, self.k, self.batch_size = watched, k, batch_size
        self.regularizations = dict(regularizations)
        self.regularizers = {
            name: tl.Regularizer(bare, {used.layer: used.penalty}) for name, used in regularizations.items()
        }
        self.activations: dict[str, Tensor] = {}
        for layer in {watched, *(used.layer for used in regularizations.values())}:
            bare.get_submodule(layer).register_forward_hook(partial(keep, self.activations, layer))

    def step(self, indices: Tensor, *, epoch: int, probe: bool) -> dict[str, Tensor]:
        """The objective of one batch and its terms; as a probe also how strongly each penalty pulls."""
        images, depths, known = self.train.batch(indices, self.fabric.device)
        if self.augmentation is not None:
            images, depths, known = self.augmentation(images, depths, known, indices=indices, epoch=epoch)
        terms = self.terms(self.model(images), depths, known)
        error = self._weighted(terms)
        values = {"loss": error, **terms}
        ratios: dict[str, Tensor] = {}
        for name, used in self.regularizations.items():
            penalty = self.regularizers[name]()
            weighted = used.weight * penalty
            values |= {"loss": values["loss"] + weighted, name: penalty}
            if probe:
                activation = self.activations[used.layer]
                ratios[f"gradient_ratio_{name}"] = gradient_ratio(self.fabric, weighted, error, activation)
        self.activations.clear()
        return values | ratios

    def evaluate(self) -> Row:
        """Loss (without penalties), speckle and scores on the validation set, shared by all processes."""
        score = DepthScore(self.val.sensor.limits, self.fabric.device)
        sums = torch.zeros(6, device=self.fabric.device)
        mine = torch.arange(len(self.val))[self.fabric.global_rank :: self.fabric.world_size]
        for indices in torch.split(mine, 2 * self.batch_size):
            images, depths, known = self.val.batch(indices, self.fabric.device)
            prediction = self.model(images).float()
            score.update(prediction, depths, known)
            terms = self.terms(prediction, depths, known)
            spots = speckle(self.activations[self.watched], k=self.k).mean()
            values = torch.stack([self._weighted(terms), *terms.values(), spots, torch.ones_like(spots)])
            sums += values * len(indices)
        self.activations.clear()
        if self.fabric.world_size > 1:
            sums = torch.as_tensor(self.fabric.all_reduce(sums, reduce_op="sum"))
        names = ("val_loss", "val_depth", "val_gradient", "val_ssim", "val_speckle")
        means = (sums[:-1] / sums[-1]).tolist()
        return {**dict(zip(names, means, strict=True)), **score.compute(self.fabric)}

    def _weighted(self, terms: Mapping[str, Tensor]) -> Tensor:
        return torch.stack([getattr(self.weights, name) * value for name, value in terms.items()]).sum()
