"""The experiments' pictures, in colours that colour-blind readers tell apart (Okabe and Ito) and several dashes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

import topolayer as tl
from experiments.files import Row, write_atomically
from experiments.images import ImageSet
from experiments.metrics import THRESHOLD
from experiments.penalties import keep
from experiments.unet import LAYERS
from topolayer import plot

STYLES: dict[str, tuple[str, Any]] = {
    "none": ("#333333", "-"),
    "topology": ("#D55E00", "--"),
    "tv": ("#0072B2", "-."),
    "tv+topology": ("#009E73", ":"),
    "sublevel": ("#CC79A7", (0, (5, 1))),
    "tv+sublevel": ("#E69F00", (0, (3, 1, 1, 1))),
}
LABELS = {
    "none": "no regularization",
    "topology": "topology",
    "tv": "total variation",
    "tv+topology": "total variation and topology",
    "sublevel": "topology, sublevel sets",
    "tv+sublevel": "total variation and sublevel sets",
}
# Of a sweep: what is drawn, its whiskers, and a label.
RESPONSES = (
    ("miou", "miou_sd", "mean IoU (%)"),
    ("miou_difference", "miou_ci95", "Δ mean IoU to none"),
    ("betti_error", "betti_error_sd", "Betti error"),
    ("val_speckle", "", "speckle of the layer"),
)


@dataclass(frozen=True)
class Panel:
    """What a network makes of an image: `prediction` (h, w), and the magnitude of a layer's activation."""

    arm: str
    prediction: Tensor
    magnitude: Tensor


@dataclass(frozen=True)
class Example:
    """An image (h, w, 3), its mask (h, w), and what every arm makes of it."""

    title: str
    image: Tensor
    mask: Tensor
    panels: Sequence[Panel]


@torch.inference_mode()
def showcase(folder: Path, models: Mapping[str, nn.Module], val: ImageSet, *, layer: str, k: int) -> None:
    """``examples.png``: two validation images through every network. ``layers.png``: one through all layers of one."""
    chosen = _presentable(val)[:2]
    images, _ = val.batch(torch.tensor(chosen), torch.device("cpu"))
    panels: list[list[Panel]] = [[] for _ in chosen]
    shown: dict[str, Tensor] = {}
    for arm, model in models.items():
        activations: dict[str, Tensor] = {}
        for name in LAYERS:
            model.get_submodule(name).register_forward_hook(partial(keep, activations, name))
        prediction = model.eval()(images)[:, 0]
        magnitudes = {name: tl.channel_norm(activations[name]) for name in LAYERS}
        for place in range(len(chosen)):
            panels[place].append(Panel(arm, prediction[place], magnitudes[layer][place]))
        shown = shown or {name: magnitude[0] for name, magnitude in magnitudes.items()} | {"output": prediction[0]}
    found = [
        Example(f"{val.names[i]}: {val.credits[i]}", val.images[i], val.masks[i], panels[place])
        for place, i in enumerate(chosen)
    ]
    examples(folder / "examples.png", found, layer=layer, k=k)
    first = found[0]
    layers(folder / "layers.png", first.title, first.image, first.mask, shown, k=k, layer=layer)


def _presentable(val: ImageSet) -> list[int]:
    """All images; those that people fill a tenth to a half of come first, the freely licensed before the others."""
    share = val.masks.float().mean((1, 2)).tolist()

    def rank(i: int) -> tuple[bool, bool]:
        return not 0.1 < share[i] < 0.5, "NonCommercial" in val.credits[i] or "NoDerivs" in val.credits[i]

    return sorted(range(len(val)), key=rank)


def convergence(path: Path, histories: Mapping[str, Sequence[Sequence[Row]]], curves: Mapping[str, str]) -> None:
    """Figures 4 and 6: scores over the epochs, the mean over seeds and a band of one standard deviation, per arm."""
    figure = Figure(figsize=(4 * len(curves), 3.6), layout="constrained")
    for axes, (column, label) in zip(figure.subplots(1, len(curves)), curves.items(), strict=True):
        for arm, runs in histories.items():
            colour, dashes = STYLES[arm]
            values = np.array([[row[column] for row in run] for run in runs])
            epochs = np.array([row["epoch"] for row in runs[0]])
            mean, spread = values.mean(0), values.std(0, ddof=1) if len(runs) > 1 else 0
            axes.plot(epochs, mean, color=colour, linestyle=dashes, label=f"{LABELS[arm]} ({len(runs)})")
            axes.fill_between(epochs, mean - spread, mean + spread, color=colour, alpha=0.15, linewidth=0)
        axes.set_xlabel("epoch")
        axes.set_title(label, fontsize=10)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(title="arm (seeds)", frameon=False, fontsize=8, title_fontsize=8)
    save(figure, path)


def differences(path: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]], titles: Mapping[str, str]) -> None:
    """Paired differences to the arm "none" with their 95 % intervals: a panel per score, a place per table."""
    columns = 3
    figure = Figure(figsize=(3.2 * columns, 2.1 * -(-len(titles) // columns)), layout="constrained")
    panels = figure.subplots(-(-len(titles) // columns), columns, squeeze=False, sharex=True).flatten()
    for unused in panels[len(titles) :]:
        unused.remove()
    arms = list(dict.fromkeys(row["arm"] for rows in tables.values() for row in rows if row["arm"] != "none"))
    for axes, (score, title) in zip(panels, titles.items(), strict=False):
        axes.axhline(0, color="#999999", linewidth=1)
        for number, arm in enumerate(arms):
            found = [(i, row) for i, rows in enumerate(tables.values()) for row in rows if row["arm"] == arm]
            axes.errorbar(
                [i + 0.2 * (number - (len(arms) - 1) / 2) for i, _ in found],
                [row.get(f"{score}_difference", np.nan) for _, row in found],
                [row.get(f"{score}_ci95", np.nan) for _, row in found],
                color=STYLES[arm][0], linestyle="none", marker="os^"[number % 3], markersize=4, capsize=3,
                label=LABELS[arm],
            )  # fmt: skip
        axes.set_title(f"Δ {title}", fontsize=9)
        axes.set_xticks(range(len(tables)), list(tables), fontsize=8)
        axes.set_xlim(-0.5, len(tables) - 0.5)
        axes.grid(alpha=0.3, axis="y")
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False, fontsize=7)
    save(figure, path)


def over_thresholds(path: Path, curves: Mapping[str, Mapping[str, Sequence[Tensor]]], thresholds: Tensor) -> None:
    """The mean IoU by threshold: a panel per set of images, for each arm the mean over seeds and its best threshold."""
    figure = Figure(figsize=(4 * len(curves), 3.4), layout="constrained")
    for axes, (images, by_arm) in zip(
        figure.subplots(1, len(curves), squeeze=False, sharey=True)[0], curves.items(), strict=True
    ):
        for arm, runs in by_arm.items():
            colour, dashes = STYLES[arm]
            mean = torch.stack(list(runs)).mean(0)
            axes.plot(thresholds, mean, color=colour, linestyle=dashes, label=f"{LABELS[arm]} ({len(runs)})")
            axes.plot(thresholds[mean.argmax()], mean.max(), color=colour, marker="o", markersize=4)
        axes.axvline(THRESHOLD, color="#999999", linewidth=1)
        axes.set_xlabel("threshold")
        axes.set_title(images or "clean", fontsize=10)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("mean IoU (%)")
    figure.axes[0].legend(title="arm (seeds)", frameon=False, fontsize=8, title_fontsize=8)
    save(figure, path)


def responses(path: Path, rows: Sequence[Mapping[str, Any]], *, base: Mapping[str, Any]) -> None:
    """Response curves of a sweep: scores against every parameter that was varied while the others were as in `base`.

    `rows` are those of its table. Whiskers: one standard deviation, for differences the 95 % interval. The grey line
    is the arm "none".
    """
    (none,) = [row for row in rows if row["arm"] == "none"]
    columns: list[tuple[str, str, list[Mapping[str, Any]]]] = []
    for name in ("lambda", "k", "layer"):
        others = base.keys() - {name} - ({"gradient"} if name == "lambda" else set())
        around = [r for r in rows if r["arm"] == "topology" and all(r[other] == base[other] for other in others)]
        columns.append((name, "topology", around))
    columns.append(("lambda", "tv", [row for row in rows if row["arm"] == "tv"]))
    columns = [(name, arm, around) for name, arm, around in columns if len({row[name] for row in around}) > 1]
    if not columns:
        return
    figure = Figure(figsize=(3.2 * len(columns) + 0.4, 2.1 * len(RESPONSES)), layout="constrained")
    grid = figure.subplots(len(RESPONSES), len(columns), squeeze=False, sharey="row", sharex="col")
    for line, (score, whisker, label) in zip(grid, RESPONSES, strict=True):
        line[0].set_ylabel(label, fontsize=8)
        for axes, (name, arm, around) in zip(line, columns, strict=True):
            if score != "val_speckle" or name == "lambda":  # without regularization it was scored on one layer
                axes.axhline(0 if whisker.endswith("ci95") else none[score], color="#999999", linewidth=1)
            for gradient in dict.fromkeys(row.get("gradient", "") for row in around):
                points = sorted((r for r in around if r.get("gradient", "") == gradient), key=lambda row: row[name])
                xs = [row[name] if name == "lambda" else str(row[name]) for row in points]
                ys = [row[score] for row in points]
                spread = [row[whisker] for row in points] if whisker else None
                colour = STYLES["tv+topology" if gradient == "region" else arm][0]
                axes.errorbar(xs, ys, spread, color=colour, marker="o", markersize=3, capsize=2, label=gradient)
            axes.grid(alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=7)
    for axes, last, (name, arm, around) in zip(grid[0], grid[-1], columns, strict=True):
        last.set_xlabel({"lambda": "λ"}.get(name, name) + (" of total variation" if arm == "tv" else ""), fontsize=8)
        if name == "lambda":
            last.set_xscale("log")
        if name == "lambda" and len({row.get("gradient") for row in around}) > 1:
            axes.legend(title="gradient", frameon=False, fontsize=7, title_fontsize=7)
    for axes in grid[-1]:
        axes.set_yscale("log")  # speckle
    save(figure, path)


def examples(path: Path, shown: Sequence[Example], *, layer: str, k: int) -> None:
    """Per image: the image and its mask, and for every arm the prediction, the layer's magnitude and its diagram."""
    arms = len(shown[0].panels)
    figure = Figure(figsize=(7.2 * len(shown), 1.9 * arms + 0.5), layout="constrained")
    for example, part in zip(shown, figure.subfigures(1, len(shown), squeeze=False)[0], strict=True):
        part.suptitle(example.title, fontsize=9)
        grid = part.add_gridspec(arms, 4)
        left = grid[:, 0].subgridspec(3, 1)
        _picture(part.add_subplot(left[0]), example.image, "image")
        _picture(part.add_subplot(left[1]), example.mask, "mask", cmap="gray")
        of_mask(part.add_subplot(left[2]), example.mask, k=k)
        for row, panel in enumerate(example.panels):
            first = row == 0
            prediction = part.add_subplot(grid[row, 1])
            _picture(prediction, panel.prediction, "prediction" if first else "", cmap="gray", top=1.0)
            prediction.set_ylabel(LABELS[panel.arm], color=STYLES[panel.arm][0], fontsize=8)
            _picture(part.add_subplot(grid[row, 2]), panel.magnitude, f"|{layer}|" if first else "", cmap="viridis")
            title = f"its diagram, k = {k}" if first else ""
            diagram(part.add_subplot(grid[row, 3]), panel.magnitude, title, k=k)
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

    `phases` are magnitudes (h, w) by the names of the layers, the last one being the network's output; of `layer` the k
    longest bars are shown on it, too.
    """
    columns = 7
    rows = 2 * -(-len(phases) // columns)
    figure = Figure(figsize=(2.1 * columns, 2.3 * (1 + rows)), layout="constrained")
    axes = figure.subplots(1 + rows, columns)
    spare = list(axes[0])
    _picture(spare.pop(0), image, "image")
    if mask is not None:
        _picture(spare.pop(0), mask, "mask", cmap="gray", top=1.0)
        of_mask(spare.pop(0), mask, k=k)
    _picture(spare.pop(0), phases["output"], "output", cmap="gray", top=1.0)
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


def diagram(axes: Axes, magnitude: Tensor, title: str, *, k: int) -> None:
    """The superlevel persistence diagram (H0): k components are filled, those that the penalty sees are hollow."""
    if torch.isfinite(magnitude).all():
        barcode = tl.persistence(tl.Freudenthal(magnitude.float(), superlevel=True))
        plot.diagram(barcode, k=k, legend=False, ax=axes)
    else:
        axes.text(0.5, 0.5, "not finite", ha="center", transform=axes.transAxes, fontsize=7)
    axes.set_title(title, fontsize=8)
    axes.tick_params(which="both", labelsize=6)
    axes.set_xlabel("birth", fontsize=7, labelpad=1)
    axes.set_ylabel("death", fontsize=7, labelpad=1)


def of_mask(axes: Axes, mask: Tensor, *, k: int) -> None:
    """The diagram of a mask, whose title says how many components it has."""
    barcode = tl.persistence(tl.Freudenthal(mask.float(), superlevel=True))
    count = len(barcode) + len(barcode.essential) if mask.any() else 0
    diagram(axes, mask.float(), f"mask: {count} component{'s' * (count != 1)}", k=k)


def _picture(axes: Axes, picture: Tensor, title: str, cmap: str | None = None, top: float | None = None) -> None:
    axes.imshow(picture.numpy(), cmap=cmap, vmin=None if top is None else 0.0, vmax=top, interpolation="nearest")
    axes.set_title(title, fontsize=8)
    axes.set(xticks=[], yticks=[])


def save(figure: Figure, path: Path) -> None:
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=130)
    write_atomically(path, png.getvalue())
