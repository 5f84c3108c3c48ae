"""Pictures of predicted boundaries: what is wrong, and what an arm closed or cut."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from matplotlib.axes import Axes
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
CHANGED = {"closed": GREEN, "cut": PURPLE}


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
    figure = Figure(figsize=(9.6, (2.4 * max(len(seen), 2) + 0.3) * len(images)), layout="constrained")
    for place, part in enumerate(figure.subfigures(len(images), 1, squeeze=False)[:, 0]):
        part.suptitle(names[place], fontsize=9)
        grid = part.add_gridspec(len(seen), 4)
        left = grid[:, 0].subgridspec(3, 1)
        truth = masks[place, 0] > 0
        picture(part.add_subplot(left[0]), images[place, 0], "image", cmap="gray", vmin=0, vmax=1)
        picture(part.add_subplot(left[1]), truth, "mask", cmap="gray_r")
        explain(part.add_subplot(left[2]))
        base = boundary(seen[BASELINE][place, 0]) if BASELINE in seen else None
        for line, (arm, found) in enumerate(seen.items()):
            wall = boundary(found[place, 0])
            axes = part.add_subplot(grid[line, 1])
            picture(axes, found[place, 0], "" if line else "prediction", cmap="gray_r", vmin=0, vmax=1)
            axes.set_ylabel(EXPERIMENT.arms[arm].label, color=EXPERIMENT.arms[arm].colour, fontsize=8)
            error = scores(found[place : place + 1], masks[place : place + 1])["matching_error"]
            wrong = {WRONG["missed"]: truth & ~wall, WRONG["invented"]: wall & ~truth}
            title = f"Betti matching error {float(error):.0f}"
            picture(part.add_subplot(grid[line, 2]), painted(wall & truth, wrong), title)
            if base is not None and arm != BASELINE:
                changes = {CHANGED["closed"]: wall & ~base, CHANGED["cut"]: base & ~wall}
                title = f'against "{BASELINE}"'
                picture(part.add_subplot(grid[line, 3]), painted(wall & base, changes), title)
    save(figure, path)


def explain(axes: Axes) -> None:
    """What the colours mean."""
    legend = [Patch(color=colour, label=name) for name, colour in (WRONG | CHANGED).items()]
    axes.legend(handles=legend, loc="upper center", frameon=False, fontsize=8)
    axes.set_axis_off()


def painted(walls: Tensor, coloured: Mapping[str, Tensor]) -> Tensor:
    """``(h, w, 3)``: grey walls on white, and other pixels in their colours."""
    image = torch.where(walls[..., None], 0.75, 1.0).repeat(1, 1, 3)
    for colour, pixels in coloured.items():
        image[pixels] = torch.tensor(to_rgb(colour))
    return image
