"""Section 4: a U-Net that finds people, with and without regularization of an internal layer.

Every arm of the experiment is trained from the same initial weights on the same batches, one run per seed, so that the
arms differ in the regularizer and in nothing else:

    none        the loss of eq. (2) alone
    topology    and eq. (1) on the channel norm, eq. (3), of a decoder layer: few local maxima
    tv          and the total variation of eq. (8) on the last decoder layer (our addition to this section)
    placebo     and eq. (1) on the layer with its pixels shuffled: the same values, no topology
    norm        and the squared norm of the layer

    python -m experiments.segmentation --demo
    python -m experiments.segmentation --data coco --root DIR
    torchrun --standalone --nproc-per-node 2 -m experiments.segmentation --data coco --root DIR

Settled where the paper is silent. Eq. (2) is a sum over pixels, under which the stated learning rate diverges: the
default is the mean (``--reduction sum`` is the other). SGD has no momentum. The output layer's bias starts at the
share of person pixels in training. Images are stretched to a square. Pixels of crowds count as person. Scores are those
of the last epoch, or means over the last ones, not of the best one. The weights of the penalties come from
``experiments.segmentation.sweep``.

With the mean, 0.01 suits the paper's tens of thousands of images; on the few hundred of a small sample the
network hardly gets beyond predicting that share everywhere, so small runs take ``--lr 0.1 --momentum 0.9``, the same
in all arms.
"""

from __future__ import annotations

from experiments.segmentation.config import DEMO, Config, settle
from experiments.shared import console
from experiments.shared.options import parse


def main(config: Config) -> None:
    config = settle(config)
    from experiments.segmentation import pictures, task
    from experiments.shared import runs

    runs.run_experiment(config, task, pictures)


def cli() -> None:
    console.run(lambda: main(parse(Config, DEMO, __doc__)))


if __name__ == "__main__":
    cli()
