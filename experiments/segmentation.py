"""Section 4: a U-Net that finds people, with and without regularization of an internal layer.

Every arm of the experiment is trained from the same initial weights on the same batches, one run per seed, so that the
arms differ in the regularizer and in nothing else:

    none        the loss of eq. (2) alone
    topology    and eq. (1) on the channel norm, eq. (3), of a decoder layer: few local maxima
    tv          and the total variation of eq. (8) on the last decoder layer (our addition to this section)

    python -m experiments.segmentation --demo
    python -m experiments.segmentation --data coco --root DIR
    torchrun --standalone --nproc-per-node 2 -m experiments.segmentation --data coco --root DIR

Settled where the paper is silent. Eq. (2) is a sum over pixels, under which the stated learning rate diverges: the
default is the mean (``--reduction sum`` is the other). SGD has no momentum. The output layer's bias starts at the
share of person pixels in training. Images are stretched to a square. Pixels of crowds count as person. Scores are those
of the last epoch, not of the best one. The weights of the penalties come from ``experiments.choose_lambda``.

With the mean, 0.01 suits the paper's tens of thousands of images; on the few hundred of a small sample the
network hardly gets beyond predicting that share everywhere, so small runs take ``--lr 0.1 --momentum 0.9``, the same
in all arms.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from lightning_fabric import Fabric

import topolayer as tl
from experiments import console, figures, report
from experiments.coco import load_persons
from experiments.console import Meter, UserError, log, stop_requests
from experiments.files import environment, write_json
from experiments.images import ImageSet
from experiments.penalties import Penalty, Regularization, after_normalization, total_variation
from experiments.scenes import scenes
from experiments.task import Arm, Segmentation
from experiments.training import Trainer, halvings, read_checkpoint, steps_per_epoch
from experiments.unet import DECODER, LAYERS, UNet, check_sides, side_of


@dataclass(frozen=True)
class Config:
    """Section 4 of the paper: binary segmentation with a U-Net, with and without regularization."""

    data: Literal["scenes", "coco"] = "scenes"
    """embedded procedural scenes, or photographs with people in COCO's layout (needs --root)"""
    root: Path | None = None
    """folder with COCO's annotations/ and images"""
    arms: tuple[Arm, ...] = ("none", "topology", "tv")
    """which regularizers to compare"""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """one run per arm and seed; a seed determines initial weights and batches in all arms"""
    name: str = ""
    """name of the results' folder below --runs; empty: segmentation-DATA"""
    runs: Path = Path("runs")
    """where results go"""
    resume: bool = False
    """go on with unfinished runs; without it an unfinished run is refused (finished runs are kept as they are)"""

    epochs: int = 50
    """50 for Table 1, 100 for the network of Figure 3"""
    batch_size: int = 16
    """images per step, over all processes; the paper does not say"""
    lr: float = 0.01
    """initial learning rate, halved every 4 epochs (in shorter runs in proportion: always 12 halvings)"""
    momentum: float = 0.0
    """of SGD; the paper does not mention any"""
    reduction: Literal["mean", "sum"] = "mean"
    """of the squared error over the pixels of an image; eq. (2) is a sum, under which lr = 0.01 diverges"""

    size: int = 256
    """side of the square input in pixels, a multiple of 64"""
    width: int = 16
    """channels of the first phase, doubled in every following one"""
    layer: str = "dec4"
    """which layer the topology arm regularizes; "auto": the deepest decoder layer of at least 32 x 32 pixels, which
    is dec4 at 256 x 256, dec3 at 128, dec2 at 64"""
    tv_layer: str = "dec1"
    """which layer the tv arm regularizes"""
    k: int = 8
    """local maxima that are left alone"""
    gradient: Literal["critical", "region"] = "critical"
    """which pixels the topological penalty pulls on; the two want different weights"""
    topology_lambda: float = 1e-5
    """weight of the topological penalty"""
    tv_lambda: float = 1e-8
    """weight of total variation"""
    normalize_activation: bool = False
    """divide the activation by its root mean square over the batch (a constant to the gradient) before the penalty"""

    crowd: Literal["include", "exclude"] = "include"
    """whether pixels of COCO's crowd annotations count as person"""
    train_images: int = 0
    """number of training images (0: all there are; 400 scenes)"""
    val_images: int = 0
    """number of validation images (0: all there are; 100 scenes)"""

    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    """where to train"""
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    """of the network's arithmetic; the penalties are always computed in float32"""
    threads: int = 0
    """threads per process (0: PyTorch's choice); another number gives other last bits"""
    checkpoint_steps: int = 0
    """also write a checkpoint every so many steps, beside those at the end of each epoch"""
    demo: bool = False
    """a small preset on the embedded scenes: all arms, two seeds, about two minutes on two cores"""

    @property
    def folder(self) -> Path:
        return self.runs / (self.name or f"segmentation-{self.data}")

    def regularization(self, arm: Arm) -> Regularization | None:
        """What distinguishes the arms, all of it."""
        if arm == "none":
            return None
        penalty: Penalty = total_variation if arm == "tv" else partial(tl.few_maxima, k=self.k, gradient=self.gradient)
        if self.normalize_activation:
            penalty = after_normalization(penalty)
        return Regularization(
            layer=self.tv_layer if arm == "tv" else self.layer,
            penalty=penalty,
            weight=self.tv_lambda if arm == "tv" else self.topology_lambda,
        )


DEMO = Config(
    seeds=(0, 1),
    name="demo",
    resume=True,
    epochs=8,
    lr=1.0,  # some hundred steps have to do
    momentum=0.9,
    size=64,
    width=8,
    layer="auto",
    topology_lambda=3e-6,  # at these sizes its gradient is a few per cent of the loss's
    train_images=256,
    val_images=80,
    threads=1,  # batches are so small that threads would wait for one another, above all on a busy machine
)


# What may differ between two commands that fill the same folder: which runs, where, and how they are computed.
FREE = ("arms", "seeds", "root", "name", "runs", "resume", "accelerator", "threads", "checkpoint_steps", "demo")


# --- runs -------------------------------------------------------------------------------------------------------


def load_training(config: Config) -> ImageSet:
    if config.data == "scenes":
        return scenes(config.train_images or 400, config.size, seed=1)
    return load_photographs(config, "train", config.train_images)


def load_validation(config: Config) -> ImageSet:
    if config.data == "scenes":
        return scenes(config.val_images or 100, config.size, seed=2)
    return load_photographs(config, "val", config.val_images)


def load_photographs(config: Config, split: str, limit: int) -> ImageSet:
    if config.root is None:
        raise UserError("--data coco needs --root DIR, the folder that holds COCO's annotations/ and images")
    threads = config.threads or torch.get_num_threads()
    return load_persons(config.root, split, config.size, crowd=config.crowd, limit=limit, threads=threads)


def run_folder(config: Config, seed: int, arm: Arm) -> Path:
    return config.folder / f"seed{seed}-{arm}"


def train_run(
    config: Config,
    arm: Arm,
    seed: int,
    data: tuple[ImageSet, ImageSet],
    *,
    fabric: Fabric,
    meter: Meter,
    stop: Callable[[], bool],
) -> None:
    """One run, from its initial weights or its checkpoint to its ``summary.json``."""
    train, val = data
    folder = run_folder(config, seed, arm)
    bare = initial_model(config, seed, prior=float(train.masks.float().mean()))
    task = Segmentation(
        fabric,
        bare,
        train,
        val,
        config.regularization(arm),
        watched=config.layer,
        k=config.k,
        reduction=config.reduction,
        batch_size=config.batch_size,
    )
    sgd = torch.optim.SGD(bare.parameters(), lr=config.lr, momentum=config.momentum)
    steps = steps_per_epoch(len(train), config.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        sgd, lambda step: 0.5 ** halvings(step, steps=steps, epochs=config.epochs)
    )
    task.model, optimizer = fabric.setup(bare, sgd)
    trainer = Trainer(
        fabric,
        folder,
        task,
        model=bare,
        optimizer=optimizer,
        schedule=schedule,
        examples=len(train),
        batch_size=config.batch_size,
        epochs=config.epochs,
        seed=seed,
        meter=meter,
        checkpoint_steps=config.checkpoint_steps,
    )
    if trainer.checkpoint.exists():
        trainer.load()
        meter.advance(trainer.steps_done)
        log.info("%s: going on after %d of %d epochs", folder, trainer.epoch, config.epochs)
        _warn_of_other_bits(folder / "config.json")
    elif fabric.is_global_zero:
        ran = environment() | {"device": str(fabric.device)}
        write_json(folder / "config.json", {"arm": arm, "seed": seed} | shared(config) | {"ran": ran})
    history = trainer.fit(stop)
    if fabric.is_global_zero:
        seconds = sum(row["seconds"] for row in history)
        speed = {
            "training_seconds": round(seconds, 1),
            "images_per_second": round(sum(row["seconds"] * row["images_per_second"] for row in history) / seconds, 2),
        }
        write_json(folder / "summary.json", {"arm": arm, "seed": seed, "final": history[-1]} | speed)


def trained_models(config: Config) -> dict[str, UNet]:
    """The finished networks of the first seed, by arm."""
    finished = report.finished_runs(config.folder)
    seed = min(run.seed for run in finished)
    models: dict[str, UNet] = {}
    for arm in [run.arm for run in finished if run.seed == seed]:
        models[arm] = initial_model(config, seed)
        state = read_checkpoint(run_folder(config, seed, arm) / "checkpoint.pt", models[arm])
        models[arm].load_state_dict(state["model"])
    return models


def _warn_of_other_bits(noted: Path) -> None:
    """Say so where a resumed run cannot end with the very numbers that it would have had in one go."""
    before = json.loads(noted.read_text())["ran"] if noted.exists() else {}
    now = environment()
    for key in ("threads", "processes", "gpu"):
        if before.get(key, now[key]) != now[key]:
            log.warning(
                "%s was begun with %s = %s, now it is %s: last bits may differ",
                noted.parent,
                key,
                before[key],
                now[key],
            )


def initial_model(config: Config, seed: int, *, prior: float = 0.5) -> UNet:
    """The network that every arm of a seed starts from; `prior` is the share of person pixels in training."""
    torch.manual_seed(seed)
    # On the CPU, training in channels-last layout is 1.2 to 1.6 times as fast.
    model = UNet(config.width, prior=min(max(prior, 0.01), 0.99))
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def shared(config: Config) -> dict[str, Any]:
    """The options that all runs in a folder have in common, ready for JSON."""
    options = {key: value for key, value in dataclasses.asdict(config).items() if key not in FREE}
    return dict(json.loads(json.dumps(options, default=str)))


# --- the command ------------------------------------------------------------------------------------------------


def settle(config: Config) -> Config:
    """Refuse what cannot work, choose the layer where that was left to us, warn of what can hardly be meant."""
    if config.layer == "auto":
        fitting = [layer for layer in DECODER if side_of(layer, config.size) >= 32]
        config = dataclasses.replace(config, layer=fitting[-1] if fitting else DECODER[0])
        log.info("the topology arm regularizes %s", config.layer)
    for option, layer in (("--layer", config.layer), ("--tv-layer", config.tv_layer)):
        if layer not in LAYERS:
            raise UserError(f"{option} {layer}: there is no such layer; the U-Net has {', '.join(LAYERS)}")
    if config.accelerator == "cuda" and not torch.cuda.is_available():
        raise UserError("--accelerator cuda: PyTorch finds no GPU here; leave the option out to train on the CPU")
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if config.batch_size % processes:
        raise UserError(f"--batch-size {config.batch_size} cannot be shared evenly by {processes} processes")
    for option in ("epochs", "batch_size", "size", "width"):
        if getattr(config, option) < 1:
            raise UserError(f"--{option.replace('_', '-')} must be at least 1, got {getattr(config, option)}")
    for option in ("topology_lambda", "tv_lambda", "lr"):
        if not 0 <= getattr(config, option) < math.inf:
            raise UserError(f"--{option.replace('_', '-')} must be a number from 0, got {getattr(config, option)}")
    try:
        check_sides(config.size, config.size, config.batch_size // processes, training=True)
    except ValueError as error:
        raise UserError(str(error)) from error
    side = side_of(config.layer, config.size)
    if "topology" in config.arms and side * side < 32 * config.k:
        log.warning(
            "%s has only %dx%d pixels at --size %d, hardly room for more than k = %d maxima: the penalty will be close "
            "to zero; --layer auto takes a layer of at least 32x32",
            config.layer, side, side, config.size, config.k,
        )  # fmt: skip
    return config


def check_folders(config: Config) -> None:
    """Before anything is computed: refuse to mix options in one folder, and to touch unfinished runs unasked."""
    noted = config.folder / "config.json"
    if noted.exists():
        now = shared(config)
        before = shared(Config()) | json.loads(noted.read_text())  # an option it does not know had its default
        differ = [f"{key} {before[key]} there, {now[key]} here" for key in now if before[key] != now[key]]
        if differ:
            raise UserError(
                f"{config.folder} holds runs with other options ({'; '.join(differ)}): choose another --name"
            )
    for seed in config.seeds:
        for arm in config.arms:
            folder = run_folder(config, seed, arm)
            if folder.exists() and not (folder / "summary.json").exists() and not config.resume:
                raise UserError(f"{folder} holds an unfinished run: give --resume to go on with it, or another --name")


def make_fabric(config: Config) -> Fabric:
    """One device, or those of the processes that torchrun started."""
    processes, local = (int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    fabric = Fabric(
        accelerator=config.accelerator,
        devices=local,
        num_nodes=processes // local,
        strategy="ddp" if processes > 1 else "auto",
        precision=config.precision,
    )
    fabric.launch()
    return fabric


def main(config: Config) -> None:
    if config.threads:
        torch.set_num_threads(config.threads)
    config = settle(config)
    check_folders(config)
    fabric = make_fabric(config)
    data = load_training(config), load_validation(config)
    log.info("%d training and %d validation images, %d px", len(data[0]), len(data[1]), config.size)
    if fabric.is_global_zero:
        write_json(config.folder / "config.json", shared(config))
    todo = [
        (seed, arm)
        for seed in config.seeds
        for arm in config.arms
        if not (run_folder(config, seed, arm) / "summary.json").exists()
    ]
    fabric.barrier()
    steps = config.epochs * steps_per_epoch(len(data[0]), config.batch_size)
    with stop_requests() as stop, Meter(len(todo) * steps, enabled=fabric.is_global_zero) as meter:
        for seed, arm in todo:
            train_run(config, arm, seed, data, fabric=fabric, meter=meter, stop=stop)
    if fabric.is_global_zero:
        figures.showcase(config.folder, trained_models(config), data[1], layer=config.layer, k=config.k)
        report.write(config.folder)


def cli() -> None:
    config = tyro.cli(Config, default=DEMO if "--demo" in sys.argv else Config(), description=__doc__)
    console.run(lambda: main(config))


if __name__ == "__main__":
    cli()
