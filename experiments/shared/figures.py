"""Pictures that several experiments draw: curves of runs, differences, diagrams; and how pictures are saved."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

import topolayer as tl
from experiments.shared.experiment import Experiment
from experiments.shared.files import Row, write_atomically
from topolayer import plot


def convergence(path: Path, histories: Mapping[str, Sequence[Sequence[Row]]], experiment: Experiment) -> None:
    """Figures 4 and 6: scores over the epochs, the mean over seeds and a band of one standard deviation, per arm."""
    curves = experiment.curves
    figure = Figure(figsize=(4 * len(curves), 3.6), layout="constrained")
    for axes, (column, label) in zip(figure.subplots(1, len(curves)), curves.items(), strict=True):
        for arm, runs in histories.items():
            style = experiment.arms[arm]
            values = np.array([[row[column] for row in run] for run in runs])
            epochs = np.array([row["epoch"] for row in runs[0]])
            mean, spread = values.mean(0), values.std(0, ddof=1) if len(runs) > 1 else 0
            axes.plot(epochs, mean, color=style.colour, linestyle=style.dashes, label=f"{style.label} ({len(runs)})")
            axes.fill_between(epochs, mean - spread, mean + spread, color=style.colour, alpha=0.15, linewidth=0)
        axes.set_xlabel("epoch")
        axes.set_title(label, fontsize=10)
        uncluttered(axes)
    figure.axes[0].legend(title="arm (seeds)", frameon=False, fontsize=8, title_fontsize=8)
    save(figure, path)


def differences(path: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]], experiment: Experiment) -> None:
    """Paired differences to the arm "none" with their 95 % intervals: a panel per score, a place per table."""
    titles, columns = experiment.titles, 3
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
                color=experiment.arms[arm].colour, linestyle="none", marker="os^"[number % 3], markersize=4, capsize=3,
                label=experiment.arms[arm].label,
            )  # fmt: skip
        axes.set_title(f"Δ {title}", fontsize=9)
        axes.set_xticks(range(len(tables)), list(tables), fontsize=8)
        axes.set_xlim(-0.5, len(tables) - 0.5)
        uncluttered(axes, "y")
    figure.axes[0].legend(frameon=False, fontsize=7)
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


def picture(axes: Axes, shown: Tensor, title: str = "", **options: Any) -> None:
    """An image (h, w) or (h, w, 3), of which every pixel is seen; NaN is grey."""
    axes.set_facecolor("0.8")
    axes.imshow(shown.numpy(), interpolation="nearest", **options)
    axes.set_title(title, fontsize=8)
    axes.set(xticks=[], yticks=[])


def uncluttered(axes: Axes, grid: Literal["both", "y"] = "both") -> None:
    """A light grid, and no frame above and at the right."""
    axes.grid(alpha=0.3, axis=grid)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: Path) -> None:
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=130)
    write_atomically(path, png.getvalue())
