"""How fast persistence is, here and in other packages, and whether the targets are met.

    make bench
    python -m experiments.speed --quick
    python -m experiments.speed --sizes 96x128 384x512 --rounds 15 --out runs/speed-here

Images, volumes, distances and batches go through every package that is installed, in one interleaved run on one thread
(`measure` has the rules, `contenders` says what each package is asked for and returns). Then come the peaks of memory,
each in a process of its own, and the penalty's share of a training step. Writes `speed.md`, `speed.csv`, `speed.png`.
"""

from __future__ import annotations

import sys

import tyro

from experiments.shared import console
from experiments.speed.config import QUICK, Config


def main(config: Config) -> None:
    from experiments.speed import bench

    bench.main(config)


def cli() -> None:
    preset = QUICK if "--quick" in sys.argv else Config()
    config = tyro.cli(Config, default=preset, prog="python -m experiments.speed", description=__doc__)
    console.run(lambda: main(config))


if __name__ == "__main__":
    cli()
