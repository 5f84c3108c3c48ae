"""Descent of clouds by several gradients: the work of `experiments.clouds`."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from experiments.clouds.config import Config
from experiments.clouds.gradients import OF_KERNELS, Gradient, bars, present
from experiments.clouds.problems import PROBLEMS, Problem
from experiments.shared.console import log
from experiments.shared.experiment import BLACK, BLUE, GREEN, ORANGE, VERMILION
from experiments.shared.figures import save, uncluttered
from experiments.shared.files import environment, write_atomically, write_csv, write_json

STYLES = {
    "plain": (BLACK, ":"),
    "smooth": (BLUE, "-"),
    "interpolated": (GREEN, "--"),
    "averaged": (ORANGE, "-."),
    "oineus": (VERMILION, (0, (5, 1, 1, 1, 1, 1))),
}


@dataclass(frozen=True)
class Descent:
    """The loss before each step, and the CPU time until then."""

    losses: list[float]
    seconds: list[float]

    def goal(self, at_most: float) -> int | None:
        """The first step that is not needed any more."""
        return next((step for step, loss in enumerate(self.losses) if loss <= at_most), None)


def descend(
    problem: Problem,
    config: Config,
    gradient: Gradient,
    rate: float,
    bandwidth: float,
    seed: int,
    *,
    to_the_goal: bool = False,
) -> Descent:
    """All steps, or those up to the goal."""
    points = problem.start(config.points, torch.Generator().manual_seed(seed)).requires_grad_()
    optimizer = torch.optim.Adam([points], lr=rate)
    losses: list[float] = []
    seconds = [0.0]
    for _ in range(config.steps + 1):
        began = time.process_time()
        optimizer.zero_grad()
        loss = problem.loss(bars(points, problem.dims, gradient, bandwidth)) + problem.bound(points)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        seconds.append(seconds[-1] + time.process_time() - began)
        losses.append(loss.item())
        if to_the_goal and losses[-1] <= problem.goal:
            break
    return Descent(losses, seconds[:-1])


def choose(problem: Problem, config: Config, gradient: Gradient) -> tuple[float, float, list[dict[str, Any]]]:
    """The rate and the bandwidth that reach the goal first on a cloud that is not reported on, and what each did."""
    tried: list[dict[str, Any]] = []
    order: list[tuple[int, float, float, float]] = []
    bandwidths = config.bandwidths if gradient in OF_KERNELS else (0.0,)
    for rate, bandwidth in itertools.product(config.rates, bandwidths):
        run = descend(problem, config, gradient, rate, bandwidth, config.tuned_on, to_the_goal=True)
        steps, last = run.goal(problem.goal), run.losses[-1]
        order.append((config.steps + 1 if steps is None else steps, last, rate, bandwidth))
        row = {"problem": problem.name, "gradient": gradient, "rate": rate, "bandwidth": bandwidth or ""}
        tried.append(row | {"steps": "" if steps is None else steps, "loss": last})
    *_, rate, bandwidth = min(order)
    log.info("%s, %s: rate %g, bandwidth %g, %d steps", problem.name, gradient, rate, bandwidth, min(order)[0])
    return rate, bandwidth, tried


def write(folder: Path, config: Config) -> None:
    """Compute everything; nothing is written before that is done."""
    torch.set_num_threads(1)
    settings = {key: value for key, value in dataclasses.asdict(config).items() if key != "out"}
    made = settings | environment(("torch", "topolayer", "numpy", "oineus"))
    runs: dict[tuple[str, Gradient], list[Descent]] = {}
    tuning, summary, steps = [], [], []
    for problem, gradient in itertools.product(PROBLEMS, present()):
        rate, bandwidth, tried = choose(problem, config, gradient)
        tuning += tried
        of_seeds = [descend(problem, config, gradient, rate, bandwidth, seed) for seed in config.seeds]
        runs[problem.name, gradient] = of_seeds
        labels = {"problem": problem.name, "gradient": gradient}
        for seed, run in zip(config.seeds, of_seeds, strict=True):
            steps += [
                labels | {"seed": seed, "step": step, "loss": loss, "seconds": seconds}
                for step, (loss, seconds) in enumerate(zip(run.losses, run.seconds, strict=True))
            ]
        chosen = {"rate": rate, "bandwidth": bandwidth or ""}
        summary.append(labels | chosen | summarize(of_seeds, problem.goal))
    write_json(folder / "config.json", made)
    write_csv(folder / "tuning.csv", tuning)
    write_csv(folder / "steps.csv", steps)
    write_csv(folder / "clouds.csv", summary)
    write_atomically(folder / "clouds.md", table(summary))
    draw(folder / "clouds.png", runs)
    for line in table(summary).splitlines():
        log.info(line)
    log.info("%s", folder)


def summarize(runs: list[Descent], goal: float) -> dict[str, Any]:
    """Means over the seeds that reach the goal, and the range of the steps."""
    ends = [(run, step) for run in runs if (step := run.goal(goal)) is not None]
    mean = statistics.fmean
    found: dict[str, Any] = {
        "reached": f"{len(ends)} of {len(runs)}",
        "loss": mean(min(run.losses) for run in runs),
        "milliseconds_a_step": 1e3 * mean(run.seconds[-1] / max(1, len(run.losses) - 1) for run in runs),
    }
    of_steps: dict[str, Any] = dict.fromkeys(("steps", "fewest", "most", "seconds"), "")
    if ends:
        numbers = [step for _, step in ends]
        of_steps = {"steps": mean(numbers), "fewest": min(numbers), "most": max(numbers)}
        of_steps["seconds"] = mean(run.seconds[step] for run, step in ends)
    return found | of_steps


def table(summary: list[dict[str, Any]]) -> str:
    lines = [
        "| problem | gradient | rate, bandwidth | goal reached | steps to it | CPU time to it | lowest loss |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for row in summary:
        reached = row["steps"] != ""
        steps = f"{row['steps']:.0f} ({row['fewest']} to {row['most']})" if reached else "—"
        seconds = f"{row['seconds']:.2f} s" if reached else "—"
        options = f"{row['rate']:g}" + (f", {row['bandwidth']:g}" if row["bandwidth"] else "")
        cells = (row["problem"], row["gradient"], options, row["reached"], steps, seconds, f"{row['loss']:.3f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def draw(path: Path, runs: dict[tuple[str, Gradient], list[Descent]]) -> None:
    """The lowest loss so far against steps, the mean over the seeds: a panel for each problem."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    for axes, problem in zip(figure.subplots(2, 2).flat, PROBLEMS, strict=True):
        for gradient in present():
            lowest = torch.tensor([run.losses for run in runs[problem.name, gradient]]).cummin(dim=1).values.mean(0)
            colour, dashes = STYLES[gradient]
            axes.plot(lowest, color=colour, linestyle=dashes, linewidth=1.2, label=gradient)
        axes.axhline(problem.goal, color="0.6", linewidth=0.8)
        axes.set(title=problem.name, xlabel="steps", ylabel="lowest loss so far")
        if problem.goal > 0:
            axes.set_yscale("symlog", linthresh=problem.goal)
        else:
            axes.set_ylim(None, 0)
        uncluttered(axes)
    figure.axes[0].legend(frameon=False, fontsize=8)
    save(figure, path)
