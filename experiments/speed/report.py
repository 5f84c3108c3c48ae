"""`speed.md`, `speed.csv` and `speed.png`: the targets, every median beside its ratio to ours, and a log-log plot."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.shared.experiment import BLUE, GREEN, PURPLE, VERMILION
from experiments.shared.figures import save, uncluttered
from experiments.shared.files import environment, write_atomically, write_csv
from experiments.speed.config import KINDS
from experiments.speed.contender import Contender, cores
from experiments.speed.contenders import LOADERS, PATIENCE
from experiments.speed.inputs import Job
from experiments.speed.measure import Effort, Key, Times
from experiments.speed.targets import MEASURED, Results, Verdict, pixels, sizes, verdicts

TITLES: dict[Job, str] = {
    "image": "Images",
    "volume": "Volumes",
    "distances": "Rips, from distances",
    "matrices": "Batches of distances",
    "clouds": "Clouds, forward and backward",
    "graphs": "Graphs of different sizes",
    "alpha": "Alpha complexes of points",
    "penalty": "`few_maxima`, forward and backward",
    "matching": "A prediction and its target: Betti matching",
    "bars": "PersLay, forward and backward",
    "representations": "RTD-Lite of two representations, forward and backward",
    "cloud": "The gradient of a cloud",
    "batch": "One thread and two",
    "hashing": "One thread and two on something that shares nothing",
}


def write(
    folder: Path,
    results: Results,
    contenders: Sequence[Contender],
    absent: Mapping[str, str],
    effort: Effort,
    made: Mapping[str, Any],
) -> None:
    """The three files, each replaced atomically. `made` is what `provenance` said when the run began."""
    parts = ["## Targets", _targets(verdicts(results))]
    for job, title in TITLES.items():
        present = [c for c in contenders if c.job == job]
        if sizes(results.times, job):
            parts += [f"## {title}", _times(results.times, job, present), _legend(present)]
    if results.peaks:
        tables = [_memory(results, size) for size in dict.fromkeys(size for size, _, _ in results.peaks)]
        parts += ["## Memory", *tables, "Peak beyond the input, in bytes per pixel, the result included."]
    if results.shares:
        parts += ["## A training step", _shares(results), "Medians in ms, on one thread."]
    parts += ["## Plot", "![Time against pixels, both logarithmic, a panel per kind of input.](speed.png)"]
    parts += ["## Machine", _machine(absent, effort, made)]
    write_atomically(folder / "speed.md", "\n\n".join(parts) + "\n")
    write_csv(folder / "speed.csv", rows(results))
    plot(folder / "speed.png", results.times)


def rows(results: Results) -> list[dict[str, object]]:
    """Everything that was measured or left out, a row for each contender and input."""
    found: list[dict[str, object]] = []
    for key, timing in results.times.measured.items():
        milliseconds = [1e3 * seconds for seconds in timing.seconds]
        peak = results.peaks.get((key.size, key.kind, key.contender)) if key.job in MEASURED else None
        found.append(
            vars(key)
            | {"pixels": timing.pixels, "threads": timing.threads, "rounds": timing.rounds, "burst": timing.burst}
            | {"median_ms": 1e3 * timing.median, "fastest_ms": min(milliseconds), "slowest_ms": max(milliseconds)}
            | {"peak_bytes_per_pixel": "" if peak is None else round(peak, 2)}
        )
    found += [vars(key) | {"left_out": why} for key, why in results.times.left_out.items()]
    for share in results.shares:
        names = ("hook", "penalty", "backward", "step")
        common = {"job": "training step", "size": share.what, "kind": share.name}
        found += [common | {"contender": name, "median_ms": 1e3 * getattr(share, name)} for name in names]
    return found


# --- the tables -----------------------------------------------------------------------------------------------------


def _table(titles: Sequence[str], lines: Iterable[Sequence[str]], text_columns: int) -> str:
    rule = ["---" if place < text_columns else "---:" for place in range(len(titles))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (titles, rule, *lines))


def _targets(found: Sequence[Verdict]) -> str:
    words = {True: "yes", False: "**no**", None: ""}
    lines = [(v.what, v.against, v.target, v.measured, words[v.met]) for v in found]
    return _table(("what", "against", "target", "measured", "met"), lines, 5)


def _times(times: Times, job: Job, contenders: Sequence[Contender]) -> str:
    names = [c.name for c in contenders]
    lines = []
    for size in sizes(times, job):
        for kind in dict.fromkeys(key.kind for key in times.measured if (key.job, key.size) == (job, size)):
            keys = [Key(job, size, kind, name) for name in names]
            lines.append([size, kind, *(_cell(times, key, keys[0]) for key in keys)])
    ratio = "" if len(names) == 1 else f" (in brackets: times that of `{names[0]}`)"
    return f"Median milliseconds{ratio}.\n\n" + _table(["size", "kind", *names], lines, 2)


def _cell(times: Times, key: Key, first: Key) -> str:
    if key not in times.measured:
        return times.left_out.get(key, "")
    median = times.measured[key].median
    text = f"{1e3 * median:.3g}" if median < 1 else f"{1e3 * median:.0f}"
    if key == first or first not in times.measured:
        return text
    ratio = median / times.measured[first].median
    return f"{text} ({ratio:.{0 if ratio >= 9.95 else 1 if ratio >= 0.995 else 2}f}x)"


def _legend(contenders: Sequence[Contender]) -> str:
    return "\n".join(
        f"* `{c.name}`" + (f", {c.connectivity}" if c.connectivity != "none" else "") + f": {c.returns}."
        for c in contenders
    )


def _memory(results: Results, size: str) -> str:
    found = [(kind, name) for of_size, kind, name in results.peaks if of_size == size]
    names = list(dict.fromkeys(name for _, name in found))
    lines = []
    for kind in dict.fromkeys(kind for kind, _ in found):
        peaks = [results.peaks.get((size, kind, name)) for name in names]
        lines.append([size, kind, *("" if peak is None else f"{peak:.1f}" for peak in peaks)])
    return _table(["size", "kind", *names], lines, 2)


def _shares(results: Results) -> str:
    titles = ("U-Net", "hook", "penalty", "its backward", "step", "share")
    lines = [
        (
            f"{s.name}: {s.what}",
            *(f"{1e3 * seconds:.3g}" for seconds in (s.hook, s.penalty, s.backward, s.step)),
            f"{100 * s.share:.2f} %",
        )
        for s in results.shares
    ]
    return _table(titles, lines, 1)


def provenance() -> dict[str, Any]:
    """When, where and with which versions the numbers are made."""
    return environment([*LOADERS, "torch", "numpy"]) | {"date": f"{datetime.now().astimezone():%Y-%m-%d}"}


def _machine(absent: Mapping[str, str], effort: Effort, made: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in made["packages"].items() if name not in absent)
    lines = [
        f"* {made['date']}, {processor()}, {cores()} core(s), {platform.system()}, "
        f"Python {made['python']}; one thread except where it says otherwise.",
        f"* {versions}; commit {made['commit']}.",
        f"* {effort.rounds} interleaved rounds, fewer (at least 3) for what takes longer than {effort.budget:g} s in "
        f"all; nothing that takes more than {effort.limit:g} s a call, or {PATIENCE} times that where a "
        "target needs it.",
        *(f"* Left out: {name}, {why}." for name, why in absent.items()),
    ]
    return "\n".join(lines)


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        models = [s for s in Path("/proc/cpuinfo").read_text().splitlines() if s.startswith("model name")]
        return models[0].split(":", 1)[1].strip()
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


# --- the plot -------------------------------------------------------------------------------------------------------

# Told apart by colour, by marker and by dashes; ours are solid and bold.
STYLES: dict[str, dict[str, Any]] = {
    "topolayer H0": {"color": "black", "marker": "o", "linewidth": 2.2},
    "topolayer H0 V": {"color": "black", "marker": "D", "linewidth": 1.2},
    "topolayer H0+H1": {"color": BLUE, "marker": "s", "linewidth": 1.8},
    "topolayer H0+H1 V": {"color": BLUE, "marker": "2", "linewidth": 0.8},
    "topolayer H0+H1 T": {"color": BLUE, "marker": "1", "linewidth": 0.8},
    "gudhi 2D": {"color": VERMILION, "marker": "^", "linestyle": "--"},
    "gudhi": {"color": VERMILION, "marker": "v", "linestyle": ":"},
    "cripser H0": {"color": GREEN, "marker": "x", "linestyle": "-."},
    "cripser H0+H1": {"color": GREEN, "marker": "+", "linestyle": "-."},
    "topolayer V": {"color": BLUE, "marker": "h", "linewidth": 1.2},
    "topolayer": {"color": BLUE, "marker": "p", "linewidth": 1.8},
    "cripser": {"color": GREEN, "marker": "*", "linestyle": "--"},
    "oineus H0": {"color": PURPLE, "marker": "P", "linestyle": (0, (6, 2))},
    "oineus": {"color": PURPLE, "marker": "X", "linestyle": ":"},
    "pytorch-topological": {"color": "0.6", "marker": "<", "linestyle": ":"},
    "TopologyLayer": {"color": "0.6", "marker": ">", "linestyle": ":"},
}


def plot(path: Path, times: Times) -> None:
    """Time against pixels, log-log; a panel for each kind of image, and for volumes of noise."""
    kinds = [("image", kind) for kind in KINDS] + [("volume", "noise")]
    panels = [panel for panel in kinds if any((key.job, key.kind) == panel for key in times.measured)]
    if not panels:
        return
    columns = min(4, len(panels))
    count = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(3.1 * columns, 2.9 * count + 0.9), layout="constrained")
    grid = figure.subplots(count, columns, sharex=True, sharey=True, squeeze=False)
    lines: dict[str, Line2D] = {}
    for axes, (job, kind) in zip(grid.flat, panels, strict=False):
        lines |= _panel(axes, times, job, kind)
        axes.set_title(kind if job == "image" else f"{kind}, volume", fontsize=10)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("pixels", fontsize=9)
    for axes in grid[:, 0]:
        axes.set_ylabel("median time, ms", fontsize=9)
    ordered = {name: lines[name] for name in STYLES if name in lines}
    figure.legend(ordered.values(), ordered, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    save(figure, path)


def _panel(axes: Axes, times: Times, job: str, kind: str) -> dict[str, Line2D]:
    """The lines of one kind of input, by contender."""
    lines = {}
    for name, style in STYLES.items():
        chosen = [(pixels(key.size), 1e3 * t.median) for key, t in times.measured.items() if _at(key, job, kind, name)]
        if chosen:
            (lines[name],) = axes.loglog(*zip(*sorted(chosen), strict=True), markersize=5, **style)
    uncluttered(axes)
    axes.tick_params(labelsize=8)
    return lines


def _at(key: Key, job: str, kind: str, name: str) -> bool:
    return (key.job, key.kind, key.contender) == (job, kind, name)
