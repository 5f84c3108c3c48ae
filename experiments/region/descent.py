"""Gradient descent on `few_extrema` of a noisy photograph: the work of `experiments.region`."""

from __future__ import annotations

import dataclasses
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor

import topolayer as tl
from experiments.region.config import Config
from experiments.shared.console import log
from experiments.shared.experiment import BLUE, VERMILION
from experiments.shared.figures import save, uncluttered
from experiments.shared.files import environment, write_atomically, write_csv, write_json
from experiments.shared.images import photograph

Gradient = Literal["critical", "region"]
GRADIENTS: tuple[Gradient, ...] = ("critical", "region")
STYLES = {"critical": (BLUE, "-"), "region": (VERMILION, "--")}  # told apart in grey, too
SHOWN = 10  # the step whose pictures are shown


@dataclass(frozen=True)
class Descent:
    """A picture before and after each step."""

    rows: list[dict[str, Any]]
    pictures: dict[int, Tensor]

    def goal(self, k: int) -> dict[str, Any] | None:
        return next((row for row in self.rows if row["maxima"] <= k and row["minima"] <= k), None)


def noisy(clean: Tensor, config: Config, seed: int) -> Tensor:
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
    return (clean + config.noise * noise).clamp(0, 1)


def penalty(picture: Tensor, config: Config, gradient: Gradient) -> Tensor:
    """The penalty on maxima and on minima, added up."""
    maxima, minima = tl.Freudenthal(picture, superlevel=True), tl.Freudenthal(picture)
    return torch.stack([tl.few_extrema(each, k=config.k, gradient=gradient) for each in (maxima, minima)]).sum()


def count(picture: Tensor, speckle: float) -> list[int]:
    """How many maxima and minima have a bar longer than that, those that never die included."""
    counts = []
    for superlevel in (True, False):
        barcode = tl.persistence(tl.Freudenthal(picture, superlevel=superlevel))
        counts.append(int((barcode.lengths > speckle).sum()) + len(barcode.essential))
    return counts


def descend(clean: Tensor, config: Config, gradient: Gradient, rate: float, seed: int, *, steps: int) -> Descent:
    picture = noisy(clean, config, seed)
    rows: list[dict[str, Any]] = []
    pictures: dict[int, Tensor] = {}
    seconds = 0.0
    for step in range(steps + 1):
        maxima, minima = count(picture, config.speckle)
        error = float((picture - clean).square().mean())
        psnr = 10 * torch.tensor(1 / error).log10().item()
        rows.append({"step": step, "maxima": maxima, "minima": minima, "psnr": psnr, "seconds": seconds})
        if step in (0, min(SHOWN, steps)):
            pictures[step] = picture
        start = time.perf_counter()
        leaf = picture.clone().requires_grad_()
        (slope,) = torch.autograd.grad(penalty(leaf, config, gradient), leaf)
        picture = (leaf - rate * slope).detach()
        seconds += time.perf_counter() - start
    return Descent(rows, pictures)


def choose_rate(clean: Tensor, config: Config, gradient: Gradient) -> tuple[float, list[dict[str, Any]]]:
    """The rate that reaches the goal first on noise that is not reported on, and what each of them did."""
    tried: list[dict[str, Any]] = []
    order: list[tuple[float, float, float]] = []
    for rate in config.rates:
        goal = descend(clean, config, gradient, rate, config.tuned_on, steps=config.steps).goal(config.k)
        steps, psnr = (goal["step"], goal["psnr"]) if goal else (config.steps + 1, 0.0)
        order.append((steps, -psnr, rate))
        tried.append({"gradient": gradient, "rate": rate, "steps": steps if goal else "", "psnr": psnr if goal else ""})
        log.info("%s, rate %g: %s", gradient, rate, f"{steps} steps, {psnr:.2f} dB" if goal else "not reached")
    return min(order)[2], tried


def write(folder: Path, config: Config) -> None:
    """Compute everything; nothing is written before that is done."""
    torch.set_num_threads(1)
    settings = {key: value for key, value in dataclasses.asdict(config).items() if key != "out"}
    made = settings | environment(("torch", "topolayer", "numpy", "scikit-image"))
    clean = torch.from_numpy(photograph((config.side, config.side))).float()
    rates, tuning, summary, steps = {}, [], [], []
    runs: dict[Gradient, list[Descent]] = {}
    for gradient in GRADIENTS:
        rates[gradient], tried = choose_rate(clean, config, gradient)
        tuning += tried
        runs[gradient] = [
            descend(clean, config, gradient, rates[gradient], seed, steps=config.steps) for seed in config.seeds
        ]
        for seed, run in zip(config.seeds, runs[gradient], strict=True):
            steps += [{"gradient": gradient, "seed": seed} | row for row in run.rows]
        summary.append({"gradient": gradient, "rate": rates[gradient]} | summarize(runs[gradient], config))
    write_json(folder / "config.json", made)
    write_csv(folder / "tuning.csv", tuning)
    write_csv(folder / "steps.csv", steps)
    write_csv(folder / "region.csv", summary)
    write_atomically(folder / "region.md", table(summary))
    draw(folder / "region.png", clean, runs, rates, config)
    for line in table(summary).splitlines():
        log.info(line)
    log.info("%s", folder)


def summarize(runs: list[Descent], config: Config) -> dict[str, Any]:
    """Means over the seeds, and the range of the steps."""
    goals = [run.goal(config.k) for run in runs]
    reached = [goal for goal in goals if goal]
    before = [run.rows[0] for run in runs]
    best = [max(run.rows, key=lambda row: row["psnr"]) for run in runs]
    mean = statistics.fmean
    result: dict[str, Any] = {
        "extrema_before": mean(row["maxima"] + row["minima"] for row in before),
        "psnr_before": mean(row["psnr"] for row in before),
        "reached": f"{len(reached)} of {len(runs)}",
        "best_psnr": mean(row["psnr"] for row in best),
        "best_psnr_step": mean(row["step"] for row in best),
    }
    if reached:
        result |= {
            "steps": mean(goal["step"] for goal in reached),
            "fewest": min(goal["step"] for goal in reached),
            "most": max(goal["step"] for goal in reached),
            "psnr": mean(goal["psnr"] for goal in reached),
            "milliseconds": 1e3 * mean(goal["seconds"] for goal in reached),
        }
    return result


def table(summary: list[dict[str, Any]]) -> str:
    lines = [
        "| gradient | learning rate | goal reached | steps to it | PSNR there | time to it | best PSNR (at step) |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in summary:
        steps = f"{row['steps']:.1f} ({row['fewest']} to {row['most']})" if "steps" in row else "—"
        there = f"{row['psnr']:.2f} dB | {row['milliseconds']:.0f} ms" if "steps" in row else "— | —"
        best = f"{row['best_psnr']:.2f} dB ({row['best_psnr_step']:.0f})"
        lines.append(f"| {row['gradient']} | {row['rate']:g} | {row['reached']} | {steps} | {there} | {best} |")
    return "\n".join(lines) + "\n"


def draw(
    path: Path, clean: Tensor, runs: dict[Gradient, list[Descent]], rates: dict[Gradient, float], config: Config
) -> None:
    """The picture of the first seed, and both curves of every seed."""
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(1, 1.05))[:, 0]
    shown = {"photograph": clean, "with noise": runs["critical"][0].pictures[0]}
    step = min(SHOWN, config.steps)
    shown |= {f"{name}, after {step} steps": runs[name][0].pictures[step] for name in GRADIENTS}
    for axes, (title, picture) in zip(above.subplots(1, len(shown)), shown.items(), strict=True):
        axes.imshow(picture.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        maxima, minima = count(picture, config.speckle)
        axes.set_title(f"{title}\n{maxima} maxima, {minima} minima", fontsize=9)
        axes.set_axis_off()
    counts, psnr = below.subplots(1, 2)
    for name in GRADIENTS:
        colour, dashes = STYLES[name]
        for i, run in enumerate(runs[name]):
            label = f"{name}, learning rate {rates[name]:g}" if i == 0 else None
            steps = [row["step"] + 1 for row in run.rows]
            extrema = [row["maxima"] + row["minima"] for row in run.rows]
            counts.plot(steps, extrema, color=colour, linestyle=dashes, linewidth=1, label=label)
            psnr.plot(steps, [row["psnr"] for row in run.rows], color=colour, linestyle=dashes, linewidth=1)
    counts.axhline(2 * config.k, color="0.5", linewidth=0.8, linestyle=":")
    counts.set(ylabel=f"maxima and minima\nwith a bar > {config.speckle:g}", yscale="log")
    psnr.set(ylabel="PSNR in dB")
    for axes in (counts, psnr):
        axes.set(xlabel="steps + 1", xscale="log")
        uncluttered(axes)
    counts.legend(frameon=False, fontsize=8)
    save(figure, path)
