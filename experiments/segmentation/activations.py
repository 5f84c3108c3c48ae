r"""The layers of a trained network and their persistent homology: Figures 1, 2, 3, 7, 8 and 9 of the paper.

For a network that ``experiments.segmentation`` has trained, into ``RUN/activations``:

    superlevel_sets.png   a function on the pixels and its superlevel sets (Figure 1)
    mask.png              an image, its mask, and the mask's persistence diagram (Figure 2)
    layers_WHICH.png      an image, its mask, and every phase's magnitude, eq. (3), with its persistence diagram: for
                          one person, two (Figures 3 and 7), several (Figure 8) and none (Figure 9)
    agreement.png         from which layer on the number of prominent components follows that of the mask, the output
    layers.csv, layers.md the table of the layers, over all validation images or all training images

    python -m experiments.segmentation.activations --demo
    python -m experiments.segmentation.activations --run runs/segmentation-coco/seed0-none --root DIR
    python -m experiments.segmentation.activations --run runs/segmentation-coco/seed0-none --root DIR \
        --images one.jpg two.jpg

What is shown does not depend on what the network makes of it. Among the validation images with so many components in
the mask, those come first that show as many people, for a person may be in two pieces and two people in one; then those
whose smallest component is above 2 % of the image; then those under a free licence; then the largest.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from experiments.segmentation import config as segmentation
from experiments.shared import console
from experiments.shared.console import UserError, log
from experiments.shared.files import environment, write_json

DEMO = dataclasses.replace(
    segmentation.DEMO, arms=("none",), seeds=(0,), name="demo-activations", size=128, epochs=12, train_images=400
)


@dataclass(frozen=True)
class Options:
    """Figures 1, 2, 3, 7, 8 and 9 of the paper: the layers of a trained network and their persistence diagrams."""

    run: Path | None = None
    """folder of a finished run, such as runs/segmentation-coco/seed0-none"""
    root: Path | None = None
    """folder with COCO's annotations/ and images, for a run on --data coco"""
    images: tuple[Path, ...] = ()
    """photographs of your own to show too; there is no mask of them"""
    out: Path | None = None
    """where to put the results; activations/ in the run's folder if left out"""
    table: Literal["val", "train"] = "val"
    """over which images the table of the layers is; with the training images it recommends a layer and a k, which must
    not be chosen on images that results are reported on"""
    limit: int = 0
    """so many images are looked at (0: all)"""
    prominence: float = 0.25
    """a bar is prominent if it is longer than this share of the range of its image"""
    threads: int = 0
    """threads (0: PyTorch's choice)"""
    runs: Path = Path("runs")
    """where the demo is trained"""
    demo: bool = False
    """train a network on the embedded scenes first, about three minutes on two cores, unless that was done before"""


def main(options: Options) -> None:
    import torch

    from experiments.segmentation import __main__, agreement, layers, task

    if options.demo and (options.run or options.root):
        raise UserError("--demo trains on embedded scenes and shows that run: leave --run and --root out, or --demo")
    if options.limit < 0 or options.threads < 0:
        raise UserError("--limit and --threads must be numbers from 0")
    if options.threads:
        torch.set_num_threads(options.threads)
    run = options.run
    if options.demo:
        demo = dataclasses.replace(DEMO, runs=options.runs)
        __main__.main(demo)
        run = demo.folder / "seed0-none"
    if run is None:
        raise UserError("give the folder of a run as --run, or --demo to train a network on embedded scenes")
    config, model = layers.load_run(run, options.root)
    val = task.load(dataclasses.replace(config, val_images=options.limit or config.val_images), "val")
    folder = options.out or run / "activations"
    layers.draw(folder, config, model, val, options.images)
    seen = val
    if options.table == "train":
        seen = task.load(dataclasses.replace(config, train_images=options.limit or config.train_images), "train")
    agreement.report(folder, agreement.probed(model, seen, options.prominence), recommend=options.table == "train")
    given = {key: str(value) for key, value in dataclasses.asdict(options).items()}
    write_json(folder / "made.json", {"options": given, "ran": environment()})
    log.info(
        "%s: %s, and the table of the layers", folder, ", ".join(sorted(path.name for path in folder.glob("*.png")))
    )


def cli() -> None:
    options = tyro.cli(Options, description=__doc__)
    console.run(lambda: main(options))


if __name__ == "__main__":
    cli()
