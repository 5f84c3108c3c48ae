"""Section 5: depth from one image, with U-Net or DenseDepth, with and without regularization of two layers.

Every arm of the experiment is trained from the same initial weights on the same batches with the same augmentation, one
run per seed, so that the arms differ in the regularizers and in nothing else:

    none          the three terms of eq. (4) that compare with the truth, eqs. (5) to (7)
    tv            and the total variation of eq. (8) of the last decoder layer
    topology      and eq. (1) on the channel norm, eq. (3), of the second decoder layer (our addition)
    tv+topology   and both
    sublevel      and eq. (1) with sublevel sets, which spare minima in place of maxima (ours too); also tv+sublevel
    placebo       and eq. (1) on the layer with its pixels shuffled: the same values, no topology
    norm          and the squared norm of the layer

    python -m experiments.depth --demo
    python -m experiments.depth --data diode --root DIR --cache DIR
    python -m experiments.depth --data diode --root DIR --cache DIR --model densedepth --arms none tv+topology
    torchrun --standalone --nproc-per-node 2 -m experiments.depth --data diode --root DIR --cache DIR

Options that are left alone are the paper's for the network. Without network access give ``--weights none`` or
``--weights FILE``. On a machine without GPU, ``--encoder small --width 8 --weights none`` at a small ``--size``.
"""

from __future__ import annotations

from experiments.depth.config import DEMO, Config
from experiments.shared import console
from experiments.shared.options import parse


def main(config: Config) -> None:
    from experiments.depth import pictures, task
    from experiments.depth.settle import settle
    from experiments.shared import runs

    runs.run_experiment(settle(config), task, pictures)


def cli() -> None:
    console.run(lambda: main(parse(Config, DEMO, __doc__)))


if __name__ == "__main__":
    cli()
