"""The options of the benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["noise", "smooth", "photograph", "constant", "checkerboard", "ramp", "spiral"]
VolumeKind = Literal["noise", "smooth", "smooth 2", "smooth 4", "mask", "head"]

# White noise, the same smoothed with a Gaussian of standard deviation 3, and scikit-image's `camera`, resized.
NATURAL: tuple[Kind, ...] = ("noise", "smooth", "photograph")
# Nothing but ties; maxima everywhere; one ascent in the order of memory; one along a corridor that winds inwards.
EXTREME: tuple[Kind, ...] = ("constant", "checkerboard", "ramp", "spiral")
KINDS = NATURAL + EXTREME
# Noise smoothed less and more; a mask of independent voxels; a head, nilearn's template MNI152, resized.
VOLUMES: tuple[VolumeKind, ...] = ("noise", "smooth", "smooth 2", "smooth 4", "mask", "head")


@dataclass(frozen=True)
class Config:
    """What to measure, and how long."""

    sizes: tuple[str, ...] = ("24x32", "96x128", "384x512", "512x512", "768x1024", "2048x2048", "4096x4096")
    """images, HEIGHTxWIDTH"""
    kinds: tuple[Kind, ...] = KINDS
    """kinds of images; batches come in the first three of them"""
    volume_kinds: tuple[VolumeKind, ...] = VOLUMES
    """kinds of volumes"""
    volumes: tuple[str, ...] = ("32x32x32", "64x64x64", "128x128x128", "256x256x256")
    """volumes, DEPTHxHEIGHTxWIDTH"""
    points: tuple[int, ...] = (500, 2000)
    """points whose distances are filtered"""
    matrices: tuple[str, ...] = ("64x128", "16x512")
    """batches of distances, MATRICESxPOINTS"""
    clouds: tuple[str, ...] = ("64x128",)
    """lists of clouds in space, CLOUDSxPOINTS"""
    alphas: tuple[str, ...] = ("2000x2", "2000x3")
    """clouds whose alpha complex is filtered, POINTSxCOORDINATES"""
    graphs: tuple[int, ...] = (128,)
    """graphs of 10 to 60 vertices in one batch"""
    batches: tuple[str, ...] = ("16x96x128", "1x2048x2048", "1x128x128x128")
    """what one thread and two are compared on, SAMPLESxHEIGHTxWIDTH, or volumes"""
    activations: tuple[str, ...] = ("1x1x24x32", "16x1x96x128", "16x64x48x64")
    """what few_maxima is applied to, SAMPLESxCHANNELSxHEIGHTxWIDTH"""
    matchings: tuple[str, ...] = ("8x1x64x64", "256x256", "512x512", "48x48x48", "96x96x96")
    """what the Betti matching loss is computed on: images, volumes or SAMPLESxCHANNELSxHEIGHTxWIDTH"""
    learning: bool = True
    """PersLay, RTD-Lite and the smoothed gradient of a cloud"""
    memory: tuple[str, ...] = ("2048x2048", "128x128x128")
    """images and volumes whose peak of memory is measured"""
    steps: int = 3
    """training steps for the penalty's share, on Section 4's network and on that of the demo; 0: none"""

    rounds: int = 15
    """rounds of the interleaved run; tables show medians"""
    limit: float = 2.0
    """seconds a call beyond which a contender is left out; those that targets compare with may take longer"""
    budget: float = 2.0
    """seconds per contender and input beyond which it runs in fewer rounds, but at least three"""
    out: Path | None = None
    """a new folder for the results; by default runs/speed-DATE-TIME"""
    quick: bool = False
    """a preset that takes about a minute: small sizes, five rounds, the demo's network only"""


QUICK = Config(
    volume_kinds=("noise", "smooth"),
    sizes=("24x32", "96x128", "384x512"),
    volumes=("32x32x32",),
    points=(200,),
    matrices=("64x128",),
    alphas=("200x2", "200x3"),
    batches=("16x96x128",),
    activations=("1x1x24x32", "16x1x96x128"),
    matchings=("8x1x64x64", "24x24x24"),
    memory=("384x512",),
    rounds=5,
    limit=0.5,
    budget=0.1,
)
