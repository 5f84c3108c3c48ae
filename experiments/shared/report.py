"""From a folder of runs to the table and the convergence plot.

Whatever is finished is reported. The comparison is paired: for each seed the difference between an arm and the arm
"none", which started from the same weights and saw the same batches; the interval is Student's t over the seeds.
Scores are those of the last epoch, or means over the last validations, as many as the runs' ``--last-epochs`` says.
Scores of disturbed images are always those of the last epoch. Runs under a protocol also answer its questions.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from experiments.shared.console import UserError, console, log
from experiments.shared.experiment import Experiment
from experiments.shared.files import Row, read_csv, write_atomically, write_csv

BASELINE = "none"
RATIO = "train_gradient_ratio"  # columns of the metrics: how strongly a penalty pulls, whose mean goes into results.csv
SPECKLE = "val_speckle"  # of the layer that is regularized, where there is one
EPOCHS = "epochs to where none ends"


@dataclass(frozen=True)
class Finished:
    """A run that reached its end: the scores reported of it, and all rows of its metrics."""

    experiment: str
    arm: str
    seed: int
    final: dict[str, float]
    summary: dict[str, Any]
    history: list[Row]


def finished_runs(folder: Path, last_epochs: int = 1) -> list[Finished]:
    """All finished runs in `folder`, of which there must be one; arms in the order of their names, "none" first.

    Scores are means over the last rows of the metrics, so many as `last_epochs` says.
    """
    runs = []
    for path in folder.glob("seed*/summary.json"):
        summary = json.loads(path.read_text())
        history = read_csv(path.with_name("metrics.csv"))
        final = summary["final"] | last_mean(history, last_epochs)
        runs.append(Finished(summary.get("experiment", ""), summary["arm"], summary["seed"], final, summary, history))
    if not runs:
        raise UserError(f"no finished run in {folder}")
    return sorted(runs, key=lambda run: (run.arm != BASELINE, run.arm, run.seed))


def last_mean(history: Sequence[Row], number: int) -> Row:
    """The last row of the metrics, with means over the last `number` rows for its losses and scores."""
    kept = ("epoch", "step", "lr")
    last = history[-number:]
    return {
        name: value if name in kept else statistics.fmean(row[name] for row in last)
        for name, value in history[-1].items()
    }


def epochs_to(goal: float, history: Sequence[Row], score: str, last_epochs: int = 1) -> float:
    """After which epoch the score, a mean over the last rows as in the report, first reached `goal`: inf if never."""
    for end in range(min(last_epochs, len(history)), len(history) + 1):
        if last_mean(history[:end], last_epochs)[score] >= goal:
            return history[end - 1]["epoch"]
    return math.inf


def compare(runs: Sequence[Finished], experiment: Experiment, last_epochs: int = 1) -> list[dict[str, Any]]:
    """One row per arm: means and standard deviations over the seeds, and paired differences to the baseline.

    Scores that some of the runs lack are left out: older ones have fewer. Also the median over the seeds of the number
    of epochs to where the baseline of the same seed ends.
    """
    from experiments.shared.effects import effect

    by_arm: dict[str, dict[int, Finished]] = {}
    for finished in runs:
        by_arm.setdefault(finished.arm, {})[finished.seed] = finished
    baseline = by_arm.get(BASELINE, {})
    scores = experiment.of(name for name in runs[0].final if all(name in run.final for run in runs))
    rows = []
    for arm, by_seed in by_arm.items():
        row: dict[str, Any] = {"arm": arm, "seeds": len(by_seed)}
        pairs = [] if arm == BASELINE else sorted(by_seed.keys() & baseline.keys())
        row["pairs"] = len(pairs)
        for score in scores.titles:
            values = [finished.final[score] for finished in by_seed.values()]
            row[score] = statistics.fmean(values)
            row[f"{score}_sd"] = statistics.stdev(values) if len(values) > 1 else math.nan
            differences = [by_seed[seed].final[score] - baseline[seed].final[score] for seed in pairs]
            found = effect(differences)
            row |= {f"{score}_difference": found.mean, f"{score}_ci95": found.half()}
        if all(SPECKLE in run.final for run in runs):
            row[SPECKLE] = statistics.fmean(run.final[SPECKLE] for run in by_seed.values())
        for column in (name for name in next(iter(by_seed.values())).history[-1] if name.startswith(RATIO)):
            means = [statistics.fmean(line[column] for line in run.history) for run in by_seed.values()]
            row[column] = statistics.fmean(means)
        both = sorted(by_seed.keys() & baseline.keys())
        if scores.goal and both:
            goals = [(baseline[seed].final[scores.goal], by_seed[seed].history) for seed in both]
            epochs = [epochs_to(goal, history, scores.goal, last_epochs) for goal, history in goals]
            row["epochs_to_baseline"] = statistics.median(epochs)
            row["reached"] = f"{sum(map(math.isfinite, epochs))} of {len(epochs)}"
        row["images_per_second"] = statistics.fmean(run.summary["images_per_second"] for run in by_seed.values())
        rows.append(row)
    return rows


def by_arms(rows: Sequence[dict[str, Any]], scores: Experiment) -> list[list[str]]:
    """The rows of `compare` as texts: a header, then one row per arm."""
    table = [["arm", "seeds"]]
    for title in scores.titles.values():
        table[0] += [title, f"Δ {title.removesuffix(' (%)')} [95 % CI]"]
    goal, speckle = any("reached" in row for row in rows), SPECKLE in rows[0]
    table[0] += [*["speckle"] * speckle, *[EPOCHS] * goal]
    for row in rows:
        texts = [str(row["arm"]), str(row["seeds"])]
        for score in scores.titles:
            texts += cells(row, score, scores.digits)
        table.append([*texts, *[_speckle(row)] * speckle, *[_epochs(row)] * goal])
    return table


def by_scores(rows: Sequence[dict[str, Any]], scores: Experiment) -> list[list[str]]:
    """The texts of many scores: one row for each score, a column for every arm and its difference."""
    goal, speckle = any("reached" in row for row in rows), SPECKLE in rows[0]
    table = [["score"], ["seeds"], *([title] for title in scores.titles.values())]
    table += [*[["speckle"]] * speckle, *[[EPOCHS]] * goal]
    for row in rows:
        first = row["arm"] == BASELINE
        table[0] += [str(row["arm"])] + [f"Δ {row['arm']} [95 % CI]"] * (not first)
        found = [[str(row["seeds"]), str(row["pairs"])]]
        found += [cells(row, score, scores.digits) for score in scores.titles]
        found += [*[[_speckle(row), ""]] * speckle, *[[_epochs(row), ""]] * goal]
        for line, texts in zip(table[1:], found, strict=True):
            line += texts[:1] if first else texts
    return table


def cells(row: dict[str, Any], score: str, digits: int) -> list[str]:
    """A score of a row of `compare` as text, and its difference to the baseline."""
    return [
        _plus_minus(row[score], row[f"{score}_sd"], digits),
        _interval(row[f"{score}_difference"], row[f"{score}_ci95"], digits),
    ]


def _speckle(row: dict[str, Any]) -> str:
    return f"{row[SPECKLE]:.3g}" if SPECKLE in row else ""


def _epochs(row: dict[str, Any]) -> str:
    """Epochs to the baseline's end, and in how many of the pairs it was reached: "12 (4 of 5)"."""
    if "reached" not in row:
        return ""
    median = row["epochs_to_baseline"]
    return f"{median:g} ({row['reached']})" if median < math.inf else f"not reached ({row['reached']})"


def _plus_minus(mean: float, deviation: float, digits: int) -> str:
    return f"{mean:.{digits}f}" if math.isnan(deviation) else f"{mean:.{digits}f} ± {deviation:.{digits}f}"


def _interval(mean: float, half: float, digits: int) -> str:
    if math.isnan(mean):
        return ""
    if math.isnan(half):
        return f"{mean:+.{digits}f}"
    return f"{mean:+.{digits}f} [{mean - half:+.{digits}f}, {mean + half:+.{digits}f}]"


def _or_empty(value: Any) -> Any:
    return "" if isinstance(value, float) and math.isnan(value) else value


def last_epochs_of(folder: Path) -> int:
    """Over how many validations the scores of the runs in `folder` are to be averaged."""
    noted = folder / "config.json"
    return int(json.loads(noted.read_text()).get("last_epochs", 1)) if noted.exists() else 1


def write(folder: Path, experiment: Experiment) -> list[dict[str, Any]]:
    """Write ``results.md``, ``results.csv`` and ``convergence.png`` into `folder`, print the table, return its rows."""
    from experiments.shared import conclusions, figures

    last_epochs = last_epochs_of(folder)
    runs = finished_runs(folder, last_epochs)
    rows = compare(runs, experiment, last_epochs)
    scores = experiment.of(rows[0])
    texts = (by_arms if len(scores.titles) < 3 else by_scores)(rows, scores)
    averaged = f", scores averaged over the last {last_epochs} validations" if last_epochs > 1 else ""
    speckle = (
        " Speckle: the topological penalty of the layer on validation images, relative to its mean squared magnitude."
    )
    note = (
        f"Means over seeds ± standard deviation after {round(runs[0].final['epoch'])} epochs{averaged}. Δ: difference "
        f'to the arm "{BASELINE}" of the same seed, with Student\'s 95 % interval.'
        f"{speckle * (SPECKLE in rows[0])}\n"
    )
    answers = conclusions.section(folder, runs, experiment)
    write_atomically(folder / "results.md", markdown(texts) + "\n" + note + ("\n" + answers if answers else ""))
    write_csv(folder / "results.csv", [{name: _or_empty(value) for name, value in row.items()} for row in rows])
    histories = {row["arm"]: [run.history for run in runs if run.arm == row["arm"]] for row in rows}
    figures.convergence(folder / "convergence.png", histories, experiment)
    show(texts, note)
    pictures = sorted(path.name for path in folder.glob("*.png"))
    log.info("in %s: results.md, results.csv, pictures: %s", folder, ", ".join(pictures))
    return rows


def show(table: Sequence[Sequence[str]], note: str) -> None:
    """Print a table, whose first row is its header, and what is to be said of it."""
    header, *rows = table
    shown = Table(*header)
    for row in rows:
        shown.add_row(*row)
    console.print(shown)
    log.info("%s", note.strip())


def markdown(table: Sequence[Sequence[str]]) -> str:
    header, *rows = table
    return "".join("| " + " | ".join(line) + " |\n" for line in (header, ["---"] * len(header), *rows))
