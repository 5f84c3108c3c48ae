"""Do matching losses help? A U-Net that finds membranes or cracks, with and without a loss of their topology.

Every arm of the experiment is trained from the same initial weights on the same patches, one run per seed, so that the
arms differ in the term that is added and in nothing else:

    none          Dice and cross-entropy
    wasserstein   and Wasserstein matching, of Hu et al. (2019): the right number of components and loops
    betti         and Betti matching, of Stucki et al. (2023): these in the right places
    cldice        and soft clDice, of Shit et al. (2021), from MONAI (extra `boundaries`)

    python -m experiments.boundaries --demo
    python -m experiments.boundaries --data membranes --root DIR --seeds 0 1 2 3
    python -m experiments.boundaries --data cracks --root DIR --seeds 0 1 2 3
"""

from __future__ import annotations

from experiments.boundaries.config import DEMO, Config, settle
from experiments.shared import console
from experiments.shared.options import parse


def main(config: Config) -> None:
    config = settle(config)
    from experiments.boundaries import pictures, task
    from experiments.shared import runs

    runs.run_experiment(config, task, pictures)


def cli() -> None:
    console.run(lambda: main(parse(Config, DEMO, __doc__)))


if __name__ == "__main__":
    cli()
