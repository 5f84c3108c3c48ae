"""Curves over what is varied: scores by the weight, k and layer of a penalty, and by the threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from experiments.segmentation.experiment import EXPERIMENT
from experiments.segmentation.metrics import THRESHOLD
from experiments.shared.experiment import GREEN
from experiments.shared.figures import save, uncluttered

# What is drawn of a sweep, its whiskers, and a label.
RESPONSES = (
    ("miou", "miou_sd", "mean IoU (%)"),
    ("miou_difference", "miou_ci95", "Δ mean IoU to none"),
    ("betti_error", "betti_error_sd", "Betti error"),
    ("val_speckle", "", "speckle of the layer"),
)


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
                colour = GREEN if gradient == "region" else EXPERIMENT.arms[arm].colour
                axes.errorbar(xs, ys, spread, color=colour, marker="o", markersize=3, capsize=2, label=gradient)
            uncluttered(axes)
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


def over_thresholds(path: Path, curves: Mapping[str, Mapping[str, Sequence[Tensor]]], thresholds: Tensor) -> None:
    """The mean IoU by threshold: a panel per set of images, for each arm the mean over seeds and its best threshold."""
    figure = Figure(figsize=(4 * len(curves), 3.4), layout="constrained")
    for axes, (images, by_arm) in zip(
        figure.subplots(1, len(curves), squeeze=False, sharey=True)[0], curves.items(), strict=True
    ):
        for arm, runs in by_arm.items():
            style = EXPERIMENT.arms[arm]
            mean = torch.stack(list(runs)).mean(0)
            label = f"{style.label} ({len(runs)})"
            axes.plot(thresholds, mean, color=style.colour, linestyle=style.dashes, label=label)
            axes.plot(thresholds[mean.argmax()], mean.max(), color=style.colour, marker="o", markersize=4)
        axes.axvline(THRESHOLD, color="#999999", linewidth=1)
        axes.set_xlabel("threshold")
        axes.set_title(images or "clean", fontsize=10)
        uncluttered(axes)
    figure.axes[0].set_ylabel("mean IoU (%)")
    figure.axes[0].legend(title="arm (seeds)", frameon=False, fontsize=8, title_fontsize=8)
    save(figure, path)
