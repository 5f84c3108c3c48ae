"""From a folder of runs to the table and the convergence plot.

    python -m experiments.report runs/segmentation-coco

Whatever is finished is reported. The comparison is paired: for each seed the difference between an arm and the arm
"none", which started from the same weights and saw the same batches; the interval is Student's t over the seeds.
Scores are those of the last epoch.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rich.table import Table
from scipy.stats import t as student_t

from experiments import figures
from experiments.console import UserError, console, log, run
from experiments.files import Row, read_csv, write_atomically, write_csv

BASELINE = "none"
SCORES = {"miou": "mIoU", "person_iou": "person IoU"}


@dataclass(frozen=True)
class Finished:
    """A run that reached its end: the last row of its metrics, and all of them."""

    arm: str
    seed: int
    final: dict[str, float]
    summary: dict[str, Any]
    history: list[Row]


def finished_runs(folder: Path) -> list[Finished]:
    """All finished runs below `folder`, arms in the order of their names with "none" first."""
    runs = []
    for path in folder.glob("seed*/summary.json"):
        summary = json.loads(path.read_text())
        history = read_csv(path.with_name("metrics.csv"))
        runs.append(Finished(summary["arm"], summary["seed"], summary["final"], summary, history))
    return sorted(runs, key=lambda run: (run.arm != BASELINE, run.arm, run.seed))


def confidence(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Mean, and half the width of its confidence interval by Student's t; NaN with fewer than two values.

    >>> [round(value, 4) for value in confidence([1.0, 2.0, 3.0])]
    [2.0, 2.4841]
    """
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, math.nan
    quantile = float(student_t.ppf((1 + level) / 2, len(values) - 1))
    return mean, quantile * statistics.stdev(values) / math.sqrt(len(values))


def compare(runs: Sequence[Finished]) -> list[dict[str, Any]]:
    """One row per arm: means and standard deviations over the seeds, and paired differences to the baseline."""
    by_arm: dict[str, dict[int, Finished]] = {}
    for finished in runs:
        by_arm.setdefault(finished.arm, {})[finished.seed] = finished
    baseline = by_arm.get(BASELINE, {})
    rows = []
    for arm, by_seed in by_arm.items():
        row: dict[str, Any] = {"arm": arm, "seeds": len(by_seed)}
        pairs = [] if arm == BASELINE else sorted(by_seed.keys() & baseline.keys())
        row["pairs"] = len(pairs)
        for score in SCORES:
            values = [finished.final[score] for finished in by_seed.values()]
            row[score] = statistics.fmean(values)
            row[f"{score}_sd"] = statistics.stdev(values) if len(values) > 1 else math.nan
            differences = [by_seed[seed].final[score] - baseline[seed].final[score] for seed in pairs]
            mean, half = confidence(differences) if pairs else (math.nan, math.nan)
            row |= {f"{score}_difference": mean, f"{score}_ci95": half}
        row["val_speckle"] = statistics.fmean(run.final["val_speckle"] for run in by_seed.values())
        row["images_per_second"] = statistics.fmean(run.summary["images_per_second"] for run in by_seed.values())
        rows.append(row)
    return rows


def columns(row: dict[str, Any]) -> dict[str, str]:
    """A row of `compare` as the texts of the printed table."""
    texts = {"arm": str(row["arm"]), "seeds": str(row["seeds"])}
    for score, title in SCORES.items():
        texts[f"{title} (%)"] = _plus_minus(row[score], row[f"{score}_sd"])
        texts[f"Δ {title} [95 % CI]"] = _interval(row[f"{score}_difference"], row[f"{score}_ci95"])
    return texts | {"speckle": f"{row['val_speckle']:.3g}"}


def _plus_minus(mean: float, deviation: float) -> str:
    return f"{mean:.2f}" if math.isnan(deviation) else f"{mean:.2f} ± {deviation:.2f}"


def _interval(mean: float, half: float) -> str:
    if math.isnan(mean):
        return ""
    if math.isnan(half):
        return f"{mean:+.2f}"
    return f"{mean:+.2f} [{mean - half:+.2f}, {mean + half:+.2f}]"


def _or_empty(value: Any) -> Any:
    return "" if isinstance(value, float) and math.isnan(value) else value


def write(folder: Path) -> None:
    """Write ``results.md``, ``results.csv`` and ``convergence.png`` into `folder`, and print the table."""
    runs = finished_runs(folder)
    if not runs:
        raise UserError(f"no finished run in {folder}")
    rows = compare(runs)
    texts = [columns(row) for row in rows]
    lines = [list(texts[0]), ["---"] * len(texts[0]), *(list(row.values()) for row in texts)]
    note = (
        f"Means over seeds ± standard deviation after {round(runs[0].final['epoch'])} epochs. Δ: difference to the arm "
        f'"{BASELINE}" of the same seed, with Student\'s 95 % interval. Speckle: the topological penalty of the layer '
        f"on validation images, relative to its mean squared magnitude.\n"
    )
    write_atomically(folder / "results.md", "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n\n" + note)
    write_csv(folder / "results.csv", [{name: _or_empty(value) for name, value in row.items()} for row in rows])
    figures.convergence(folder / "convergence.png", {arm: _histories(runs, arm) for arm in _arms(runs)})
    table = Table()
    for title in texts[0]:
        table.add_column(title)
    for row in texts:
        table.add_row(*row.values())
    console.print(table)
    log.info("%s", note.strip())
    pictures = sorted(path.name for path in folder.glob("*.png"))
    log.info("in %s: results.md, results.csv, pictures: %s", folder, ", ".join(pictures))


def _arms(runs: Sequence[Finished]) -> list[str]:
    return list(dict.fromkeys(finished.arm for finished in runs))


def _histories(runs: Sequence[Finished], arm: str) -> list[list[Row]]:
    return [finished.history for finished in runs if finished.arm == arm]


def main(folder: tyro.conf.Positional[Path], /) -> None:
    """Report on the runs in FOLDER."""
    run(lambda: write(folder))


if __name__ == "__main__":
    tyro.cli(main)
