"""Pictures of a U-Net's predictions and layers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

import topolayer as tl
from experiments.segmentation.config import Config
from experiments.segmentation.experiment import EXPERIMENT
from experiments.shared.figures import diagram, picture, save
from experiments.shared.images import ImageSet
from experiments.shared.penalties import activations
from experiments.shared.unet import Network
from topolayer import plot


@torch.inference_mode()
def magnitudes(model: Network, images: Tensor) -> dict[str, Tensor]:
    """Magnitudes (b, h, w) of all layers, eq. (3), by their names, and the network's output as the last of them."""
    with activations(model, model.layers) as kept:
        output = model.eval()(images)[:, 0]
    return {name: tl.channel_norm(kept[name]) for name in model.layers} | {"output": output}


def caption(shown: ImageSet, place: int = 0) -> str:
    return ": ".join(filter(None, (shown.names[place], shown.credits[place])))


def showcase(folder: Path, models: Mapping[str, Network], val: ImageSet, config: Config) -> None:
    """``examples.png``: two validation images through every network. ``layers.png``: one through all layers of one."""
    share = val.foreground()
    # People fill a tenth to a half of the first ones, and the freely licensed come before the others.
    order = sorted(range(len(val)), key=lambda i: (not 0.1 < share[i] < 0.5, val.restricted(i)))
    shown = val.subset(order[:2])
    images, _ = shown.batch(torch.arange(len(shown)), torch.device("cpu"))
    seen = {arm: magnitudes(model, images) for arm, model in models.items()}
    examples(folder / "examples.png", shown, seen, layer=config.layer, k=config.k)
    first = {name: magnitude[0] for name, magnitude in next(iter(seen.values())).items()}
    layers(
        folder / "layers.png", caption(shown), shown.images[0], shown.masks[0], first, k=config.k, layer=config.layer
    )


def examples(path: Path, shown: ImageSet, seen: Mapping[str, Mapping[str, Tensor]], *, layer: str, k: int) -> None:
    """Every image with its mask, and for every arm its prediction, the layer's magnitude and the diagram of that.

    `seen` are the magnitudes of all images, by arm.
    """
    figure = Figure(figsize=(7.2 * len(shown), 1.9 * len(seen) + 0.5), layout="constrained")
    for place, part in enumerate(figure.subfigures(1, len(shown), squeeze=False)[0]):
        part.suptitle(caption(shown, place), fontsize=9)
        grid = part.add_gridspec(len(seen), 4)
        left = grid[:, 0].subgridspec(3, 1)
        picture(part.add_subplot(left[0]), shown.images[place], "image")
        picture(part.add_subplot(left[1]), shown.masks[place], "mask", cmap="gray")
        of_mask(part.add_subplot(left[2]), shown.masks[place], k=k)
        titles = ("prediction", f"|{layer}|", f"its diagram, k = {k}")
        for row, (arm, found) in enumerate(seen.items()):
            axes = [part.add_subplot(grid[row, column]) for column in (1, 2, 3)]
            picture(axes[0], found["output"][place], titles[0], cmap="gray", vmin=0, vmax=1)
            axes[0].set_ylabel(EXPERIMENT.arms[arm].label, color=EXPERIMENT.arms[arm].colour, fontsize=8)
            picture(axes[1], found[layer][place], titles[1], cmap="viridis")
            diagram(axes[2], found[layer][place], titles[2], k=k)
            titles = ("", "", "")
    save(figure, path)


def layers(
    path: Path,
    title: str,
    image: Tensor,
    mask: Tensor | None,
    phases: Mapping[str, Tensor],
    *,
    k: int,
    layer: str,
) -> None:
    """Figure 3: an image, its mask and the mask's diagram; below them every phase's magnitude and its diagram.

    `phases` are magnitudes (h, w) by the names of the layers, the last one being the network's output. The k longest
    bars of `layer` are shown on it, too.
    """
    columns = 7
    rows = 2 * -(-len(phases) // columns)
    figure = Figure(figsize=(2.1 * columns, 2.3 * (1 + rows)), layout="constrained")
    axes = figure.subplots(1 + rows, columns)
    spare = list(axes[0])
    picture(spare.pop(0), image, "image")
    if mask is not None:
        picture(spare.pop(0), mask, "mask", cmap="gray", vmin=0, vmax=1)
        of_mask(spare.pop(0), mask, k=k)
    picture(spare.pop(0), phases["output"], "output", cmap="gray", vmin=0, vmax=1)
    pairs = spare.pop(0)
    bars = tl.persistence(tl.Freudenthal(phases[layer], superlevel=True))
    plot.pairs(phases[layer], bars, k=k, legend=False, ax=pairs)
    pairs.set_title(f"{layer}, {k} longest bars", fontsize=8)
    first, *others = spare
    first.legend(*pairs.get_legend_handles_labels(), loc="center left", frameon=False)
    first.set_axis_off()
    for ax in others:
        ax.remove()
    plot.activations(phases, k=k, axes=axes[1:])
    figure.suptitle(title, fontsize=9)
    save(figure, path)


def of_mask(axes: Axes, mask: Tensor, *, k: int) -> None:
    """The diagram of a mask, whose title says how many components it has."""
    barcode = tl.persistence(tl.Freudenthal(mask.float(), superlevel=True))
    count = len(barcode) + len(barcode.essential) if mask.any() else 0
    diagram(axes, mask.float(), f"mask: {count} component{'s' * (count != 1)}", k=k)
