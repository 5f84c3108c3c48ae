"""Gradient descent of clouds on losses of their bars, by the plain gradient and by denser ones.

    python -m experiments.clouds

Four clouds have a goal each: a loop grows from noise, a void grows from noise, two clusters part and become denser, and
a noisy torus gets rounder. All bars are those of `Alpha`, and all steps are Adam's. The gradients are the plain one;
`tl.smooth_gradient`, a sum weighted by a Gaussian kernel; the interpolation of Carrière, Theveneau and Lacombe (2024)
by the same kernel; the mean in its place of Bendahi, Duplessis and Fickinger (2026); and, where oineus is installed,
that of its critical sets, from the same simplices.

Said beforehand: each gradient gets the learning rate, and the bandwidth if it has one, of the same grid that reaches
the goal in the fewest steps on a cloud that is not reported on; of equal ones, or if none reaches it, those with the
lowest loss at the end. Reported are means over the seeds that reach it, of steps and of CPU time, oineus's copy of the
simplices included. Writes `config.json`, `tuning.csv`, `steps.csv`, `clouds.csv`, `clouds.md` and `clouds.png`.
"""

from __future__ import annotations

import tyro

from experiments.clouds.config import Config, settle
from experiments.shared import console


def main(config: Config) -> None:
    folder = settle(config)
    from experiments.clouds import descent

    descent.write(folder, config)


if __name__ == "__main__":
    options = tyro.cli(Config, description=__doc__)
    console.run(lambda: main(options))
