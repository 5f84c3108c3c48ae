"""Pictures of predictions, and of the layer that is regularized (Figures 5, 10 and 11)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor

import topolayer as tl
from experiments.depth.config import Config
from experiments.depth.depthset import DepthSet
from experiments.depth.experiment import EXPERIMENT
from experiments.depth.networks import DepthNetwork
from experiments.shared.figures import diagram, picture, save
from experiments.shared.penalties import activations as recorded


@dataclass(frozen=True)
class Shown:
    """An image (h, w, 3), its depth (h, w), NaN where it is not known, and by arm what networks make of it.

    `magnitudes` are those of a layer, eq. (3).
    """

    title: str
    image: Tensor
    truth: Tensor
    predictions: Mapping[str, Tensor]
    magnitudes: Mapping[str, Tensor]

    @property
    def scale(self) -> LogNorm:
        """The scale of the colours of depths, the same for the truth and all predictions."""
        depths = torch.cat(
            [self.truth[self.truth.isfinite()], *(found.flatten() for found in self.predictions.values())]
        )
        return LogNorm(float(depths.min()), float(depths.max()))


def showcase(folder: Path, models: Mapping[str, DepthNetwork], val: DepthSet, config: Config) -> None:
    """``examples.png`` and ``activations.png`` of three validation images."""
    shown = look(models, val, config.layer)
    examples(folder / "examples.png", shown, layer=config.layer, k=config.k)
    activations(folder / "activations.png", shown, layer=config.layer)


@torch.inference_mode()
def look(models: Mapping[str, DepthNetwork], val: DepthSet, layer: str) -> list[Shown]:
    """Three validation images, the same for whatever networks."""
    chosen = sorted({0, len(val) // 3, 2 * len(val) // 3})
    images, depths, known = val.batch(torch.tensor(chosen), torch.device("cpu"))
    predictions: dict[str, Tensor] = {}
    magnitudes: dict[str, Tensor] = {}
    for arm, model in models.items():
        with recorded(model, [layer]) as kept:
            predictions[arm] = model.eval()(images)[:, 0]
        magnitudes[arm] = tl.channel_norm(kept[layer])
    return [
        Shown(
            title=val.names[index],
            image=images[place].permute(1, 2, 0),
            truth=torch.where(known[place, 0], depths[place, 0], math.nan),
            predictions={arm: found[place] for arm, found in predictions.items()},
            magnitudes={arm: found[place] for arm, found in magnitudes.items()},
        )
        for place, index in enumerate(chosen)
    ]


def examples(path: Path, shown: list[Shown], *, layer: str, k: int) -> None:
    """Per image: the truth, and for every arm the prediction, its error, the layer's magnitude and its diagram."""
    arms = list(shown[0].predictions)
    figure = Figure(figsize=(2.4 * 5, 1.9 * (len(arms) + 0.2) * len(shown)), layout="constrained")
    for example, part in zip(shown, figure.subfigures(len(shown), 1, squeeze=False)[:, 0], strict=True):
        part.suptitle(example.title, fontsize=8)
        rows = part.subplots(len(arms), 5, squeeze=False)
        for axes in rows[:, 0]:
            axes.set_axis_off()
        below, above = (rows[0, 0].inset_axes((0.1, height, 0.9, 0.48)) for height in (0, 0.52))
        picture(below, example.truth, cmap="turbo", norm=example.scale)
        below.set_ylabel("truth", fontsize=7)
        picture(above, example.image)
        above.set_ylabel("image", fontsize=7)
        for number, arm in enumerate(arms):
            line, prediction = rows[number], example.predictions[arm]
            titles = ("depth", "error of log10", f"|{layer}|", f"its diagram, k = {k}") if number == 0 else ("",) * 4
            picture(line[1], prediction, titles[0], cmap="turbo", norm=example.scale)
            line[1].set_ylabel(EXPERIMENT.arms[arm].label, color=EXPERIMENT.arms[arm].colour, fontsize=7)
            picture(line[2], (prediction / example.truth).log10(), titles[1], cmap="coolwarm", vmin=-0.5, vmax=0.5)
            picture(line[3], example.magnitudes[arm], titles[2], cmap="viridis")
            diagram(line[4], example.magnitudes[arm], titles[3], k=k)
    save(figure, path)


def activations(path: Path, shown: list[Shown], *, layer: str) -> None:
    """Figures 5, 10 and 11: per image a row with the truth and every arm's depth, and below it the magnitudes."""
    arms = list(shown[0].predictions)
    height, width = shown[0].truth.shape
    columns = len(arms) + 1
    figure = Figure(figsize=(2.2 * columns, 2 * len(shown) * (2.2 * height / width + 0.1) + 0.3), layout="constrained")
    axes = figure.subplots(2 * len(shown), columns, squeeze=False)
    for number, example in enumerate(shown):
        above, below = axes[2 * number], axes[2 * number + 1]
        picture(above[0], example.truth, cmap="turbo", norm=example.scale)
        picture(below[0], example.image)
        for ax, name in ((above[0], "truth"), (below[0], "image"), (above[1], "depth"), (below[1], f"|{layer}|")):
            ax.set_ylabel(name, fontsize=8)
        for column, arm in enumerate(arms, 1):
            picture(above[column], example.predictions[arm], cmap="turbo", norm=example.scale)
            picture(below[column], example.magnitudes[arm], cmap="viridis")
            if number == 0:
                above[column].set_title(EXPERIMENT.arms[arm].label, color=EXPERIMENT.arms[arm].colour, fontsize=8)
    save(figure, path)
