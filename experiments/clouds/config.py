"""The options of the descent of clouds."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

from experiments.shared.console import UserError


@dataclass(frozen=True)
class Config:
    """The options: what is tried, and how long."""

    points: int = 100
    """points of the clouds in the plane; those in space have twice as many"""
    rates: tuple[float, ...] = (0.003, 0.01, 0.03)
    """learning rates"""
    bandwidths: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4)
    """bandwidths of the kernel"""
    steps: int = 200
    """most steps"""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """clouds that are reported on"""
    tuned_on: int = 100
    """seed of the cloud on which rates and bandwidths are chosen"""
    out: Path | None = None
    """a new folder for the results; by default runs/clouds-DATE-TIME"""


def settle(config: Config) -> Path:
    """The folder of the results; what cannot work is refused, before anything is computed."""
    for option, least in (("points", 20), ("steps", 1)):
        if getattr(config, option) < least:
            raise UserError(f"--{option} must be at least {least}, got {getattr(config, option)}")
    for option in ("rates", "bandwidths", "seeds"):
        if not getattr(config, option):
            raise UserError(f"--{option}: expected at least one, got none; leave the option out for its default")
    for option in ("rates", "bandwidths"):
        values = getattr(config, option)
        if not all(0 < value < math.inf for value in values):
            raise UserError(f"--{option} must be numbers > 0, got {' '.join(map(str, values))}")
    folder = config.out or Path("runs") / f"clouds-{time.strftime('%Y%m%d-%H%M%S')}"
    if folder.exists():
        raise UserError(f"{folder} exists; choose another folder with --out")
    return folder
