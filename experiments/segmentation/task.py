"""The training task of Section 4: data, the loss with a penalty on a layer, scores on the validation set."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

import topolayer as tl
from experiments.segmentation.coco import load_persons
from experiments.segmentation.config import Arm, Config, Reduction
from experiments.segmentation.metrics import SegmentationScore, foreground
from experiments.shared.console import log
from experiments.shared.files import Row
from experiments.shared.images import ImageSet
from experiments.shared.penalties import (
    Penalty,
    Regularization,
    gradient_ratio,
    keep,
    shuffled,
    speckle,
    squared_norm,
    total_variation,
)
from experiments.shared.runs import Run
from experiments.shared.scenes import scenes
from experiments.shared.training import halvings, steps_per_epoch
from experiments.shared.unet import EncoderUNet, Network, seeded

DISTURBED_SCORES = ("miou", "person_iou", "betti_error", "matching_error")


def squared_error(prediction: Tensor, mask: Tensor, reduction: Reduction) -> Tensor:
    """Eq. (2) between probabilities and a binary mask: per image the mean or the sum over pixels; mean over images."""
    squares = (prediction.float() - mask).square()
    return squares.mean() if reduction == "mean" else squares.sum((1, 2, 3)).mean()


COMPONENTS = ("betti_error", "matching_error")


def component_errors(prediction: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """By how much the number of components is wrong, and how many components of either have no partner in the other."""
    seen = foreground(prediction).float()
    return (
        tl.betti_error(seen, masks, dims=0).float().flatten(),
        tl.betti_matching_error(seen, masks, dims=0).float().flatten(),
    )


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
        """Scores, loss and speckle on any set, shared by all processes.

        The Betti error and the Betti matching error are those of dimension 0, means over images.
        """
        score = SegmentationScore(self.fabric.device)
        sums = torch.zeros(5, device=self.fabric.device)
        mine = torch.arange(len(images_of))[self.fabric.global_rank :: self.fabric.world_size]
        for indices in torch.split(mine, 2 * self.batch_size):
            images, masks = images_of.batch(indices, self.fabric.device)
            prediction = self.model(images).float()
            score.update(prediction, masks)
            error = squared_error(prediction, masks, self.reduction)
            spots = speckle(self.activations[self.watched], k=self.k)
            wrong = [found.sum() for found in component_errors(prediction, masks)]
            sums += torch.stack([error * len(indices), spots.sum(), *wrong, error.new_tensor(len(indices))])
        self.activations.clear()
        if self.fabric.world_size > 1:
            sums = torch.as_tensor(self.fabric.all_reduce(sums, reduce_op="sum"))
        means = (sums[:-1] / sums[-1]).tolist()
        return {**dict(zip(("val_mse", "val_speckle", *COMPONENTS), means, strict=True)), **score.compute()}


# --- a run and its data -----------------------------------------------------------------------------------------


def load(config: Config, split: str) -> ImageSet:
    """The training or validation images, `split` being "train" or "val"; the latter may be held-out training images."""
    if config.held_out:
        rest, held = _load(config, "train").split(config.held_out)
        return rest if split == "train" else held
    return _load(config, split)


def _load(config: Config, split: str) -> ImageSet:
    limit = config.train_images if split == "train" else config.val_images
    if config.data == "scenes":
        count, seed = {"train": (400, 1), "val": (100, 2)}[split]
        return scenes(limit or count, config.size, seed=seed)
    return load_photographs(config, split, limit)


def load_photographs(config: Config, split: str, limit: int) -> ImageSet:
    assert config.root is not None  # settled
    threads = config.threads or torch.get_num_threads()
    cache = config.cache and config.cache / f"{config.data}-{split}"
    return load_persons(config.root, split, config.size, crowd=config.crowd, limit=limit, threads=threads, cache=cache)


def disturbed(config: Config, val: ImageSet) -> dict[str, ImageSet]:
    """The validation images under what the options ask for."""
    found = {}
    if config.noise:
        found["noise"] = val.noisy(config.noise)
    if config.blur:
        found["blur"] = val.blurred(config.blur)
    return found


def regularization(config: Config, arm: Arm) -> Regularization | None:
    """The penalty of an arm, which is all that distinguishes it from the others."""
    scale = None if config.scale == "none" else config.scale
    maxima = partial(tl.few_maxima, k=config.k, gradient=config.gradient, scale=scale)
    every: dict[str, tuple[str, Penalty, float]] = {
        "topology": (config.layer, maxima, config.topology_lambda),
        "tv": (config.tv_layer, total_variation, config.tv_lambda),
        "placebo": (config.layer, shuffled(maxima), config.placebo_lambda),
        "norm": (config.layer, squared_norm, config.norm_lambda),
    }
    if arm == "none":
        return None
    return Regularization(*every[arm])


def initial_model(config: Config, seed: int, *, prior: float = 0.5) -> Network:
    """The network that every arm of a seed starts from; `prior` is the share of person pixels that it predicts."""
    return seeded(
        config.width, seed, prior=prior, network=config.network, encoder=config.encoder, weights=config.weights
    )


def architecture(config: Config) -> Network:
    """The network of these options, for the weights of a trained one."""
    return seeded(config.width, 0, network=config.network, encoder=config.encoder)


def make_task(
    config: Config, fabric: Fabric, bare: nn.Module, train: ImageSet, val: ImageSet, arm: Arm = "none"
) -> Segmentation:
    return Segmentation(
        fabric,
        bare,
        train,
        val,
        regularization(config, arm),
        watched=config.layer,
        k=config.k,
        reduction=config.reduction,
        batch_size=config.batch_size,
    )


def closing(config: Config, task: Segmentation) -> Row:
    """Scores of the trained network on disturbed images."""
    scores = {name: task.scores(images) for name, images in disturbed(config, task.val).items()}
    return {f"{score}_{name}": row[score] for name, row in scores.items() for score in DISTURBED_SCORES}


def evaluated(config: Config, fabric: Fabric, model: nn.Module, images: ImageSet) -> Row:
    """The scores of a trained network, as its run would report them of these images."""
    task = make_task(config, fabric, model, images, images)
    task.model = fabric.setup(model)
    return task.evaluate() | closing(config, task)


def of_each(config: Config, model: nn.Module, images: ImageSet) -> list[dict[str, Any]]:
    """The counts of pixels of each image, by truth and prediction, and its Betti error."""
    rows: list[dict[str, Any]] = []
    for indices in torch.split(torch.arange(len(images)), 2 * config.batch_size):
        pictures, masks = images.batch(indices, next(model.parameters()).device)
        prediction = model(pictures).float()
        seen, truth = foreground(prediction), masks > 0
        kinds = {"both": seen & truth, "predicted": seen & ~truth, "missed": ~seen & truth, "neither": ~seen & ~truth}
        found = {name: kind.sum((1, 2, 3)).float() for name, kind in kinds.items()}
        found |= dict(zip(COMPONENTS, component_errors(prediction, masks), strict=True))
        rows += [{name: float(values[place]) for name, values in found.items()} for place in range(len(indices))]
    return [{"image": name} | row for name, row in zip(images.names, rows, strict=True)]


def groups(config: Config, network: Network) -> list[dict[str, Any]]:
    """All parameters, and where there is an encoder by itself, its own with a smaller learning rate."""
    if not isinstance(network, EncoderUNet):
        return [{"params": list(network.parameters())}]
    encoder = list(network.encoder.parameters())
    slow = {id(parameter) for parameter in encoder}
    return [
        {"params": [parameter for parameter in network.parameters() if id(parameter) not in slow]},
        {"params": encoder, "lr": config.lr * config.encoder_share},
    ]


def describe(config: Config, data: tuple[ImageSet, ImageSet]) -> None:
    """Say what will be trained."""
    log.info("%d training and %d validation images, %d px", len(data[0]), len(data[1]), config.size)


def pairs(config: Config) -> list[tuple[ImageSet, ImageSet]]:
    """The images that all seeds train on, and those that they validate."""
    return [(load(config, "train"), load(config, "val"))]


def examples(config: Config, images: ImageSet) -> int:
    return round(config.train_share * len(images))


def train_run(run: Run[Config], data: tuple[ImageSet, ImageSet]) -> None:
    """Train one run to its end, on training and validation images."""
    config, fabric = run.options, run.fabric
    train, val = data[0].share(config.train_share, seed=run.seed), data[1]
    bare = initial_model(config, run.seed, prior=float(train.foreground().mean()))
    task = make_task(config, fabric, bare, train, val, run.arm)
    sgd = torch.optim.SGD(groups(config, bare), lr=config.lr, momentum=config.momentum)
    steps = steps_per_epoch(len(train), config.batch_size)
    epochs = config.twelve_halvings
    schedule = torch.optim.lr_scheduler.LambdaLR(sgd, lambda step: 0.5 ** halvings(step, steps=steps, epochs=epochs))
    task.model, optimizer = fabric.setup(bare, sgd)
    run.finish(
        task,
        model=bare,
        optimizer=optimizer,
        schedule=schedule,
        examples=len(train),
        closing=lambda: closing(config, task),
        of_each=lambda: of_each(config, bare, val),
    )
