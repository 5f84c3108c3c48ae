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

import tyro

from experiments.region.config import Config, settle
from experiments.shared import console


def main(config: Config) -> None:
    folder = settle(config)
    from experiments.region import descent

    descent.write(folder, config)


if __name__ == "__main__":
    options = tyro.cli(Config, description=__doc__)
    console.run(lambda: main(options))
