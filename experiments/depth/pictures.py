"""Pictures of predictions, and of the layer that is regularized (as in Figures 5, 10 and 11)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor

import topolayer as tl
from experiments import figures
from experiments.depth.depthset import DepthSet
from experiments.depth.networks import DepthNetwork
from experiments.penalties import keep


@torch.inference_mode()
def showcase(path: Path, models: Mapping[str, DepthNetwork], val: DepthSet, *, layer: str, k: int) -> None:
    """Three validation images: truth, and for every arm the prediction, its error, the layer and its diagram."""
    chosen = sorted({0, len(val) // 3, 2 * len(val) // 3})
    images, depths, known = val.batch(torch.tensor(chosen), torch.device("cpu"))
    figure = Figure(figsize=(2.4 * 5, 1.9 * (len(models) + 0.2) * len(chosen)), layout="constrained")
    parts = figure.subfigures(len(chosen), 1, squeeze=False)[:, 0]
    rows = [part.subplots(len(models), 5, squeeze=False) for part in parts]
    for place, part in enumerate(parts):
        part.suptitle(val.names[chosen[place]], fontsize=8)
        for axes in rows[place][1:, 0]:
            axes.set_axis_off()
    for number, (arm, model) in enumerate(models.items()):
        kept: dict[str, Tensor] = {}
        hook = model.get_submodule(layer).register_forward_hook(partial(keep, kept, layer))
        predictions = model.eval()(images)
        hook.remove()
        magnitudes = tl.channel_norm(kept[layer])
        colour = figures.STYLES[arm][0]
        for place in range(len(chosen)):
            line = rows[place][number]
            truth = torch.where(known[place, 0], depths[place, 0], math.nan)
            scale = LogNorm(float(depths[place][known[place]].min()), float(depths[place][known[place]].max()))
            if number == 0:
                image = line[0].inset_axes((0.1, 0.52, 0.9, 0.48))
                below = line[0].inset_axes((0.1, 0, 0.9, 0.48))
                line[0].set_axis_off()
                _picture(image, images[place].permute(1, 2, 0), "")
                _picture(below, truth, "", cmap="turbo", norm=scale)
                image.set_ylabel("image", fontsize=7)
                below.set_ylabel("truth", fontsize=7)
            titles = ("depth", "error of log10", f"|{layer}|", f"its diagram, k = {k}") if number == 0 else ("",) * 4
            _picture(line[1], predictions[place, 0], titles[0], cmap="turbo", norm=scale)
            line[1].set_ylabel(figures.LABELS[arm], color=colour, fontsize=7)
            _picture(line[2], (predictions[place, 0] / truth).log10(), titles[1], cmap="coolwarm", vmin=-0.5, vmax=0.5)
            _picture(line[3], magnitudes[place], titles[2], cmap="viridis")
            figures.diagram(line[4], magnitudes[place], titles[3], k=k)
    figures.save(figure, path)


def _picture(axes: Axes, picture: Tensor, title: str, **options: object) -> None:
    """Grey is where depth is not known."""
    axes.set_facecolor("0.8")
    axes.imshow(picture.numpy(), interpolation="nearest", **options)  # type: ignore[arg-type]
    axes.set_title(title, fontsize=8)
    axes.set(xticks=[], yticks=[])
