"""Do matching losses help? A U-Net that finds membranes or cracks, with and without a loss of their topology.

Every arm of the experiment is trained from the same initial weights on the same patches, one run per seed, so that the
arms differ in the term that is added and in nothing else:

    none          Dice and cross-entropy
    wasserstein   and Wasserstein matching, of Hu et al. (2019): the right number of components and loops
    betti         and Betti matching, of Stucki et al. (2023): these in the right places
    cldice        and soft clDice, of Shit et al. (2021), from MONAI (extra `boundaries`)

    python -m experiments.boundaries --demo
    python -m experiments.boundaries --data membranes --root DIR --fold 0
    python -m experiments.boundaries --data cracks --root DIR --fold 0
"""

from __future__ import annotations

from experiments.boundaries.config import DEMO, Config, settle
from experiments.shared import console
from experiments.shared.console import log
from experiments.shared.options import parse


def main(config: Config) -> None:
    config = settle(config)
    from experiments.boundaries import pictures, task
    from experiments.shared import report, runs

    with runs.prepared(config) as fabric:
        data = task.load(config, "train"), task.load(config, "val")
        log.info(
            "%d training and %d validation images of %d x %d px, patches of %d",
            len(data[0]), len(data[1]), *data[1].images.shape[1:], config.patch,
        )  # fmt: skip
        examples = config.patches * len(data[0])
        runs.train_all(config, fabric, examples, lambda run: task.train_run(run, data))
        if fabric.is_global_zero:
            models = runs.trained_models(config, lambda: task.architecture(config))
            pictures.showcase(config.folder, models, data[1], config)
            report.write(config.folder, config.experiment)


def cli() -> None:
    console.run(lambda: main(parse(Config, DEMO, __doc__)))


if __name__ == "__main__":
    cli()
