"""The training task of Section 5: data, network, eq. (4), and the scores on the validation set."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

import topolayer as tl
from experiments.depth.augment import Augmentation
from experiments.depth.config import Arm, Config, Reduction
from experiments.depth.depthset import DepthSet, Sensor
from experiments.depth.layouts import DIODE, NYU, load_diode, load_nyu
from experiments.depth.losses import Weights, data_terms, few_minima, variation
from experiments.depth.metrics import DepthScore, scores
from experiments.depth.networks import NETWORKS, DepthNetwork, resolutions
from experiments.depth.scenes import SCENES, scenes
from experiments.depth.settle import pixels
from experiments.shared.console import log
from experiments.shared.encoders import make_encoder
from experiments.shared.files import Row
from experiments.shared.penalties import Regularization, gradient_ratio, keep, shuffled, speckle, squared_norm
from experiments.shared.runs import Run
from experiments.shared.training import steps_per_epoch


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


# --- a run and its data -----------------------------------------------------------------------------------------


def load(config: Config, split: str) -> DepthSet:
    """The training or validation images, `split` being "train" or "val"; the latter may be held-out training images."""
    if config.held_out:
        rest, held = _load(config, "train").split(config.held_out)
        return rest if split == "train" else held
    return _load(config, split)


def _load(config: Config, split: str) -> DepthSet:
    limit = config.train_images if split == "train" else config.val_images
    if config.data == "scenes":
        count, seed = {"train": (400, 1), "val": (100, 2)}[split]
        return scenes(limit or count, config.size, seed=seed)
    assert config.root is not None  # settled
    threads = config.threads or torch.get_num_threads()
    cache = config.cache and config.cache / f"{config.data}-{split}"
    if config.data == "nyu":
        return load_nyu(config.root, split, config.size, limit=limit, threads=threads, cache=cache)
    return load_diode(
        config.root, split, config.size, settings=config.settings, limit=limit, threads=threads, cache=cache
    )


SENSORS: dict[str, Sensor] = {"scenes": SCENES, "nyu": NYU, "diode": DIODE}


def objective(config: Config) -> Weights:
    assert config.tv_lambda is not None and config.topology_lambda is not None  # settled
    return Weights(
        config.depth_lambda, config.gradient_lambda, config.ssim_lambda, config.tv_lambda, config.topology_lambda
    )


def regularizations(config: Config, arm: Arm) -> dict[str, Regularization]:
    """The penalties of an arm, which are all that distinguishes it from the others."""
    weights = objective(config)
    assert config.placebo_lambda is not None and config.norm_lambda is not None  # settled
    maxima = partial(tl.few_maxima, k=config.k, scale=None if config.scale == "none" else config.scale)
    every = {
        "tv": Regularization(config.tv_layer, partial(variation, reduction=config.reduction), weights.tv),
        "topology": Regularization(config.layer, maxima, weights.topology),
        "sublevel": Regularization(config.layer, partial(few_minima, k=config.k), weights.topology),
        "placebo": Regularization(config.layer, shuffled(maxima), config.placebo_lambda),
        "norm": Regularization(config.layer, squared_norm, config.norm_lambda),
    }
    return {name: every[name] for name in arm.split("+") if name != "none"}


def initial_model(config: Config, seed: int, *, start: float = 5.0) -> DepthNetwork:
    """The network that every arm of a seed starts from; `start` is the depth that it predicts at first."""
    torch.manual_seed(seed)
    encoder = make_encoder(config.encoder, weights=config.weights, width=config.width)
    width = {"width": config.width} if config.width else {}
    network = NETWORKS[config.model](encoder, SENSORS[config.data], **width, map=config.map, start=start)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def architecture(config: Config) -> DepthNetwork:
    """The network of these options, for the weights of a trained one."""
    return initial_model(dataclasses.replace(config, weights="none"), 0)


def make_task(
    config: Config,
    fabric: Fabric,
    bare: nn.Module,
    train: DepthSet,
    val: DepthSet,
    used: Mapping[str, Regularization],
    augmentation: Augmentation | None = None,
) -> Depth:
    sensor = SENSORS[config.data]
    return Depth(
        fabric,
        bare,
        train,
        val,
        used,
        weights=objective(config),
        reduction=config.reduction,
        data_range=config.ssim_range or sensor.farthest - sensor.nearest,
        augmentation=augmentation,
        watched=config.layer,
        k=config.k,
        batch_size=config.batch_size,
    )


def evaluated(config: Config, fabric: Fabric, model: nn.Module, images: DepthSet) -> Row:
    """The scores of a trained network, as its run would report them of these images."""
    task = make_task(config, fabric, model, images, images, {})
    task.model = fabric.setup(model)
    return task.evaluate()


def of_each(config: Config, model: nn.Module, images: DepthSet) -> list[dict[str, Any]]:
    """The scores of each image."""
    rows: list[dict[str, Any]] = []
    for indices in torch.split(torch.arange(len(images)), 2 * config.batch_size):
        pictures, depths, known = images.batch(indices, next(model.parameters()).device)
        found = {name: values.tolist() for name, values in scores(model(pictures).float(), depths, known).items()}
        rows += [{name: values[place] for name, values in found.items()} for place in range(len(indices))]
    return [{"image": name} | row for name, row in zip(images.names, rows, strict=True)]


def train_run(run: Run[Config], data: tuple[DepthSet, DepthSet]) -> None:
    """Train one run to its end, on training and validation images."""
    config, fabric = run.options, run.fabric
    train, val = data[0].share(config.train_share, seed=run.seed), data[1]
    bare = initial_model(config, run.seed, start=math.exp(train.mean_log()))
    augmentation = Augmentation(config.size[0], seed=run.seed) if config.augment else None
    task = make_task(config, fabric, bare, train, val, regularizations(config, run.arm), augmentation)
    adjusted = make_optimizer(config, bare)
    steps = config.epochs * steps_per_epoch(len(train), config.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(adjusted, lambda step: (1 + math.cos(math.pi * step / steps)) / 2)
    task.model, optimizer = fabric.setup(bare, adjusted)
    run.finish(
        task,
        model=bare,
        optimizer=optimizer,
        schedule=schedule,
        examples=len(train),
        of_each=lambda: of_each(config, bare, val),
    )


def make_optimizer(config: Config, network: DepthNetwork) -> torch.optim.Optimizer:
    """The decoder first, whose learning rate is logged, then the encoder."""
    encoder = list(network.encoder.parameters())
    slow = {id(parameter) for parameter in encoder}
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in network.parameters() if id(parameter) not in slow]},
        {"params": encoder, "lr": config.lr * config.encoder_share},
    ]
    decay = config.weight_decay or 0.0
    if config.optimizer == "adam":
        return torch.optim.Adam(groups, lr=config.lr, betas=(0.9, 0.999), weight_decay=decay)
    return torch.optim.SGD(groups, lr=config.lr, momentum=0.9, weight_decay=decay)


def describe(config: Config, data: tuple[DepthSet, DepthSet]) -> None:
    """Say what will be trained: images, layers, weights."""
    log.info("%d training and %d validation images, %d x %d px", len(data[0]), len(data[1]), *config.size)
    marks = {config.layer: " topology", config.tv_layer: " tv"}
    if config.layer == config.tv_layer:
        marks = {config.layer: " topology, tv"}
    for name, (channels, height, width) in resolutions(initial_model(config, 0), config.size).items():
        log.info("  %-15s %4d channels, %3d x %3d%s", name, channels, height, width, marks.get(name, ""))
    log.info("weights: %s, of %ss", objective(config), config.reduction)
    if config.reduction == "mean" and config.tv_layer in NETWORKS[config.model].decoder:
        log.info(
            "  for sums these would be %s", objective(config).for_sums(*config.size, pixels(config, config.tv_layer))
        )


def pairs(config: Config) -> list[tuple[DepthSet, DepthSet]]:
    """The images that all seeds train on, and those that they validate."""
    return [(load(config, "train"), load(config, "val"))]


def examples(config: Config, images: DepthSet) -> int:
    return round(config.train_share * len(images))
