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
of the last epoch, or means over the last ones, not of the best one. The weights of the penalties come from
``experiments.sweep``.

With the mean, 0.01 suits the paper's tens of thousands of images; on the few hundred of a small sample the
network hardly gets beyond predicting that share everywhere, so small runs take ``--lr 0.1 --momentum 0.9``, the same
in all arms.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import tyro

from experiments import console
from experiments.console import UserError, log
from experiments.options import Options, check, check_data, processes

if TYPE_CHECKING:
    from experiments.penalties import Penalty, Regularization

Reduction = Literal["mean", "sum"]
Arm = Literal["none", "topology", "tv"]


@dataclass(frozen=True)
class Config(Options):
    """Section 4 of the paper: binary segmentation with a U-Net, with and without regularization."""

    arms: tuple[Arm, ...] = ("none", "topology", "tv")
    """which regularizers to compare"""
    data: Literal["scenes", "coco"] = "scenes"
    """embedded procedural scenes, or photographs with people in COCO's layout (needs --root)"""
    root: Path | None = None
    """folder with COCO's annotations/ and images"""

    epochs: int = 50
    """50 for Table 1, 100 for the network of Figure 3"""
    lr: float = 0.01
    """initial learning rate"""
    halving_epochs: int = 0
    """the learning rate is halved 12 times in so many epochs, and goes on so; 0: in --epochs, or in 50 if there are
    more, which is every 4 epochs, as in the paper"""
    momentum: float = 0.0
    """of SGD; the paper does not mention any"""
    reduction: Reduction = "mean"
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
    train_share: float = 1.0
    """share of the training images that is used; every seed draws its own, the same in all arms"""
    noise: float = 0.0
    """also score the trained network on validation images with Gaussian noise of this deviation; white is 1"""
    blur: float = 0.0
    """also score it on validation images blurred by a Gaussian of this deviation in pixels"""

    @property
    def default_name(self) -> str:
        return f"segmentation-{self.data}"

    @property
    def twelve_halvings(self) -> int:
        """In how many epochs the learning rate is halved twelve times."""
        return self.halving_epochs or min(self.epochs, 50)

    def regularization(self, arm: Arm) -> Regularization | None:
        """What distinguishes the arms, all of it."""
        import topolayer as tl
        from experiments.penalties import Regularization, after_normalization, total_variation

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

WEIGHTS = ("topology_lambda", "tv_lambda")
READERS = {"root": ("coco",), "crowd": ("coco",)}  # which --data reads an option


def settle(config: Settings) -> Settings:
    """Refuse what cannot work, choose the layer where that was left to us, warn of what can hardly be meant."""
    from experiments.unet import DECODER, LAYERS, check_sides, side_of

    check_data(config, READERS)
    if config.layer == "auto":
        fitting = [layer for layer in DECODER if side_of(layer, config.size) >= 32]
        config = dataclasses.replace(config, layer=fitting[-1] if fitting else DECODER[0])
        log.info("the topology arm regularizes %s", config.layer)
    for option, layer in (("--layer", config.layer), ("--tv-layer", config.tv_layer)):
        if layer not in LAYERS:
            raise UserError(f"{option} {layer}: there is no such layer; the U-Net has {', '.join(LAYERS)}")
    check(config, from_one=("size", "width"), from_zero=("k", *WEIGHTS, "lr", "halving_epochs", "noise", "blur"))
    if not 0 < config.train_share <= 1:
        raise UserError(f"--train-share must be above 0 and at most 1, got {config.train_share}")
    each = config.batch_size // processes()
    try:
        check_sides(config.size, config.size, each, training=True)
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


def main(config: Config) -> None:
    from experiments import figures, report, runs, task

    config = settle(config)
    with runs.prepared(config) as fabric:
        data = task.load_training(config), task.load_validation(config)
        log.info("%d training and %d validation images, %d px", len(data[0]), len(data[1]), config.size)
        examples = round(config.train_share * len(data[0]))
        runs.train_all(config, fabric, examples, lambda run: task.train_run(run, data))
        if fabric.is_global_zero:
            models = runs.trained_models(config, lambda seed: task.initial_model(config, seed))
            figures.showcase(config.folder, models, data[1], layer=config.layer, k=config.k)
            report.write(config.folder)


def cli() -> None:
    config = tyro.cli(Config, default=DEMO if "--demo" in sys.argv else Config(), description=__doc__)
    console.run(lambda: main(config))


if __name__ == "__main__":
    cli()
