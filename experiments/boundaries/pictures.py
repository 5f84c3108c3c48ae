"""Pictures of predicted boundaries: what is wrong, and what an arm closed or cut."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor, nn

from experiments.boundaries.boundaryset import BoundarySet
from experiments.boundaries.config import Config
from experiments.boundaries.experiment import EXPERIMENT
from experiments.boundaries.metrics import boundary, scores
from experiments.boundaries.task import predicted
from experiments.shared.experiment import GREEN, PURPLE, SKY, VERMILION
from experiments.shared.figures import picture, save
from experiments.shared.report import BASELINE

SHOWN = 2  # images
WRONG = {"missed": VERMILION, "invented": SKY}
CHANGED = {"closed": GREEN, "thinner or cut": PURPLE}


@torch.inference_mode()
def showcase(folder: Path, models: Mapping[str, nn.Module], val: BoundarySet, config: Config) -> None:
    """``examples.png``: validation images through every network."""
    shown = val.subset(sorted({0, len(val) // SHOWN}))
    images, masks = shown.batch(torch.arange(len(shown)))
    seen = {arm: predicted(model.eval(), images) for arm, model in models.items()}
    examples(folder / "examples.png", shown.names, images, masks, seen)


def examples(path: Path, names: tuple[str, ...], images: Tensor, masks: Tensor, seen: Mapping[str, Tensor]) -> None:
    """Per image: itself and its mask, and for every arm the prediction, its errors, and its difference to "none".

    All are ``(b, 1, h, w)``, `seen` by arm.
    """
    figure = Figure(figsize=(9.6, (2.5 * len(seen) + 0.3) * len(images)), layout="constrained")
    for place, part in enumerate(figure.subfigures(len(images), 1, squeeze=False)[:, 0]):
        part.suptitle(names[place], fontsize=9)
        rows = part.subplots(len(seen), 4, squeeze=False)
        truth = masks[place, 0] > 0
        picture(rows[0, 0], images[place, 0], "image", cmap="gray", vmin=0, vmax=1)
        if len(seen) > 1:
            picture(rows[1, 0], truth, "mask", cmap="gray_r")
        for axes in rows[2:, 0]:
            axes.set_axis_off()
        base = boundary(seen[BASELINE][place, 0]) if BASELINE in seen else None
        for line, (arm, found) in zip(rows, seen.items(), strict=True):
            wall = boundary(found[place, 0])
            row = scores(found[place : place + 1], masks[place : place + 1])
            picture(line[1], found[place, 0], cmap="gray_r", vmin=0, vmax=1)
            line[1].set_ylabel(EXPERIMENT.arms[arm].label, color=EXPERIMENT.arms[arm].colour, fontsize=8)
            title = f"Betti matching error {float(row['matching_error']):.0f}"
            picture(line[2], painted(wall & truth, {WRONG["missed"]: truth & ~wall, WRONG["invented"]: wall & ~truth}))
            line[2].set_title(title, fontsize=8)
            if base is None or arm == BASELINE:
                line[3].set_axis_off()
                continue
            changes = {CHANGED["closed"]: wall & ~base, CHANGED["thinner or cut"]: base & ~wall}
            picture(line[3], painted(wall & base, changes))
        rows[0, 1].set_title("prediction", fontsize=8)
        legend = [Patch(color=colour, label=name) for name, colour in WRONG.items()]
        rows[0, 3].set_axis_off()
        legend += [Patch(color=colour, label=f'{name}, against "{BASELINE}"') for name, colour in CHANGED.items()]
        rows[0, 3].legend(handles=legend, loc="center", frameon=False, fontsize=8)
    save(figure, path)


def painted(walls: Tensor, coloured: Mapping[str, Tensor]) -> Tensor:
    """``(h, w, 3)``: grey walls on white, and other pixels in their colours."""
    image = torch.where(walls[..., None], 0.75, 1.0).repeat(1, 1, 3)
    for colour, pixels in coloured.items():
        image[pixels] = torch.tensor(to_rgb(colour))
    return image
