"""Section 5: depth from one image, with U-Net or DenseDepth, with and without regularization of two layers.

Every arm of the experiment is trained from the same initial weights on the same batches with the same augmentation, one
run per seed, so that the arms differ in the regularizers and in nothing else:

    none          the three terms of eq. (4) that compare with the truth, eqs. (5) to (7)
    tv            and the total variation of eq. (8) of the last decoder layer
    topology      and eq. (1) on the channel norm, eq. (3), of the second decoder layer (our addition)
    tv+topology   and both
    sublevel      and eq. (1) with sublevel sets, which spare minima in place of maxima (ours too); also tv+sublevel

    python -m experiments.depth --demo
    python -m experiments.depth --data diode --root DIR --cache DIR
    python -m experiments.depth --data diode --root DIR --cache DIR --model densedepth --arms none tv+topology
    torchrun --standalone --nproc-per-node 2 -m experiments.depth --data diode --root DIR --cache DIR

Options that are left alone are the paper's for the network. Without network access give ``--weights none`` or
``--weights FILE``. On a machine without GPU, ``--encoder small --width 8 --weights none`` at a small ``--size``.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import torch
import tyro

from experiments import console, report, runs
from experiments.console import log
from experiments.depth import pictures
from experiments.depth.augment import Augmentation
from experiments.depth.config import DEMO, NETWORKS, Config, pixels, settle
from experiments.depth.depthset import DepthSet
from experiments.depth.encoders import make_encoder
from experiments.depth.layouts import load_diode, load_nyu
from experiments.depth.networks import DepthNetwork, resolutions
from experiments.depth.scenes import scenes
from experiments.depth.task import Depth
from experiments.runs import Run
from experiments.training import steps_per_epoch


def load(config: Config, split: str) -> DepthSet:
    """The training or validation images, `split` being "train" or "val"."""
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


def initial_model(config: Config, seed: int, *, start: float = 5.0) -> DepthNetwork:
    """The network that every arm of a seed starts from; `start` is the depth that it predicts at first."""
    torch.manual_seed(seed)
    encoder = make_encoder(config.encoder, weights=config.weights, width=config.width)
    width = {"width": config.width} if config.width else {}
    network = NETWORKS[config.model](encoder, config.sensor, **width, map=config.map, start=start)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def train_run(run: Run[Config], data: tuple[DepthSet, DepthSet]) -> None:
    """Train one run to its end, on training and validation images."""
    config, fabric = run.options, run.fabric
    train, val = data
    bare = initial_model(config, run.seed, start=math.exp(train.mean_log()))
    task = Depth(
        fabric,
        bare,
        train,
        val,
        config.regularizations(run.arm),
        weights=config.objective,
        reduction=config.reduction,
        data_range=config.ssim_range or config.sensor.farthest - config.sensor.nearest,
        augmentation=Augmentation(config.size[0], seed=run.seed) if config.augment else None,
        watched=config.layer,
        k=config.k,
        batch_size=config.batch_size,
    )
    adjusted = make_optimizer(config, bare)
    steps = config.epochs * steps_per_epoch(len(train), config.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(adjusted, lambda step: (1 + math.cos(math.pi * step / steps)) / 2)
    task.model, optimizer = fabric.setup(bare, adjusted)
    run.finish(task, model=bare, optimizer=optimizer, schedule=schedule, examples=len(train))


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
    log.info("weights: %s, of %ss", config.objective, config.reduction)
    if config.reduction == "mean" and config.tv_layer in NETWORKS[config.model].decoder:
        log.info(
            "  for sums these would be %s", config.objective.for_sums(*config.size, pixels(config, config.tv_layer))
        )


def main(config: Config) -> None:
    if config.threads:
        torch.set_num_threads(config.threads)
    config = settle(config)
    runs.check_folders(config)
    fabric = runs.make_fabric(config)
    with fabric.rank_zero_first(local=True):  # what is downloaded or cached by one is there for the others
        data = load(config, "train"), load(config, "val")
        describe(config, data)

    runs.train_all(config, fabric, len(data[0]), lambda run: train_run(run, data))
    if fabric.is_global_zero:
        models = runs.trained_models(config, lambda seed: initial_model(config, seed))
        pictures.showcase(config.folder, models, data[1], layer=config.layer, k=config.k)
        report.write(config.folder)


def cli() -> None:
    config = tyro.cli(Config, default=DEMO if "--demo" in sys.argv else Config(), description=__doc__)
    console.run(lambda: main(config))


if __name__ == "__main__":
    cli()
