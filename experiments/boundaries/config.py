"""The options of the experiment on boundaries, and `DEMO`, a small preset."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from experiments.boundaries.experiment import EXPERIMENT
from experiments.shared.console import UserError
from experiments.shared.experiment import Experiment
from experiments.shared.options import Options, check, check_data, processes

Arm = Literal["none", "wasserstein", "betti", "cldice"]


@dataclass(frozen=True)
class Config(Options):
    """Segmentation of thin boundaries with a U-Net, with and without a loss that looks at their topology."""

    experiment: ClassVar[Experiment] = EXPERIMENT

    arms: tuple[Arm, ...] = ("none", "wasserstein", "betti", "cldice")
    """which terms to add to Dice and cross-entropy"""
    data: Literal["networks", "membranes", "cracks"] = "networks"
    """networks of curves drawn from a seed, or membranes or cracks in a folder (needs --root)"""
    root: Path | None = None
    """folder of the data set"""
    size: int = 256
    """side of the drawn networks in pixels"""
    folds: int = 4
    """into how many blocks of neighbours the images of --root are cut: seed 0 validates the first one and trains on the
    others, seed 1 validates the second one, and so on, from the first one again"""
    held_out: float = 0.0
    """hold out this share of the training images, the last ones, and score them in place of the validation images: for
    choosing weights"""

    epochs: int = 60
    batch_size: int = 8
    patch: int = 128
    """side of the patches that are trained on, a multiple of 64"""
    patches: int = 4
    """patches of each training image and epoch"""
    lr: float = 1e-3
    """initial learning rate of Adam, falling to 0 like a cosine"""
    width: int = 16
    """channels of the first phase, doubled in every deeper one"""
    augment: bool = True
    """change brightness, contrast, gamma, sharpness and noise of the patches; turns and flips are there in any case"""

    wasserstein_lambda: float = 0.01
    """weight of Wasserstein matching"""
    betti_lambda: float = 0.01
    """weight of Betti matching"""
    cldice_lambda: float = 0.5
    """weight of soft clDice"""
    cldice_steps: int = 3
    """erosions of its skeletons; half the width of the boundaries, at least"""
    warm_up: int = 0
    """epochs in which the term's weight rises from 0 to its own"""

    @property
    def default_name(self) -> str:
        return f"{self.experiment.name}-{'demo' if self.demo else self.data}"


DEMO = Config(
    demo=True,
    seeds=(0, 1),
    resume=True,
    size=128,
    epochs=8,
    patch=64,
    patches=2,
    lr=3e-3,
    width=4,
    train_images=96,
    val_images=32,
    val_every=2,
    threads=1,  # batches are so small that threads would wait for one another
)

READERS = {  # which --data reads an option
    "root": ("membranes", "cracks"),
    "folds": ("membranes", "cracks"),
    "size": ("networks",),
}
EXTRA = 'pip install "topolayer[boundaries]"'


def settle(config: Config) -> Config:
    """Refuse what cannot work."""
    from experiments.shared.unet import check_sides

    check_data(config, READERS)
    lambdas = ("wasserstein_lambda", "betti_lambda", "cldice_lambda")
    check(
        config,
        from_one=("size", "patch", "patches", "width", "cldice_steps"),
        from_zero=("lr", "warm_up", *lambdas),
    )
    if not 0 <= config.held_out < 1:
        raise UserError(f"--held-out must be at least 0 and below 1, got {config.held_out}")
    try:
        check_sides(config.patch, config.patch, config.batch_size // processes(), training=True)
    except ValueError as error:
        raise UserError(f"--patch {config.patch}: {error}") from error
    if importlib.util.find_spec("skimage") is None:
        raise UserError(f"the adapted Rand error is scikit-image's, which is not installed: {EXTRA}")
    if "cldice" in config.arms and importlib.util.find_spec("monai") is None:
        others = " ".join(arm for arm in config.arms if arm != "cldice") or "none"
        raise UserError(f"the arm cldice is MONAI's, which is not installed: {EXTRA}, or give --arms {others}")
    return config
