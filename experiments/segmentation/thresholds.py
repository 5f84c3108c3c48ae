"""Scores of finished segmentation runs that need no threshold: is a difference one of the threshold alone?

    python -m experiments.segmentation.thresholds runs/segmentation-coco --root DIR

Mean IoU and Betti error are of probabilities that are cut at 0.5. Whatever makes all of them higher or lower, be it a
penalty or noise in the image, changes these scores, also if the network tells people apart as well as before. Average
precision depends on the order of the pixels alone; the best mean IoU is that of the best of all thresholds, which
nobody knows beforehand. Scored are the validation images, clean and under what the runs name (``--noise``, ``--blur``).

Into the folder: ``thresholds.md`` and ``.csv``, paired as in the report; the mean IoU by threshold, ``thresholds.png``.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import tyro
from rich.progress import track

from experiments.segmentation.experiment import EXPERIMENT
from experiments.shared import console, report
from experiments.shared.console import UserError, log
from experiments.shared.files import write_atomically, write_csv

if TYPE_CHECKING:
    from torch import Tensor, nn

    from experiments.segmentation.metrics import ThresholdCurve
    from experiments.shared.images import ImageSet

TITLES = {
    "average_precision": "average precision{} (%)",
    "best_miou": "best mIoU{} (%)",
    "found": "pixels found{} (%)",
}


def curve(model: nn.Module, images: ImageSet) -> ThresholdCurve:
    """The counts of all pixels of the images, by threshold."""
    import torch

    from experiments.segmentation.metrics import ThresholdCurve

    found = ThresholdCurve()
    with torch.inference_mode():
        for indices in torch.split(torch.arange(len(images)), 32):
            batch, masks = images.batch(indices, torch.device("cpu"))
            found.update(model(batch), masks)
    return found


def write(folder: Path, root: Path | None, threads: int) -> None:
    import torch

    from experiments.segmentation import curves as pictures
    from experiments.segmentation.layers import load_run
    from experiments.segmentation.metrics import THRESHOLD, ThresholdCurve
    from experiments.segmentation.task import disturbed, load

    if threads:
        torch.set_num_threads(threads)
    runs = report.finished_runs(folder)
    if runs[0].experiment != EXPERIMENT.name:
        raise UserError(
            f"{folder} holds runs of another experiment: only those of experiments.segmentation have thresholds"
        )
    folders = [folder / f"seed{run.seed}-{run.arm}" for run in runs]
    missing = [str(path) for path in folders if not (path / "checkpoint.pt").exists()]
    if missing:
        raise UserError(f"no checkpoint.pt, the trained network, in {', '.join(missing)}: train again in a new --name")
    config, _ = load_run(folders[0], root)
    val = load(config, "val")
    sets = {"": val} | disturbed(config, val)
    curves: dict[str, dict[str, list[Tensor]]] = {name: {} for name in sets}
    scored = []
    for run, path in track(list(zip(runs, folders, strict=True)), "runs", console=console.console):
        _, model = load_run(path, root)
        final = {"val_speckle": run.final["val_speckle"]}
        for name, images in sets.items():
            found = curve(model, images)
            final |= {f"{score}_{name}".rstrip("_"): value for score, value in found.compute().items()}
            curves[name].setdefault(run.arm, []).append(found.miou())
        scored.append(dataclasses.replace(run, final=final))
    titles = {
        f"{score}_{name}".rstrip("_"): title.format(f", {name}" if name else "")
        for name in sets
        for score, title in TITLES.items()
    }
    scores = dataclasses.replace(EXPERIMENT, titles=titles, goal="")
    rows = report.compare(scored, scores)
    table = report.by_scores(rows, scores)
    note = (
        "Means over seeds ± standard deviation, of the trained networks. Δ: difference to the arm "
        f'"{report.BASELINE}" of the same seed, with Student\'s 95 % interval. In truth people fill '
        f"{100 * float(val.foreground().mean()):.2f} % of the pixels. Threshold: {THRESHOLD}.\n"
    )
    write_atomically(folder / "thresholds.md", report.markdown(table) + "\n" + note)
    write_csv(folder / "thresholds.csv", rows)
    pictures.over_thresholds(folder / "thresholds.png", curves, ThresholdCurve.thresholds)
    report.show(table, note)
    log.info("in %s: thresholds.md, thresholds.csv, thresholds.png", folder)


def main(folder: tyro.conf.Positional[Path], /, root: Path | None = None, threads: int = 0) -> None:
    """Scores without a threshold of the runs in FOLDER.

    Args:
        folder: that of the runs, with a run in each seed*-* below it
        root: folder with COCO's annotations/ and images, for runs on --data coco
        threads: threads (0: PyTorch's choice)
    """
    console.run(lambda: write(folder, root, threads))


if __name__ == "__main__":
    tyro.cli(main)
