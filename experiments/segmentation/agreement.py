"""From which layer on the topology agrees with the output, over many images: the question of the paper's Section 4."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.table import Table
from scipy.stats import norm, spearmanr
from torch import Tensor

import topolayer as tl
from experiments.shared.console import console, log
from experiments.shared.figures import save
from experiments.shared.files import write_atomically, write_csv
from experiments.shared.images import ImageSet
from experiments.shared.unet import Network


def correlation(first: Tensor, second: Tensor) -> tuple[float, float, float]:
    """Spearman's rank correlation with its 95 % confidence interval; NaN where a number is the same for all images."""
    if len(first) < 4 or first.min() == first.max() or second.min() == second.max():
        return math.nan, math.nan, math.nan
    r = float(spearmanr(first, second).statistic)
    # Fisher's transformation, with the variance that Bonett and Wright (2000) give for ranks.
    half = norm.ppf(0.975) * math.sqrt((1 + r**2 / 2) / (len(first) - 3))
    place = math.atanh(min(max(r, -1 + 1e-12), 1 - 1e-12))
    return r, math.tanh(place - half), math.tanh(place + half)


def probed(model: Network, seen: ImageSet, prominence: float) -> tl.LayerTable:
    """The table of all phases."""
    indices = torch.split(torch.arange(len(seen)), 16)
    batches = (seen.batch(i, torch.device("cpu"))[0] for i in indices)
    masks = (seen.masks[i] for i in indices)
    return tl.probe(model, batches, masks, layers=[*model.layers, ""], prominence=prominence)


def compared(table: tl.LayerTable) -> list[dict[str, Any]]:
    """A row per phase: the columns of the probe, and how its counts of prominent components follow two others."""
    assert table.components is not None
    rows: list[dict[str, Any]] = []
    for found in table.rows:
        layer = str(found["layer"])
        row: dict[str, Any] = {key: found[key] for key in ("resolution", "channels", "maxima", "prominent")}
        row |= {key: found[key] for key in ("persistence", "milliseconds", "off_by")}
        for name, numbers in (("mask", table.components), ("output", table.counts[""])):
            ends = correlation(table.counts[layer], numbers)
            row |= dict(zip((f"{name}_correlation", f"{name}_low", f"{name}_high"), ends, strict=True))
        rows.append({"layer": layer or "output"} | row)
    return rows


def agrees_from(rows: Sequence[Mapping[str, Any]], name: str) -> str | None:
    """The first phase from which on, in all, the interval of the correlation with "mask" or "output" is above zero."""
    first = None
    for row in reversed(rows):
        if not row[f"{name}_low"] > 0:
            break
        first = row["layer"]
    return first


def figure(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """How the number of prominent components of every phase follows that of the mask and that of the output."""
    drawn = Figure(figsize=(10, 6), layout="constrained")
    top, below = drawn.subplots(2, 1, sharex=True)
    places = np.arange(len(rows))
    for name, colour, marker, shift in (("mask", "#D55E00", "o", -0.1), ("output", "#004C7F", "s", 0.1)):
        r, low, high = (np.array([row[f"{name}_{key}"] for row in rows]) for key in ("correlation", "low", "high"))
        shown = np.isfinite(r) & ~((name == "output") & (places == len(rows) - 1))  # with itself it is 1
        where = "in the true mask" if name == "mask" else "prominent in the output"
        spread = np.stack([r - low, high - r]).clip(min=0)[:, shown]
        top.errorbar(places[shown] + shift, r[shown], spread, color=colour, fmt=marker, capsize=2, label=where)
    top.axhline(0, color="0.6", linewidth=0.8)
    top.set_ylabel("rank correlation with the\nnumber of components")
    top.legend(frameon=False, ncols=2)
    for key, colour, marker in (("maxima", "0.4", "^"), ("prominent", "#D55E00", "o")):
        below.plot(places, [row[key] for row in rows], color=colour, marker=marker, label=key)
    below.set(yscale="log", ylabel="mean number of maxima")
    below.legend(frameon=False, ncols=2)
    below.set_xticks(places, [f"{row['layer']}\n{row['resolution']}" for row in rows], fontsize="small")
    for ax in (top, below):
        ax.spines[["top", "right"]].set_visible(False)
    save(drawn, path)


def report(folder: Path, table: tl.LayerTable, *, recommend: bool) -> None:
    """``layers.csv``, ``layers.md`` and ``agreement.png``; and the gist on the screen."""
    rows = compared(table)
    figure(folder / "agreement.png", rows)
    write_csv(folder / "layers.csv", rows)
    numbers: dict[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
        "layer": ("---", lambda row: row["layer"]),
        "resolution": ("---:", lambda row: row["resolution"]),
        "channels": ("---:", lambda row: str(row["channels"])),
        "maxima": ("---:", lambda row: f"{row['maxima']:.1f}"),
        "prominent": ("---:", lambda row: f"{row['prominent']:.2f}"),
        "total persistence": ("---:", lambda row: f"{row['persistence']:.3g}"),
        "penalty, ms": ("---:", lambda row: f"{row['milliseconds']:.2f}"),
        "off by": ("---:", lambda row: f"{row['off_by']:.2f}"),
        "correlation with mask [95 % CI]": ("---:", partial(_interval, name="mask")),
        "with output [95 % CI]": ("---:", partial(_interval, name="output")),
    }
    lines = [f"| {' | '.join(numbers)} |", f"|{'|'.join(align for align, _ in numbers.values())}|"]
    lines += [f"| {' | '.join(form(row) for _, form in numbers.values())} |" for row in rows]
    sentences = [
        f"Means over {table.images} images. Prominent: longer than {table.prominence:g} of the range of the layer's "
        "magnitude. Penalty: few_maxima and its gradient on the first 16 images. Off by: mean absolute difference to "
        "the number of components of the mask. Correlations are rank correlations, over the images, of the number of "
        "prominent components with the number of components of the mask, and with that of prominent ones in the output."
    ]
    for name in ("mask", "output"):
        first = agrees_from(rows[:-1] if name == "output" else rows, name)
        sentences.append(
            f"From {first} on, all correlations with the {name} are above zero (95 % intervals)."
            if first
            else f"No layer begins a sequence up to the end in which all correlations with the {name} are above zero."
        )
    if recommend and table.layer is not None:
        sentences.append(f"The probe recommends layer {table.layer or 'output'} with k = {table.k}.")
    write_atomically(folder / "layers.md", "\n".join([*lines, "", *sentences, ""]))
    shown = Table("layer", "prominent", "with mask [95 % CI]", "with output [95 % CI]")
    for row in rows:
        intervals = (_interval(row, name=name) for name in ("mask", "output"))
        shown.add_row(row["layer"], f"{row['prominent']:.2f}", *intervals)
    console.print(shown)
    log.info("%s", " ".join(sentences))


def _interval(row: Mapping[str, Any], *, name: str) -> str:
    r, low, high = (row[f"{name}_{key}"] for key in ("correlation", "low", "high"))
    return "constant" if math.isnan(r) else f"{r:+.2f} [{low:+.2f}, {high:+.2f}]"
