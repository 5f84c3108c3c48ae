"""The options of the noise removal."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

from experiments.shared.console import UserError


@dataclass(frozen=True)
class Config:
    """The options: what is tried, and how long."""

    side: int = 128
    """pixels on a side of the picture"""
    noise: float = 0.1
    """standard deviation; the photograph is in [0, 1]"""
    k: int = 64
    """maxima and minima to be left"""
    speckle: float = 0.01
    """bars up to this length are not counted"""
    rates: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.4)
    """learning rates"""
    steps: int = 300
    """most steps"""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """noise that is reported on"""
    tuned_on: int = 100
    """seed of the noise on which rates are chosen"""
    out: Path | None = None
    """a new folder for the results; by default runs/region-DATE-TIME"""


def settle(config: Config) -> Path:
    """The folder of the results; what cannot work is refused, before anything is computed."""
    for option, least in (("side", 8), ("k", 0), ("steps", 1)):
        if getattr(config, option) < least:
            raise UserError(f"--{option} must be at least {least}, got {getattr(config, option)}")
    for option in ("rates", "seeds"):
        if not getattr(config, option):
            raise UserError(f"--{option}: expected at least one, got none; leave the option out for its default")
    for option, values in (("noise", (config.noise,)), ("speckle", (config.speckle,)), ("rates", config.rates)):
        if not all(0 <= value < math.inf for value in values):
            raise UserError(f"--{option} must be numbers from 0, got {' '.join(map(str, values))}")
    folder = config.out or Path("runs") / f"region-{time.strftime('%Y%m%d-%H%M%S')}"
    if folder.exists():
        raise UserError(f"{folder} exists; choose another folder with --out")
    return folder
