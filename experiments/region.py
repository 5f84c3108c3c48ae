"""Noise removal by gradient descent on `few_extrema`, by the gradient of its bars and by that of whole regions.

    python -m experiments.region

A photograph with Gaussian noise is all there is: its pixels go down the gradient of `few_extrema`, of maxima by
superlevel sets and of minima by sublevel sets, k of each to be left, at a fixed learning rate. After every step the
extrema are counted whose bars are longer than `speckle`, and the distance to the photograph without noise is taken.

Said beforehand: the *goal* is reached when no more than k maxima and k minima are counted. Each gradient gets the
learning rate of the same grid that reaches it in the fewest steps on noise that is not reported on; of equal ones, the
one with the higher PSNR there. A step multiplies an undisturbed bar by 1 - 4 lr and the height of a region by 1 - 2 lr,
so the grid ends below 0.5, where a region would be gone in one step. Reported are means over the seeds, of steps to the
goal, PSNR and time. Writes `config.json`, `tuning.csv`, `steps.csv`, `region.csv`, `region.md` and `region.png`.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import tyro

from experiments import console
from experiments.console import UserError


@dataclass(frozen=True)
class Config:
    """What is tried, and how long."""

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


def main(config: Config) -> None:
    folder = settle(config)
    from experiments import descent

    descent.write(folder, config)


if __name__ == "__main__":
    options = tyro.cli(Config, description=__doc__)
    console.run(lambda: main(options))
